#pragma once

// Which origin of a site a request goes to, when an origin is left alone for a while, and how many
// requests may be made twice: values in, values out, with `now` as an argument.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "runtime/clock.h"

namespace nearside::edge {

/// A site's origins by number, as bits.
using OriginMask = uint64_t;
inline constexpr size_t kMostOrigins = 64;

/// An origin as the choice sees it.
struct OriginCandidate {
  enum class State : uint8_t {
    kUp,
    kTrial,    ///< its ejection is over: one request may try whether it is well again
    kDown,     ///< its health check fails
    kEjected,  ///< failed too often in a row, or is being tried
  };
  State state = State::kUp;
  uint32_t in_flight = 0;
};

/// Random numbers for one choice.
using OriginDraws = std::array<uint32_t, 2>;

/// The origin to ask, of at most kMostOrigins, without those in `tried`; nullopt when there is none
/// left. Of two drawn ones the one with fewer requests in flight
/// (Mitzenmacher 2001, "The power of two choices"). `repeatable`: it may be asked elsewhere if this
/// one fails, which makes it fit for a trial. When none is up, or all that are have
/// been tried, the others are asked: those whose check fails first, and as if all were well.
std::optional<size_t> ChooseOrigin(std::span<const OriginCandidate> candidates, OriginMask tried,
                                   bool repeatable, const OriginDraws& draws);

/// Every origin that a repeatable request may be sent to now, whatever the draws.
OriginMask MayBeChosen(std::span<const OriginCandidate> candidates);

/// When an origin is left alone, and for how long.
struct EjectionRules {
  int after = 5;                     ///< failures in a row
  milliseconds first = seconds(10);  ///< each time in a row twice as long …
  milliseconds most = seconds(300);  ///< … and at most this
};

/// What the requests to an origin have shown of it. A pure value.
class OriginStanding {
 public:
  /// kTrial and kEjected, else kUp.
  OriginCandidate::State StateAt(MonoTime now) const;
  bool ejected() const { return ejected_; }
  /// Nothing speaks against it: a success changes nothing.
  bool spotless() const { return !ejected_ && failures_ == 0 && cut_bodies_ == 0; }
  int failures() const { return failures_; }
  /// When its ejection ends.
  MonoTime until() const { return until_; }

  /// A request may try it: until it ends, no other one does.
  void BeginTrial() { on_trial_ = true; }
  /// The trial ended without telling anything.
  void DropTrial() { on_trial_ = false; }

  /// The head of a usable answer has come. True: it is back.
  bool Answer(bool trial, MonoTime now);
  /// A body has come to its end.
  void Complete() { cut_bodies_ = 0; }

  enum class Failure : uint8_t { kNoAnswer, kCutBody };
  enum class Verdict : uint8_t {
    kStays,    ///< not often enough yet, or ejected already
    kEjected,  ///< from now on until until()
    kLast,     ///< it would be, but there is no other one
  };
  /// `last`: no other origin of the site is up.
  Verdict Fail(Failure failure, bool trial, bool last, const EjectionRules& rules, MonoTime now);
  /// The only origin that is up fails as well: this one is tried again at once.
  void EndEjection(MonoTime now);

 private:
  int failures_ = 0;    ///< in a row, without a usable answer
  int cut_bodies_ = 0;  ///< in a row
  bool ejected_ = false;
  bool on_trial_ = false;
  MonoTime until_;
  MonoTime returned_;
  milliseconds last_ejection_{0};
};

/// Retries of a site in the last ten seconds against its requests, so that retries never multiply
/// the load of an origin that is failing under it (a retry budget, as Finagle has it). A pure
/// value.
class RetryBudget {
 public:
  static constexpr int kSeconds = 10;
  /// Allowed whatever the number of requests, so that a quiet site can retry.
  static constexpr uint64_t kLeast = 10;

  void CountRequest(MonoTime now) { ++At(now).requests; }
  /// Whether a retry keeps them under `percent` of the requests; it is counted if so.
  bool TakeRetry(int percent, MonoTime now);

 private:
  struct Second {
    int64_t number = -1;
    uint64_t requests = 0;
    uint64_t retries = 0;
  };
  Second& At(MonoTime now);
  std::array<Second, kSeconds> seconds_;
};

}  // namespace nearside::edge
