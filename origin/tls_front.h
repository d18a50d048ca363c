#pragma once

// [origin] tls_api: TLS before the gate. Poco's blocking threads want a socket whose bytes are the
// request's, so each connection has a pair of sockets behind it: one end is the gate's, through the
// other its bytes come and go. One event loop for all.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "net/descriptor.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "net/tls.h"

namespace nearside::origin {

/// Owned by the main thread, which opens and destroys it; all between happens on its own.
class TlsFront {
 public:
  /// Takes the inner end of a connection, and the client's address without port. On the front's
  /// thread.
  using OnConnection = std::function<void(net::Descriptor socket, std::string client)>;
  struct Options {
    std::vector<net::SocketAddress> addresses;
    size_t connections = 10'000;  ///< of each address
    milliseconds handshake_timeout = seconds(10);
  };
  /// Listens, but accepts nothing yet. Errors: kOperator, those of net::Listener and TlsServer.
  static Result<std::unique_ptr<TlsFront>> Open(const Options& options,
                                                const std::vector<net::Certificate>& certificates,
                                                OnConnection on_connection);
  /// What is under way is cut off.
  ~TlsFront();
  void Start();
  /// New connections use these. Any thread.
  void UseCertificates(std::vector<net::Certificate> certificates);
  /// Stops accepting; what is behind ends the connections. Any thread.
  void Drain();
  /// No connection is open: what was answered has left. Any thread.
  bool idle() const { return open_.load() == 0; }
  std::vector<net::SocketAddress> addresses() const;

 private:
  class Passage;
  explicit TlsFront(OnConnection on_connection);
  void Admit(std::unique_ptr<net::Stream> stream);
  void Remove(Passage* passage);

  const OnConnection on_connection_;
  const net::TicketKeys ticket_keys_ = net::TicketKeys::Random();
  std::unique_ptr<net::EventLoop> loop_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::unordered_map<Passage*, std::unique_ptr<Passage>> passages_;
  std::atomic<size_t> open_{0};
  std::thread thread_;
};

}  // namespace nearside::origin
