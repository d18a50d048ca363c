#include "net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <limits>
#include <mutex>
#include <utility>

#include "net/descriptor.h"
#include "net/timer_wheel.h"

namespace nearside::net {

namespace {

constexpr int kMaxEvents = 512;                     // of one epoll_wait
constexpr size_t kInputBytes = size_t{64} << 10;    // one recv
constexpr size_t kStageBytes = size_t{16} << 10;    // one TLS record
constexpr size_t kOutputBytes = size_t{512} << 10;  // one send
constexpr uint64_t kWakeKey = ~uint64_t{0};         // the eventfd among epoll's events

thread_local EventLoop* running_loop = nullptr;

}  // namespace

struct EventLoop::State {
  explicit State(MonoTime now) : wheel(now) {}

  struct Watched {
    Watcher* watcher = nullptr;
    uint32_t generation = 0;  // of the descriptor: an event of an earlier one is dropped
  };

  Descriptor epoll;
  Descriptor wake;
  std::vector<Watched> watched;  // by descriptor
  TimerWheel wheel;
  Timer* firing = nullptr;
  std::vector<TurnEnd*> turn_ends;          // of this turn; null: cancelled
  std::vector<TurnEnd*> running_turn_ends;  // those being run
  std::chrono::nanoseconds longest_sleep = std::chrono::nanoseconds::max();  // for turn_ends
  std::vector<std::unique_ptr<Disposable>> disposed;
  std::vector<std::unique_ptr<Disposable>> no_longer_disposed;  // empty: room for the next turn's

  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // under mutex
  bool stopping = false;                      // under mutex
  std::atomic<bool> has_posted = false;       // a task or Stop waits; saves the lock in most turns

  std::unique_ptr<uint8_t[]> input{new uint8_t[kInputBytes]};
  std::unique_ptr<uint8_t[]> plain{new uint8_t[kInputBytes]};
  std::unique_ptr<uint8_t[]> stage{new uint8_t[kStageBytes]};
  std::unique_ptr<uint8_t[]> output{new uint8_t[kOutputBytes]};

  void Wake() const {
    if (!wake.is_open()) return;
    uint64_t one = 1;
    // It can only fail when the counter is full, and then the loop has been woken already.
    [[maybe_unused]] ssize_t written = write(wake.get(), &one, sizeof one);
  }
};

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  auto state = std::make_unique<State>(MonoNow());
  state->epoll = Descriptor(epoll_create1(EPOLL_CLOEXEC));
  if (!state->epoll.is_open()) return FailErrno("epoll_create1", errno);
  state->wake = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->wake.is_open()) return FailErrno("eventfd", errno);
  // Edge-triggered: each write is an event, and the counter need never be read.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeKey;
  if (epoll_ctl(state->epoll.get(), EPOLL_CTL_ADD, state->wake.get(), &event) != 0) {
    return FailErrno("epoll_ctl", errno);
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(state), MonoNow(), WallNow()));
}

std::unique_ptr<EventLoop> EventLoop::CreateTurned(MonoTime now, WallTime wall_now) {
  return std::unique_ptr<EventLoop>(new EventLoop(std::make_unique<State>(now), now, wall_now));
}

EventLoop::EventLoop(std::unique_ptr<State> state, MonoTime now, WallTime wall_now)
    : state_(std::move(state)), turned_(!state_->epoll.is_open()), now_(now), wall_now_(wall_now) {}

EventLoop::~EventLoop() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->posted.clear();
  DestroyDisposed();
}

void EventLoop::Run() {
  EventLoop* outer = std::exchange(running_loop, this);
  epoll_event events[kMaxEvents];
  for (bool stopping = false; !stopping;) {
    int ready = Sleep(events);
    ++turns_;
    now_ = MonoNow();
    wall_now_ = WallNow();
    for (int i = 0; i < ready; ++i) Dispatch(events[i].data.u64, events[i].events);
    stopping = RunPosted();
    RunTimers();
    RunTurnEnds();
    DestroyDisposed();
  }
  running_loop = outer;
}

void EventLoop::Turn(MonoTime now, WallTime wall_now) {
  EventLoop* outer = std::exchange(running_loop, this);
  ++turns_;
  now_ = now;
  wall_now_ = wall_now;
  RunPosted();
  RunTimers();
  RunTurnEnds();
  DestroyDisposed();
  running_loop = outer;
}

std::optional<MonoTime> EventLoop::NextTurn() const {
  return HasMoreToDo() ? now_ : state_->wheel.NextWakeup();
}

bool EventLoop::HasMoreToDo() const {
  return !state_->turn_ends.empty() || !state_->disposed.empty() || state_->has_posted.load();
}

MonoTime EventLoop::Clock() const { return turned_ ? now_ : MonoNow(); }

/// Waits for events and returns their number.
int EventLoop::Sleep(epoll_event* events) const {
  const int epoll = state_->epoll.get();
  const int most_ms = SleepMillis();
  const std::chrono::nanoseconds longest = state_->longest_sleep;
  if (most_ms == 0 || longest == std::chrono::nanoseconds::max()) {
    return epoll_wait(epoll, events, kMaxEvents, most_ms);
  }
  const bool timer_is_first = most_ms > 0 && milliseconds(most_ms) < longest;
  const std::chrono::nanoseconds most = timer_is_first ? milliseconds(most_ms) : longest;
  const auto ms = std::chrono::ceil<milliseconds>(most);
  const auto wait_ms =
      static_cast<int>(std::min<int64_t>(ms.count(), std::numeric_limits<int>::max()));
  if (ms == most) return epoll_wait(epoll, events, kMaxEvents, wait_ms);
  const auto whole = std::chrono::floor<seconds>(most);
  const timespec span{static_cast<time_t>(whole.count()), (most - whole).count()};
  const int ready = epoll_pwait2(epoll, events, kMaxEvents, &span, nullptr);
  // Linux before 5.11; a container's list of system calls.
  if (ready >= 0 || (errno != ENOSYS && errno != EPERM)) return ready;
  return epoll_wait(epoll, events, kMaxEvents, wait_ms);
}

/// 0: something waits for the next turn; -1: nothing but events does.
int EventLoop::SleepMillis() const {
  if (state_->longest_sleep <= std::chrono::nanoseconds::zero() || !state_->disposed.empty() ||
      state_->has_posted.load()) {
    return 0;
  }
  auto wakeup = state_->wheel.NextWakeup();
  if (!wakeup) return -1;
  auto ms = std::chrono::ceil<milliseconds>(*wakeup - MonoNow()).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, std::numeric_limits<int>::max()));
}

void EventLoop::Dispatch(uint64_t key, uint32_t events) {
  if (key == kWakeKey) return;
  auto fd = static_cast<size_t>(key & 0xffffffff);
  const State::Watched& entry = state_->watched[fd];
  if (entry.watcher != nullptr && entry.generation == key >> 32) entry.watcher->OnReady(events);
}

bool EventLoop::RunPosted() {
  if (!state_->has_posted.load()) return false;
  std::vector<std::function<void()>> tasks;
  bool stopping;
  {
    std::lock_guard lock(state_->mutex);
    tasks.swap(state_->posted);
    stopping = state_->stopping;
    state_->has_posted.store(false);
  }
  for (auto& task : tasks) {
    task();
    task = nullptr;
  }
  return stopping;
}

void EventLoop::RunTimers() {
  while (Timer* timer = state_->wheel.PopExpired(now_)) {
    timer->armed_ = false;
    state_->firing = timer;
    // Held here, because the timer may be destroyed by what it calls.
    std::function<void()> on_fire = std::move(timer->on_fire_);
    on_fire();
    if (state_->firing == timer) timer->on_fire_ = std::move(on_fire);
    state_->firing = nullptr;
  }
}

void EventLoop::RunTurnEnds() {
  state_->running_turn_ends.swap(state_->turn_ends);
  state_->longest_sleep = std::chrono::nanoseconds::max();
  for (size_t i = 0; i < state_->running_turn_ends.size(); ++i) {
    TurnEnd* item = state_->running_turn_ends[i];
    if (item == nullptr) continue;
    state_->running_turn_ends[i] = nullptr;
    item->queued_ = false;
    item->OnTurnEnd();
  }
  state_->running_turn_ends.clear();
}

void EventLoop::DestroyDisposed() {
  if (state_->disposed.empty()) return;
  // Held here, because what is destroyed may dispose of more, and lead here again.
  std::vector<std::unique_ptr<Disposable>> now = std::move(state_->no_longer_disposed);
  while (!state_->disposed.empty()) {
    now.swap(state_->disposed);
    now.clear();
  }
  state_->no_longer_disposed = std::move(now);
}

void EventLoop::Stop() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->has_posted.store(true);
  }
  state_->Wake();
}

void EventLoop::Post(std::function<void()> task) {
  bool first;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    state_->posted.push_back(std::move(task));
    first = !state_->has_posted.exchange(true);
  }
  // The loop looks before it sleeps, so its own thread need not wake it.
  if (first && running_loop != this) state_->Wake();
}

Status EventLoop::Watch(int fd, uint32_t events, Watcher* watcher) {
  auto place = static_cast<size_t>(fd);
  if (place >= state_->watched.size()) state_->watched.resize(place + 1);
  State::Watched& entry = state_->watched[place];
  epoll_event event{};
  event.events = events;
  event.data.u64 = uint64_t{entry.generation} << 32 | place;
  if (epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return FailErrno("epoll_ctl", errno);
  }
  entry.watcher = watcher;
  return {};
}

Status EventLoop::Rewatch(int fd, uint32_t events, Watcher* watcher) {
  State::Watched& entry = state_->watched[static_cast<size_t>(fd)];
  epoll_event event{};
  event.events = events;
  event.data.u64 = uint64_t{entry.generation} << 32 | static_cast<uint32_t>(fd);
  if (epoll_ctl(state_->epoll.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    return FailErrno("epoll_ctl", errno);
  }
  entry.watcher = watcher;
  return {};
}

void EventLoop::Unwatch(int fd) {
  if (fd < 0 || static_cast<size_t>(fd) >= state_->watched.size()) return;
  Forget(fd);
  epoll_ctl(state_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::Forget(int fd) {
  if (fd < 0 || static_cast<size_t>(fd) >= state_->watched.size()) return;
  State::Watched& entry = state_->watched[static_cast<size_t>(fd)];
  entry.watcher = nullptr;
  ++entry.generation;
}

void EventLoop::AtTurnEnd(TurnEnd* item) {
  AtTurnEndWithin(item, std::chrono::nanoseconds::zero());
}

void EventLoop::AtTurnEndWithin(TurnEnd* item, std::chrono::nanoseconds within) {
  state_->longest_sleep = std::min(state_->longest_sleep, within);
  if (item->queued_) return;
  item->queued_ = true;
  item->place_ = state_->turn_ends.size();
  state_->turn_ends.push_back(item);
}

void EventLoop::CancelTurnEnd(TurnEnd* item) {
  if (!item->queued_) return;
  item->queued_ = false;
  for (auto* queue : {&state_->turn_ends, &state_->running_turn_ends}) {
    if (item->place_ < queue->size() && (*queue)[item->place_] == item) {
      (*queue)[item->place_] = nullptr;
      return;
    }
  }
}

void EventLoop::DisposeLater(std::unique_ptr<Disposable> object) {
  state_->disposed.push_back(std::move(object));
}

std::span<uint8_t> EventLoop::input_scratch() { return {state_->input.get(), kInputBytes}; }
std::span<uint8_t> EventLoop::plain_scratch() { return {state_->plain.get(), kInputBytes}; }
std::span<uint8_t> EventLoop::stage_scratch() { return {state_->stage.get(), kStageBytes}; }
std::span<uint8_t> EventLoop::output_scratch() { return {state_->output.get(), kOutputBytes}; }

Timer::Timer(EventLoop& loop, std::function<void()> on_fire)
    : loop_(loop), on_fire_(std::move(on_fire)) {}

Timer::~Timer() {
  Disarm();
  if (loop_.state_->firing == this) loop_.state_->firing = nullptr;
}

void Timer::Arm(milliseconds after) {
  Disarm();
  loop_.state_->wheel.Insert(this, loop_.Clock() + std::max(after, milliseconds(0)));
  armed_ = true;
}

void Timer::Disarm() {
  if (!armed_) return;
  loop_.state_->wheel.Remove(this);
  armed_ = false;
}

}  // namespace nearside::net
