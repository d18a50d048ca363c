#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/openssl_handles.h"
#include "net/tls_bio.h"
#include "net/tls_context.h"
#include "runtime/result.h"

namespace nearside::net {

/// One TLS connection as a transformer of bytes, without a socket. Each call reads ciphertext from
/// SetInput's span and appends ciphertext to SetOutput's; both must be set anew for each event,
/// since they are the loop's shared buffers. Owned by its stream.
class TlsSession {
 public:
  enum class Step {
    kDone,       ///< the handshake is complete, or plaintext was read
    kNeedInput,  ///< nothing more without more ciphertext
    kEnded,      ///< the peer's close_notify was read
    kFailed,     ///< see failure(); an alert may be in the output
  };

  /// Error: kSelf tls_setup.
  static Result<std::unique_ptr<TlsSession>> Accept(std::shared_ptr<TlsServerContext> server);
  /// `server_name`: a name or an address literal, which is verified. Errors: kSelf tls_setup,
  /// kOrigin tls_failed for a name that is none.
  static Result<std::unique_ptr<TlsSession>> Connect(std::shared_ptr<TlsClientContext> client,
                                                     const std::string& server_name);

  void SetInput(std::span<const uint8_t> bytes) { transfer_.input = bytes; }
  std::span<const uint8_t> input() const { return transfer_.input; }
  void SetOutput(std::span<uint8_t> room) {
    transfer_.room = room;
    transfer_.filled = 0;
  }
  size_t output_bytes() const { return transfer_.filled; }

  Step Handshake();
  /// kDone: `*bytes` (at least 1) were written to `into`.
  Step Read(std::span<uint8_t> into, size_t* bytes);
  /// Encrypts all of `plain` in records of 16 KiB, the last one shorter. False: the connection is
  /// of no more use.
  bool Write(std::span<const uint8_t> plain);
  /// Appends close_notify, once.
  void Shutdown();

  bool is_established() const { return established_; }
  /// Why the last call failed, in OpenSSL's words.
  const std::string& failure() const { return failure_; }
  /// The same as a reason: tls_wrong_name, tls_expired (or not valid yet), tls_untrusted for a
  /// server's certificate, else tls_failed.
  std::string_view failure_reason() const { return failure_reason_; }
  /// "" when nothing was agreed.
  std::string_view alpn() const;
  /// What the client asked for, in lower case; "" when it did not.
  const std::string& server_name() const { return server_name_; }
  bool Covers(std::string_view host) const;

 private:
  TlsSession() = default;
  Status Attach(SSL_CTX* context);
  Step Interpret(int result, const char* action);

  TlsTransfer transfer_;
  // The connection uses what hangs on these, so they go after it.
  std::shared_ptr<TlsServerContext> server_;
  std::shared_ptr<TlsClientContext> client_;
  OpensslPtr<SSL> ssl_;
  bool established_ = false;
  bool failed_ = false;
  std::string server_name_;
  std::string failure_;
  std::string_view failure_reason_ = "tls_failed";
};

}  // namespace nearside::net
