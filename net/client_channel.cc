#include "net/client_channel.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "net/tls_context.h"

namespace nearside::net {

struct ClientChannel::Tls {
  std::shared_ptr<TlsClientContext> context;
  OpensslPtr<SSL> ssl;
  bool failed = false;  ///< nothing may be sent any more, not even an end
};

ClientChannel::ClientChannel(Descriptor socket) : socket_(std::move(socket)) {}

ClientChannel::~ClientChannel() {
  if (tls_ == nullptr || tls_->failed || SSL_is_init_finished(tls_->ssl.get()) != 1) return;
  // Told to the peer if there is room; nobody waits for its answer.
  ERR_clear_error();
  (void)SSL_shutdown(tls_->ssl.get());
  ERR_clear_error();
}

short ClientChannel::Wait(short events, milliseconds timeout) const {
  pollfd watched{socket_.get(), events, 0};
  int n = 0;
  do {
    n = ::poll(&watched, 1, static_cast<int>(timeout.count()));
  } while (n < 0 && errno == EINTR);
  return n <= 0 ? short{0} : watched.revents;
}

Status ClientChannel::StartTls(const std::string& host, const std::string& ca_file,
                               milliseconds timeout) {
  auto context = TlsClientContext::Make(ca_file, {"http/1.1"});
  if (!context) return unexpected(std::move(context.error()));
  auto tls = std::make_unique<Tls>();
  tls->context = std::move(*context);
  tls->ssl.reset(SSL_new(tls->context->context()));
  SSL* ssl = tls->ssl.get();
  if (ssl == nullptr || SSL_set_fd(ssl, socket_.get()) != 1) {
    return Fail(Fault::kSelf, "tls_setup", TakeOpensslError());
  }
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (Status expected = ExpectPeer(ssl, CanonicalHost(host)); !expected) return expected;
  tls_ = std::move(tls);
  return Handshake(host, timeout);
}

Status ClientChannel::Handshake(const std::string& host, milliseconds timeout) {
  SSL* ssl = tls_->ssl.get();
  const MonoTime deadline = MonoNow() + timeout;
  while (true) {
    ERR_clear_error();
    const int result = SSL_connect(ssl);
    if (result == 1) return {};
    const int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - MonoNow());
      const short events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
      if (left > milliseconds(0) && Wait(events, left) != 0) continue;
      tls_->failed = true;
      return Fail(Fault::kOrigin, "tls_failed", "no answer to the TLS handshake");
    }
    tls_->failed = true;
    const long verified = SSL_get_verify_result(ssl);
    std::string why = TakeOpensslError();
    if (verified == X509_V_OK) {
      if (why.empty()) why = "the connection ended inside the handshake";
      return Fail(Fault::kOrigin, "tls_failed", "TLS failed: " + why);
    }
    return Fail(Fault::kOrigin, "tls_failed",
                "its certificate is not accepted for " + host + ": " +
                    X509_verify_cert_error_string(verified));
  }
}

ClientChannel::Moved ClientChannel::MovedByTls(int result, size_t bytes) const {
  if (result == 1) return {Outcome::kDone, bytes};
  const int error = SSL_get_error(tls_->ssl.get(), result);
  ERR_clear_error();
  switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return {Outcome::kNotYet, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {Outcome::kEnd, 0};
    default:
      tls_->failed = true;
      return {Outcome::kFailed, 0};
  }
}

ClientChannel::Moved ClientChannel::Send(std::string_view bytes) {
  if (tls_ != nullptr) {
    size_t sent = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(tls_->ssl.get(), bytes.data(), bytes.size(), &sent);
    return MovedByTls(result, sent);
  }
  const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return {Outcome::kDone, static_cast<size_t>(n)};
  return {errno == EINTR || errno == EAGAIN ? Outcome::kNotYet : Outcome::kFailed, 0};
}

ClientChannel::Moved ClientChannel::Receive(std::span<char> out) {
  if (tls_ != nullptr) {
    size_t received = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(tls_->ssl.get(), out.data(), out.size(), &received);
    return MovedByTls(result, received);
  }
  const ssize_t n = ::recv(socket_.get(), out.data(), out.size(), MSG_DONTWAIT);
  if (n > 0) return {Outcome::kDone, static_cast<size_t>(n)};
  if (n == 0) return {Outcome::kEnd, 0};
  return {errno == EINTR || errno == EAGAIN ? Outcome::kNotYet : Outcome::kFailed, 0};
}

bool ClientChannel::HasInput() {
  if (tls_ == nullptr) return Wait(POLLIN, milliseconds(0)) != 0;
  char byte = 0;
  size_t peeked = 0;
  ERR_clear_error();
  const int result = SSL_peek_ex(tls_->ssl.get(), &byte, 1, &peeked);
  return MovedByTls(result, peeked).outcome != Outcome::kNotYet;
}

}  // namespace nearside::net
