#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/connector.h"
#include "net/listener.h"
#include "tests/net/loop_thread.h"
#include "tests/net/raw_peer.h"
#include "tests/net/test_authority.h"

namespace nearside::net {

/// A handler that records what it is told and sends what it is given. Owns its stream; lives on its
/// loop.
class Recorder : public StreamHandler {
 public:
  explicit Recorder(std::unique_ptr<Stream> owned) : stream(std::move(owned)) {
    stream->SetHandler(this);
  }

  void OnBytes(std::span<const uint8_t> bytes) override;
  void OnEnd() override;
  bool Produce(Output& output) override;
  void OnDrained() override;
  void OnClosed(const Error& why) override;

  /// Queues bytes to be sent.
  void Send(std::string bytes);

  std::unique_ptr<Stream> stream;
  std::string received;
  std::string to_send;
  size_t sent = 0;    // of to_send
  bool echo = false;  // sends what it receives
  int ends = 0;
  int produces = 0;
  int drains = 0;
  int bytes_calls = 0;
  size_t most_unsent = 0;
  size_t most_produced = 0;  // in one Produce
  size_t most_bytes = 0;     // in one OnBytes
  std::optional<Error> closed;
  // Run at the end of the callback, in which they may destroy the recorder.
  std::function<void()> then_on_bytes, then_on_end, then_on_produce, then_on_drained,
      then_on_closed;
};

std::string TextOf(std::span<const uint8_t> bytes);
/// Bytes that tell their place, so that a hole or a swap shows.
std::string Pattern(size_t size);

/// A listener on a loop of its own, whose streams become Recorders. `tls`: with TLS.
class StreamServer {
 public:
  struct Options {
    bool tls = false;
    std::vector<Certificate> certificates;  ///< empty: one for www.demo.test
    std::vector<std::string> alpn = {"h2", "http/1.1"};
    TicketKeys ticket_keys = TicketKeys::Random();
    ListenerOptions listener;
  };

  explicit StreamServer(Options options);
  ~StreamServer();

  const SocketAddress& address() const { return address_; }
  TestAuthority& authority() { return authority_; }
  LoopThread& thread() { return thread_; }
  Listener& listener() { return *listener_; }
  ListenerCounters Counters() {
    return thread_.Call([this] { return listener_->counters(); });
  }
  /// A client connected to it, its handshake done.
  std::unique_ptr<RawPeer> Connect(RawPeer::TlsOptions options = {}, int receive_buffer = 0);
  /// The same by our own Connector, on the server's loop.
  Recorder* ConnectStream();
  /// Waits until the n-th stream (from 0) is there.
  Recorder* Accepted(size_t n = 0);
  /// Called on the loop for each accepted stream in place of making a recorder.
  std::function<void(std::unique_ptr<Stream>)> on_stream;
  /// Called on the loop for each new recorder.
  std::function<void(Recorder*)> on_recorder;
  void Destroy(Recorder* recorder);
  size_t recorders() const { return recorders_.size(); }

 private:
  Recorder* Add(std::unique_ptr<Stream> stream);

  Options options_;
  TestAuthority authority_;
  LoopThread thread_;
  std::unique_ptr<Listener> listener_;
  SocketAddress address_;
  std::vector<std::unique_ptr<Recorder>> recorders_;  // null: destroyed
  std::vector<std::unique_ptr<Connector>> connectors_;
};

/// How the streams of a suite are: in cleartext, likewise and reading first, or with TLS.
enum class Transport { kClear, kReadingFirst, kTls };
inline const auto kTransports =
    testing::Values(Transport::kClear, Transport::kReadingFirst, Transport::kTls);
std::string NameOf(Transport transport);
StreamServer::Options OptionsOf(Transport transport);

}  // namespace nearside::net
