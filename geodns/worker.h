#pragma once

#include <functional>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "geodns/client_count.h"
#include "geodns/query_desk.h"
#include "geodns/tcp_session.h"
#include "geodns/udp_socket.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "runtime/result.h"

namespace nearside::geodns {

struct WorkerOptions {
  size_t tcp_connections = 1000;  ///< of each listener; then the longest idle gives way
  milliseconds tcp_idle_timeout = seconds(10);
  size_t tcp_connections_per_client = 100;
  size_t rate_networks = 65'536;  ///< that the rate limit keeps count of
  size_t number = 0;              ///< of the worker
  UdpSocket::Options udp;
  SignerOptions signing;
  AliasAsks* alias_asks = nullptr;  ///< QueryDesk's
};

/// One thread that answers: a UDP socket and a TCP listener for each address. Owned by its loop's
/// thread, but for Open, which comes before the loop runs.
class Worker final : private TcpSessionOwner {
 public:
  Worker(net::EventLoop& loop, const DnsMetrics& metrics, metrics::Cells& cells,
         std::shared_ptr<const Snapshot> snapshot, const WorkerOptions& options);

  /// Opens the sockets of one address and returns it with the port that was bound, the same for UDP
  /// and TCP. Error: kOperator address_in_use, no_permission, bad_address.
  Result<net::SocketAddress> Open(const net::SocketAddress& address);
  /// Takes over sockets of one address; either may be absent (not open).
  Status Adopt(net::Descriptor udp, net::Descriptor tcp);
  /// The open sockets, for another process to inherit.
  std::vector<int> Descriptors() const;

  void SetSnapshot(std::shared_ptr<const Snapshot> snapshot) {
    desk_.SetSnapshot(std::move(snapshot));
  }
  /// Answers what has arrived, closes the sockets, and calls `on_drained` once when no TCP
  /// connection is left or `deadline` has passed.
  void Drain(milliseconds deadline, std::function<void()> on_drained);
  /// The same, but connections go on for `patience` before: another process has the sockets now,
  /// and a client that has just come here must not lose its query.
  void Retire(milliseconds patience, milliseconds deadline, std::function<void()> on_drained);

 private:
  using Sessions = std::list<std::unique_ptr<TcpSession>>;
  /// A listener and who came by it.
  struct Door {
    explicit Door(Worker& worker);
    std::unique_ptr<net::Listener> listener;
    Sessions sessions;  ///< by their last query, the latest first
    /// For the last of them; armed as long as there is one, but not anew for each: when it fires
    /// nobody may have been idle for long.
    net::Timer idle;
  };
  void OnQuery(TcpSession* session) override;
  void OnSessionEnd(TcpSession* session) override;
  Result<net::SocketAddress> OpenOnce(const net::SocketAddress& address);
  void OnStream(Door& door, std::unique_ptr<net::Stream> stream);
  void MakeRoom(const Sessions& sessions);
  void EndIdle(Door& door);
  bool has_sessions() const;
  Status Listen(net::ListenerOptions options);
  void CloseSockets();
  void DrainSessions(milliseconds deadline);
  void EndDrain();

  net::EventLoop& loop_;
  WorkerOptions options_;
  QueryDesk desk_;
  TcpContext tcp_;
  std::vector<std::unique_ptr<UdpSocket>> udp_;
  std::vector<std::unique_ptr<Door>> doors_;
  Sessions spare_;       ///< places without a session, for the next ones
  ClientCount clients_;  ///< of all sessions
  std::unique_ptr<net::Timer> drain_timer_;
  std::unique_ptr<net::Timer> drain_deadline_;
  std::function<void()> on_drained_;
};

}  // namespace nearside::geodns
