#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/descriptor.h"
#include "net/openssl_handles.h"

namespace nearside::net {

/// The other end of a stream under test: a blocking socket, with OpenSSL's own socket BIO for TLS,
/// so that nothing of ours is on both sides. Used from the test's thread. Reads give up after 20 s.
class RawPeer {
 public:
  struct TlsOptions {
    std::string server_name;
    std::vector<std::string> alpn;
    SSL_SESSION* resume = nullptr;
    int max_version = TLS1_3_VERSION;
    std::string groups;
  };

  /// Run before each act that the other side notices: orders what the test read before it.
  std::function<void()> barrier;

  explicit RawPeer(const SocketAddress& address, int receive_buffer = 0);
  ~RawPeer();

  /// The client side of a handshake, without verification. False: see error().
  bool StartTls(const TlsOptions& options);
  bool Send(std::string_view bytes);
  /// Sends below TLS.
  bool SendRaw(std::string_view bytes);
  /// Exactly `size` bytes; less at the end of the connection.
  std::string Receive(size_t size);
  /// All until the peer ends.
  std::string ReceiveAll();
  /// FIN, after close_notify where there is TLS.
  void EndSending();
  /// FIN without close_notify.
  void EndSocket();
  void Reset();
  void Close();
  /// Whether the last read ended in close_notify (TLS) or FIN, and not in an error.
  bool ended_cleanly() const { return ended_cleanly_; }
  const std::string& error() const { return error_; }
  SSL* ssl() { return ssl_.get(); }
  int fd() const { return socket_.get(); }
  /// The last ticket received (TLS 1.3: after some read). Caller frees. Null: none.
  SSL_SESSION* Session();

 private:
  long ReadSome(char* into, size_t size);

  Descriptor socket_;
  OpensslPtr<SSL_CTX> context_;
  OpensslPtr<SSL> ssl_;
  SSL_SESSION* session_ = nullptr;
  bool ended_cleanly_ = false;
  std::string error_;
};

}  // namespace nearside::net
