#pragma once

// Which passwords may be chosen (NIST SP 800-63B-4 §3.1.1.2): long enough, and not one that is
// tried first. No rules of composition, no expiry: they make people choose worse ones. Pure.

#include <string_view>

#include "runtime/result.h"

namespace nearside::origin {

inline constexpr size_t kLeastPasswordCharacters = 8;
inline constexpr size_t kMostPasswordBytes = 1024;

/// Error: kClient bad_password, saying what to do about it.
Status CheckPassword(std::string_view password, std::string_view account_name);

}  // namespace nearside::origin
