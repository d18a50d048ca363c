#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

namespace nearside::net {

namespace {

constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

}  // namespace

TimerWheel::TimerWheel(MonoTime now) : current_(TickBefore(now)) {}

uint64_t TimerWheel::TickBefore(MonoTime time) {
  return static_cast<uint64_t>(std::chrono::floor<milliseconds>(time.time_since_epoch()) / kTick);
}

uint64_t TimerWheel::TickAfter(MonoTime time) {
  auto ms = std::chrono::ceil<milliseconds>(time.time_since_epoch());
  return static_cast<uint64_t>((ms + kTick - milliseconds(1)) / kTick);
}

void TimerWheel::Insert(Timer* timer, MonoTime deadline) {
  timer->deadline_ = deadline;
  // The current tick has been served: what is due by now goes with the next one.
  Place(timer, std::max(TickAfter(deadline), current_ + 1));
}

void TimerWheel::Place(Timer* timer, uint64_t tick) {
  constexpr uint64_t kSpan = uint64_t{1} << (kSlotBits * kLevels);
  uint64_t distance = std::min(tick - current_, kSpan - 1);
  tick = current_ + distance;
  int level = 0;
  while (distance >> (kSlotBits * (level + 1)) != 0) ++level;
  uint64_t slot = (tick >> (kSlotBits * level)) % kSlots;
  Link(timer, &heads_[level * kSlots + slot]);
  occupied_[level][slot / 64] |= uint64_t{1} << (slot % 64);
  ++waiting_;
  const uint64_t entered_at = tick >> (kSlotBits * level) << (kSlotBits * level);
  if (next_tick_) next_tick_ = std::min(*next_tick_, entered_at);
}

void TimerWheel::Link(Timer* timer, Timer** head) {
  timer->next_ = *head;
  timer->previous_ = head;
  if (*head != nullptr) (*head)->previous_ = &timer->next_;
  *head = timer;
}

void TimerWheel::Remove(Timer* timer) {
  Timer** from = timer->previous_;
  *from = timer->next_;
  if (timer->next_ != nullptr) timer->next_->previous_ = from;
  timer->next_ = nullptr;
  timer->previous_ = nullptr;
  if (timer->due_) {
    timer->due_ = false;
    return;
  }
  --waiting_;
  if (*from != nullptr || from < heads_.data() || from >= heads_.data() + heads_.size()) return;
  auto index = static_cast<uint64_t>(from - heads_.data());
  occupied_[index / kSlots][index % kSlots / 64] &= ~(uint64_t{1} << (index % 64));
  next_tick_.reset();
}

uint64_t TimerWheel::DistanceToNext(const Bitmap& bitmap, uint64_t slot) {
  for (uint64_t distance = 1; distance <= kSlots;) {
    uint64_t at = (slot + distance) % kSlots;
    uint64_t word = bitmap[at / 64] >> (at % 64);
    if (word != 0) {
      distance += static_cast<uint64_t>(std::countr_zero(word));
      return distance <= kSlots ? distance : kNever;
    }
    distance += 64 - at % 64;
  }
  return kNever;
}

/// A loop asks twice a turn, and most turns arm nothing.
uint64_t TimerWheel::NextTick() const {
  if (!next_tick_) next_tick_ = FindNextTick();
  return *next_tick_;
}

uint64_t TimerWheel::FindNextTick() const {
  uint64_t next = kNever;
  if (waiting_ == 0) return next;
  for (int level = 0; level < kLevels; ++level) {
    uint64_t base = current_ >> (kSlotBits * level);
    uint64_t distance = DistanceToNext(occupied_[level], base % kSlots);
    if (distance != kNever) next = std::min(next, (base + distance) << (kSlotBits * level));
  }
  return next;
}

void TimerWheel::Enter(uint64_t tick) {
  current_ = tick;
  for (int level = kLevels - 1; level >= 0; --level) {
    uint64_t low_bits = (uint64_t{1} << (kSlotBits * level)) - 1;
    if ((tick & low_bits) != 0) continue;
    Timer** head = &heads_[level * kSlots + (tick >> (kSlotBits * level)) % kSlots];
    while (*head != nullptr) {
      Timer* timer = *head;
      Remove(timer);
      uint64_t due_at = TickAfter(timer->deadline_);
      if (due_at > tick) {
        Place(timer, due_at);
      } else {
        Link(timer, &due_);
        timer->due_ = true;
      }
    }
  }
}

Timer* TimerWheel::PopExpired(MonoTime now) {
  uint64_t last = TickBefore(now);
  while (due_ == nullptr) {
    uint64_t next = NextTick();
    if (next > last) {
      current_ = std::max(current_, last);
      return nullptr;
    }
    Enter(next);
  }
  Timer* timer = due_;
  Remove(timer);
  return timer;
}

std::optional<MonoTime> TimerWheel::NextWakeup() const {
  if (due_ != nullptr) return MonoTime(kTick * current_);
  uint64_t next = NextTick();
  if (next == kNever) return std::nullopt;
  return MonoTime(kTick * next);
}

}  // namespace nearside::net
