#include "cli/http_client.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "http/http1_parser.h"
#include "http/http1_writer.h"
#include "http/uri.h"

namespace nearside::cli {
namespace {

constexpr milliseconds kConnectTimeout = seconds(10);
constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kResponseBytes = 256 << 20;  ///< kept in memory

tl::unexpected<Error> Unreachable(const ServerUrl& server, const std::string& why) {
  return Fail(Fault::kOrigin, "unreachable",
              "cannot reach " + server.ToString() + ": " + why +
                  ". Is it running? --origin, --edge or --geodns says where, or their line in "
                  "~/.config/nearside/client.toml");
}

/// "" when `fd` is connected, or why not.
std::string FinishConnect(int fd) {
  pollfd watched{fd, POLLOUT, 0};
  while (true) {
    const int n = ::poll(&watched, 1, static_cast<int>(kConnectTimeout.count()));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return "no answer in 10 s";
    break;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? "" : std::strerror(error);
}

}  // namespace

Result<ServerUrl> ServerUrl::Parse(std::string_view url) {
  Result<http::Uri> uri = http::SplitUri(url);
  if (!uri) {
    return Fail(Fault::kOperator, "bad_url",
                uri.error().message + "; expected for example http://127.0.0.1:9000");
  }
  if (uri->scheme != "http" && uri->scheme != "https") {
    return Fail(Fault::kOperator, "bad_url",
                "\"" + std::string(url) + "\": expected http:// or https://");
  }
  if ((!uri->path.empty() && uri->path != "/") || uri->has_query) {
    return Fail(Fault::kOperator, "bad_url",
                "\"" + std::string(url) + "\": expected scheme, host and port alone");
  }
  const http::Authority authority = *http::SplitAuthority(uri->authority);
  const bool tls = uri->scheme == "https";
  return ServerUrl{std::string(authority.host), authority.port.value_or(tls ? 443 : 80), tls};
}

std::string ServerUrl::Authority() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string ServerUrl::ToString() const { return (tls ? "https://" : "http://") + Authority(); }

Status HttpClient::Connect() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(server_.host.c_str(), std::to_string(server_.port).c_str(), &hints, &found);
  if (error != 0) return Unreachable(server_, ::gai_strerror(error));
  std::string why = "no address";
  int connected = -1;
  for (const addrinfo* one = found; one != nullptr && connected < 0; one = one->ai_next) {
    const int fd =
        ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, one->ai_protocol);
    if (fd < 0) continue;
    const bool started = ::connect(fd, one->ai_addr, one->ai_addrlen) == 0 || errno == EINPROGRESS;
    why = started ? FinishConnect(fd) : std::strerror(errno);
    if (why.empty()) {
      connected = fd;
    } else {
      ::close(fd);
    }
  }
  ::freeaddrinfo(found);
  if (connected < 0) return Unreachable(server_, why);
  const int on = 1;
  ::setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto channel = std::make_unique<net::ClientChannel>(net::Descriptor(connected));
  if (server_.tls) {
    if (Status secured = channel->StartTls(server_.host, ca_file_, kConnectTimeout); !secured) {
      Error refused = std::move(secured.error());
      if (refused.fault == Fault::kOrigin) {
        refused.message = "cannot reach " + server_.ToString() + ": " + refused.message +
                          ". --ca, or ca = \"…\" in client.toml, names the authorities that count";
      }
      return unexpected(std::move(refused));
    }
  }
  channel_ = std::move(channel);
  return {};
}

/// One request and its response on a connection.
class HttpClient::Exchange {
 public:
  Exchange(net::ClientChannel& channel, const ServerUrl& server, const HttpRequest& request)
      : channel_(channel), server_(server), request_(request), parser_({}) {}
  ~Exchange() {
    if (file_ >= 0) ::close(file_);
  }

  Result<HttpResponse> Run();
  /// After Run: the connection can take another request.
  bool reusable() const { return reusable_; }
  /// No byte of a response has come: the connection may have died idle.
  bool untouched() const { return untouched_; }

 private:
  Status OpenContent();
  std::string Head() const;
  Status SendAll();
  /// False: the server has answered already, or is gone; what it said is to be read.
  Result<bool> SendBytes(std::string_view bytes);
  Status Receive();
  Status Take(std::string_view input);
  Status TakeBody(std::string_view piece);

  net::ClientChannel& channel_;
  const ServerUrl& server_;
  const HttpRequest& request_;
  http::Http1ResponseParser parser_;
  http::ResponseHead head_;
  HttpResponse response_;
  int file_ = -1;
  bool sent_whole_ = false;
  bool ended_ = false;
  bool reusable_ = false;
  bool untouched_ = true;
};

Status HttpClient::Exchange::OpenContent() {
  if (request_.file.empty()) return {};
  file_ = ::open(request_.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ >= 0) return {};
  return Fail(Fault::kOperator, "cannot_read",
              request_.file + ": " + std::string(std::strerror(errno)));
}

std::string HttpClient::Exchange::Head() const {
  http::RequestHead head;
  head.method = request_.method;
  head.target = request_.target;
  head.authority = server_.Authority();
  head.fields = request_.fields;
  http::RequestFraming framing;
  framing.has_body = request_.text.has_value() || !request_.file.empty();
  if (framing.has_body) {
    framing.body_bytes = request_.text ? request_.text->size() : request_.file_bytes;
  }
  std::string out;
  http::AppendRequestHead(head, framing, &out);
  return out;
}

Result<bool> HttpClient::Exchange::SendBytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const short ready = channel_.Wait(POLLIN | POLLOUT, request_.timeout);
    if (ready == 0) {
      return Fail(Fault::kOrigin, "timeout", server_.ToString() + " takes nothing any more");
    }
    // An answer before the end of the content is a refusal.
    if ((ready & (POLLIN | POLLERR | POLLHUP)) != 0 && channel_.HasInput()) return false;
    const net::ClientChannel::Moved sent = channel_.Send(bytes);
    if (sent.outcome == net::ClientChannel::Outcome::kNotYet) continue;
    if (sent.outcome != net::ClientChannel::Outcome::kDone) return false;
    bytes.remove_prefix(sent.bytes);
  }
  return true;
}

Status HttpClient::Exchange::SendAll() {
  Result<bool> sent = SendBytes(Head());
  if (!sent) return unexpected(std::move(sent.error()));
  if (!*sent) return {};
  if (request_.text) {
    sent = SendBytes(*request_.text);
    if (!sent) return unexpected(std::move(sent.error()));
    sent_whole_ = *sent;
    return {};
  }
  std::vector<char> piece(kPieceBytes);
  for (uint64_t left = request_.file.empty() ? 0 : request_.file_bytes; left > 0;) {
    const ssize_t n =
        ::read(file_, piece.data(), static_cast<size_t>(std::min<uint64_t>(piece.size(), left)));
    if (n <= 0) {
      return Fail(Fault::kClient, "file_changed",
                  request_.file + ": became shorter while it was being sent; try again");
    }
    sent = SendBytes({piece.data(), static_cast<size_t>(n)});
    if (!sent) return unexpected(std::move(sent.error()));
    if (!*sent) return {};
    left -= static_cast<uint64_t>(n);
    if (request_.on_sent) request_.on_sent(static_cast<uint64_t>(n));
  }
  sent_whole_ = true;
  return {};
}

Status HttpClient::Exchange::TakeBody(std::string_view piece) {
  if (request_.on_body && head_.status / 100 == 2) return request_.on_body(piece);
  if (response_.body.size() + piece.size() > kResponseBytes) {
    return Fail(Fault::kOrigin, "bad_response", "the answer is too large");
  }
  response_.body += piece;
  return {};
}

Status HttpClient::Exchange::Take(std::string_view input) {
  while (!ended_) {
    switch (parser_.Next(&input)) {
      case http::ParseEvent::kMore:
        return {};
      case http::ParseEvent::kHead:
      case http::ParseEvent::kInterim:
        break;
      case http::ParseEvent::kBody: {
        const std::span<const uint8_t> piece = parser_.body();
        Status taken = TakeBody({reinterpret_cast<const char*>(piece.data()), piece.size()});
        if (!taken) return taken;
        break;
      }
      case http::ParseEvent::kEnd:
        ended_ = true;
        break;
      case http::ParseEvent::kRefused:
        return Fail(Fault::kOrigin, "bad_response",
                    server_.ToString() + " answers no proper HTTP (" +
                        std::string(http::RefusalName(parser_.refusal())) + ")");
    }
  }
  return {};
}

Status HttpClient::Exchange::Receive() {
  std::vector<char> buffer(kPieceBytes);
  while (!ended_) {
    const net::ClientChannel::Moved received = channel_.Receive(buffer);
    if (received.outcome == net::ClientChannel::Outcome::kNotYet) {
      if (channel_.Wait(POLLIN, request_.timeout) != 0) continue;
      return Fail(Fault::kOrigin, "timeout", server_.ToString() + " does not answer");
    }
    if (received.outcome == net::ClientChannel::Outcome::kDone) {
      untouched_ = false;
      Status taken = Take({buffer.data(), received.bytes});
      if (!taken) return taken;
      continue;
    }
    const bool ended = received.outcome == net::ClientChannel::Outcome::kEnd;
    if (ended && parser_.EndOfInput() == http::ParseEvent::kEnd) break;
    return Fail(Fault::kOrigin, "unreachable",
                server_.ToString() + " ended the connection before it had answered");
  }
  return {};
}

Result<HttpResponse> HttpClient::Exchange::Run() {
  parser_.Start(request_.method, &head_);
  if (Status opened = OpenContent(); !opened) {
    untouched_ = false;
    return unexpected(std::move(opened.error()));
  }
  if (Status sent = SendAll(); !sent) return unexpected(std::move(sent.error()));
  if (Status received = Receive(); !received) return unexpected(std::move(received.error()));
  response_.status = head_.status;
  response_.fields = std::move(head_.fields);
  reusable_ = ended_ && sent_whole_ && parser_.framing().keep_alive;
  return std::move(response_);
}

Result<HttpResponse> HttpClient::Send(const HttpRequest& request) {
  // A server that closed a kept connection has told so by now: not even a POST is lost to it.
  if (channel_ && channel_->HasInput()) channel_.reset();
  const bool kept = channel_ != nullptr;
  if (!kept) {
    if (Status connected = Connect(); !connected) return unexpected(std::move(connected.error()));
  }
  Exchange exchange(*channel_, server_, request);
  Result<HttpResponse> response = exchange.Run();
  if (!response || !exchange.reusable()) channel_.reset();
  // The server may close a connection that we keep, at any time (RFC 9112 §9.3.1).
  const bool died_idle = kept && !response && exchange.untouched() &&
                         response.error().reason == "unreachable" &&
                         http::IsIdempotentMethod(request.method);
  return died_idle ? Send(request) : std::move(response);
}

}  // namespace nearside::cli
