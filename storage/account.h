#pragma once

// People who sign in, as metadata keeps them. What a scope opens and how a password is hashed is
// for others to say: scopes and hashes are words here.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/clock.h"

namespace nearside::storage {

/// What an account may do to a site.
struct AccountGrant {
  std::string site;  ///< "": every site
  std::vector<std::string> scopes;
  bool operator==(const AccountGrant&) const = default;
};

struct Account {
  std::string id;        ///< never given twice
  std::string name;      ///< what people sign in with; one account has it
  std::string password;  ///< its hash, with all that checking it needs
  /// Sessions of another generation are none of the account's any more. A random number: one that
  /// counts could come again after a backup is restored.
  int64_t generation = 0;
  std::vector<AccountGrant> grants;  ///< one a site, in the order of their names
  std::string created_by;
  WallTime created;           ///< given by the store
  WallTime password_changed;  ///< the same
  WallTime signed_in;         ///< the last time; 0: never
};

/// A password that takes the place of another.
struct PasswordChange {
  std::string account;  ///< its id
  std::string before;   ///< the hash that it had when its owner was asked; "": whatever it has
  std::string after;
  int64_t generation = 0;  ///< from now on: sessions of another end
};

struct AccountRange {
  std::string after;  ///< a name, exclusive; "": from the first
  size_t limit = 100;
};

}  // namespace nearside::storage
