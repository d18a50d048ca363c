#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "edge/reason.h"
#include "http/session/exchange.h"
#include "net/event_loop.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::edge {

/// One request as it is logged.
struct AccessEntry {
  WallTime time;
  uint64_t id = 0;
  std::string client;
  http::Version version = http::Version::kHttp11;
  std::string method;
  std::string scheme;
  std::string authority;
  std::string target;
  std::string site;
  int status = 0;
  Reason reason = Reason::kNodeRequest;
  uint64_t body_bytes = 0;
  milliseconds duration{};
  bool complete = false;
  std::string_view ended;  ///< why it was not complete; "" otherwise
};

/// One JSON line, with its newline.
std::string FormatEntry(const AccessEntry& entry);

/// Where access logs go: "off", "stdout", or a file. A thread of its own writes, so that no worker
/// waits for a disk. Any thread.
class AccessLog {
 public:
  /// Error: kOperator bad_access_log when the file cannot be opened.
  static Result<std::unique_ptr<AccessLog>> Open(const std::string& target);
  /// Writes what is queued and ends the thread.
  ~AccessLog();
  bool enabled() const { return enabled_; }
  /// Queues whole lines. Beyond kQueueBytes they are dropped and counted.
  void Write(std::string lines);
  /// Opens the file anew (after a rotation).
  void Reopen();
  uint64_t dropped() const;

 private:
  static constexpr size_t kQueueBytes = 16 << 20;
  AccessLog(std::string target, int descriptor);
  void Serve();
  void WriteOut(const std::string& lines);
  const std::string target_;
  const bool enabled_;
  int descriptor_;  ///< the thread's, once it runs
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string queue_;
  bool reopen_ = false;
  bool stop_ = false;
  uint64_t dropped_ = 0;
  std::thread thread_;
};

/// One worker's lines, gathered for a loop turn (or 64 KiB) and written at once.
class AccessBuffer final : public net::TurnEnd {
 public:
  AccessBuffer(net::EventLoop& loop, AccessLog& log) : loop_(loop), log_(log) {}
  ~AccessBuffer() override;
  bool enabled() const { return log_.enabled(); }
  void Add(const AccessEntry& entry);
  void OnTurnEnd() override;

 private:
  net::EventLoop& loop_;
  AccessLog& log_;
  std::string lines_;
};

}  // namespace nearside::edge
