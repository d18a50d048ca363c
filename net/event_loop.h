#pragma once

// One loop a thread: epoll for readiness, an eventfd for tasks from other threads, a timer wheel,
// and the buffers that every connection of the loop shares because only one of them is served at a
// time.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/clock.h"
#include "runtime/executor.h"
#include "runtime/result.h"

struct epoll_event;

namespace nearside::net {

/// Told of readiness by the loop it is watched in. EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP,
/// EPOLLRDHUP.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void OnReady(uint32_t events) = 0;
};

/// Done at the end of a loop turn, once however often it was asked for in that turn: this is where
/// a connection gathers the answers of a whole turn into one write.
class TurnEnd {
 public:
  virtual ~TurnEnd() = default;
  virtual void OnTurnEnd() = 0;
  /// Whether OnTurnEnd is to come.
  bool is_queued() const { return queued_; }

 private:
  friend class EventLoop;
  bool queued_ = false;
  size_t place_ = 0;  // in the queue
};

/// Anything that must outlive the callbacks now on the stack.
class Disposable {
 public:
  virtual ~Disposable() = default;
};

class Timer;
class TimerWheel;

/// Owned by one thread, which runs it; Post and Stop may be called from any thread. Everything else
/// is for the owning thread (before Run: for the thread that made it).
class EventLoop final : public Executor {
 public:
  /// Error: kSelf with errno's name when the system has no more descriptors.
  static Result<std::unique_ptr<EventLoop>> Create();
  /// A loop whose time is the caller's, for simulations: it has no descriptors, so that Watch is an
  /// error, and in place of Run there is Turn.
  static std::unique_ptr<EventLoop> CreateTurned(MonoTime now, WallTime wall_now);
  ~EventLoop() override;

  /// Serves until Stop. Tasks posted before Stop are run; later ones are destroyed.
  void Run();
  void Stop();
  void Post(std::function<void()> task) override;

  /// Of a loop by CreateTurned: one turn at that time, which never goes back. What is posted in it
  /// waits for the next.
  void Turn(MonoTime now, WallTime wall_now);
  /// When there is something to do in a turn; nullopt: not before something is posted.
  std::optional<MonoTime> NextTurn() const;

  /// Level-triggered unless `events` has EPOLLET. The watcher must be unwatched before it dies;
  /// events of the current turn that are still undelivered for it are dropped by Unwatch.
  Status Watch(int fd, uint32_t events, Watcher* watcher);
  Status Rewatch(int fd, uint32_t events, Watcher* watcher);
  void Unwatch(int fd);
  /// The same without a system call, for a descriptor that is closed before anything else is done
  /// with it: the system forgets what is closed.
  void Forget(int fd);

  /// Runs item->OnTurnEnd() when this turn's events are done; a call during OnTurnEnd runs next
  /// turn (without sleeping in between). CancelTurnEnd before the item dies.
  void AtTurnEnd(TurnEnd* item);
  /// The same for the next turn, which begins after `within` at the latest: for whoever looks at
  /// intervals instead of being told. Where the system cannot sleep for less, that is 1 ms.
  void AtTurnEndWithin(TurnEnd* item, std::chrono::nanoseconds within);
  void CancelTurnEnd(TurnEnd* item);
  /// Destroys the object after this turn's callbacks.
  void DisposeLater(std::unique_ptr<Disposable> object);
  /// Destroys what waits for the end of the turn now: for whoever is about to destroy what such
  /// objects refer to. Not from a callback of one of them.
  void DestroyDisposed();

  /// Time of this turn: one clock call a turn.
  MonoTime now() const { return now_; }
  WallTime wall_now() const { return wall_now_; }
  /// How often Run has come out of its sleep: with nothing to do, this stands still.
  uint64_t turns() const { return turns_; }

  /// Loop-shared scratch: valid during one callback, shared by all connections of the loop.
  std::span<uint8_t> input_scratch();   ///< 64 KiB for one recv
  std::span<uint8_t> plain_scratch();   ///< 64 KiB for decrypted input
  std::span<uint8_t> stage_scratch();   ///< 16 KiB: one TLS record of plaintext to send
  std::span<uint8_t> output_scratch();  ///< 512 KiB: what one send takes

 private:
  friend class Timer;
  struct State;
  /// Without a descriptor in `state` it is a turned one.
  EventLoop(std::unique_ptr<State> state, MonoTime now, WallTime wall_now);
  bool HasMoreToDo() const;
  int SleepMillis() const;
  MonoTime Clock() const;
  int Sleep(epoll_event* events) const;
  void Dispatch(uint64_t key, uint32_t events);
  bool RunPosted();
  void RunTimers();
  void RunTurnEnds();
  std::unique_ptr<State> state_;
  const bool turned_;
  MonoTime now_;
  WallTime wall_now_;
  uint64_t turns_ = 0;
};

/// A one-shot timer on a loop's wheel: arming and disarming are O(1), resolution is 10 ms, and it
/// never fires early. Destroying it disarms it. Owned by the loop's thread.
class Timer {
 public:
  Timer(EventLoop& loop, std::function<void()> on_fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void Arm(milliseconds after);
  void Disarm();
  bool armed() const { return armed_; }

 private:
  friend class EventLoop;
  friend class TimerWheel;
  EventLoop& loop_;
  std::function<void()> on_fire_;
  MonoTime deadline_;
  Timer* next_ = nullptr;
  Timer** previous_ = nullptr;
  bool armed_ = false;
  bool due_ = false;
};

}  // namespace nearside::net
