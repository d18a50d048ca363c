#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"
#include "runtime/crypto.h"
#include "runtime/result.h"

namespace nearside::origin {

/// What a token may do.
enum class Scope {
  kNone,
  kFleet,  ///< read events and sites, report as an edge
  kAdmin,  ///< everything
};

/// TOKEN of "Authorization: Bearer TOKEN" (RFC 6750 §2.1), a view into the fields; "": none.
std::string_view BearerOf(const http::Fields& fields);

/// The bearer tokens of the files. Immutable; any thread. Tokens themselves are not kept, only
/// their SHA-256, and comparing takes the same time whatever is offered.
class Tokens {
 public:
  /// Each file holds one token a line (several while one is being replaced); empty lines and those
  /// that begin with # do not count. `fleet_file` may be "". Error: kOperator bad_token_file,
  /// naming the file.
  static Result<Tokens> Load(const std::string& admin_file, const std::string& fleet_file);

  Scope ScopeOf(const http::Fields& fields) const { return ScopeOf(BearerOf(fields)); }
  /// "" has none.
  Scope ScopeOf(std::string_view token) const;

 private:
  struct Known {
    Sha256Digest digest;
    Scope scope;
  };
  Status Read(const std::string& file, Scope scope);

  std::vector<Known> known_;
};

}  // namespace nearside::origin
