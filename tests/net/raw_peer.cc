#include "tests/net/raw_peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/tls_context.h"

namespace nearside::net {

RawPeer::RawPeer(const SocketAddress& address, int receive_buffer)
    : socket_(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0) {
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  timeval patience{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(socket_.get(), address.get(), address.length()) != 0) error_ = std::strerror(errno);
}

RawPeer::~RawPeer() {
  Close();
  if (session_ != nullptr) SSL_SESSION_free(session_);
}

bool RawPeer::StartTls(const TlsOptions& options) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
  SSL_CTX_set_session_cache_mode(context_.get(),
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_.get(), [](SSL* ssl, SSL_SESSION* session) {
    auto* self = static_cast<RawPeer*>(SSL_get_app_data(ssl));
    if (self->session_ != nullptr) SSL_SESSION_free(self->session_);
    self->session_ = session;
    return 1;
  });
  if (!options.groups.empty()) SSL_CTX_set1_groups_list(context_.get(), options.groups.c_str());
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_fd(ssl_.get(), socket_.get());
  if (!options.server_name.empty()) {
    SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str());
  }
  std::string wire = AlpnWire(options.alpn);
  SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                      static_cast<unsigned int>(wire.size()));
  if (options.resume != nullptr) SSL_set_session(ssl_.get(), options.resume);
  if (SSL_connect(ssl_.get()) == 1) return true;
  error_ = TakeOpensslError();
  return false;
}

bool RawPeer::Send(std::string_view bytes) {
  if (barrier) barrier();
  if (ssl_ == nullptr) return SendRaw(bytes);
  while (!bytes.empty()) {
    size_t sent = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) != 1) return false;
    bytes.remove_prefix(sent);
  }
  return true;
}

bool RawPeer::SendRaw(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

long RawPeer::ReadSome(char* into, size_t size) {
  if (ssl_ == nullptr) {
    ssize_t got = recv(socket_.get(), into, size, 0);
    if (got < 0) error_ = std::strerror(errno);
    if (got == 0) ended_cleanly_ = true;
    return got;
  }
  ERR_clear_error();
  size_t got = 0;
  if (SSL_read_ex(ssl_.get(), into, size, &got) == 1) return static_cast<long>(got);
  ended_cleanly_ = SSL_get_error(ssl_.get(), 0) == SSL_ERROR_ZERO_RETURN;
  if (!ended_cleanly_) error_ = TakeOpensslError();
  return 0;
}

std::string RawPeer::Receive(size_t size) {
  std::string bytes;
  std::vector<char> part(64 << 10);
  while (bytes.size() < size) {
    long got = ReadSome(part.data(), std::min(part.size(), size - bytes.size()));
    if (got <= 0) break;
    bytes.append(part.data(), static_cast<size_t>(got));
  }
  return bytes;
}

std::string RawPeer::ReceiveAll() { return Receive(std::string::npos); }

void RawPeer::EndSending() {
  if (barrier) barrier();
  if (ssl_ != nullptr) SSL_shutdown(ssl_.get());
  EndSocket();
}

void RawPeer::EndSocket() {
  if (barrier) barrier();
  shutdown(socket_.get(), SHUT_WR);
}

void RawPeer::Reset() {
  if (barrier) barrier();
  linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  socket_.Close();
}

void RawPeer::Close() {
  if (socket_.is_open() && barrier) barrier();
  socket_.Close();
}

SSL_SESSION* RawPeer::Session() {
  if (session_ != nullptr) SSL_SESSION_up_ref(session_);
  return session_;
}

}  // namespace nearside::net
