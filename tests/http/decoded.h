#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/accept_encoding.h"

namespace nearside::http {

/// What a client reads of a body that has come so far in a coding. nullopt: it breaks the coding's
/// grammar. `whole`, if not null, tells whether it has ended, with nothing behind it.
std::optional<std::string> Decoded(Coding coding, std::string_view bytes, bool* whole = nullptr);

}  // namespace nearside::http
