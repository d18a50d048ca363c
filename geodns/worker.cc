#include "geodns/worker.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace nearside::geodns {
namespace {

/// With port 0 the system chooses a UDP port, whose TCP twin may be taken: another one is tried.
constexpr int kPortAttempts = 20;
/// So many are looked at for one that waits for nothing before the longest without a query goes.
constexpr int kMostLookedAt = 64;
/// Places of sessions that have ended, kept for the next ones.
constexpr size_t kMostSpare = 1024;

}  // namespace

Worker::Door::Door(Worker& worker)
    : idle(worker.loop_, [this, &worker] { worker.EndIdle(*this); }) {}

Worker::Worker(net::EventLoop& loop, const DnsMetrics& metrics, metrics::Cells& cells,
               std::shared_ptr<const Snapshot> snapshot, const WorkerOptions& options)
    : loop_(loop),
      options_(options),
      desk_(loop, metrics, cells, std::move(snapshot), options.rate_networks, options.number,
            options.signing),
      tcp_{.loop = loop, .desk = desk_},
      clients_(options.tcp_connections) {
  desk_.SetAliasAsks(options.alias_asks);
}

Result<net::SocketAddress> Worker::Open(const net::SocketAddress& address) {
  for (int attempt = 1;; ++attempt) {
    auto bound = OpenOnce(address);
    bool again = !bound && address.port() == 0 && bound.error().reason == "address_in_use";
    if (!again || attempt == kPortAttempts) return bound;
  }
}

Result<net::SocketAddress> Worker::OpenOnce(const net::SocketAddress& address) {
  auto udp = UdpSocket::Open(loop_, address, desk_, options_.udp);
  if (!udp) return tl::unexpected(std::move(udp.error()));
  const net::SocketAddress bound = (*udp)->address();
  net::ListenerOptions options;
  options.address = bound;
  if (auto listening = Listen(std::move(options)); !listening) return unexpected(listening.error());
  udp_.push_back(std::move(*udp));
  return bound;
}

Status Worker::Adopt(net::Descriptor udp, net::Descriptor tcp) {
  if (udp.is_open()) {
    auto adopted = UdpSocket::Adopt(loop_, std::move(udp), desk_, options_.udp);
    if (!adopted) return unexpected(adopted.error());
    udp_.push_back(std::move(*adopted));
  }
  if (!tcp.is_open()) return {};
  net::ListenerOptions options;
  options.inherited = tcp.Release();
  return Listen(std::move(options));
}

Status Worker::Listen(net::ListenerOptions options) {
  options.max_connections = std::numeric_limits<size_t>::max();  // MakeRoom sees to it
  options.reads_first = options.defers_accept = true;            // who connects has a query
  auto door = std::make_unique<Door>(*this);
  auto listener = net::Listener::Open(loop_, options, nullptr,
                                      [this, at = door.get()](std::unique_ptr<net::Stream> stream) {
                                        OnStream(*at, std::move(stream));
                                      });
  if (!listener) return unexpected(listener.error());
  door->listener = std::move(*listener);
  doors_.push_back(std::move(door));
  return {};
}

std::vector<int> Worker::Descriptors() const {
  std::vector<int> descriptors;
  for (const auto& udp : udp_) descriptors.push_back(udp->descriptor());
  for (const auto& door : doors_) descriptors.push_back(door->listener->descriptor());
  return descriptors;
}

void Worker::OnStream(Door& door, std::unique_ptr<net::Stream> stream) {
  desk_.Count(desk_.metrics().tcp_connections);
  const IpAddress client = TcpSession::AddressOf(stream->peer());
  const Protocol& protocol = desk_.snapshot().protocol;
  const bool is_spared = protocol.spare_loopback && client.IsLoopback();
  // A client of IPv6 has as many addresses as it likes.
  const uint8_t prefix = client.is_ipv6 ? protocol.rates.ipv6_prefix : protocol.rates.ipv4_prefix;
  const IpAddress network = Network::Of(client, std::min(prefix, client.bits())).address;
  const auto counted_as = clients_.Add(
      network, is_spared ? ClientCount::kAnyNumber : options_.tcp_connections_per_client);
  if (!counted_as) return desk_.Count(desk_.metrics().tcp_refused_client);
  if (door.sessions.size() >= options_.tcp_connections) MakeRoom(door.sessions);
  if (spare_.empty()) spare_.emplace_front();
  door.sessions.splice(door.sessions.begin(), spare_, spare_.begin());
  auto& owner = static_cast<TcpSessionOwner&>(*this);
  auto session = std::make_unique<TcpSession>(tcp_, owner, std::move(stream));
  session->list = &door.sessions;
  session->place = door.sessions.begin();
  session->counted_as = *counted_as;
  door.sessions.front() = std::move(session);
  if (!door.idle.armed()) door.idle.Arm(options_.tcp_idle_timeout);
}

/// RFC 7766 §6.2.3: idle connections are what a server gives up first. To refuse the new one would
/// leave all places to whoever took them and says nothing.
void Worker::MakeRoom(const Sessions& sessions) {
  auto longest = std::prev(sessions.end());
  int looked_at = 0;
  for (auto at = sessions.rbegin(); at != sessions.rend() && looked_at < kMostLookedAt; ++at) {
    ++looked_at;
    if (!(*at)->is_idle()) continue;
    longest = std::prev(at.base());
    break;
  }
  desk_.Count(desk_.metrics().tcp_displaced);
  (*longest)->End();
}

/// Those behind the first that is not idle for long enough have asked later.
void Worker::EndIdle(Door& door) {
  while (!door.sessions.empty()) {
    TcpSession& longest = *door.sessions.back();
    const auto left = longest.last_query() + options_.tcp_idle_timeout - loop_.now();
    if (left > left.zero()) return door.idle.Arm(std::chrono::ceil<milliseconds>(left));
    desk_.Count(desk_.metrics().tcp_idle_closed);
    longest.End();
  }
}

void Worker::OnQuery(TcpSession* session) {
  session->list->splice(session->list->begin(), *session->list, session->place);
}

void Worker::OnSessionEnd(TcpSession* session) {
  clients_.Remove(session->counted_as);
  Sessions& list = *session->list;
  auto place = session->place;
  loop_.DisposeLater(std::move(*place));
  spare_.splice(spare_.begin(), list, place);
  if (spare_.size() > kMostSpare) spare_.pop_front();
  if (on_drained_ && !has_sessions()) EndDrain();
}

bool Worker::has_sessions() const {
  return std::ranges::any_of(doors_, [](const auto& door) { return !door->sessions.empty(); });
}

void Worker::Drain(milliseconds deadline, std::function<void()> on_drained) {
  on_drained_ = std::move(on_drained);
  CloseSockets();
  DrainSessions(deadline);
}

void Worker::Retire(milliseconds patience, milliseconds deadline,
                    std::function<void()> on_drained) {
  on_drained_ = std::move(on_drained);
  CloseSockets();
  if (!has_sessions()) return EndDrain();
  drain_timer_ = std::make_unique<net::Timer>(loop_, [this, deadline] { DrainSessions(deadline); });
  drain_timer_->Arm(patience);
}

void Worker::CloseSockets() {
  for (auto& udp : udp_) udp->Drain();
  for (auto& door : doors_) door->listener->StopAccepting();
}

void Worker::DrainSessions(milliseconds deadline) {
  for (auto& door : doors_) {
    for (auto at = door->sessions.begin(); at != door->sessions.end();) (*at++)->Drain();
  }
  if (!on_drained_) return;  // the last session has just ended
  if (!has_sessions()) return EndDrain();
  // One that waited may have called this: it is not destroyed under itself.
  drain_deadline_ = std::make_unique<net::Timer>(loop_, [this] { EndDrain(); });
  drain_deadline_->Arm(deadline);
}

void Worker::EndDrain() {
  for (net::Timer* timer : {drain_timer_.get(), drain_deadline_.get()}) {
    if (timer != nullptr) timer->Disarm();
  }
  std::exchange(on_drained_, nullptr)();
}

}  // namespace nearside::geodns
