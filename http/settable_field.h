#pragma once

#include <string_view>

namespace nearside::http {

/// Whether who publishes content may state this field (in lower case) of the responses that carry
/// it: none that frames a message (RFC 9112), validates, dates or places it, speaks for a server or
/// proxy on the way, or makes it one client's own.
bool IsSettableField(std::string_view name);

}  // namespace nearside::http
