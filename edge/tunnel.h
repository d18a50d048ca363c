#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "edge/bodies.h"
#include "edge/byte_queue.h"
#include "http/message.h"
#include "http/session/exchange.h"
#include "net/event_loop.h"
#include "runtime/clock.h"

namespace nearside::edge {

/// What an origin sends to a client once both have agreed on WebSocket, on its way between the two
/// sessions, and what both directions have in common: the silence that ends them, and a place among
/// the node's tunnels. (The other direction is an Upload.) Its own end, and the client's, are for
/// the fetch and the request that share it. One worker's thread.
class Tunnel {
 public:
  struct Parts {
    net::EventLoop& loop;
    std::atomic<int64_t>& open;  ///< of the node
    http::Exchange& exchange;
    milliseconds idle_timeout;
    BodyCount count;
    /// Run once, when the origin has agreed, with the fields of its answer.
    std::function<void(http::Fields)> opened;
    /// Run once, when nobody has said anything for `idle_timeout`: the client has been told the
    /// end, the origin is still to be.
    std::function<void()> fell_silent;
  };
  explicit Tunnel(Parts parts);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // For the request.
  /// What the client's session reads; at most one.
  std::unique_ptr<http::BodySource> MakeSource(std::shared_ptr<Tunnel> self);
  /// The client has sent something.
  void Touch() { last_byte_ = parts_.loop.now(); }
  /// The exchange is over.
  void Detach();
  /// It was ended because nobody said anything.
  bool idle() const { return idle_; }

  // For the fetch.
  /// Run when the client has taken so much that a paused origin may go on.
  void SetResume(std::function<void()> resume) { resume_ = std::move(resume); }
  void Open(http::Fields fields);
  /// True: the client is a window behind; resume will be called.
  bool Push(std::span<const uint8_t> bytes);
  /// The origin has ended its side; or it broke off, which the client is to notice.
  void End() { Finish(http::BodySource::State::kEnd); }
  void Break() { Finish(http::BodySource::State::kFailed); }

 private:
  class Source;
  void Finish(http::BodySource::State state);
  void OnTimer();

  const Parts parts_;
  http::Exchange* exchange_;  ///< null once it is over
  ByteQueue bytes_;
  std::function<void()> resume_;
  http::BodySource::State state_ = http::BodySource::State::kWait;  ///< behind the bytes
  bool paused_ = false;
  bool idle_ = false;
  MonoTime last_byte_;
  net::Timer timer_;
};

/// Makes a request for an origin ask for WebSocket by Upgrade (RFC 6455 §4.1): of one that came by
/// CONNECT (RFC 8441 §5) a GET, and the key, which its client has not made.
void AskForWebSocket(http::RequestHead* head);

/// Whether the fields of a 101 answer the key of the request (RFC 6455 §4.1).
bool AgreesToWebSocket(const http::Fields& answer, const http::RequestHead& request);

}  // namespace nearside::edge
