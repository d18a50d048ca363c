#pragma once

#include <sys/socket.h>

#include <memory>

#include "geodns/query_desk.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "net/event_loop.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// Makes the control messages of a query those of its answer: the address it came to becomes the
/// one it leaves from, by whatever interface routing says. A link-local address keeps its
/// interface: without one it says nothing.
void TurnAround(msghdr* header);

/// One UDP socket of one worker: takes queries and sends answers in batches (recvmmsg, sendmmsg),
/// from buffers made once. Owned by the worker; its loop's thread.
class UdpSocket final : public net::Watcher {
 public:
  /// Binds with SO_REUSEPORT, so that each worker has a socket of its own. `desk` and `loop`
  /// outlive it. Error: kOperator address_in_use, no_permission, bad_address, with the address in
  /// the message.
  static Result<std::unique_ptr<UdpSocket>> Open(net::EventLoop& loop,
                                                 const net::SocketAddress& address,
                                                 QueryDesk& desk);
  /// Takes over a socket that is bound already.
  static Result<std::unique_ptr<UdpSocket>> Adopt(net::EventLoop& loop, net::Descriptor socket,
                                                  QueryDesk& desk);
  ~UdpSocket() override;
  /// Whether nobody uses this UDP port yet. Asked once before the workers open theirs, since
  /// SO_REUSEPORT would let a second daemon of the same user share it unnoticed. Errors as Open.
  static Status CheckFree(const net::SocketAddress& address);

  /// The address bound, with the real port when 0 was asked for.
  const net::SocketAddress& address() const { return address_; }
  /// For another process to inherit; -1 after Drain.
  int descriptor() const { return descriptor_; }
  void OnReady(uint32_t events) override;
  /// Answers what has already arrived and closes.
  void Drain();

 private:
  struct Batch;
  UdpSocket(net::EventLoop& loop, int descriptor, const net::SocketAddress& address,
            QueryDesk& desk);
  bool ServeBatch();
  size_t AnswerBatch(size_t received);
  void SendBatch(size_t count);

  net::EventLoop& loop_;
  int descriptor_;
  net::SocketAddress address_;
  QueryDesk& desk_;
  std::unique_ptr<Batch> batch_;
};

}  // namespace nearside::geodns
