#include "tests/http/session/test_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <future>

#include "http/http1_parser.h"

namespace nearside::http {

namespace {

uint8_t PatternByte(uint64_t place) {
  return static_cast<uint8_t>('a' + (place * 31 + place / 251) % 26);
}

}  // namespace

void LoggingHandler::OnBody(std::span<const uint8_t> bytes) {
  log_->body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (on_body) on_body(bytes);
}

void LoggingHandler::OnBodyEnd(const Fields& trailers) {
  log_->trailers = trailers.ToText();
  if (on_body_end) on_body_end();
}

void LoggingHandler::OnFinished(const ExchangeOutcome& outcome) {
  log_->outcome = outcome;
  log_->reason = outcome.reason;
  if (on_finished) on_finished();
}

PatternBody::PatternBody(Plan plan, BodyLog* log) : plan_(std::move(plan)), log_(log) {}

PatternBody::~PatternBody() { log_->destroyed = true; }

BodySource::State PatternBody::Peek(std::span<const uint8_t>* piece) {
  ++log_->peeks;
  const uint64_t from = log_->consumed;
  if (plan_.fail_at && from >= *plan_.fail_at) return State::kFailed;
  if (plan_.wait_at && from >= *plan_.wait_at) return State::kWait;
  uint64_t to = std::min(plan_.size, from + plan_.piece);
  if (plan_.fail_at) to = std::min(to, *plan_.fail_at);
  if (plan_.wait_at) to = std::min(to, *plan_.wait_at);
  if (from == to) return State::kEnd;
  buffer_.resize(to - from);
  for (uint64_t i = from; i < to; ++i) buffer_[i - from] = PatternByte(i);
  *piece = buffer_;
  return State::kReady;
}

void PatternBody::Consume(size_t n) { log_->consumed += n; }

std::string PatternText(uint64_t from, uint64_t to) {
  std::string text;
  for (uint64_t i = from; i < to; ++i) text += static_cast<char>(PatternByte(i));
  return text;
}

TestServer::TestServer(Options options) : options_(std::move(options)) {
  thread_.Call([this] {
    sessions_ = ServerSessions::Create(thread_.loop(), *this, options_.limits);
    std::shared_ptr<net::TlsServer> tls;
    if (options_.tls) {
      tls = *net::TlsServer::Create({authority_.Issue({.names = {"www.demo.test"}})}, options_.alpn,
                                    net::TicketKeys::Random());
    }
    listener_ =
        *net::Listener::Open(thread_.loop(), {.address = *net::SocketAddress::Parse("127.0.0.1:0")},
                             tls, [this](auto stream) { sessions_->Adopt(std::move(stream)); });
  });
}

TestServer::~TestServer() {
  thread_.Call([this] {
    listener_.reset();
    sessions_.reset();
  });
  thread_.Stop();
}

void TestServer::OnRequest(Exchange& exchange) {
  if (on_request) {
    on_request(exchange);
    return;
  }
  const RequestHead& head = exchange.request();
  const std::string text = head.method + " " + head.target + " " + head.authority + "\n";
  const std::string length = std::to_string(text.size());
  const FieldLine lines[] = {{"content-type", "text/plain"}, {"content-length", length}};
  exchange.Respond(200, {}, lines, TextBody(text));
}

std::unique_ptr<net::RawPeer> TestServer::Connect(int receive_buffer) {
  return std::make_unique<net::RawPeer>(address(), receive_buffer);
}

std::unique_ptr<net::RawPeer> TestServer::ConnectAndSend(std::string_view text) {
  const auto held = std::make_shared<std::promise<void>>();  // the loop may still be in it
  std::promise<void> sent;
  thread().loop().Post([held, until = sent.get_future().share()] {
    held->set_value();
    until.wait();
  });
  held->get_future().wait();
  auto peer = Connect();
  peer->Send(text);
  sent.set_value();
  return peer;
}

std::string TestServer::Converse(std::string_view input) {
  const auto peer = Connect();
  peer->Send(input);
  return peer->ReceiveAll();
}

SessionCounters TestServer::counters() {
  return thread_.Call([this] { return sessions_->counters(); });
}

bool TestServer::AwaitNoConnections() {
  return thread_.Await([this] { return sessions_->open_connections() == 0; });
}

HandlerLog* TestServer::NewLog() { return &logs_.emplace_back(); }
BodyLog* TestServer::NewBodyLog() { return &body_logs_.emplace_back(); }

std::string WithoutDate(std::string_view response) {
  std::string text(response);
  for (size_t at = text.find("\r\ndate: "); at != std::string::npos;
       at = text.find("\r\ndate: ", at)) {
    text.erase(at, text.find("\r\n", at + 2) - at);
  }
  return text;
}

ReadResponse ReadOne(net::RawPeer& peer, std::string_view method) {
  Http1ResponseParser parser({});
  ResponseHead head;
  parser.Start(method, &head);
  ReadResponse response;
  std::vector<char> ahead(64 << 10);
  while (!response.whole) {
    // Looks before it takes, so that nothing of the next response is taken.
    const ssize_t seen = recv(peer.fd(), ahead.data(), ahead.size(), MSG_PEEK);
    if (seen <= 0) {
      response.whole = parser.EndOfInput() == ParseEvent::kEnd;
      break;
    }
    std::string_view input(ahead.data(), static_cast<size_t>(seen));
    for (ParseEvent event = parser.Next(&input); event != ParseEvent::kMore;
         event = parser.Next(&input)) {
      if (event == ParseEvent::kHead) {
        response.status = head.status;
        head.fields.Remove("date");
        response.head = head.fields.ToText();
      } else if (event == ParseEvent::kBody) {
        response.body.append(reinterpret_cast<const char*>(parser.body().data()),
                             parser.body().size());
      } else if (event == ParseEvent::kEnd) {
        response.whole = true;
        break;
      } else if (event == ParseEvent::kRefused) {
        ADD_FAILURE() << "the response is refused: " << RefusalName(parser.refusal());
        return response;
      }
    }
    peer.Receive(static_cast<size_t>(seen) - input.size());
  }
  return response;
}

}  // namespace nearside::http
