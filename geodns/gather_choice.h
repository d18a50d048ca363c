#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace nearside::geodns {

/// Whether a UDP socket is looked at every so often ("gathering") or epoll tells of its queries.
/// With many queries the first costs less on a core of the thread's own, and more where others use
/// the core, too; so, while there are many, both are tried and what they cost is compared. Pure:
/// time and cost are arguments. Owned by the socket.
class GatherChoice {
 public:
  /// What one window of the thread's time was, all of it in one mode.
  struct Window {
    std::chrono::nanoseconds passed;  ///< more than 0
    std::chrono::nanoseconds cpu;     ///< of the thread
    uint64_t queries = 0;
  };

  /// `gather`: how often the socket is looked at; 0: never.
  explicit GatherChoice(std::chrono::nanoseconds gather) : gather_(gather) {}

  /// Takes in the window that has ended, in the mode that the last call returned, and says whether
  /// the next one is to be gathering.
  bool Next(const Window& window);
  /// Nanoseconds of CPU time a query, as compared; 0 before any trial.
  double cost(bool gathering) const { return costs_[gathering].mean; }

 private:
  struct Cost {
    double mean = 0;
    void Take(double value, double share) {
      mean = mean == 0 ? value : mean + (value - mean) * share;
    }
  };
  bool AreMany(const Window& window) const;
  void EndTrial();

  std::chrono::nanoseconds gather_;
  bool gathers_ = false;   ///< the mode of now
  bool favoured_ = false;  ///< the mode that has cost less
  bool settling_ = true;   ///< the first window of a mode pays for the change
  int windows_ = 0;        ///< in this mode, after that one
  double trial_cost_ = 0;  ///< sum over the windows of a trial
  int trials_ = 0;
  std::array<Cost, 2> costs_;
};

}  // namespace nearside::geodns
