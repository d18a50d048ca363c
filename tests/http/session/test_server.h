#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/session/server.h"
#include "net/listener.h"
#include "tests/net/loop_thread.h"
#include "tests/net/raw_peer.h"
#include "tests/net/test_authority.h"

namespace nearside::http {

inline constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// What an exchange's handler was told. Written on the loop.
struct HandlerLog {
  std::string body;
  std::optional<std::string> trailers;  ///< set by OnBodyEnd
  std::optional<ExchangeOutcome> outcome;
  std::string reason;
  bool destroyed = false;
};

/// A handler that writes down what it is told, and does what a test wants besides.
class LoggingHandler final : public ExchangeHandler {
 public:
  explicit LoggingHandler(HandlerLog* log) : log_(log) {}
  ~LoggingHandler() override { log_->destroyed = true; }
  void OnBody(std::span<const uint8_t> bytes) override;
  void OnBodyEnd(const Fields& trailers) override;
  void OnFinished(const ExchangeOutcome& outcome) override;

  std::function<void(std::span<const uint8_t>)> on_body;
  std::function<void()> on_body_end;
  std::function<void()> on_finished;

 private:
  HandlerLog* log_;
};

/// How a body of made-up bytes is doing. Written on the loop.
struct BodyLog {
  uint64_t consumed = 0;
  uint64_t peeks = 0;
  bool destroyed = false;
};

/// `size` bytes of PatternByte; waits, fails or ends where it is told to.
class PatternBody final : public BodySource {
 public:
  struct Plan {
    uint64_t size = 0;
    size_t piece = 65'520;
    std::optional<uint64_t> wait_at;  ///< kWait once this many were consumed, until cleared
    std::optional<uint64_t> fail_at;
    Fields trailers;
  };
  PatternBody(Plan plan, BodyLog* log);
  ~PatternBody() override;
  State Peek(std::span<const uint8_t>* piece) override;
  void Consume(size_t n) override;
  const Fields* Trailers() override { return &plan_.trailers; }

  Plan& plan() { return plan_; }

 private:
  Plan plan_;
  BodyLog* log_;
  std::vector<uint8_t> buffer_;
};

std::string PatternText(uint64_t from, uint64_t to);

/// A server whose application is a function of the test's, on a loop of its own.
class TestServer final : public Application {
 public:
  struct Options {
    SessionLimits limits;
    bool tls = false;
    std::vector<std::string> alpn = {"h2", "http/1.1"};
    bool websocket = false;  ///< takes it up
  };

  explicit TestServer(Options options);
  TestServer() : TestServer(Options{}) {}
  ~TestServer() override;

  /// Runs on the loop for every request. Without it: answers 200 with method, target and authority.
  std::function<void(Exchange&)> on_request;

  net::LoopThread& thread() { return thread_; }
  ServerSessions& sessions() { return *sessions_; }
  const net::SocketAddress& address() const { return listener_->address(); }
  /// PEM of the authority behind its certificate.
  const std::string& authority_file() const { return authority_.file(); }
  std::unique_ptr<net::RawPeer> Connect(int receive_buffer = 0);
  /// So that the server learns of both at once: however short its patience, it has what was sent.
  std::unique_ptr<net::RawPeer> ConnectAndSend(std::string_view text);
  /// Connects, sends, and answers all that comes until the server closes.
  std::string Converse(std::string_view input);

  SessionCounters counters();
  bool AwaitNoConnections();
  bool Await(std::function<bool()> condition) { return thread_.Await(std::move(condition)); }
  template <typename F>
  auto Call(F f) {
    return thread_.Call(std::move(f));
  }

  /// Logs and bodies that outlive what writes into them.
  HandlerLog* NewLog();
  BodyLog* NewBodyLog();

 private:
  void OnRequest(Exchange& exchange) override;
  bool TakesWebSocket() const override { return options_.websocket; }

  Options options_;
  net::TestAuthority authority_;
  net::LoopThread thread_;
  std::unique_ptr<ServerSessions> sessions_;
  std::unique_ptr<net::Listener> listener_;
  std::deque<HandlerLog> logs_;
  std::deque<BodyLog> body_logs_;
};

/// "HTTP/1.1 200 OK\r\n…" without its date line, which differs from run to run.
std::string WithoutDate(std::string_view response);

/// Reads one response off a cleartext peer: head (without date) and body as it is framed.
struct ReadResponse {
  int status = 0;
  std::string head;
  std::string body;
  bool whole = false;
};
ReadResponse ReadOne(net::RawPeer& peer, std::string_view method = "GET");

}  // namespace nearside::http
