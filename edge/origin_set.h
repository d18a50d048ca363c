#pragma once

// What all workers of the node share about the origins of one site: requests in flight, failures in
// a row, who is left alone and until when, what health checks say, and how many retries there were.
// What it comes to is decided in origin_choice.h.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "edge/origin_choice.h"
#include "edge/reason.h"
#include "edge/settings.h"
#include "http/session/client.h"
#include "runtime/clock.h"

namespace nearside::edge {

class OriginSet;

/// One request to an origin: in flight as long as this lives, and what became of it. One worker's.
class OriginAttempt {
 public:
  OriginAttempt() = default;
  OriginAttempt(OriginAttempt&& other) noexcept { *this = std::move(other); }
  OriginAttempt& operator=(OriginAttempt&& other) noexcept;
  ~OriginAttempt() { End(); }

  size_t origin() const { return origin_; }
  /// The head of a usable answer has come; then, its body is whole.
  void Answer(MonoTime now);
  void Complete();
  /// `why`: a sentence for a person. `reason`: kOriginUnreachable to kOriginFailed.
  void Fail(Reason reason, std::string_view why, MonoTime now);

 private:
  friend class OriginSet;
  OriginAttempt(std::shared_ptr<OriginSet> set, size_t origin, bool trial);
  void End();

  std::shared_ptr<OriginSet> set_;
  size_t origin_ = 0;
  bool trial_ = false;     ///< whether it is well again hangs on this one
  bool answered_ = false;  ///< a failure from here on is of the body
  bool failed_ = false;    ///< counted once
};

/// Whether a request that failed at one origin is made at another one.
enum class RetryVerdict : uint8_t {
  kAgain,
  kNotRepeatable,  ///< not idempotent, its body has been touched, or the answer has begun
  kNoneLeft,       ///< every origin in good standing has been asked
  kSpent,          ///< as often as the site allows
  kBudget,         ///< the site's retries are over their share of its requests
};

/// A moment of one origin, for people and metrics.
struct OriginReport {
  std::string url;
  std::string_view state;  ///< "up", "ejected", "trial" (may be tried now), "down" (by its check)
  WallTime since;
  std::string why;  ///< "" when it is up
  uint32_t in_flight = 0;
  uint64_t requests = 0, retries = 0, ejections = 0;
  std::array<uint64_t, kOriginFailures> failures{};  ///< by reason, from kOriginUnreachable on
  bool next = false;                                 ///< a request now may be sent to it
};

/// The origins of one site. Any thread; its lock is held for a few hundred nanoseconds, and by
/// misses alone.
class OriginSet : public std::enable_shared_from_this<OriginSet> {
 public:
  /// What `before` (of the configuration before; may be null) knows of origins that stay goes on.
  OriginSet(const SiteSettings& settings, std::vector<http::Endpoint> origins,
            const OriginSet* before);

  const std::vector<http::Endpoint>& endpoints() const { return endpoints_; }
  /// The first attempt of a request; there always is one. `repeatable`: it may be made elsewhere
  /// when it fails.
  OriginAttempt Begin(bool repeatable, const OriginDraws& draws, MonoTime now);
  /// One more attempt of a request that has been made `retries` times too often already; `next` is
  /// it with kAgain. Never kNotRepeatable, which is the caller's to know.
  RetryVerdict BeginAgain(OriginMask tried, int retries, const OriginDraws& draws, MonoTime now,
                          OriginAttempt* next);

  /// Whether every origin of the site has let a request wait in vain, and answered none since: who
  /// asks would wait as well. One that refuses or sends a 5xx keeps nobody waiting. Without a lock.
  bool is_silent() const;
  /// True once a second: whether one of them answers again is to be found out.
  bool MayProbe(MonoTime now);

  /// What its health check says. Control loop.
  void TakeCheck(size_t origin, bool up, std::string_view why);

  std::vector<OriginReport> Report(MonoTime now) const;
  uint64_t retries_refused() const { return ledger_->refused.load(std::memory_order_relaxed); }

 private:
  friend class OriginAttempt;
  struct Record {
    std::atomic<uint32_t> in_flight{0};
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> retries{0};
    std::atomic<uint64_t> ejections{0};
    std::array<std::atomic<uint64_t>, kOriginFailures> failures{};
    /// standing.spotless(), and not silent: to be asked without the lock.
    std::atomic<bool> spotless{true};
    std::atomic<bool> silent{false};
    // Guarded by the ledger's lock.
    OriginStanding standing;
    bool checked_up = true;
    WallTime since = WallNow();
    std::string why;
  };
  /// Stays the same from one configuration to the next, so that its lock guards records of both.
  struct Ledger {
    std::mutex mutex;
    RetryBudget budget;
    std::atomic<uint64_t> refused{0};
  };
  using Candidates = std::array<OriginCandidate, kMostOrigins>;

  // With the lock held.
  static void NoteSpotless(Record* record);
  OriginCandidate::State StateOf(const Record& record, MonoTime now) const;
  std::span<const OriginCandidate> CandidatesAt(MonoTime now, Candidates* candidates) const;
  OriginAttempt Take(size_t origin, MonoTime now);
  bool IsLast(size_t origin, MonoTime now) const;

  void OnAnswer(size_t origin, bool trial, MonoTime now);
  void OnFailure(size_t origin, Reason reason, std::string_view why, bool trial, bool of_body,
                 MonoTime now);

  const std::string site_;
  const EjectionRules rules_;
  const int most_retries_;
  const int retry_percent_;
  const std::optional<OriginCheckSettings> check_;
  const std::vector<http::Endpoint> endpoints_;
  std::shared_ptr<Ledger> ledger_;
  std::vector<std::shared_ptr<Record>> records_;
  std::atomic<MonoTime::rep> next_probe_{0};
};

}  // namespace nearside::edge
