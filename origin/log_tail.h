#pragma once

// What an origin tells those who follow its event log: which messages, from where on, and when a
// follower has to be told that it cannot go on. It owns no clock, no thread and no socket.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "origin/answer.h"
#include "origin/route.h"
#include "runtime/clock.h"
#include "runtime/result.h"
#include "storage/event_log.h"

namespace nearside::origin {

/// The answer (410, with where the log stands) to a follower that cannot go on from where it wants
/// to; nullopt: it can.
std::optional<Answer> GoneAnswer(const EventsQuery& wanted, const storage::LogState& log);

/// The newest of the log, read once for all followers. One thread.
class LogTail {
 public:
  /// What a look has found.
  struct News {
    bool replaced = false;           ///< it is another log now: every stream ends
    std::vector<std::string> sites;  ///< that events were appended for, each once
    bool more = false;               ///< there may be more: look again
  };
  /// `log` outlives it.
  explicit LogTail(storage::EventLog& log) : log_(log) {}
  /// The first look: what is there by then is no news. An error of the log's, as of all that look.
  Status Open();
  Result<News> Look();
  /// As of the last look; `tokens` is the present one.
  const storage::LogState& state() const { return state_; }

  /// Where a follower is: the last event that it has been sent.
  using Place = uint64_t;
  /// The first message of a stream. `after`: the last event that the follower has; nullopt: it
  /// begins at the end of the log. nullopt: what it has is of another log by now, and it has to ask
  /// again.
  std::optional<std::string> Begin(std::optional<storage::LogPosition> after, WallTime now,
                                   Place* place) const;
  /// Appends the next messages behind `place` to `out`, as many as make a batch, and moves it.
  /// False: they are not there any more, and the follower has to ask again.
  bool Next(Place* place, std::string* out);

 private:
  bool NextFromLog(Place* place, std::string* out);

  storage::EventLog& log_;
  storage::LogState state_;
  /// Messages of the newest events: the last is state_.last's.
  std::deque<std::string> window_;
};

}  // namespace nearside::origin
