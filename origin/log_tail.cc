#include "origin/log_tail.h"

#include <set>

#include "origin/event.h"

namespace nearside::origin {
namespace {

constexpr size_t kWindowEvents = 256;
constexpr size_t kBatchEvents = 64;  ///< read from the log at once for a follower that is behind
constexpr size_t kBatchBytes = 256 << 10;

std::optional<Error> WhyGone(const EventsQuery& wanted, const storage::LogState& log) {
  if (wanted.epoch && *wanted.epoch != log.last.epoch) {
    return Error{
        Fault::kClient, "unknown_epoch",
        "the log is another one than the follower knows: everything that it holds is to be "
        "validated"};
  }
  if (!wanted.after) return std::nullopt;
  if (*wanted.after > log.last.sequence) {
    return Error{Fault::kClient, "ahead_of_log",
                 "the follower knows more than the log: it was restored from an older state"};
  }
  if (*wanted.after + 1 < log.first) {
    return Error{
        Fault::kClient, "past_retention",
        "what comes next is not kept any more: everything that the follower holds is to be "
        "validated"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Answer> GoneAnswer(const EventsQuery& wanted, const storage::LogState& log) {
  const std::optional<Error> gone = WhyGone(wanted, log);
  if (!gone) return std::nullopt;
  return ProblemAnswer(410, *gone,
                       "\"epoch\":" + std::to_string(log.last.epoch) +
                           ",\"seq\":" + std::to_string(log.last.sequence));
}

Status LogTail::Open() {
  Result<storage::LogState> log = log_.Log();
  if (!log) return unexpected(std::move(log.error()));
  state_ = *log;
  return {};
}

Result<LogTail::News> LogTail::Look() {
  Result<storage::LogState> log = log_.Log();
  if (!log) return unexpected(std::move(log.error()));
  state_.tokens = log->tokens;
  News news;
  if (log->last == state_.last) return news;
  if (log->last.epoch != state_.last.epoch || log->last.sequence < state_.last.sequence) {
    // The database was replaced under us: nobody may be told a sequence of two logs as one.
    window_.clear();
    state_ = *log;
    news.replaced = true;
    return news;
  }
  Result<std::vector<storage::Event>> events = log_.Events(state_.last.sequence, kWindowEvents);
  if (!events) return unexpected(std::move(events.error()));
  std::set<std::string> changed;
  for (const storage::Event& event : *events) {
    if (event.position.epoch != state_.last.epoch) break;  // replaced meanwhile: the next look's
    changed.insert(event.site);
    if (event.position.sequence != state_.last.sequence + 1) window_.clear();  // trimmed meanwhile
    window_.push_back(EventMessage(event));
    if (window_.size() > kWindowEvents) window_.pop_front();
    state_.last = event.position;
  }
  state_.first = log->first;
  news.sites.assign(changed.begin(), changed.end());
  news.more = events->size() == kWindowEvents;
  return news;
}

std::optional<std::string> LogTail::Begin(std::optional<storage::LogPosition> after, WallTime now,
                                          Place* place) const {
  if (after && after->epoch != state_.last.epoch) return std::nullopt;
  *place = after ? after->sequence : state_.last.sequence;
  return ": nearside event log\n\n" + PositionMessage(state_.last, now);
}

bool LogTail::Next(Place* place, std::string* out) {
  const uint64_t last = state_.last.sequence;
  if (*place >= last) return true;
  const uint64_t first_known = last - window_.size();  // the window begins behind it
  if (*place < first_known) return NextFromLog(place, out);
  for (uint64_t i = *place - first_known; i < window_.size(); ++i) {
    *out += window_[i];
    ++*place;
    if (out->size() >= kBatchBytes) break;
  }
  return true;
}

bool LogTail::NextFromLog(Place* place, std::string* out) {
  auto events = log_.Events(*place, kBatchEvents);
  // A gap: what comes next was trimmed meanwhile. The follower asks again and is told so.
  if (!events || events->empty()) return false;
  for (const storage::Event& event : *events) {
    const storage::LogPosition next{state_.last.epoch, *place + 1};
    if (event.position != next) return !out->empty();
    *out += EventMessage(event);
    *place = event.position.sequence;
    if (out->size() >= kBatchBytes) break;
  }
  return true;
}

}  // namespace nearside::origin
