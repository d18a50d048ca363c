#pragma once

// Tokens of the API and who changed what with them, as metadata keeps them. What a scope opens is
// for others to say: scopes are words here, and details of changes are opaque.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "storage/cache_store.h"

namespace nearside::storage {

struct Token {
  std::string id;      ///< public
  std::string name;    ///< for people
  std::string digest;  ///< SHA-256 of the secret, which is kept nowhere: 64 digits
  std::string site;    ///< "": every site
  std::vector<std::string> scopes;
  std::string created_by;
  WallTime created;  ///< given by the store
  WallTime expires;  ///< 0: never
  WallTime revoked;  ///< 0: it is not
  WallTime used;     ///< the last time, or a little before; 0: never

  bool is_revoked() const { return ToUnixMillis(revoked) != 0; }
  bool HasExpired(WallTime now) const { return ToUnixMillis(expires) != 0 && now >= expires; }
  bool OpensAt(WallTime now) const { return !is_revoked() && !HasExpired(now); }
};

/// A change and who made it.
struct AuditEntry {
  std::string token;   ///< its id; "": one that is in no database
  std::string name;    ///< of the token
  std::string client;  ///< address
  std::string action;  ///< "asset_put"
  std::string site;    ///< "": of no site
  std::string detail;  ///< opaque
};

struct AuditRecord {
  uint64_t sequence = 0;
  WallTime time;
  LogPosition event;  ///< the last that announced the change; sequence 0: none did
  AuditEntry entry;
};

struct AuditRange {
  std::optional<uint64_t> after;  ///< exclusive; nullopt: the newest
  std::string site;               ///< "": of all
  size_t limit = 100;
};

}  // namespace nearside::storage
