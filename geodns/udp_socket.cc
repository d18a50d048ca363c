#include "geodns/udp_socket.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "runtime/cpu_time.h"

namespace nearside::geodns {
namespace {

constexpr size_t kBatchMessages = 64;
/// What a query may have; a longer one is cut off, and so is malformed. Not a power of two: queries
/// are short, and the beginnings of all would share a few places of the processor's cache.
constexpr size_t kQueryBytes = 2048 + 64;
/// Batches in one turn of the loop, so that TCP connections and tasks get their turn as well.
constexpr int kBatchesPerTurn = 32;
/// How long queries are counted before it is decided how the next ones are learnt of.
constexpr milliseconds kWindow{5};
/// Bursts that come while the thread is busy wait here.
constexpr int kReceiveBufferBytes = 4 << 20;

using ControlBytes = std::array<uint8_t, CMSG_SPACE(sizeof(in6_pktinfo))>;

void SetOption(int descriptor, int level, int name, int value) {
  // Best effort: each of these makes things better and none is needed to answer.
  setsockopt(descriptor, level, name, &value, sizeof value);
}

tl::unexpected<Error> FailBind(const net::SocketAddress& address, int error_number) {
  std::string at = address.ToString();
  switch (error_number) {
    case EADDRINUSE:
      return Fail(Fault::kOperator, "address_in_use",
                  at + ": another program uses this UDP port; stop it or change geodns.listen");
    case EACCES:
      return Fail(Fault::kOperator, "no_permission",
                  at + ": ports below 1024 need CAP_NET_BIND_SERVICE (or root)");
    case EADDRNOTAVAIL:
      return Fail(Fault::kOperator, "bad_address", at + ": no network interface has this address");
    default:
      return FailErrno("bind UDP " + at, error_number);
  }
}

bool IsWildcard(const net::SocketAddress& address) {
  for (char byte : address.bytes()) {
    if (byte != 0) return false;
  }
  return true;
}

/// An answer to a client must come from the address that it asked, which a wildcard socket has to
/// be told.
void WantDestination(int descriptor, int family) {
  if (family == AF_INET) {
    SetOption(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
  } else {
    SetOption(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
}

/// What a socket has whether we opened it or took it over.
void SetOptions(int descriptor, const net::SocketAddress& address) {
  SetOption(descriptor, SOL_SOCKET, SO_RCVBUF, kReceiveBufferBytes);
  if (address.family() == AF_INET6) {
    SetOption(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
  } else {
    // Forged "fragmentation needed" messages must not make us send fragments.
    SetOption(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
  }
  if (IsWildcard(address)) WantDestination(descriptor, address.family());
}

/// The address that a datagram came to, where the socket tells (WantDestination).
std::optional<IpAddress> DestinationOf(msghdr* header) {
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      return IpAddress::V4(reinterpret_cast<const uint8_t*>(&info.ipi_addr));
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      return IpAddress::V6(info.ipi6_addr.s6_addr);
    }
  }
  return std::nullopt;
}

}  // namespace

void TurnAround(msghdr* header) {
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      info.ipi_spec_dst = info.ipi_addr;
      info.ipi_ifindex = 0;
      std::memcpy(CMSG_DATA(c), &info, sizeof info);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) continue;
      info.ipi6_ifindex = 0;
      std::memcpy(CMSG_DATA(c), &info, sizeof info);
    }
  }
}

/// Buffers and headers of one batch; the answers' headers share names and control bytes with the
/// queries'.
struct UdpSocket::Batch {
  std::array<std::array<uint8_t, kQueryBytes>, kBatchMessages> queries;
  std::array<std::array<uint8_t, kUdpAnswerBytes>, kBatchMessages> answers;
  std::array<sockaddr_in6, kBatchMessages> peers;  // an IPv4 address fits as well
  std::array<ControlBytes, kBatchMessages> controls;
  std::array<iovec, kBatchMessages> query_parts;
  std::array<iovec, kBatchMessages> answer_parts;
  std::array<mmsghdr, kBatchMessages> incoming{};
  std::array<mmsghdr, kBatchMessages> outgoing{};
  socklen_t peer_bytes;
  size_t control_bytes;

  Batch(int family, bool wildcard)
      : peer_bytes(family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)),
        control_bytes(wildcard ? sizeof(ControlBytes) : 0) {
    for (size_t i = 0; i < kBatchMessages; ++i) {
      query_parts[i] = {queries[i].data(), kQueryBytes};
      answer_parts[i] = {nullptr, 0};
      incoming[i].msg_hdr.msg_iov = &query_parts[i];
      incoming[i].msg_hdr.msg_iovlen = 1;
      incoming[i].msg_hdr.msg_name = &peers[i];
      if (wildcard) incoming[i].msg_hdr.msg_control = controls[i].data();
      Reset(i);
    }
  }
  /// What the last receive has overwritten.
  void Reset(size_t i) {
    incoming[i].msg_hdr.msg_namelen = peer_bytes;
    incoming[i].msg_hdr.msg_controllen = control_bytes;
  }
};

Result<std::unique_ptr<UdpSocket>> UdpSocket::Open(net::EventLoop& loop,
                                                   const net::SocketAddress& address,
                                                   QueryDesk& desk, const Options& options) {
  net::Descriptor socket(::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return FailErrno("UDP socket", errno);
  SetOption(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (address.family() == AF_INET6) SetOption(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  SetOptions(socket.get(), address);
  if (bind(socket.get(), address.get(), address.length()) != 0) return FailBind(address, errno);
  return Adopt(loop, std::move(socket), desk, options);
}

Result<std::unique_ptr<UdpSocket>> UdpSocket::Adopt(net::EventLoop& loop, net::Descriptor socket,
                                                    QueryDesk& desk, const Options& options) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return FailErrno("getsockname", errno);
  }
  const net::SocketAddress address(reinterpret_cast<sockaddr*>(&bound), length);
  SetOptions(socket.get(), address);
  std::unique_ptr<UdpSocket> made(new UdpSocket(loop, socket.Release(), address, desk, options));
  if (auto status = loop.Watch(made->descriptor_, EPOLLIN, made.get()); !status) {
    return tl::unexpected(std::move(status.error()));
  }
  return made;
}

Status UdpSocket::CheckFree(const net::SocketAddress& address) {
  int descriptor = socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return FailErrno("UDP socket", errno);
  if (address.family() == AF_INET6) SetOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  int error_number = bind(descriptor, address.get(), address.length()) == 0 ? 0 : errno;
  close(descriptor);
  if (error_number != 0) return FailBind(address, error_number);
  return {};
}

UdpSocket::UdpSocket(net::EventLoop& loop, int descriptor, const net::SocketAddress& address,
                     QueryDesk& desk, const Options& options)
    : loop_(loop),
      descriptor_(descriptor),
      address_(address),
      desk_(desk),
      options_(options),
      batch_(std::make_unique<Batch>(address.family(), IsWildcard(address))),
      choice_(options.gather) {}

UdpSocket::~UdpSocket() {
  if (descriptor_ < 0) return;
  Close();
}

void UdpSocket::OnReady(uint32_t) {
  ServeTurn();
  Choose();
}

/// A turn while queries are many.
void UdpSocket::OnTurnEnd() {
  const bool more = ServeTurn();
  Choose();
  if (gathers_) loop_.AtTurnEndWithin(this, more ? std::chrono::nanoseconds(0) : options_.gather);
}

/// Returns whether more was waiting than one turn takes.
bool UdpSocket::ServeTurn() {
  for (int i = 0; i < kBatchesPerTurn; ++i) {
    if (!ServeBatch()) return false;
  }
  return true;
}

/// Decides, once in a window, by what came in it.
void UdpSocket::Choose() {
  const auto passed = loop_.now() - window_began_;
  if (passed < kWindow || options_.gather.count() == 0) return;
  const std::chrono::nanoseconds cpu = ThreadCpuTime();
  const bool gather = choice_.Next(
      {.passed = passed, .cpu = cpu - window_cpu_, .queries = std::exchange(window_queries_, 0)});
  window_began_ = loop_.now();
  window_cpu_ = cpu;
  if (gather && !gathers_) BeginToGather();
  if (!gather && gathers_) EndToGather();
}

void UdpSocket::BeginToGather() {
  loop_.Unwatch(descriptor_);
  gathers_ = true;
  loop_.AtTurnEndWithin(this, options_.gather);
}

/// Readiness is told by level: what waits in the socket is told of at once.
void UdpSocket::EndToGather() {
  // Should the system have no memory for it, looking goes on.
  if (loop_.Watch(descriptor_, EPOLLIN, this)) gathers_ = false;
}

void UdpSocket::Drain() {
  if (descriptor_ < 0) return;
  // What comes while this goes on is not waited for.
  for (int i = 0; i < kBatchesPerTurn; ++i) ServeBatch();
  Close();
}

void UdpSocket::Close() {
  loop_.CancelTurnEnd(this);
  loop_.Unwatch(descriptor_);
  close(descriptor_);
  descriptor_ = -1;
  gathers_ = false;
}

/// Returns false when little or nothing is left to receive: epoll, or the next look, then tells of
/// what has come meanwhile for the price of the call that would find the queue empty.
bool UdpSocket::ServeBatch() {
  int received =
      recvmmsg(descriptor_, batch_->incoming.data(), kBatchMessages, MSG_DONTWAIT, nullptr);
  if (received <= 0) {
    // ECONNREFUSED and the like speak of an answer of ours that nobody took: the next one may go
    // well.
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (errno != EINTR) desk_.Count(desk_.metrics().udp_receive_failed);
    return true;
  }
  const MonoTime begin = MonoNow();
  window_queries_ += static_cast<uint64_t>(received);
  desk_.Count(desk_.metrics().udp_batches[gathers_]);
  const size_t count = AnswerBatch(static_cast<size_t>(received));
  SendBatch(count);
  if (count > 0) {
    desk_.metrics().ObserveAnswers(desk_.cells(), Transport::kUdp, MonoNow() - begin, count);
  }
  return static_cast<size_t>(received) >= kBatchMessages / 2;
}

/// Answers each query into the buffer of the same number and returns how many answers stand in
/// `outgoing`.
size_t UdpSocket::AnswerBatch(size_t received) {
  Batch& batch = *batch_;
  size_t count = 0;
  for (size_t i = 0; i < received; ++i) {
    msghdr& header = batch.incoming[i].msg_hdr;
    const auto* peer4 = reinterpret_cast<const sockaddr_in*>(&batch.peers[i]);
    bool is_ipv6 = batch.peers[i].sin6_family == AF_INET6;
    IpAddress client = is_ipv6 ? IpAddress::V6(batch.peers[i].sin6_addr.s6_addr)
                               : IpAddress::V4(reinterpret_cast<const uint8_t*>(&peer4->sin_addr));
    uint16_t port = ntohs(is_ipv6 ? batch.peers[i].sin6_port : peer4->sin_port);
    // From the very socket that it came to: forged, to have us talk to ourselves.
    const bool from_us =
        port == address_.port() && (net::SocketAddress(reinterpret_cast<sockaddr*>(&batch.peers[i]),
                                                       header.msg_namelen) == address_ ||
                                    DestinationOf(&header) == client);
    size_t size = 0;
    if (port == 0 || from_us) {
      desk_.Count(desk_.metrics().udp_ignored);
    } else {
      size = desk_.Answer({batch.queries[i].data(), batch.incoming[i].msg_len}, client,
                          Transport::kUdp, batch.answers[i]);
    }
    if (size != 0) {
      batch.answer_parts[count] = {batch.answers[i].data(), size};
      msghdr& out = batch.outgoing[count].msg_hdr;
      out = header;
      out.msg_iov = &batch.answer_parts[count];
      out.msg_flags = 0;
      if (batch.control_bytes != 0) TurnAround(&out);
      ++count;
    }
    batch.Reset(i);
  }
  return count;
}

void UdpSocket::SendBatch(size_t count) {
  for (size_t sent = 0; sent < count;) {
    int n = sendmmsg(descriptor_, &batch_->outgoing[sent], static_cast<unsigned>(count - sent),
                     MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      // The first of the rest is not taken (no route, a full queue): it is lost, as datagrams may
      // be.
      desk_.Count(desk_.metrics().udp_send_failed);
      ++sent;
    }
  }
}

}  // namespace nearside::geodns
