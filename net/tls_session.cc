#include "net/tls_session.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <utility>

#include "net/address.h"

namespace nearside::net {

namespace {

/// What other code left in this thread's queue is not this connection's. (Clearing is dear, asking
/// is not.)
void ForgetErrors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

/// Of a certificate that was not accepted.
std::string_view ReasonOf(long verified) {
  switch (verified) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "tls_wrong_name";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "tls_expired";
    default:
      return "tls_untrusted";
  }
}

}  // namespace

Status TlsSession::Attach(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  BIO* bio = ssl_ == nullptr ? nullptr : MakeTlsBio(&transfer_);
  if (bio == nullptr) return Fail(Fault::kSelf, "tls_setup", "OpenSSL: " + TakeOpensslError());
  SSL_set_bio(ssl_.get(), bio, bio);
  return {};
}

Result<std::unique_ptr<TlsSession>> TlsSession::Accept(std::shared_ptr<TlsServerContext> server) {
  std::unique_ptr<TlsSession> session(new TlsSession);
  if (auto status = session->Attach(server->first()); !status) return unexpected(status.error());
  SSL_set_accept_state(session->ssl_.get());
  session->server_ = std::move(server);
  return session;
}

Result<std::unique_ptr<TlsSession>> TlsSession::Connect(std::shared_ptr<TlsClientContext> client,
                                                        const std::string& server_name) {
  std::unique_ptr<TlsSession> session(new TlsSession);
  if (auto status = session->Attach(client->context()); !status) return unexpected(status.error());
  SSL* ssl = session->ssl_.get();
  session->server_name_ = CanonicalHost(server_name);
  if (Status expected = ExpectPeer(ssl, session->server_name_); !expected) {
    return unexpected(std::move(expected.error()));
  }
  SSL_set_connect_state(ssl);
  session->client_ = std::move(client);
  return session;
}

TlsSession::Step TlsSession::Interpret(int result, const char* action) {
  int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return Step::kNeedInput;
  if (error == SSL_ERROR_ZERO_RETURN) return Step::kEnded;
  failed_ = true;
  long verified = SSL_get_verify_result(ssl_.get());
  failure_ = std::string(action) + ": " + TakeOpensslError();
  if (client_ != nullptr && !established_ && verified != X509_V_OK) {
    failure_ += std::string(": ") + X509_verify_cert_error_string(verified);
    failure_reason_ = ReasonOf(verified);
  }
  return Step::kFailed;
}

TlsSession::Step TlsSession::Handshake() {
  ForgetErrors();
  int result = SSL_do_handshake(ssl_.get());
  if (result != 1) return Interpret(result, "handshake");
  established_ = true;
  if (server_ != nullptr) {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) server_name_ = CanonicalHost(name);
  }
  return Step::kDone;
}

TlsSession::Step TlsSession::Read(std::span<uint8_t> into, size_t* bytes) {
  // OpenSSL would take a record buffer only to find that there is nothing to read.
  if (transfer_.input.empty() && SSL_pending(ssl_.get()) == 0) return Step::kNeedInput;
  ForgetErrors();
  if (SSL_read_ex(ssl_.get(), into.data(), into.size(), bytes) == 1) return Step::kDone;
  return Interpret(0, "read");
}

bool TlsSession::Write(std::span<const uint8_t> plain) {
  if (failed_) return false;
  size_t written = 0;
  if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written) == 1) return true;
  failed_ = true;
  failure_ = "write: " + TakeOpensslError();
  return false;
}

void TlsSession::Shutdown() {
  if (failed_ || !established_) return;
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::string_view TlsSession::alpn() const {
  const unsigned char* name = nullptr;
  unsigned int length = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &length);
  return {reinterpret_cast<const char*>(name), length};
}

bool TlsSession::Covers(std::string_view host) const {
  if (server_ != nullptr) return TlsServerContext::IdentityOf(ssl_.get())->Covers(host);
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return false;
  std::string name(host);
  if (IsIpLiteral(host)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  return X509_check_host(certificate, name.data(), name.size(),
                         X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
}

}  // namespace nearside::net
