#include "net/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

#include "net/descriptor.h"
#include "tests/net/loop_thread.h"

namespace nearside::net {
namespace {

std::unique_ptr<EventLoop> MakeLoop() { return std::move(*EventLoop::Create()); }

class Note final : public TurnEnd {
 public:
  Note(EventLoop& loop, std::function<void()> run) : loop_(loop), run_(std::move(run)) {}
  ~Note() override { loop_.CancelTurnEnd(this); }
  void OnTurnEnd() override { run_(); }

 private:
  EventLoop& loop_;
  std::function<void()> run_;
};

/// An eventfd that is watched, readable when asked for.
class Signal final : public Watcher {
 public:
  Signal(EventLoop& loop, std::function<void()> run)
      : loop_(loop), fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), run_(std::move(run)) {
    EXPECT_TRUE(loop_.Watch(fd_.get(), EPOLLIN, this).has_value());
  }
  ~Signal() override { Unwatch(); }
  void Raise() { eventfd_write(fd_.get(), 1); }
  void Unwatch() {
    if (fd_.is_open()) loop_.Unwatch(fd_.get());
    fd_.Close();
  }
  int fd() const { return fd_.get(); }
  void OnReady(uint32_t) override {
    eventfd_t count;
    eventfd_read(fd_.get(), &count);
    run_();
  }

 private:
  EventLoop& loop_;
  Descriptor fd_;
  std::function<void()> run_;
};

TEST(EventLoopTest, PostedTasksRunInOrderForEachThread) {
  auto loop = MakeLoop();
  std::vector<std::pair<int, int>> seen;
  std::vector<std::thread> threads;
  constexpr int kEach = 5000;
  std::atomic<int> left = 4;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) loop->Post([&, t, i] { seen.emplace_back(t, i); });
      if (--left == 0) loop->Stop();
    });
  }
  loop->Run();
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(seen.size(), size_t{4} * kEach);
  std::vector<int> next(4, 0);
  for (auto [thread, i] : seen) EXPECT_EQ(i, next[thread]++);
}

TEST(EventLoopTest, TasksPostedBeforeStopRunAndLaterOnesAreDestroyed) {
  auto loop = MakeLoop();
  int ran = 0;
  auto token = std::make_shared<int>(0);
  loop->Post([&] { ++ran; });
  loop->Post([&] { loop->Post([&] { ++ran; }); });  // comes after Stop
  loop->Stop();
  loop->Post([&ran, token] { ++ran; });
  EXPECT_EQ(token.use_count(), 1);
  loop->Run();
  EXPECT_EQ(ran, 1);
}

TEST(EventLoopTest, TasksNeverRunAreDestroyedWithTheLoop) {
  auto token = std::make_shared<int>(0);
  {
    auto loop = MakeLoop();
    loop->Post([token] {});
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(EventLoopTest, ATaskMayPostAnother) {
  auto loop = MakeLoop();
  int left = 1000;
  std::function<void()> again = [&] {
    if (--left == 0) {
      loop->Stop();
    } else {
      loop->Post(again);
    }
  };
  loop->Post(again);
  loop->Run();
  EXPECT_EQ(left, 0);
}

TEST(EventLoopTest, APostWakesASleepingLoop) {
  LoopThread thread;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(thread.Call([i] { return i; }), i);
}

TEST(EventLoopTest, TimersNeverFireEarly) {
  auto loop = MakeLoop();
  constexpr int kTimers = 200;
  int fired = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < kTimers; ++i) {
    milliseconds after(i % 40);
    auto armed_at = std::make_shared<MonoTime>();
    timers.push_back(std::make_unique<Timer>(*loop, [&, armed_at, after] {
      EXPECT_GE(MonoNow() - *armed_at, after);
      if (++fired == kTimers) loop->Stop();
    }));
    *armed_at = MonoNow();
    timers.back()->Arm(after);
  }
  loop->Run();
  EXPECT_EQ(fired, kTimers);
}

TEST(EventLoopTest, ATimerArmedLateInALongTurnIsNotEarly) {
  auto loop = MakeLoop();
  MonoTime armed_at;
  Timer timer(*loop, [&] {
    EXPECT_GE(MonoNow() - armed_at, milliseconds(30));
    loop->Stop();
  });
  loop->Post([&] {
    // The turn's clock stands while this task works.
    while (MonoNow() - loop->now() < milliseconds(50)) {
    }
    armed_at = MonoNow();
    timer.Arm(milliseconds(30));
  });
  loop->Run();
}

TEST(EventLoopTest, ARearmedTimerFiresOnceAtTheLaterTime) {
  auto loop = MakeLoop();
  int fired = 0;
  Timer timer(*loop, [&] { ++fired; });
  Timer stop(*loop, [&] { loop->Stop(); });
  for (int i = 0; i < 100'000; ++i) timer.Arm(milliseconds(i % 30));
  timer.Arm(milliseconds(10));
  EXPECT_TRUE(timer.armed());
  stop.Arm(milliseconds(60));
  loop->Run();
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(timer.armed());
}

TEST(EventLoopTest, ADisarmedOrDestroyedTimerDoesNotFire) {
  auto loop = MakeLoop();
  int fired = 0;
  Timer disarmed(*loop, [&] { ++fired; });
  auto destroyed = std::make_unique<Timer>(*loop, [&] { ++fired; });
  Timer stop(*loop, [&] { loop->Stop(); });
  disarmed.Arm(milliseconds(10));
  destroyed->Arm(milliseconds(10));
  stop.Arm(milliseconds(40));
  disarmed.Disarm();
  destroyed.reset();
  loop->Run();
  EXPECT_EQ(fired, 0);
}

TEST(EventLoopTest, ATimerMayRearmOrDestroyItselfOrItsNeighbour) {
  auto loop = MakeLoop();
  int again = 0;
  int first_fired = 0;
  Timer stop(*loop, [&] { loop->Stop(); });
  // Some time behind the last of them, so that one that fires too often is seen.
  auto stop_after_all = [&] {
    if (again >= 3 && first_fired > 0) stop.Arm(milliseconds(50));
  };
  Timer repeating(*loop, [&] {
    if (++again < 3) repeating.Arm(milliseconds(1));
    stop_after_all();
  });
  std::unique_ptr<Timer> a;
  std::unique_ptr<Timer> b;
  // Whichever of the two is first destroys both, itself included.
  auto end_both = [&, keep = std::string(100, 'x')] {
    a.reset();
    b.reset();
    EXPECT_EQ(keep.size(), 100u);  // the closure outlives its timer
    ++first_fired;
    stop_after_all();
  };
  a = std::make_unique<Timer>(*loop, end_both);
  b = std::make_unique<Timer>(*loop, end_both);
  repeating.Arm(milliseconds(1));
  a->Arm(milliseconds(5));
  b->Arm(milliseconds(5));
  loop->Run();
  EXPECT_EQ(again, 3);
  EXPECT_EQ(first_fired, 1);
}

TEST(EventLoopTest, EventsOfAWatcherUnwatchedInTheSameTurnAreDropped) {
  auto loop = MakeLoop();
  int calls = 0;
  std::vector<std::unique_ptr<Signal>> signals;
  for (int i = 0; i < 3; ++i) {
    signals.push_back(std::make_unique<Signal>(*loop, [&] {
      ++calls;
      // All three are ready in this turn: the first one served silences the others.
      for (auto& signal : signals) signal->Unwatch();
      loop->Stop();
    }));
  }
  for (auto& signal : signals) signal->Raise();
  loop->Run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoopTest, AnEventOfAClosedDescriptorDoesNotReachItsSuccessor) {
  auto loop = MakeLoop();
  std::unique_ptr<Signal> successor;
  int successor_calls = 0;
  std::vector<std::unique_ptr<Signal>> pair(2);
  std::set<int> numbers;
  for (auto& signal : pair) {
    signal = std::make_unique<Signal>(*loop, [&] {
      for (auto& other : pair) other->Unwatch();
      // A descriptor number that has an event pending is taken again, and is not readable.
      successor = std::make_unique<Signal>(*loop, [&] { ++successor_calls; });
      EXPECT_TRUE(numbers.contains(successor->fd()));
      loop->Post([&] { loop->Stop(); });
    });
    numbers.insert(signal->fd());
  }
  for (auto& signal : pair) signal->Raise();
  loop->Run();
  EXPECT_EQ(successor_calls, 0);
}

TEST(EventLoopTest, TurnEndsRunOnceAfterTheTurnsTasks) {
  auto loop = MakeLoop();
  std::string order;
  Note note(*loop, [&] { order += 'E'; });
  for (int i = 0; i < 3; ++i) {
    loop->Post([&] {
      order += 't';
      loop->AtTurnEnd(&note);
      loop->AtTurnEnd(&note);
    });
  }
  loop->Stop();
  loop->Run();
  EXPECT_EQ(order, "tttE");
}

TEST(EventLoopTest, ATurnEndAskedForInATurnEndIsForTheNextTurnWithoutSleep) {
  auto loop = MakeLoop();
  int turns = 0;
  bool task_ran = false;
  Note note(*loop, [&] {
    if (++turns == 1) loop->Post([&] { task_ran = true; });
    if (turns == 2) {
      EXPECT_TRUE(task_ran);  // a whole turn lies between
    }
    if (turns == 1000) {
      loop->Stop();
    } else {
      loop->AtTurnEnd(&note);
    }
  });
  loop->AtTurnEnd(&note);
  loop->Run();
  EXPECT_EQ(turns, 1000);
}

TEST(EventLoopTest, ATurnEndWithinATimeComesThenAndNotBefore) {
  auto loop = MakeLoop();
  constexpr int kTurns = 50;
  constexpr std::chrono::microseconds kWithin{300};
  int turns = 0;
  Note note(*loop, [&] {
    if (++turns == kTurns) return loop->Stop();
    loop->AtTurnEndWithin(&note, kWithin);
  });
  const MonoTime began = MonoNow();
  loop->AtTurnEndWithin(&note, kWithin);
  loop->Run();
  EXPECT_EQ(turns, kTurns);
  EXPECT_GE(MonoNow() - began, kTurns * kWithin);
}

TEST(EventLoopTest, ATurnEndWithinATimeComesWithTheFirstEvent) {
  auto loop = MakeLoop();
  bool ended = false;
  Note note(*loop, [&] {
    ended = true;
    loop->Stop();
  });
  loop->AtTurnEndWithin(&note, seconds(600));
  std::thread other([&] { loop->Post([] {}); });
  loop->Run();
  other.join();
  EXPECT_TRUE(ended);
}

TEST(EventLoopTest, ATimerThatIsDueBeforeATurnEndsTimeComesFirst) {
  auto loop = MakeLoop();
  Note note(*loop, [&] { loop->Stop(); });
  bool fired = false;
  Timer timer(*loop, [&] { fired = true; });
  timer.Arm(milliseconds(20));
  loop->AtTurnEndWithin(&note, seconds(600));
  loop->Run();
  EXPECT_TRUE(fired);
}

TEST(EventLoopTest, ACancelledTurnEndDoesNotRun) {
  auto loop = MakeLoop();
  int ran = 0;
  auto doomed = std::make_unique<Note>(*loop, [&] { ++ran; });
  Note killer(*loop, [&] { doomed.reset(); });  // while the queue is run
  Note cancelled(*loop, [&] { ++ran; });
  Note kept(*loop, [&] { loop->Stop(); });
  loop->AtTurnEnd(&killer);
  loop->AtTurnEnd(doomed.get());
  loop->AtTurnEnd(&cancelled);
  loop->AtTurnEnd(&kept);
  loop->CancelTurnEnd(&cancelled);
  loop->CancelTurnEnd(&cancelled);
  loop->Run();
  EXPECT_EQ(ran, 0);
}

TEST(EventLoopTest, DisposedObjectsDieAfterTheTurnsCallbacks) {
  struct Mark final : Disposable {
    Mark(EventLoop* owner, std::string* text, int more) : loop(owner), order(text), left(more) {}
    ~Mark() override {
      *order += 'D';
      if (left > 0) loop->DisposeLater(std::make_unique<Mark>(loop, order, left - 1));
    }
    EventLoop* loop;
    std::string* order;
    int left;
  };
  auto loop = MakeLoop();
  std::string order;
  auto note = std::make_unique<Note>(*loop, [&] { order += 'E'; });
  loop->Post([&] {
    loop->DisposeLater(std::make_unique<Mark>(loop.get(), &order, 1));
    loop->AtTurnEnd(note.get());
    order += 't';
  });
  loop->Stop();
  loop->Run();
  EXPECT_EQ(order, "tEDD");
  note.reset();
  loop->DisposeLater(std::make_unique<Mark>(loop.get(), &order, 0));
  loop.reset();
  EXPECT_EQ(order, "tEDDD");
}

TEST(EventLoopTest, ScratchBuffersDoNotOverlap) {
  auto loop = MakeLoop();
  EXPECT_EQ(loop->input_scratch().size(), size_t{64} << 10);
  EXPECT_EQ(loop->plain_scratch().size(), size_t{64} << 10);
  EXPECT_EQ(loop->stage_scratch().size(), size_t{16} << 10);
  EXPECT_EQ(loop->output_scratch().size(), size_t{512} << 10);
  char fill = 'a';
  for (auto span : {loop->input_scratch(), loop->plain_scratch(), loop->stage_scratch(),
                    loop->output_scratch()}) {
    std::fill(span.begin(), span.end(), static_cast<uint8_t>(fill++));
  }
  EXPECT_EQ(loop->input_scratch().back(), 'a');
  EXPECT_EQ(loop->plain_scratch().back(), 'b');
  EXPECT_EQ(loop->stage_scratch().back(), 'c');
}

TEST(EventLoopTest, TheTurnsClocksStandStillWithinATurn) {
  auto loop = MakeLoop();
  loop->Post([&] {
    MonoTime now = loop->now();
    WallTime wall = loop->wall_now();
    while (MonoNow() - now < milliseconds(5)) {
    }
    EXPECT_EQ(loop->now(), now);
    EXPECT_EQ(loop->wall_now(), wall);
    EXPECT_LT(WallNow() - wall, seconds(60));
    loop->Stop();
  });
  loop->Run();
}

TEST(EventLoopTest, ATurnedLoopsTimeIsTheCallers) {
  const MonoTime start(seconds(1000));
  const WallTime wall = FromUnixMillis(4'000'000'000'000);
  auto loop = EventLoop::CreateTurned(start, wall);
  EXPECT_EQ(loop->NextTurn(), std::nullopt);
  std::string order;
  Timer timer(*loop, [&] { order += 'T'; });
  timer.Arm(milliseconds(500));
  ASSERT_TRUE(loop->NextTurn());
  EXPECT_GT(*loop->NextTurn(), start);
  EXPECT_LE(*loop->NextTurn(), start + milliseconds(510));
  loop->Post([&] {
    order += 'p';
    loop->Post([&] { order += 'q'; });
  });
  EXPECT_EQ(loop->NextTurn(), start);
  loop->Turn(start + milliseconds(499), wall + milliseconds(499));
  EXPECT_EQ(order, "p");
  EXPECT_EQ(loop->now(), start + milliseconds(499));
  EXPECT_EQ(loop->wall_now(), wall + milliseconds(499));
  EXPECT_EQ(loop->NextTurn(), loop->now()) << "what was posted in the turn waits for the next";
  loop->Turn(start + seconds(3600), wall + seconds(3600));
  EXPECT_EQ(order, "pqT");
  EXPECT_EQ(loop->NextTurn(), std::nullopt);
  Descriptor event(eventfd(0, EFD_CLOEXEC));
  EXPECT_FALSE(loop->Watch(event.get(), EPOLLIN, nullptr)) << "it has no descriptors";
}

}  // namespace
}  // namespace nearside::net
