#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "origin/failure_limit.h"
#include "origin/settings.h"
#include "origin/token_table.h"
#include "origin/tokens.h"

namespace nearside::origin {

/// What a request that is signed for S3 is checked with.
struct S3Credential {
  std::string secret;  ///< both sides sign with it
  Caller caller;
};

/// Who may use the API: tokens of the files of [auth], tokens of metadata, key pairs for S3, and
/// which addresses have shown too many wrong ones. Any thread.
///
/// A right secret is taken from any address, also one that is locked out: those that
/// are made are of 256 bits, which no guessing finds, and others (visitors behind an edge) may have
/// guessed from there.
class Access {
 public:
  Access(storage::Metadata& metadata, const AuthSettings& settings, Tokens files,
         std::string s3_key);

  /// Who shows "Authorization: Bearer TOKEN". A wrong one is counted against `client`, an address.
  /// Errors: kClient unauthorized, token_revoked, token_expired; and too_many_failures in place of
  /// any of them when the address is locked out.
  Result<Caller> Authenticate(const http::Fields& fields, std::string_view client);
  /// The key pair of a token. The caller checks the signature, and tells of a wrong one by
  /// Failed, of a right one by NoteUse. Errors: kClient unauthorized, token_revoked,
  /// token_expired.
  Result<S3Credential> FindS3Credential(std::string_view access_key_id) const;
  /// The secret that goes with a token's id.
  std::string S3SecretOf(std::string_view token_id) const;

  enum class Shown { kNothing, kWrong };
  /// A client could not say who it is: counts what it has shown, unless the address is locked out.
  /// Returns for how long it still is; 0: it is not.
  milliseconds Failed(std::string_view client, Shown shown);
  milliseconds LockedOutFor(std::string_view client);
  void NoteUse(const std::string& token_id) { table_.NoteUse(token_id, WallNow()); }

  /// SIGHUP. An empty key leaves the old one.
  void SetFiles(Tokens files, std::string s3_key);
  TokenTable& table() { return table_; }
  const TokenTable& table() const { return table_; }
  /// Requests that were refused because their address was locked out.
  uint64_t locked_out() const { return locked_out_.load(); }

 private:
  struct Files {
    Tokens tokens;
    std::string s3_key;
  };
  std::shared_ptr<const Files> files() const;

  TokenTable table_;
  mutable std::mutex files_mutex_;
  std::shared_ptr<const Files> files_;
  std::mutex failures_mutex_;
  FailureLimit failures_;
  std::atomic<uint64_t> locked_out_{0};
};

}  // namespace nearside::origin
