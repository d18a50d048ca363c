#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "geodns/gather_choice.h"
#include "geodns/query_desk.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "net/event_loop.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// Makes the control messages of a query those of its answer: the address it came to becomes the
/// one it leaves from, by whatever interface routing says. A link-local address keeps its
/// interface: without one it says nothing.
void TurnAround(msghdr* header);

/// One UDP socket of one worker: takes queries and sends answers in batches (recvmmsg, sendmmsg),
/// from buffers made once. While queries are few, epoll tells of them. While they are many, and it
/// costs less (GatherChoice), the socket leaves epoll and is looked at every `gather` (as Linux's
/// NAPI does with a network card, and network cards with interrupts): being told of each datagram
/// costs more than looking, and batches get longer. Owned by the worker; its loop's thread.
class UdpSocket final : public net::Watcher, private net::TurnEnd {
 public:
  struct Options {
    /// How long queries may wait to be taken together while there are many; 0: they never do.
    std::chrono::nanoseconds gather{0};
  };
  /// Binds with SO_REUSEPORT, so that each worker has a socket of its own. `desk` and `loop`
  /// outlive it. Error: kOperator address_in_use, no_permission, bad_address, with the address in
  /// the message.
  static Result<std::unique_ptr<UdpSocket>> Open(net::EventLoop& loop,
                                                 const net::SocketAddress& address, QueryDesk& desk,
                                                 const Options& options);
  /// Takes over a socket that is bound already.
  static Result<std::unique_ptr<UdpSocket>> Adopt(net::EventLoop& loop, net::Descriptor socket,
                                                  QueryDesk& desk, const Options& options);
  ~UdpSocket() override;
  /// Whether nobody uses this UDP port yet. Asked once before the workers open theirs, since
  /// SO_REUSEPORT would let a second daemon of the same user share it unnoticed. Errors as Open.
  static Status CheckFree(const net::SocketAddress& address);

  /// The address bound, with the real port when 0 was asked for.
  const net::SocketAddress& address() const { return address_; }
  /// For another process to inherit; -1 after Drain.
  int descriptor() const { return descriptor_; }
  /// Whether queries are many at the moment, so that nobody is told of them.
  bool is_gathering() const { return gathers_; }
  void OnReady(uint32_t events) override;
  /// Answers what has already arrived and closes.
  void Drain();

 private:
  struct Batch;
  UdpSocket(net::EventLoop& loop, int descriptor, const net::SocketAddress& address,
            QueryDesk& desk, const Options& options);
  void OnTurnEnd() override;
  bool ServeTurn();
  void Choose();
  void BeginToGather();
  void EndToGather();
  void Close();
  bool ServeBatch();
  size_t AnswerBatch(size_t received);
  void SendBatch(size_t count);

  net::EventLoop& loop_;
  int descriptor_;
  net::SocketAddress address_;
  QueryDesk& desk_;
  const Options options_;
  std::unique_ptr<Batch> batch_;
  bool gathers_ = false;
  GatherChoice choice_;
  MonoTime window_began_;                   ///< in which queries are counted
  std::chrono::nanoseconds window_cpu_{0};  ///< the thread's, when it began
  uint64_t window_queries_ = 0;
};

}  // namespace nearside::geodns
