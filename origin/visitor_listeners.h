#pragma once

// [[listen]]: visitors over TLS with HTTP/2 and HTTP/1.1, where DNS leads when no edge is left. One
// event loop; whatever blocks happens on pools' threads: metadata and blobs on the disk's, accounts
// on their own.

#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "http/session/server.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "origin/account_service.h"
#include "origin/node.h"
#include "origin/pool.h"

namespace nearside::origin {

/// Owned by the main thread, which opens and destroys it; all between happens on its own.
class VisitorListeners final : public http::Application {
 public:
  /// Listens, but accepts nothing yet. `certificates` may be empty when no listener has TLS.
  /// Errors: kOperator, with file, line and key.
  static Result<std::unique_ptr<VisitorListeners>> Open(
      Node& node, const std::vector<net::Certificate>& certificates);
  ~VisitorListeners() override;
  void Start();

  /// New connections use these. Any thread.
  void UseCertificates(std::vector<net::Certificate> certificates);
  /// Stops accepting, lets responses under way finish, runs `done` once on the loop's thread.
  void Drain(milliseconds deadline, std::function<void()> done);
  std::vector<net::SocketAddress> addresses() const;
  /// Any thread; as of a moment ago.
  http::SessionCounters counters() const;
  void ExportMetrics(metrics::Registry& registry) const;

  void OnRequest(http::Exchange& exchange) override;

 private:
  class Visit;
  class AccountVisit;
  explicit VisitorListeners(Node& node);
  Status OpenListener(const ListenSettings& settings, std::shared_ptr<net::TlsServer> tls);
  void PublishCounters();
  struct Served {
    int status = 0;
    std::string_view reason;  ///< of an error; "" otherwise
    uint64_t received_bytes = 0;
  };
  /// Into the access log.
  void Note(RequestKind kind, const http::Exchange& exchange, const http::ExchangeOutcome& outcome,
            const Served& served);

  Node& node_;
  AccountService account_pages_;
  Pool disk_;
  std::unique_ptr<Pool> accounts_;  ///< null without accounts.hosts
  const net::TicketKeys ticket_keys_ = net::TicketKeys::Random();
  std::unique_ptr<net::EventLoop> loop_;
  std::unique_ptr<http::ServerSessions> sessions_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<net::Listener*> tls_listeners_;
  std::unique_ptr<net::Timer> counting_;
  mutable std::mutex counters_mutex_;
  http::SessionCounters counters_;
  std::thread thread_;
};

}  // namespace nearside::origin
