#include "net/connector.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "net/descriptor.h"
#include "net/socket_stream.h"
#include "net/tls_context.h"

namespace nearside::net {

namespace {

class TcpConnector final : public Connector,
                           private Watcher,
                           private TurnEnd,
                           private HandshakeOwner {
 public:
  TcpConnector(EventLoop& loop, const ConnectOptions& options, OnDone on_done)
      : loop_(loop),
        options_(options),
        on_done_(std::move(on_done)),
        timeout_(loop, [this] { OnTimeout(); }) {}

  ~TcpConnector() override {
    loop_.CancelTurnEnd(this);
    CloseSocket();
  }

  void Start() {
    timeout_.Arm(options_.timeout);
    if (int error = Connect(); error != 0) {
      early_error_ = ConnectError(error);
      loop_.AtTurnEnd(this);
    }
  }

 private:
  int Connect() {
    socket_ = Descriptor(
        ::socket(options_.address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_.is_open()) return errno;
    int on = 1;
    setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const SocketAddress& to = options_.address;
    // Connected at once or later: the socket becomes writable either way.
    if (connect(socket_.get(), to.get(), to.length()) != 0 && errno != EINPROGRESS) return errno;
    return loop_.Watch(socket_.get(), EPOLLOUT, this) ? 0 : ENOMEM;
  }

  void CloseSocket() {
    if (!socket_.is_open()) return;
    loop_.Unwatch(socket_.get());
    socket_.Close();
  }

  void OnReady(uint32_t) override {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) {
      Finish(unexpected(ConnectError(error)));
      return;
    }
    OnConnected();
  }

  void OnConnected() {
    SocketStream::Parts parts{.socket = std::move(socket_),
                              .peer = options_.address,
                              .role = SocketStream::Role::kConnected};
    if (options_.tls != nullptr) {
      auto session = TlsSession::Connect(std::static_pointer_cast<TlsClientContext>(options_.tls),
                                         options_.server_name);
      if (!session) {
        socket_ = std::move(parts.socket);
        Finish(unexpected(std::move(session.error())));
        return;
      }
      parts.tls = std::move(*session);
    }
    stream_ = std::make_unique<SocketStream>(loop_, std::move(parts));
    if (auto opened = stream_->Open(true); !opened) {
      Finish(unexpected(std::move(opened.error())));
    } else if (options_.tls == nullptr) {
      Finish(std::move(stream_));
    } else {
      stream_->StartHandshake(this);
    }
  }

  void OnHandshake(SocketStream*, Status status) override {
    if (status) {
      Finish(std::move(stream_));
      return;
    }
    // Whatever else ends a connection inside its handshake has ended the handshake.
    const std::string& reason = status.error().reason;
    Finish(Fail(Fault::kOrigin, reason.starts_with("tls_") ? reason : "tls_failed",
                options_.server_name + ": " + status.error().message));
  }

  void OnTurnEnd() override { Finish(unexpected(std::move(*early_error_))); }

  void OnTimeout() {
    std::string phase = stream_ == nullptr ? "no connection" : "no end of the TLS handshake";
    Finish(Fail(Fault::kOrigin, "connect_timeout",
                options_.address.ToString() + ": " + phase + " within " +
                    std::to_string(options_.timeout.count()) + " ms"));
  }

  Error ConnectError(int error) const {
    std::string_view reason = "connect_failed";
    if (error == ECONNREFUSED) reason = "connect_refused";
    if (error == ETIMEDOUT) reason = "connect_timeout";
    return Error{Fault::kOrigin, std::string(reason),
                 options_.address.ToString() + ": " + strerrordesc_np(error)};
  }

  void Finish(Result<std::unique_ptr<Stream>> result) {
    timeout_.Disarm();
    CloseSocket();
    std::unique_ptr<SocketStream> failed = std::move(stream_);
    OnDone on_done = std::move(on_done_);
    on_done(std::move(result));  // may destroy this
  }

  EventLoop& loop_;
  ConnectOptions options_;
  OnDone on_done_;
  Timer timeout_;
  Descriptor socket_;                     // until it is connected
  std::unique_ptr<SocketStream> stream_;  // in its handshake
  std::optional<Error> early_error_;
};

}  // namespace

std::unique_ptr<Connector> Connector::Start(EventLoop& loop, const ConnectOptions& options,
                                            OnDone on_done) {
  auto connector = std::make_unique<TcpConnector>(loop, options, std::move(on_done));
  connector->Start();
  return connector;
}

}  // namespace nearside::net
