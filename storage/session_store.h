#pragma once

// Sessions of people who have signed in: key/value with expiry. A session's id is 256 random bits
// that the client alone keeps; the store knows it by its SHA-256, so who reads the store, or a copy
// of it, can be nobody. The folder knows no cookies: what an id is carried in is for others to say.
//
// A session ends when it was not used for `idle`, or `life` after it was made, whichever comes
// first. Every engine keeps the contract of tests/storage/session_store_contract.h.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "runtime/hash.h"
#include "runtime/result.h"

namespace nearside::storage {

inline constexpr size_t kSessionAccountBytes = 64;
inline constexpr size_t kSessionNoteBytes = 512;

struct SessionDraft {
  std::string account;     ///< an id: 1 to kSessionAccountBytes, no NUL
  int64_t generation = 0;  ///< of the account's sessions: for the caller to compare
  std::string note;        ///< opaque, cut at kSessionNoteBytes
};

struct Session {
  Key256 key;  ///< SHA-256 of its id
  std::string account;
  int64_t generation = 0;
  std::string note;
  WallTime created;
  WallTime used;     ///< the last time, or up to SessionOptions::note_use_after before
  WallTime expires;  ///< unless it is used before
};

struct SessionOptions {
  milliseconds idle = std::chrono::hours(24);
  milliseconds life = std::chrono::hours(24 * 30);
  /// A use is noted when the last noted one is so long ago: reading must not mean writing.
  milliseconds note_use_after = std::chrono::minutes(1);
  /// Noted uses are written with the next one that comes so long after the last that were, many at
  /// once. Others that share the store see them then, and what a killed process had not written yet
  /// is as if it had not been.
  milliseconds write_uses_after = seconds(1);
  size_t most_of_account = 20;  ///< then the one that was used least lately goes
  size_t most = 100'000;        ///< then no further one is made
  std::function<WallTime()> clock = WallNow;
};

/// Any thread; calls block on the disk. Several processes may share one store, and each sees what
/// another one has changed with its next call. Errors: kSelf with errno's name ("ENOSPC"), and
/// those of the engine.
class SessionStore {
 public:
  /// By URL: "lmdb:FOLDER" (made when absent). Errors: kOperator bad_url, cannot_open.
  static Result<std::unique_ptr<SessionStore>> Open(std::string_view url,
                                                    const SessionOptions& options);
  virtual ~SessionStore() = default;

  /// A new session's id, 43 characters of base64url; durable when it is answered. Errors: kClient
  /// bad_session; kSelf too_many_sessions.
  virtual Result<std::string> Create(const SessionDraft& draft) = 0;
  /// The session of an id, whose expiry moves with this use; nullopt when there is none, or it has
  /// ended.
  virtual Result<std::optional<Session>> Find(std::string_view id) = 0;
  /// Durable when it is answered. Removing what is not there succeeds.
  virtual Status Remove(const Key256& key) = 0;
  /// All of an account but the one of `kept`; how many there were.
  virtual Result<size_t> RemoveAll(const std::string& account,
                                   const std::optional<Key256>& kept = std::nullopt) = 0;
  /// Those of an account that have not ended, the one that was made last first.
  virtual Result<std::vector<Session>> List(const std::string& account) = 0;
  /// How many are kept, those that have ended and wait for Sweep among them.
  virtual Result<size_t> Count() = 0;
  /// Removes those that have ended, `limit` at most; how many there were. To be called now and
  /// then.
  virtual Result<size_t> Sweep(size_t limit) = 0;
};

/// What a session is kept under.
Key256 SessionKeyOf(std::string_view id);
/// 256 random bits in base64url.
std::string RandomSessionId();
/// Whether it could be one: its length and characters.
bool IsSessionId(std::string_view text);

}  // namespace nearside::storage
