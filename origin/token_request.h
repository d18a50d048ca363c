#pragma once

// What clients send to have a token made. Pure.

#include <string_view>

#include "runtime/clock.h"
#include "runtime/result.h"
#include "storage/token.h"

namespace nearside::origin {

inline constexpr size_t kTokenNameBytes = 100;

/// {"name","site","scopes":[…],"expires"?,"expires_in"?}: name, site, scopes and the time of its
/// end. "site" must be said, null for every site: a word left out must not open them all. Errors:
/// kClient bad_json, bad_token.
Result<storage::Token> ParseTokenRequest(std::string_view json, WallTime now);

}  // namespace nearside::origin
