#include "geodns/gather_choice.h"

#include <utility>

namespace nearside::geodns {
namespace {

/// So many queries for each time of gathering are many.
constexpr int64_t kMany = 2;
/// Where it gathers, so many are few: between the two it stays as it is.
constexpr int64_t kFew = 1;
/// Windows of the mode that is favoured, between two trials of the other one.
constexpr int kBetweenTrials = 100;
/// Until so many trials have been made they follow each other sooner.
constexpr int kFirstTrials = 4;
constexpr int kBetweenFirstTrials = 10;
/// Windows of one trial.
constexpr int kTrial = 4;
/// Weights of a new window, and of a new trial, in what a mode is said to cost.
constexpr double kWindowShare = 0.05;
constexpr double kTrialShare = 0.3;
/// The other mode must cost so much less, or the choice would follow noise.
constexpr double kLess = 0.98;

}  // namespace

bool GatherChoice::AreMany(const Window& window) const {
  const int64_t gathers = window.passed / gather_;
  return static_cast<int64_t>(window.queries) >= (gathers_ ? kFew : kMany) * gathers;
}

bool GatherChoice::Next(const Window& window) {
  if (gather_.count() == 0) return false;
  if (!AreMany(window) || window.queries == 0) {
    settling_ = true;
    windows_ = 0;
    trial_cost_ = 0;
    return gathers_ = false;
  }
  if (std::exchange(settling_, false)) return gathers_;
  const double cost = static_cast<double>(window.cpu.count()) / static_cast<double>(window.queries);
  ++windows_;
  if (gathers_ != favoured_) {
    trial_cost_ += cost;
    if (windows_ == kTrial) EndTrial();
    return gathers_;
  }
  costs_[favoured_].Take(cost, kWindowShare);
  if (windows_ >= (trials_ < kFirstTrials ? kBetweenFirstTrials : kBetweenTrials)) {
    gathers_ = !favoured_;
    settling_ = true;
    windows_ = 0;
  }
  return gathers_;
}

void GatherChoice::EndTrial() {
  ++trials_;
  costs_[gathers_].Take(std::exchange(trial_cost_, 0) / kTrial, kTrialShare);
  if (costs_[gathers_].mean < costs_[favoured_].mean * kLess) favoured_ = gathers_;
  settling_ = gathers_ != favoured_;
  gathers_ = favoured_;
  windows_ = 0;
}

}  // namespace nearside::geodns
