#pragma once

// What the origins share: the event log with the edges' reports, and a site's contents, changed in
// one transaction. It stands in for SQLite: a transaction is whole or not there, and what was
// committed outlives every process. The log's rules (positions, trimming) are those of
// storage/metadata_log.cc.

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "storage/event_log.h"
#include "tests/sim/chance.h"

namespace nearside::sim {

inline constexpr const char* kSite = "demo";
inline constexpr const char* kHost = "www.demo.test";

/// Visitors differ by the field X-Kind, whose value is one of so many; 0: they do not send it.
inline constexpr uint64_t kKinds = 3;
inline constexpr const char* kKindField = "x-kind";
/// Of a page: the last change that the origin knew when it made it. A 304 does not have it: what
/// was made before stays so.
inline constexpr const char* kMadeField = "x-made";
/// What such a visitor is answered at a URL has a place of its own: "/b#1".
inline std::string PlaceOf(const std::string& url, uint64_t kind) {
  return url + "#" + std::to_string(kind);
}

/// What stands at a place.
struct Content {
  uint64_t id = 0;  ///< the same content has the same id, whenever it stood there; 0: nothing
  std::vector<std::string> tags;
  bool varies = false;  ///< other kinds have other contents at this URL; else all have this one
};
/// A whole site, as of one change. Immutable.
struct Contents {
  uint64_t change = 0;                ///< number of the last change in it
  std::map<std::string, Content> at;  ///< by place
};
/// The body of a page: what it is known by beforehand.
std::string TextOf(const std::string& url, uint64_t id);
/// What visitors who send no X-Kind get, by URL: SHA-256 of a page that is there, "" of one that is
/// not.
std::map<std::string, std::string> HashesOf(const Contents& contents);
/// SHA-256 over all of these that are there, as origin/content_urls.h has it.
std::string DigestOf(const Contents& contents);

/// When which contents stood where: all that is needed to judge an answer.
class History {
 public:
  void Note(const Contents& contents);
  /// Whether `id` stood at the place at some time from `change` on.
  bool StoodSince(const std::string& place, uint64_t id, uint64_t change) const;
  /// The change by which `id` came to stand there the last time; and by which it went (UINT64_MAX:
  /// it stands there).
  uint64_t CameBy(const std::string& place, uint64_t id, uint64_t made) const;
  uint64_t WentBy(const std::string& place, uint64_t id) const;

 private:
  struct Span {
    uint64_t id = 0, from = 0, to = UINT64_MAX;
  };
  std::map<std::string, std::vector<Span>> spans_;
};

class SharedState final : public storage::EventLog {
 public:
  SharedState(Chance& chance, uint64_t keep_events) : chance_(chance), keep_events_(keep_events) {}

  const std::shared_ptr<const Contents>& contents() const { return contents_; }
  const History& history() const { return history_; }
  storage::LogPosition last() const { return log_.last; }
  /// Replaces what stands at `after`'s places and appends, as one transaction; the position of the
  /// last event.
  storage::LogPosition Commit(const std::map<std::string, Content>& after,
                              std::span<const storage::NewEvent> events, WallTime now);
  /// A copy of everything is kept, or put in place again: with another epoch.
  void BackUp();
  void Restore();
  bool has_backup() const { return backup_ != nullptr; }
  /// The newest event of type "activate"; {0, 0}: there is none.
  storage::LogPosition switched() const { return switched_; }
  /// What an edge says that it has proved.
  void NoteProof(const std::string& edge, storage::LogPosition position) {
    proved_[edge] = position;
  }
  /// Whether that is the newest switch.
  bool HasProved(const std::string& edge) const {
    const auto found = proved_.find(edge);
    return found != proved_.end() && found->second == switched_;
  }
  /// In so many of a thousand cases a call fails, as a database that is busy does.
  uint64_t failing_permille = 0;

  Result<storage::LogState> Log() override;
  Result<storage::LogPosition> Append(std::span<const storage::NewEvent> events) override;
  Result<std::vector<storage::Event>> Events(uint64_t after, size_t limit) override;
  Status ReportEdge(const storage::EdgeReport& report) override;
  Result<std::vector<storage::EdgeReport>> Edges() override;
  Status RemoveEdge(const std::string& name) override;

 private:
  struct Stored {
    storage::LogState log;
    std::deque<storage::Event> events;
    std::map<std::string, storage::EdgeReport> edges;
    std::shared_ptr<const Contents> contents;
    storage::LogPosition switched;
  };
  Status Busy();

  Chance& chance_;
  const uint64_t keep_events_;
  storage::LogState log_{.last = {1'000, 0}, .first = 1};
  std::deque<storage::Event> events_;
  std::map<std::string, storage::EdgeReport> edges_;
  std::shared_ptr<const Contents> contents_ = std::make_shared<Contents>();
  History history_;
  storage::LogPosition switched_;
  std::map<std::string, storage::LogPosition> proved_;
  uint64_t changes_ = 0;
  uint64_t epochs_ = 1'000;
  std::unique_ptr<Stored> backup_;
};

}  // namespace nearside::sim
