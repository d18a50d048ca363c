#pragma once

// What a release of a site that is not active yet asks of this edge: to have its contents here when
// the switch comes.

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "edge/blob_fetch.h"
#include "edge/content_list.h"
#include "edge/preparation_note.h"
#include "edge/prepared_contents.h"
#include "edge/site_keeper.h"
#include "net/event_loop.h"

namespace nearside::edge {

/// How long what was prepared is kept if no switch comes.
inline constexpr std::chrono::hours kPreparedFor{1};

/// Fetches by SHA-256, from the fleet's origin and at the pace of the keeper, what the site's URLs
/// will have, and keeps it where no request finds it: node.prepared tells fetches. It counts as an
/// object like others, which may be evicted. A second preparation takes the place of the first.
/// What it has come to is noted beside the contents, for after a restart. Owned by the control
/// loop's thread.
class SitePreparer {
 public:
  /// `changed`: the state is another one.
  SitePreparer(KeeperMeans& means, std::string name, std::function<void()> changed);
  ~SitePreparer();
  SitePreparer(const SitePreparer&) = delete;
  SitePreparer& operator=(const SitePreparer&) = delete;

  /// After a start: what an earlier process has prepared, and noted in the store, is known again.
  void Restore();
  /// The log has told that a release is about to be made active.
  void Begin(std::shared_ptr<const Configuration> configuration, storage::LogPosition position,
             std::string release);
  /// Another release is the active one: what is here by now is all that will be.
  void OnSwitched();
  const PreparedState& state() const { return state_; }

 private:
  /// A content, and where it will stand.
  struct Content {
    std::string etag;
    uint64_t bytes = 0;
    std::vector<std::string> paths;
    int tries = 0;
    bool held = false;
    std::unique_ptr<BlobFetch> fetch;
  };
  using Contents = std::map<std::string, Content>;

  uint64_t Room() const;
  void FetchList();
  void OnList(Result<ContentList> list);
  void Add(const ContentRow& row);
  void StartSome();
  void Start(const std::string& sha256);
  void OnFound(const std::string& sha256, storage::HeadRef head);
  void Fetch(const std::string& sha256);
  void OnFetched(const std::string& sha256, Status status);
  void Held(const std::string& sha256);
  void Lacks(std::string why);
  storage::Head HeadOf(const std::string& sha256) const;
  void Halt();
  void Finish();
  void Publish();
  void Note(const PreparationNote& note);
  void ReadNote(storage::HeadRef head, std::string text);
  void OnNote(const storage::CachedHead& head, std::string_view text);
  void Use(const PreparationNote& note, milliseconds left);
  void Expire();

  KeeperMeans& means_;
  const std::string name_;
  const std::function<void()> changed_;
  std::shared_ptr<const Configuration> configuration_;
  PreparedState state_;
  MonoTime begun_at_;
  std::string after_;  ///< place in the list
  bool listed_ = false;
  int list_tries_ = 0;
  std::unique_ptr<ContentCall> call_;
  Contents contents_;
  size_t paths_ = 0;
  uint64_t planned_bytes_ = 0;
  std::deque<std::string> queue_;
  size_t under_way_ = 0;
  int failures_ = 0;  ///< in a row
  size_t next_origin_ = 0;
  std::set<Key256> keys_;    ///< of the preparation before, and of this one once it has ended
  uint64_t generation_ = 0;  ///< answers of the store to an earlier one are dropped
  net::Timer again_;
  net::Timer expiry_;
  std::shared_ptr<SitePreparer*> self_;  ///< null inside once destroyed
};

}  // namespace nearside::edge
