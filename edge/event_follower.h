#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "edge/event_stream.h"
#include "edge/purge.h"
#include "http/session/client.h"
#include "net/event_loop.h"
#include "runtime/clock.h"
#include "runtime/result.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// What the fleet's event log has to say about this edge, for /status and /healthz.
struct FollowerState {
  bool following = false;        ///< a stream is open now
  std::string origin;            ///< the one followed, or tried last
  storage::LogPosition applied;  ///< durable here
  storage::LogPosition log;      ///< newest that the origin told of
  WallTime last_contact;         ///< last byte from the log
  uint64_t events_applied = 0;
  uint64_t reconnects = 0;
  uint64_t log_cuts = 0;  ///< 410: everything became stale
  std::string last_error;
};

/// Follows the origin's event log over server-sent events and applies it to the store, in order,
/// effect and position in one transaction; reports the position applied at once and each second
/// (docs/origin.md). Owned by the control loop's thread.
class EventFollower {
 public:
  struct Options {
    std::vector<http::Endpoint> origins;  ///< the next one is tried when one fails
    std::string token;
    std::string edge;  ///< this edge's name
    /// Members beside epoch and seq for the report, as a JSON object's text: load, counters,
    /// address.
    std::function<std::string()> report;
    /// Brings an event's URLs into the form that they have in keys; may be empty.
    std::function<void(PurgeOrder*)> to_keys;
    /// Told of each event once it counts in the store, durable or not; may be empty.
    std::function<void(storage::LogPosition, std::string_view data)> on_event;
    /// Events were missed; may be empty.
    std::function<void()> on_log_cut;
    /// When an earlier process last knew the log to be applied whole: what it has left behind lacks
    /// what came since. None: nobody knows, and lag counts from now.
    std::optional<WallTime> whole_at;
    /// Between reports that nothing new asks for.
    milliseconds report_every{1000};
  };
  EventFollower(net::EventLoop& loop, http::Client& client, storage::CacheStore& store,
                Options options);
  ~EventFollower();
  void Start();
  /// Runs `done` once: when everything the log had at the first contact is applied, or after
  /// `patience`.
  void WhenCaughtUp(milliseconds patience, std::function<void()> done);
  /// There is news for the origin that the next report would tell a second later.
  void ReportNow() { SendReport(); }
  const FollowerState& state() const { return state_; }
  /// Time since the log was last known to be applied whole (at first: since Options::whole_at, or
  /// the start); 0 while it is. By both clocks, and the longer one counts: one may be set back, the
  /// other stand still while the machine sleeps.
  milliseconds Lag(MonoTime now, WallTime wall_now) const;

 private:
  class Stream;
  class Report;
  void Connect();
  void Retry(const std::string& error);
  void OnEvent(std::string_view data);
  void OnPosition(storage::LogPosition log);
  void Apply(storage::LogPosition position, std::string_view data);
  /// 410: the log is another one, or is past what we know.
  void OnLogCut(std::string_view problem);
  void OnDurable(storage::LogPosition position);
  void SendReport();
  /// Everything that the log is known to have is durable here, and the stream is open and has said
  /// how far the log is: before that, what is known is what an earlier stream has told.
  bool IsWhole() const;
  void CheckWhole();

  net::EventLoop& loop_;
  http::Client& client_;
  storage::CacheStore& store_;
  Options options_;
  FollowerState state_;
  storage::LogPosition received_;  ///< applied in RAM, perhaps not durable yet
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Report> report_;
  bool report_wanted_ = false;
  net::Timer retry_;
  net::Timer report_timer_;
  net::Timer patience_;
  std::function<void()> caught_up_;
  milliseconds backoff_;
  size_t next_origin_ = 0;
  bool is_told_ = false;  ///< the stream has said how far the log is
  MonoTime whole_at_;     ///< when IsWhole was last seen to hold
  WallTime whole_at_wall_;
  std::shared_ptr<EventFollower*>
      self_;  ///< null inside once destroyed, for callbacks of the store
};

}  // namespace nearside::edge
