#pragma once

// What people sign in with: an e-mail address, or a short name. Pure.

#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside::origin {

inline constexpr size_t kAccountNameBytes = 254;  ///< of an e-mail address (RFC 5321 §4.5.3.1.3)

/// The one spelling of a name: lower case, without spaces around it. Error: kClient
/// bad_account_name.
Result<std::string> NormalAccountName(std::string_view text);

}  // namespace nearside::origin
