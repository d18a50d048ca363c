#pragma once

// The edges that follow the event log over server-sent events: one thread for all of them.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "net/descriptor.h"
#include "net/event_loop.h"
#include "origin/log_tail.h"
#include "runtime/clock.h"
#include "storage/event_log.h"

namespace nearside::origin {

struct FollowersOptions {
  milliseconds heartbeat = seconds(5);
  size_t limit = 1000;
  /// How often the log is looked at for what other processes have appended; our own wakes us at
  /// once.
  milliseconds poll = milliseconds(10);
};

/// Owns the thread and the sockets of the followers. Follow, Wake and the counters: any thread.
class Followers {
 public:
  /// Told of a site that an event was appended for; "": of any.
  using OnNews = std::function<void(const std::string& site)>;
  /// Told how the log stands, changed or not.
  using OnLook = std::function<void(const storage::LogState& log)>;
  /// All run on the thread: `on_look` with every look at the log, `on_news` before the followers
  /// are told, `on_tick` each `poll`, `may_follow` with every look for each stream.
  struct Callbacks {
    OnNews on_news;
    OnLook on_look;
    std::function<void()> on_tick;
    /// Whether a stream that was opened with this token may go on.
    std::function<bool(const std::string& token)> may_follow;
  };
  static Result<std::unique_ptr<Followers>> Start(storage::EventLog& log,
                                                  const FollowersOptions& options,
                                                  Callbacks callbacks);
  ~Followers();

  bool full() const { return count_.load() >= options_.limit; }
  /// Takes over a socket whose response's head has been sent. `after`: the last event that the
  /// follower has; nullopt: it begins at the end of the log. `token`: the id of the one that it was
  /// opened with; "": of none that can end.
  void Follow(net::Descriptor socket, std::optional<storage::LogPosition> after,
              std::string token = "");
  /// The log has grown.
  void Wake();
  /// Ends every stream (drain).
  void CloseAll();

  size_t count() const { return count_.load(); }
  uint64_t sent_events() const { return sent_events_.load(); }

 private:
  class Follower;
  Followers(storage::EventLog& log, const FollowersOptions& options, Callbacks callbacks);
  Status Open();
  void Tick();
  void Look();
  void Add(net::Descriptor socket, std::optional<storage::LogPosition> after, std::string token);
  void EndThoseWithout();
  void Remove(Follower* follower);
  void RemoveAll();

  LogTail tail_;
  const FollowersOptions options_;
  const Callbacks callbacks_;
  std::unique_ptr<net::EventLoop> loop_;
  std::unique_ptr<net::Timer> timer_;
  std::unordered_map<Follower*, std::unique_ptr<Follower>> followers_;
  std::atomic<size_t> count_{0};
  std::atomic<uint64_t> sent_events_{0};
  std::thread thread_;
};

}  // namespace nearside::origin
