#include "storage/purge_reclaim.h"

#include <limits>

namespace nearside::storage {
namespace {

/// A pass reads all heads: after a purge that is worth it for the space, but not all the time.
constexpr std::chrono::minutes kPeriod{5};
/// Marks are kept for as long as a fill may take, so that none is refused for want of them.
constexpr std::chrono::hours kLongestFill{1};

}  // namespace

void PurgeReclaim::BeginFirst(uint64_t newest_purge) {
  purge_sequence_ = old_sequence_ = newest_purge;
  least_stale_ = std::numeric_limits<uint64_t>::max();
}

bool PurgeReclaim::Begin(MonoTime now, uint64_t newest_purge) {
  if (now < next_) return false;
  uint64_t old_sequence = old_sequence_;
  for (; !history_.empty() && now - history_.front().at > kLongestFill; history_.pop_front()) {
    old_sequence = history_.front().sequence;
  }
  if (newest_purge == walked_sequence_ && old_sequence == old_sequence_) return false;
  next_ = now + kPeriod;
  old_sequence_ = old_sequence;
  purge_sequence_ = newest_purge;
  if (history_.empty() || history_.back().sequence < purge_sequence_) {
    history_.push_back({.at = now, .sequence = purge_sequence_});
  }
  least_stale_ = std::numeric_limits<uint64_t>::max();
  return true;
}

}  // namespace nearside::storage
