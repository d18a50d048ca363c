#include "geodns/worker.h"

namespace nearside::geodns {
namespace {

/// With port 0 the system chooses a UDP port, whose TCP twin may be taken: another one is tried.
constexpr int kPortAttempts = 20;

}  // namespace

Worker::Worker(net::EventLoop& loop, const DnsMetrics& metrics, metrics::Cells& cells,
               std::shared_ptr<const Snapshot> snapshot, const WorkerOptions& options)
    : loop_(loop),
      options_(options),
      desk_(metrics, cells, std::move(snapshot)),
      tcp_{.loop = loop, .desk = desk_, .idle_timeout = options.tcp_idle_timeout} {}

Result<net::SocketAddress> Worker::Open(const net::SocketAddress& address) {
  for (int attempt = 1;; ++attempt) {
    auto bound = OpenOnce(address);
    bool again = !bound && address.port() == 0 && bound.error().reason == "address_in_use";
    if (!again || attempt == kPortAttempts) return bound;
  }
}

Result<net::SocketAddress> Worker::OpenOnce(const net::SocketAddress& address) {
  auto udp = UdpSocket::Open(loop_, address, desk_);
  if (!udp) return tl::unexpected(std::move(udp.error()));
  net::ListenerOptions listener_options;
  listener_options.address = (*udp)->address();
  listener_options.max_connections = options_.tcp_connections;
  auto listener = net::Listener::Open(
      loop_, listener_options, nullptr,
      [this](std::unique_ptr<net::Stream> stream) { OnStream(std::move(stream)); });
  if (!listener) return tl::unexpected(std::move(listener.error()));
  udp_.push_back(std::move(*udp));
  listeners_.push_back(std::move(*listener));
  refused_.push_back(0);
  return udp_.back()->address();
}

void Worker::OnStream(std::unique_ptr<net::Stream> stream) {
  desk_.Count(desk_.metrics().tcp_connections);
  CountRefused();
  auto& owner = static_cast<TcpSessionOwner&>(*this);
  sessions_.push_front(std::make_unique<TcpSession>(tcp_, owner, std::move(stream)));
  sessions_.front()->place = sessions_.begin();
}

void Worker::OnSessionEnd(TcpSession* session) {
  auto place = session->place;
  loop_.DisposeLater(std::move(*place));
  sessions_.erase(place);
  CountRefused();
  if (sessions_.empty() && on_drained_) EndDrain();
}

/// Listeners count connections over the limit, which nobody is told of: they are taken over now and
/// then.
void Worker::CountRefused() {
  for (size_t i = 0; i < listeners_.size(); ++i) {
    uint64_t now = listeners_[i]->counters().refused_full;
    desk_.Count(desk_.metrics().tcp_refused, now - std::exchange(refused_[i], now));
  }
}

void Worker::Drain(milliseconds deadline, std::function<void()> on_drained) {
  on_drained_ = std::move(on_drained);
  for (auto& udp : udp_) udp->Drain();
  for (auto& listener : listeners_) listener->StopAccepting();
  for (auto at = sessions_.begin(); at != sessions_.end();) (*at++)->Drain();
  if (!on_drained_) return;  // the last session has just ended
  if (sessions_.empty()) return EndDrain();
  drain_timer_ = std::make_unique<net::Timer>(loop_, [this] { EndDrain(); });
  drain_timer_->Arm(deadline);
}

void Worker::EndDrain() {
  if (drain_timer_ != nullptr) drain_timer_->Disarm();
  std::exchange(on_drained_, nullptr)();
}

}  // namespace nearside::geodns
