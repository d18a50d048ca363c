#pragma once

// A connected socket, in the clear or with TLS on it, for a client that waits by poll() and has no
// event loop.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/descriptor.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::net {

/// One thread. Send and Receive never wait. Under TLS OpenSSL writes: the program ignores SIGPIPE.
class ClientChannel {
 public:
  /// Takes a connected, non-blocking socket.
  explicit ClientChannel(Descriptor socket);
  ~ClientChannel();
  ClientChannel(const ClientChannel&) = delete;
  ClientChannel& operator=(const ClientChannel&) = delete;

  /// TLS 1.2 or 1.3 with HTTP/1.1, the peer verified against `ca_file` (PEM; "": the system's
  /// store) and against `host`, a name or an address. Errors: kOperator bad_certificate (the file);
  /// kOrigin tls_failed, with what is wrong with the peer's certificate.
  Status StartTls(const std::string& host, const std::string& ca_file, milliseconds timeout);

  enum class Outcome {
    kDone,    ///< some bytes were moved
    kNotYet,  ///< wait for it
    kEnd,     ///< the peer sends no more
    kFailed,  ///< the connection is broken, or ended where TLS does not allow it
  };
  struct Moved {
    Outcome outcome = Outcome::kFailed;
    size_t bytes = 0;
  };
  Moved Send(std::string_view bytes);
  Moved Receive(std::span<char> out);
  /// Whether the peer has sent something that Receive would tell: bytes, its end, or a failure.
  /// What TLS says on its own account (tickets) is none of that.
  bool HasInput();
  /// Waits for POLLIN or POLLOUT as poll() does; 0: a timeout.
  short Wait(short events, milliseconds timeout) const;

 private:
  struct Tls;
  Status Handshake(const std::string& host, milliseconds timeout);
  Moved MovedByTls(int result, size_t bytes) const;

  Descriptor socket_;
  std::unique_ptr<Tls> tls_;  ///< null: in the clear
};

}  // namespace nearside::net
