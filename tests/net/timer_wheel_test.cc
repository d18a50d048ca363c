#include "net/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

namespace nearside::net {
namespace {

using std::chrono::hours;

/// A wheel under a clock that the test moves, beside a map that says what must happen. (The loop is
/// there for the timers' constructor alone.)
class WheelModel {
 public:
  explicit WheelModel(MonoTime start) : now_(start), wheel_(start) {}

  Timer* Add(MonoTime deadline) {
    timers_.push_back(std::make_unique<Timer>(*loop_, [] {}));
    Timer* timer = timers_.back().get();
    wheel_.Insert(timer, deadline);
    waiting_[timer] = deadline;
    return timer;
  }
  void Remove(Timer* timer) {
    wheel_.Remove(timer);
    waiting_.erase(timer);
  }
  /// Moves the clock and checks that exactly the due ones come, none early and none a tick late.
  void MoveTo(MonoTime now) {
    now_ = now;
    while (Timer* timer = wheel_.PopExpired(now)) {
      ASSERT_TRUE(waiting_.contains(timer));
      EXPECT_LE(waiting_[timer], now);
      waiting_.erase(timer);
    }
    for (auto& [timer, deadline] : waiting_) {
      EXPECT_GT(deadline, now - 2 * TimerWheel::kTick);
    }
  }
  std::map<Timer*, MonoTime>& waiting() { return waiting_; }
  MonoTime now() const { return now_; }
  TimerWheel& wheel() { return wheel_; }

 private:
  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::Create());
  MonoTime now_;
  TimerWheel wheel_;
  std::vector<std::unique_ptr<Timer>> timers_;
  std::map<Timer*, MonoTime> waiting_;
};

constexpr MonoTime kStart{hours(1000) + milliseconds(3)};

TEST(TimerWheelTest, AnEmptyWheelHasNoWakeup) {
  TimerWheel wheel(kStart);
  EXPECT_EQ(wheel.PopExpired(kStart + hours(10'000)), nullptr);
  EXPECT_FALSE(wheel.NextWakeup().has_value());
}

TEST(TimerWheelTest, EveryDistanceAroundTheLevelsFiresInItsTick) {
  for (int64_t ticks : {1, 2, 255, 256, 257, 511, 512, 65'535, 65'536, 65'537, 16'777'215,
                        16'777'216, 16'777'217}) {
    for (int64_t off : {-1, 0, 1}) {
      WheelModel model(kStart);
      MonoTime deadline = kStart + ticks * TimerWheel::kTick + milliseconds(off);
      model.Add(deadline);
      model.MoveTo(deadline - milliseconds(1));
      EXPECT_EQ(model.waiting().size(), 1u) << ticks;
      model.MoveTo(deadline + TimerWheel::kTick);
      EXPECT_EQ(model.waiting().size(), 0u) << ticks;
    }
  }
}

TEST(TimerWheelTest, WakeupsLeadToTheDeadlineInAFewSteps) {
  WheelModel model(kStart);
  MonoTime deadline = kStart + hours(24 * 600);  // beyond the wheel's span
  model.Add(deadline);
  int steps = 0;
  while (!model.waiting().empty() && steps < 20) {
    auto wakeup = model.wheel().NextWakeup();
    ASSERT_TRUE(wakeup.has_value());
    EXPECT_LE(*wakeup, deadline + TimerWheel::kTick);
    model.MoveTo(*wakeup);
    ++steps;
  }
  EXPECT_TRUE(model.waiting().empty());
  EXPECT_GE(model.now(), deadline);
  EXPECT_LT(steps, 10);
}

TEST(TimerWheelTest, ADeadlineInThePastFiresWithTheNextTick) {
  WheelModel model(kStart);
  model.Add(kStart - hours(1));
  model.MoveTo(kStart + TimerWheel::kTick);
  EXPECT_TRUE(model.waiting().empty());
}

TEST(TimerWheelTest, ADueTimerMayBeRemovedBeforeItIsTaken) {
  WheelModel model(kStart);
  Timer* a = model.Add(kStart + milliseconds(20));
  Timer* b = model.Add(kStart + milliseconds(20));
  Timer* first = model.wheel().PopExpired(kStart + milliseconds(40));
  ASSERT_NE(first, nullptr);
  model.wheel().Remove(first == a ? b : a);
  EXPECT_EQ(model.wheel().PopExpired(kStart + milliseconds(40)), nullptr);
  EXPECT_FALSE(model.wheel().NextWakeup().has_value());
}

TEST(TimerWheelTest, RandomArmingsAgreeWithASortedMap) {
  uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  WheelModel model(kStart);
  auto any_distance = [&] {
    // Every magnitude from a millisecond to weeks is as likely.
    return milliseconds(random() % (uint64_t{1} << (random() % 31 + 1)));
  };
  for (int round = 0; round < 20'000; ++round) {
    switch (random() % 4) {
      case 0:
      case 1:
        model.Add(model.now() + any_distance());
        break;
      case 2:
        if (!model.waiting().empty()) {
          auto it = model.waiting().begin();
          std::advance(it, random() % std::min<size_t>(model.waiting().size(), 16));
          model.Remove(it->first);
        }
        break;
      default:
        ASSERT_NO_FATAL_FAILURE(
            model.MoveTo(model.now() + std::min<milliseconds>(any_distance(), hours(1))));
    }
    if (auto wakeup = model.wheel().NextWakeup(); wakeup && !model.waiting().empty()) {
      MonoTime earliest = MonoTime::max();
      if (round % 100 == 0) {
        for (auto& [timer, deadline] : model.waiting()) earliest = std::min(earliest, deadline);
        EXPECT_LE(*wakeup, std::max(earliest, model.now()) + 2 * TimerWheel::kTick);
      }
    }
  }
  while (!model.waiting().empty()) {
    auto wakeup = model.wheel().NextWakeup();
    ASSERT_TRUE(wakeup.has_value());
    ASSERT_NO_FATAL_FAILURE(model.MoveTo(*wakeup));
  }
}

}  // namespace
}  // namespace nearside::net
