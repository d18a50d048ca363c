#pragma once

// What one site's releases ask of this edge: to prove a new one, URL by URL, and, with the setting
// keep_whole, to hold all of the active one.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "edge/content_list.h"
#include "edge/node.h"
#include "edge/pace.h"
#include "edge/url_check.h"
#include "net/event_loop.h"
#include "runtime/crypto.h"

namespace nearside::edge {

class Worker;

/// A URL that is not as it should be.
struct UrlFlaw {
  std::string url;
  std::string why;
};

/// How far this edge is with a site.
struct KeptState {
  std::string site;
  // The newest switch that the log has told of; sequence 0: none since the start.
  storage::LogPosition position;
  std::string release;
  std::string state;  ///< "proving", "proved", "differs"; "unserved"; "off" by prove_releases
  uint64_t urls = 0, same = 0;
  std::string digest;              ///< of what was served; "" until all were asked for
  std::vector<UrlFlaw> differing;  ///< the first of them
  /// What of that release was here before the switch, as JSON; "": it was not asked for.
  std::string prepared;
  // keep_whole
  bool keeps = false;
  bool walked = false;  ///< all of the active release has been gone through
  uint64_t of = 0, held = 0;
  std::vector<UrlFlaw> missing;  ///< the first of them
};

/// What all sites of an edge share.
struct KeeperMeans {
  Worker& worker;  ///< opened inside
  http::Client& client;
  const std::vector<http::Endpoint>& origins;
  const std::string& token;
  Pace& pace;
  std::function<void()> poke;    ///< a call of StartNext may have something to do
  std::function<void()> told;    ///< there is news for the origin
  std::function<void()> walked;  ///< a site's active release has been gone through
};

/// Owned by the control loop's thread.
class SiteKeeper {
 public:
  SiteKeeper(KeeperMeans& means, std::string name);
  ~SiteKeeper();
  SiteKeeper(const SiteKeeper&) = delete;
  SiteKeeper& operator=(const SiteKeeper&) = delete;

  void Use(std::shared_ptr<const Configuration> configuration);
  /// At a start, and where the log was cut: was the last switch proved, or was there no time for
  /// it, or no word of it?
  void AskForLast() { ask_for_last_ = true; }
  /// The log has told of a switch; `prepared` as in KeptState.
  void OnActivated(storage::LogPosition position, std::string release,
                   std::vector<std::string> hosts, std::string prepared = "");
  /// Something of the active release was changed or purged: these URLs, or (empty) anything.
  void OnChanged(const std::vector<std::string>& urls, std::vector<std::string> hosts);
  /// Begins one more request; false: there is nothing to begin now.
  bool StartNext();
  /// Requests to the edge itself.
  size_t under_way() const;

  const KeptState& state() const { return state_; }
  bool keeps() const { return state_.keeps; }
  bool walked() const { return state_.walked; }
  bool Keeps(const Key256& key) const { return keys_.contains(key) || new_keys_.contains(key); }

 private:
  enum class Kind : uint8_t { kLast, kChange, kUrls, kWhole };
  struct Row {
    ContentRow content;
    std::string served;  ///< SHA-256
    int tries = 0;
    bool done = false;
  };
  struct UrlState {
    std::string why;    ///< "": held
    uint64_t pass = 0;  ///< that has seen it last
  };
  /// One walk over a list of URLs.
  struct Pass {
    Kind kind = Kind::kWhole;
    std::string target;  ///< of the list, without its place; "": the rows are given
    std::string after;
    std::string release, since;
    bool listed = false;           ///< no further page
    std::deque<Row> rows;          ///< from number `first` on
    uint64_t first = 0, next = 0;  ///< numbers of rows; `next` has not been begun
    std::deque<uint64_t> again;    ///< to be begun once more
    Sha256 digest;
    uint64_t urls = 0, same = 0;
    int failures = 0;  ///< in a row: URLs that could not be had however often they were asked for
    uint64_t flawed = 0;  ///< URLs that are not as they should be
  };

  const Site* site() const;
  void Begin(Kind kind);
  bool BeginDue();
  void Drop();
  void FetchList();
  void OnList(Result<ContentList> list);
  void OnLast(const Result<ContentList>& list);
  bool BeginCheck(uint64_t number);
  void OnVerdict(uint64_t number, UrlVerdict verdict);
  void Note(const Row& row, const UrlVerdict& verdict);
  void Hold(const std::string& url, const std::string& why);
  void Release(const std::string& url);
  void Advance();
  void Finish();
  void FinishWhole();
  void PutOff(milliseconds wait);
  void Pause(milliseconds wait);
  void Abandon();
  void ListMissing();

  KeeperMeans& means_;
  const std::string name_;
  std::shared_ptr<const Configuration> configuration_;
  std::vector<std::string> hosts_;
  std::vector<VisitorBase> bases_;
  KeptState state_;

  // What is wanted, and from when on.
  std::optional<MonoTime> change_at_, whole_at_;
  std::set<std::string> urls_at_once_;
  bool ask_for_last_ = false;
  std::optional<Pass> pass_;
  uint64_t passes_ = 0;
  std::unique_ptr<ContentCall> call_;
  std::map<uint64_t, std::unique_ptr<UrlCheck>> checks_;
  MonoTime not_before_{};  ///< the pass pauses
  milliseconds backoff_{};
  milliseconds prove_again_{};
  size_t next_origin_ = 0;
  net::Timer wake_;

  std::string walked_release_;  ///< that urls_ is about
  std::unordered_map<std::string, UrlState> urls_;
  uint64_t missing_ = 0;
  std::set<Key256> keys_, new_keys_;
};

}  // namespace nearside::edge
