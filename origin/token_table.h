#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "origin/caller.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// The tokens of metadata as of the newest change: what requests are looked up in, without asking
/// the database. A change by another process is seen with the next look at the log
/// (FollowersOptions::poll). Any thread.
class TokenTable {
 public:
  explicit TokenTable(storage::Metadata& metadata) : metadata_(metadata) {}

  /// Reads all tokens anew; an error leaves the old ones.
  Status Refresh();
  /// The same when the log says that they have changed. One thread: the followers'.
  void Follow(const storage::LogState& log);

  /// Who shows this text. Errors: kClient unauthorized, token_revoked, token_expired: the last two
  /// only to who has the secret.
  Result<Caller> Authenticate(std::string_view text, WallTime now);
  /// Who has this id, for those who prove it in another way. The same errors.
  Result<Caller> Find(std::string_view id, WallTime now) const;
  /// That the token was used now: kept once a minute, for people who tidy up.
  void NoteUse(const std::string& id, WallTime now);
  /// Also those that open nothing any more.
  size_t size() const { return snapshot()->size(); }

 private:
  struct Row {
    storage::Token token;
    Caller caller;
  };
  using Snapshot = std::unordered_map<std::string, Row>;
  std::shared_ptr<const Snapshot> snapshot() const;

  storage::Metadata& metadata_;
  std::mutex refresh_mutex_;  ///< an older reading never replaces a newer one
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
  uint64_t followed_ = 0;  ///< the log's count of changes at the last Refresh of Follow
  std::mutex uses_mutex_;
  std::unordered_map<std::string, WallTime> uses_;  ///< noted last, of tokens in the snapshot
};

}  // namespace nearside::origin
