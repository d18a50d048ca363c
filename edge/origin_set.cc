#include "edge/origin_set.h"

#include <algorithm>
#include <utility>

#include "runtime/log.h"

namespace nearside::edge {
namespace {

using State = OriginCandidate::State;

/// A sentence from an origin's failure is kept for /status: at most so much of it.
constexpr size_t kLongestWhy = 300;

std::string_view StateName(State state) {
  switch (state) {
    case State::kUp:
      return "up";
    case State::kTrial:
      return "trial";
    case State::kDown:
      return "down";
    case State::kEjected:
      return "ejected";
  }
  return "";
}

}  // namespace

OriginAttempt::OriginAttempt(std::shared_ptr<OriginSet> set, size_t origin, bool trial)
    : set_(std::move(set)), origin_(origin), trial_(trial) {}

OriginAttempt& OriginAttempt::operator=(OriginAttempt&& other) noexcept {
  if (this == &other) return *this;
  End();
  set_ = std::move(other.set_);
  origin_ = other.origin_;
  trial_ = std::exchange(other.trial_, false);
  answered_ = other.answered_;
  failed_ = other.failed_;
  return *this;
}

void OriginAttempt::End() {
  if (!set_) return;
  OriginSet::Record& record = *set_->records_[origin_];
  record.in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (trial_) {
    const std::lock_guard lock(set_->ledger_->mutex);
    record.standing.DropTrial();
  }
  set_.reset();
}

void OriginAttempt::Answer(MonoTime now) {
  if (!set_ || std::exchange(answered_, true)) return;
  set_->OnAnswer(origin_, std::exchange(trial_, false), now);
}

void OriginAttempt::Complete() {
  if (!set_ || set_->records_[origin_]->spotless.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(set_->ledger_->mutex);
  OriginSet::Record& record = *set_->records_[origin_];
  record.standing.Complete();
  OriginSet::NoteSpotless(&record);
}

void OriginAttempt::Fail(Reason reason, std::string_view why, MonoTime now) {
  if (!set_ || std::exchange(failed_, true)) return;
  set_->OnFailure(origin_, reason, why, std::exchange(trial_, false), answered_, now);
}

OriginSet::OriginSet(const SiteSettings& settings, std::vector<http::Endpoint> origins,
                     const OriginSet* before)
    : site_(settings.name),
      rules_{.after = settings.eject_after,
             .first = settings.eject_for,
             .most = std::max(settings.eject_for, settings.eject_at_most)},
      most_retries_(settings.retries),
      retry_percent_(settings.retry_percent),
      check_(settings.check),
      endpoints_(std::move(origins)),
      ledger_(before != nullptr ? before->ledger_ : std::make_shared<Ledger>()) {
  const bool same_check = before != nullptr && before->check_ == check_;
  for (const http::Endpoint& endpoint : endpoints_) {
    std::shared_ptr<Record> record;
    for (size_t i = 0; before != nullptr && i < before->endpoints_.size(); ++i) {
      if (before->endpoints_[i] == endpoint) record = before->records_[i];
    }
    if (!record) record = std::make_shared<Record>();
    if (!same_check) {
      const std::lock_guard lock(ledger_->mutex);
      record->checked_up = true;
    }
    records_.push_back(std::move(record));
  }
}

State OriginSet::StateOf(const Record& record, MonoTime now) const {
  const State state = record.standing.StateAt(now);
  return check_ && !record.checked_up ? std::max(state, State::kDown) : state;
}

std::span<const OriginCandidate> OriginSet::CandidatesAt(MonoTime now,
                                                         Candidates* candidates) const {
  for (size_t i = 0; i < records_.size(); ++i) {
    (*candidates)[i] = {.state = StateOf(*records_[i], now),
                        .in_flight = records_[i]->in_flight.load(std::memory_order_relaxed)};
  }
  return std::span(*candidates).first(records_.size());
}

void OriginSet::NoteSpotless(Record* record) {
  record->spotless.store(record->standing.spotless() && !record->silent.load(),
                         std::memory_order_relaxed);
}

bool OriginSet::is_silent() const {
  return std::all_of(records_.begin(), records_.end(), [](const auto& record) {
    return record->silent.load(std::memory_order_relaxed);
  });
}

bool OriginSet::MayProbe(MonoTime now) {
  constexpr milliseconds kPause{1000};
  MonoTime::rep due = next_probe_.load(std::memory_order_relaxed);
  return now.time_since_epoch().count() >= due &&
         next_probe_.compare_exchange_strong(due, (now + kPause).time_since_epoch().count(),
                                             std::memory_order_relaxed);
}

OriginAttempt OriginSet::Take(size_t origin, MonoTime now) {
  Record& record = *records_[origin];
  const bool trial = record.standing.StateAt(now) == State::kTrial;
  if (trial) record.standing.BeginTrial();
  record.in_flight.fetch_add(1, std::memory_order_relaxed);
  record.requests.fetch_add(1, std::memory_order_relaxed);
  return {shared_from_this(), origin, trial};
}

OriginAttempt OriginSet::Begin(bool repeatable, const OriginDraws& draws, MonoTime now) {
  Candidates candidates;
  const std::lock_guard lock(ledger_->mutex);
  ledger_->budget.CountRequest(now);
  const auto chosen =
      ChooseOrigin(CandidatesAt(now, &candidates), 0, repeatable && most_retries_ > 0, draws);
  return Take(*chosen, now);
}

RetryVerdict OriginSet::BeginAgain(OriginMask tried, int retries, const OriginDraws& draws,
                                   MonoTime now, OriginAttempt* next) {
  if (records_.size() == 1) return RetryVerdict::kNoneLeft;
  if (retries >= most_retries_) return RetryVerdict::kSpent;
  OriginAttempt attempt;
  {
    Candidates candidates;
    const std::lock_guard lock(ledger_->mutex);
    const auto chosen = ChooseOrigin(CandidatesAt(now, &candidates), tried, true, draws);
    if (!chosen) return RetryVerdict::kNoneLeft;
    if (!ledger_->budget.TakeRetry(retry_percent_, now)) {
      ledger_->refused.fetch_add(1, std::memory_order_relaxed);
      return RetryVerdict::kBudget;
    }
    records_[*chosen]->retries.fetch_add(1, std::memory_order_relaxed);
    attempt = Take(*chosen, now);
  }
  *next = std::move(attempt);  // ends the attempt before, which may want the lock
  return RetryVerdict::kAgain;
}

bool OriginSet::IsLast(size_t origin, MonoTime now) const {
  for (size_t i = 0; i < records_.size(); ++i) {
    if (i != origin && StateOf(*records_[i], now) == State::kUp) return false;
  }
  return true;
}

void OriginSet::OnAnswer(size_t origin, bool trial, MonoTime now) {
  Record& record = *records_[origin];
  if (record.spotless.load(std::memory_order_relaxed)) return;
  {
    const std::lock_guard lock(ledger_->mutex);
    const bool back = record.standing.Answer(trial, now);
    record.silent.store(false, std::memory_order_relaxed);
    NoteSpotless(&record);
    if (!back) return;
    record.since = WallNow();
    record.why.clear();
  }
  Log(Level::kInfo, "origin_returned",
      {{"site", site_}, {"origin", endpoints_[origin].ToString()}});
}

void OriginSet::OnFailure(size_t origin, Reason reason, std::string_view why, bool trial,
                          bool of_body, MonoTime now) {
  Record& record = *records_[origin];
  const auto kind = static_cast<size_t>(reason) - static_cast<size_t>(Reason::kOriginUnreachable);
  record.failures[kind].fetch_add(1, std::memory_order_relaxed);
  milliseconds span{};
  {
    const std::lock_guard lock(ledger_->mutex);
    using Failure = OriginStanding::Failure;
    const bool was_ejected = record.standing.ejected();
    const auto verdict = record.standing.Fail(of_body ? Failure::kCutBody : Failure::kNoAnswer,
                                              trial, IsLast(origin, now), rules_, now);
    if (!of_body && reason == Reason::kOriginTimeout) {
      record.silent.store(true, std::memory_order_relaxed);
    }
    NoteSpotless(&record);
    if (verdict == OriginStanding::Verdict::kLast) {
      for (const auto& other : records_) other->standing.EndEjection(now);
    }
    if (verdict != OriginStanding::Verdict::kEjected) return;
    record.ejections.fetch_add(1, std::memory_order_relaxed);
    record.why = why.substr(0, kLongestWhy);
    if (was_ejected) return;  // told already
    record.since = WallNow();
    span = std::chrono::round<milliseconds>(record.standing.until() - now);
  }
  Log(Level::kWarning, "origin_ejected",
      {{"site", site_},
       {"origin", endpoints_[origin].ToString()},
       {"reason", ReasonName(reason)},
       {"error", why},
       {"for", FormatDuration(span)}});
}

void OriginSet::TakeCheck(size_t origin, bool up, std::string_view why) {
  Record& record = *records_[origin];
  {
    const std::lock_guard lock(ledger_->mutex);
    if (record.checked_up == up) return;
    record.checked_up = up;
    record.since = WallNow();
    if (!record.standing.ejected()) record.why = up ? "" : why.substr(0, kLongestWhy);
  }
  Log(up ? Level::kInfo : Level::kWarning, up ? "origin_up" : "origin_down",
      {{"site", site_}, {"origin", endpoints_[origin].ToString()}, {"check", up ? "well" : why}});
}

std::vector<OriginReport> OriginSet::Report(MonoTime now) const {
  std::vector<OriginReport> reports(records_.size());
  Candidates candidates;
  {
    const std::lock_guard lock(ledger_->mutex);
    CandidatesAt(now, &candidates);
    for (size_t i = 0; i < records_.size(); ++i) {
      reports[i].since = records_[i]->since;
      if (candidates[i].state != State::kUp) reports[i].why = records_[i]->why;
    }
  }
  const OriginMask next = MayBeChosen(std::span(candidates).first(records_.size()));
  for (size_t i = 0; i < records_.size(); ++i) {
    const Record& record = *records_[i];
    OriginReport& report = reports[i];
    report.url = endpoints_[i].ToString();
    report.state = StateName(candidates[i].state);
    report.in_flight = candidates[i].in_flight;
    report.requests = record.requests.load(std::memory_order_relaxed);
    report.retries = record.retries.load(std::memory_order_relaxed);
    report.ejections = record.ejections.load(std::memory_order_relaxed);
    for (size_t f = 0; f < kOriginFailures; ++f) {
      report.failures[f] = record.failures[f].load(std::memory_order_relaxed);
    }
    report.next = (next >> i & 1) != 0;
  }
  return reports;
}

}  // namespace nearside::edge
