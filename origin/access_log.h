#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/request_id.h"
#include "runtime/clock.h"
#include "runtime/line_log.h"

namespace nearside::origin {

/// One request as it is logged.
struct AccessEntry {
  std::string_view kind;  ///< "visitor", "api", "upload", "events", "s3"
  std::string_view client;
  const http::RequestHead& request;
  int status = 0;
  std::string_view reason;  ///< of an error; "" otherwise
  uint64_t received_bytes = 0;
  uint64_t sent_bytes = 0;
  milliseconds duration{};
  bool complete = false;  ///< the client has taken the answer
};

/// One JSON line, with its newline. Its id is the one that the request brings, so that an edge's
/// line and this one are found together; where it brings none, `own`.
std::string FormatEntry(const AccessEntry& entry, WallTime now, const std::string& own);

/// [origin] access_log. Any thread.
class AccessLog {
 public:
  explicit AccessLog(std::unique_ptr<LineLog> log) : log_(std::move(log)) {}
  bool enabled() const { return log_->enabled(); }
  void Add(const AccessEntry& entry);
  void Reopen() { log_->Reopen(); }
  uint64_t dropped() const { return log_->dropped(); }

 private:
  const std::unique_ptr<LineLog> log_;
  const http::RequestIds ids_;
  std::atomic<uint64_t> count_{0};
};

}  // namespace nearside::origin
