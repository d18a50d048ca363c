#pragma once

// What clients of the API send to make and change accounts. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"
#include "storage/account.h"

namespace nearside::origin {

inline constexpr size_t kGrantsOfAccount = 1000;

struct AccountRequest {
  std::string name;
  std::string password;
  std::vector<storage::AccountGrant> grants;
};

/// {"name","password","grants"?:[…]}. Errors: kClient bad_json, bad_account. The rules of names and
/// passwords are for others.
Result<AccountRequest> ParseAccountRequest(std::string_view json);
/// {"grants":[{"site","scopes":[…]}]}, one a site, in the order of their names. "site" must be
/// said, null for every site. Errors: the same.
Result<std::vector<storage::AccountGrant>> ParseGrantsRequest(std::string_view json);
/// {"password"}. Errors: the same.
Result<std::string> ParsePasswordRequest(std::string_view json);

}  // namespace nearside::origin
