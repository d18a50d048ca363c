// The floor of what a hit can cost: the smallest server on the edge's own libraries (epoll,
// OpenSSL, nghttp2) with the edge's write path and nothing of HTTP's meaning. Every request is
// answered with one constant body. What nearside-edge takes above it is what being a cache costs.
//
//   floor --port 8443 --certificate chain.pem --key key.pem [--body 1024] [--field "name:
//   value"]...
//
// One thread; ends by a signal. A client that misbehaves is closed, and nothing has a limit: it is
// for measuring on loopback alone. tests/bench/compare.py runs it beside the edge.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/descriptor.h"
#include "net/tls_cipher_module.h"
#include "runtime/fatal.h"

namespace nearside::bench {
namespace {

constexpr size_t kStageBytes = 16 << 10;
constexpr size_t kFrameHeaderBytes = 9;
/// Of plain text a turn, as the edge's most; the buffer has room for what TLS adds.
constexpr size_t kBudget = 256 << 10;
constexpr size_t kWireBytes = kBudget + (32 << 10);
constexpr size_t kInputBytes = 64 << 10;
constexpr std::string_view kHttp1End = "\r\n\r\n";

struct Options {
  uint16_t port = 8443;
  std::string certificate;
  std::string key;
  size_t body_bytes = 1024;
  std::vector<std::string> fields;
};

/// What every request is answered with.
struct Answer {
  std::string body;
  std::vector<std::string> texts;  ///< names and values in turn
  std::vector<nghttp2_nv> fields;
  std::string http1;

  explicit Answer(const Options& options) : body(options.body_bytes, 'x') {
    texts = {":status",        "200",
             "content-type",   "application/octet-stream",
             "content-length", std::to_string(body.size())};
    for (const std::string& field : options.fields) {
      const size_t colon = field.find(": ");
      if (colon == std::string::npos) Fatal("--field wants \"name: value\"");
      texts.push_back(field.substr(0, colon));
      texts.push_back(field.substr(colon + 2));
    }
    http1 = "HTTP/1.1 200 OK\r\n";
    for (size_t i = 0; i < texts.size(); i += 2) {
      fields.push_back({.name = reinterpret_cast<uint8_t*>(texts[i].data()),
                        .value = reinterpret_cast<uint8_t*>(texts[i + 1].data()),
                        .namelen = texts[i].size(),
                        .valuelen = texts[i + 1].size(),
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE});
      if (i > 0) http1.append(texts[i]).append(": ").append(texts[i + 1]).append("\r\n");
    }
    http1.append("\r\n").append(body);
  }
};

/// What the connections share: they never run at one time.
struct Shared {
  const Answer* answer = nullptr;
  std::vector<uint8_t> input = std::vector<uint8_t>(kInputBytes);
  std::vector<uint8_t> plain = std::vector<uint8_t>(kInputBytes);
  std::vector<uint8_t> stage = std::vector<uint8_t>(kStageBytes);
  std::vector<uint8_t> wire = std::vector<uint8_t>(kWireBytes);
  size_t staged = 0;
  size_t filled = 0;
  size_t produced = 0;
};

class Connection {
 public:
  Connection(Shared& shared, SSL_CTX* context, net::Descriptor socket);
  ~Connection() {
    nghttp2_session_del(session_);
    SSL_free(ssl_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  int descriptor() const { return socket_.get(); }
  /// False: it is over.
  bool OnReady(uint32_t events);
  bool is_blocked() const { return !unsent_.empty(); }

 private:
  bool Receive();
  bool OnPlain(std::string_view plain);
  void StartHttp2();
  bool Produce();
  bool ProduceHttp2();
  void Put(const uint8_t* bytes, size_t size);
  void Seal();
  bool Send();

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* self) noexcept;
  static int SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* header, size_t size,
                      nghttp2_data_source*, void* self) noexcept;
  static ssize_t ReadBody(nghttp2_session* session, int32_t stream_id, uint8_t*, size_t most,
                          uint32_t* flags, nghttp2_data_source* source, void* self) noexcept;
  static BIO_METHOD* Method();

  Shared& shared_;
  net::Descriptor socket_;
  SSL* ssl_;
  nghttp2_session* session_ = nullptr;
  std::string_view raw_;  ///< what OpenSSL has yet to read
  std::string http1_;     ///< a head that is not whole
  size_t http1_answers_ = 0;
  size_t http1_sent_ = 0;  ///< of the answer under way
  std::vector<uint8_t> unsent_;
  size_t unsent_from_ = 0;
  bool more_ = false;
};

// ---- TLS: OpenSSL reads what was received and writes where the turn's output is gathered

BIO_METHOD* Connection::Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "floor");
    BIO_meth_set_read(made, [](BIO* bio, char* into, int size) noexcept -> int {
      auto& self = *static_cast<Connection*>(BIO_get_data(bio));
      BIO_clear_retry_flags(bio);
      const size_t taken = std::min(self.raw_.size(), static_cast<size_t>(size));
      if (taken == 0) {
        BIO_set_retry_read(bio);
        return -1;
      }
      std::memcpy(into, self.raw_.data(), taken);
      self.raw_.remove_prefix(taken);
      return static_cast<int>(taken);
    });
    BIO_meth_set_write(made, [](BIO* bio, const char* from, int size) noexcept -> int {
      Shared& shared = static_cast<Connection*>(BIO_get_data(bio))->shared_;
      if (static_cast<size_t>(size) > shared.wire.size() - shared.filled) return 0;
      std::memcpy(shared.wire.data() + shared.filled, from, static_cast<size_t>(size));
      shared.filled += static_cast<size_t>(size);
      return size;
    });
    BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) noexcept -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    return made;
  }();
  return method;
}

Connection::Connection(Shared& shared, SSL_CTX* context, net::Descriptor socket)
    : shared_(shared), socket_(std::move(socket)), ssl_(SSL_new(context)) {
  BIO* bio = BIO_new(Method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
}

bool Connection::OnReady(uint32_t events) {
  shared_.staged = shared_.filled = shared_.produced = 0;
  if ((events & EPOLLOUT) != 0 && !Send()) return false;
  if ((events & ~EPOLLOUT) != 0 && !Receive()) return false;
  do {
    if (is_blocked()) return true;
    if (!Produce() || !Send()) return false;
    shared_.staged = shared_.filled = shared_.produced = 0;
  } while (more_);
  return true;
}

bool Connection::Receive() {
  const ssize_t taken = recv(socket_.get(), shared_.input.data(), shared_.input.size(), 0);
  if (taken <= 0) return taken < 0 && errno == EAGAIN;
  raw_ = {reinterpret_cast<const char*>(shared_.input.data()), static_cast<size_t>(taken)};
  while (!raw_.empty() || SSL_pending(ssl_) > 0) {
    size_t bytes = 0;
    if (SSL_read_ex(ssl_, shared_.plain.data(), shared_.plain.size(), &bytes) != 1) {
      return SSL_get_error(ssl_, 0) == SSL_ERROR_WANT_READ;
    }
    if (!OnPlain({reinterpret_cast<const char*>(shared_.plain.data()), bytes})) return false;
  }
  return true;
}

bool Connection::OnPlain(std::string_view plain) {
  if (session_ == nullptr && http1_.empty() && plain.starts_with("PRI ")) StartHttp2();
  if (session_ != nullptr) {
    return nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(plain.data()),
                                    plain.size()) >= 0;
  }
  http1_ += plain;
  size_t end = 0;
  for (size_t at = 0; (at = http1_.find(kHttp1End, end)) != std::string::npos; ++http1_answers_) {
    end = at + kHttp1End.size();
  }
  http1_.erase(0, end);
  return true;
}

// ---- HTTP/2

void Connection::StartHttp2() {
  static nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
    nghttp2_session_callbacks_set_send_data_callback(made, SendData);
    return made;
  }();
  static nghttp2_option* const options = [] {
    nghttp2_option* made = nullptr;
    nghttp2_option_new(&made);
    nghttp2_option_set_no_closed_streams(made, 1);
    return made;
  }();
  nghttp2_session_server_new2(&session_, callbacks, this, options);
  const nghttp2_settings_entry streams = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 128};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &streams, 1);
}

int Connection::OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept {
  if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
    return 0;
  const Answer& answer = *static_cast<Connection*>(user)->shared_.answer;
  nghttp2_data_provider provider = {.source = {.fd = 0}, .read_callback = ReadBody};
  return nghttp2_submit_response(session, frame->hd.stream_id, answer.fields.data(),
                                 answer.fields.size(), &provider);
}

/// How much of a stream's body has gone is kept in its user data.
ssize_t Connection::ReadBody(nghttp2_session* session, int32_t stream_id, uint8_t*, size_t most,
                             uint32_t* flags, nghttp2_data_source*, void* user) noexcept {
  const Shared& shared = static_cast<Connection*>(user)->shared_;
  const auto sent =
      reinterpret_cast<uintptr_t>(nghttp2_session_get_stream_user_data(session, stream_id));
  const size_t left = shared.answer->body.size() - sent;
  const size_t room = kBudget - std::min(kBudget, shared.produced);
  size_t size = std::min({most, left, kStageBytes - kFrameHeaderBytes});
  if (room > 1024) size = std::min(size, room - kFrameHeaderBytes);
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (size == left) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(size);
}

int Connection::SendData(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* header,
                         size_t size, nghttp2_data_source*, void* user) noexcept {
  auto& self = *static_cast<Connection*>(user);
  if (self.shared_.produced + size + kFrameHeaderBytes > kBudget) {
    self.more_ = true;
    return NGHTTP2_ERR_WOULDBLOCK;
  }
  const int32_t stream_id = frame->hd.stream_id;
  const auto sent =
      reinterpret_cast<uintptr_t>(nghttp2_session_get_stream_user_data(session, stream_id));
  self.Put(header, kFrameHeaderBytes);
  self.Put(reinterpret_cast<const uint8_t*>(self.shared_.answer->body.data()) + sent, size);
  nghttp2_session_set_stream_user_data(session, stream_id, reinterpret_cast<void*>(sent + size));
  return 0;
}

// ---- output: all of a turn in records of 16 KiB and one send

void Connection::Put(const uint8_t* bytes, size_t size) {
  shared_.produced += size;
  while (size > 0) {
    const size_t part = std::min(size, kStageBytes - shared_.staged);
    std::memcpy(shared_.stage.data() + shared_.staged, bytes, part);
    shared_.staged += part;
    bytes += part;
    size -= part;
    if (shared_.staged == kStageBytes) Seal();
  }
}

void Connection::Seal() {
  size_t written = 0;
  if (shared_.staged > 0) SSL_write_ex(ssl_, shared_.stage.data(), shared_.staged, &written);
  shared_.staged = 0;
}

bool Connection::ProduceHttp2() {
  while (shared_.produced < kBudget) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) return false;
    if (size == 0) return true;
    Put(bytes, static_cast<size_t>(size));
  }
  more_ = true;
  return true;
}

bool Connection::Produce() {
  more_ = false;
  if (session_ != nullptr) {
    if (!ProduceHttp2()) return false;
  }
  const std::string& answer = shared_.answer->http1;
  while (http1_answers_ > 0 && shared_.produced < kBudget) {
    const size_t part = std::min(answer.size() - http1_sent_, kBudget - shared_.produced);
    Put(reinterpret_cast<const uint8_t*>(answer.data()) + http1_sent_, part);
    http1_sent_ += part;
    if (http1_sent_ < answer.size()) break;
    http1_sent_ = 0;
    --http1_answers_;
  }
  more_ = more_ || http1_answers_ > 0;
  Seal();
  return true;
}

bool Connection::Send() {
  const bool again = is_blocked();
  const uint8_t* from = again ? unsent_.data() + unsent_from_ : shared_.wire.data();
  const size_t size = again ? unsent_.size() - unsent_from_ : shared_.filled;
  if (size == 0) return true;
  const ssize_t sent = send(socket_.get(), from, size, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  const size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
  if (again) {
    unsent_from_ += taken;
    if (unsent_from_ < unsent_.size()) return true;
    unsent_.clear();
    unsent_from_ = 0;
  } else if (taken < size) {
    unsent_.assign(from + taken, from + size);
  }
  return true;
}

// ---- the loop

SSL_CTX* MakeContext(const Options& options) {
  SSL_CTX* context = SSL_CTX_new_ex(nullptr, net::TlsProperties(), TLS_server_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
      SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    Fatal("the certificate cannot be used");
  }
  SSL_CTX_set_alpn_select_cb(
      context,
      [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in,
         unsigned int in_size, void*) noexcept -> int {
        static constexpr unsigned char kOffered[] = "\x02h2\x08http/1.1";
        return SSL_select_next_proto(const_cast<unsigned char**>(out), size, kOffered,
                                     sizeof kOffered - 1, in, in_size) == OPENSSL_NPN_NEGOTIATED
                   ? SSL_TLSEXT_ERR_OK
                   : SSL_TLSEXT_ERR_ALERT_FATAL;
      },
      nullptr);
  return context;
}

net::Descriptor Listen(uint16_t port) {
  net::Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto address = net::SocketAddress::Parse("127.0.0.1:" + std::to_string(port)).value();
  if (bind(socket.get(), address.get(), address.length()) != 0) Fatal("the port is not free");
  if (listen(socket.get(), 4096) != 0) Fatal("cannot listen");
  return socket;
}

void Run(const Options& options) {
  const Answer answer(options);
  Shared shared{.answer = &answer};
  SSL_CTX* context = MakeContext(options);
  const net::Descriptor listener = Listen(options.port);
  const net::Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  std::vector<std::unique_ptr<Connection>> connections;
  const auto watch = [&](int operation, int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    epoll_ctl(epoll.get(), operation, fd, &event);
  };
  watch(EPOLL_CTL_ADD, listener.get(), EPOLLIN);
  std::array<epoll_event, 64> events;
  while (true) {
    const int ready = epoll_wait(epoll.get(), events.data(), events.size(), -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == listener.get()) {
        net::Descriptor socket(accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!socket.is_open()) continue;
        const int on = 1;
        setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const auto place = static_cast<size_t>(socket.get());
        if (connections.size() <= place) connections.resize(place + 1);
        watch(EPOLL_CTL_ADD, socket.get(), EPOLLIN);
        connections[place] = std::make_unique<Connection>(shared, context, std::move(socket));
        continue;
      }
      auto& connection = connections[static_cast<size_t>(fd)];
      const bool was_blocked = connection->is_blocked();
      if (!connection->OnReady(events[static_cast<size_t>(i)].events)) {
        connection.reset();
      } else if (connection->is_blocked() != was_blocked) {
        watch(EPOLL_CTL_MOD, fd, EPOLLIN | (was_blocked ? 0u : uint32_t{EPOLLOUT}));
      }
    }
  }
}

}  // namespace
}  // namespace nearside::bench

int main(int argc, char** argv) {
  nearside::bench::Options options;
  CLI::App app("The floor of what a hit can cost");
  app.add_option("--port", options.port);
  app.add_option("--certificate", options.certificate)->required();
  app.add_option("--key", options.key)->required();
  app.add_option("--body", options.body_bytes);
  app.add_option("--field", options.fields);
  CLI11_PARSE(app, argc, argv);
  nearside::net::LoadTlsCiphers(nearside::net::TlsCipherFolder());  // as the edge does
  nearside::bench::Run(options);
}
