#pragma once

// A fleet in one thread: edges, origins over one shared state, what lies between them, visitors,
// changes and faults, all by one seed; and what must hold after every step.

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/edge_process.h"
#include "tests/sim/network.h"
#include "tests/sim/origin_process.h"
#include "tests/sim/schedule.h"
#include "tests/sim/shared_state.h"

namespace nearside::sim {

struct WorldOptions {
  uint64_t seed = 1;
  Bug bug = Bug::kNone;
  bool trace = false;  ///< to stdout
};

/// What a run came to, and how much happened in it.
struct Outcome {
  std::string failure;  ///< "": every invariant held
  uint64_t answers = 0, hits = 0, hits_of_variants = 0, stale_on_error = 0, failures = 0;
  uint64_t changes = 0, confirmations = 0, receipts = 0, proofs = 0;
  uint64_t edge_crashes = 0, origin_crashes = 0, log_cuts = 0, restores = 0, clock_jumps = 0;
  Outcome& operator+=(const Outcome& other);
  std::string ToText() const;
  bool operator==(const Outcome&) const = default;
};

class World {
 public:
  explicit World(const WorldOptions& options);
  Outcome Run();

 private:
  /// What the log says is to be forgotten, and where.
  struct Record {
    storage::LogPosition position;
    uint64_t change = 0;
    bool hard = false;
    std::vector<std::string> urls;
    std::vector<std::string> places() const;
    std::vector<bool> confirmed;  ///< by edge: a receipt has named it
  };
  /// What an edge may answer with at a place.
  struct Need {
    uint64_t stood_since = 0;  ///< contents that stood there after this change
    uint64_t made_since = 0;   ///< pages made after this change, whatever fails
    uint64_t seen = 0;         ///< as `stood_since`: it has shown what came by this change
  };
  struct Visit {
    size_t edge = 0;
    std::string place;
    Need need;
    uint64_t known_by = 0;  ///< what an edge within max_event_lag has heard of or asks for
    MonoTime at;
  };

  // What happens.
  void Begin();
  void VisitSoon(size_t edge);
  void ChangeSoon();
  void FaultSoon();
  void Fault();
  void BootEdge(size_t edge);
  void CrashEdge(size_t edge);
  void CrashOrigin(size_t origin);
  void RestoreBackup();
  void Misbehave();
  void BlockLink(size_t edge, size_t origin);
  void Isolate();
  milliseconds SmallError();
  void SetClock(WallClock& clock, const std::string& whose);
  void Change(bool everything);
  void ChangeUrl(const std::string& url, bool everything, std::map<std::string, Content>* after);
  uint64_t SomeContent(uint64_t slot, bool may_be_gone);
  Record MakeRecord(bool everything, origin::Forget* forget);
  bool RunFor(microseconds span);
  void Heal();
  void CheckTheEnd();

  // What must hold.
  void OnReport(size_t edge, storage::LogPosition position);
  void OnReported(origin::Fleet& fleet);
  void OnProof(const std::string& edge, storage::LogPosition position, const std::string& digest);
  void NoteDigest() { digests_[DigestOf(*state_.contents())] = state_.contents()->change; }
  void OnReceipt(size_t record, const origin::Receipt& receipt);
  void Confirm(Record& record, const std::string& edge);
  void OnAnswer(size_t edge, const Answered& answered);
  void OnLogCut(size_t edge, bool all_stale);
  bool IsGone(size_t edge, const Visit& visit, const Page& page) const;

  void Fail(const std::string& what);
  void Trace(const std::function<std::string()>& line) const;
  Need& NeedOf(size_t edge, const std::string& place) { return needs_[edge][place]; }
  std::optional<size_t> SomeOrigin();
  uint64_t ChangeBy(MonoTime time) const;
  /// What an edge that has been up for long enough must know of.
  uint64_t KnownBy(size_t edge) const;

  const WorldOptions options_;
  Chance chance_;
  Schedule schedule_;
  const size_t edge_count_, origin_count_;
  std::vector<WallClock> edge_clocks_, origin_clocks_;
  SharedState state_;
  Network network_;
  const edge::EdgeSettings settings_;
  std::vector<std::unique_ptr<EdgeProcess>> edges_;
  std::vector<std::unique_ptr<OriginProcess>> origins_;
  std::vector<Record> records_;
  std::map<uint64_t, uint64_t> epochs_;  ///< the change by which each log began
  std::set<std::pair<std::string, storage::LogPosition>> proofs_;
  std::map<std::string, uint64_t> digests_;  ///< of contents: the last change that made them so
  std::vector<std::map<std::string, Need>> needs_;
  /// By edge: when an origin last told it that a content stands at a URL.
  std::vector<std::map<std::pair<std::string, uint64_t>, MonoTime>> said_;
  seconds lifetime_{};  ///< of what origins say
  std::vector<MonoTime> booted_;
  /// By edge: what it has heard last of the event log.
  struct Heard {
    MonoTime at, sent;
  };
  std::vector<Heard> heard_;
  std::vector<storage::LogPosition> reported_;
  /// By edge: the last change when it took a position without having been told what lay before.
  /// What it holds from before it may use again on the origin's word, whatever was purged hard.
  std::vector<uint64_t> taken_;
  std::map<uint64_t, Visit> visits_;
  uint64_t next_visit_ = 1, next_content_ = 1;
  uint64_t fault_share_ = 0;                ///< of this run, in a thousand
  MonoTime end_;                            ///< of what is being run
  bool quiet_ = false;                      ///< faults have ceased
  bool isolated_ = false;                   ///< of this run: for a while nobody can follow the log
  std::map<MonoTime, uint64_t> change_at_;  ///< the last change by then
  size_t final_record_ = SIZE_MAX;          ///< the first of those that are to be confirmed by all
  bool final_receipt_ = false;
  Outcome outcome_;
};

/// A run by its options, whole.
Outcome RunWorld(const WorldOptions& options);

}  // namespace nearside::sim
