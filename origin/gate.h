#pragma once

// The way in for the API's addresses. One thread accepts, keeps every connection that has no whole
// request (idle ones, slow heads) and looks at heads without taking them out of the socket; a
// connection meets a pool's thread only when a strictly checked head is there. (Poco's own server
// holds a thread for each open connection: 40 idle ones stop it: docs/decisions/origin-gate.md.)

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/http1_line.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "origin/conversation.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::origin {

struct GateOptions {
  ConversationLimits conversation;
  http::Http1Limits head = {
      .first_line_bytes = 8 << 10, .field_bytes = 16 << 10, .field_lines = 90};
  milliseconds head_timeout = seconds(10);
  milliseconds idle_timeout = seconds(120);
  size_t connections = 10'000;
};

/// Any thread.
struct GateCounters {
  uint64_t accepted = 0;
  uint64_t refused_full = 0;  ///< over GateOptions::connections: closed at once
  uint64_t bad_requests = 0;  ///< refused by the parser
  uint64_t timeouts = 0;      ///< heads that did not come in time
  uint64_t open = 0;          ///< connections now, those at work included
};

class Gate {
 public:
  /// Runs on the gate's thread for each request; must not block.
  using OnRequest = std::function<void(std::unique_ptr<Conversation>)>;
  /// Listens on all addresses. Error: kOperator address_in_use, bad_address.
  static Result<std::unique_ptr<Gate>> Open(const std::vector<net::SocketAddress>& addresses,
                                            const GateOptions& options, OnRequest on_request);
  virtual ~Gate() = default;

  /// Begins to accept, on a thread of its own.
  virtual void Start() = 0;
  /// A connection that somebody else has accepted, who speaks TLS for it; `client` is the client's
  /// address without port. Any thread.
  virtual void Adopt(net::Descriptor socket, std::string client) = 0;
  /// A conversation that was answered: its connection waits for the next request, lingers or
  /// closes. Any thread.
  virtual void GiveBack(std::unique_ptr<Conversation> conversation) = 0;
  /// Stops accepting and closes what is idle (drain). Any thread.
  virtual void Drain() = 0;
  /// The addresses bound, with real ports.
  virtual const std::vector<net::SocketAddress>& addresses() const = 0;
  virtual GateCounters counters() const = 0;
};

}  // namespace nearside::origin
