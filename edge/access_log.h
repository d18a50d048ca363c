#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "edge/reason.h"
#include "http/session/exchange.h"
#include "net/event_loop.h"
#include "runtime/clock.h"
#include "runtime/line_log.h"

namespace nearside::edge {

/// One request as it is logged.
struct AccessEntry {
  WallTime time;
  std::string id;  ///< http::RequestIds
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

/// One worker's lines, gathered for a loop turn (or 64 KiB) and written at once.
class AccessBuffer final : public net::TurnEnd {
 public:
  AccessBuffer(net::EventLoop& loop, LineLog& log) : loop_(loop), log_(log) {}
  ~AccessBuffer() override;
  bool enabled() const { return log_.enabled(); }
  void Add(const AccessEntry& entry);
  void OnTurnEnd() override;

 private:
  net::EventLoop& loop_;
  LineLog& log_;
  std::string lines_;
};

}  // namespace nearside::edge
