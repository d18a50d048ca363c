#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/session/client.h"
#include "tests/http/session/test_server.h"
#include "tests/net/loop_thread.h"

namespace nearside::http {

inline constexpr std::string_view kHello =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";

/// What became of a call. Written on the client's loop.
struct CallLog final : CallHandler {
  void OnInterim(int interim, const Fields& lines) override {
    interims += std::to_string(interim) + " " + lines.ToText();
  }
  void OnHead(ResponseHead&& head) override {
    status = head.status;
    fields = head.fields.ToText();
    if (on_head) on_head();
  }
  void OnBody(std::span<const uint8_t> bytes) override {
    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (on_body) on_body();
  }
  void OnPeerEnd() override { peer_ended = true; }
  void OnEnd(const Fields& last) override {
    trailers = last.ToText();
    ended = true;
    if (on_over) on_over();
  }
  void OnFailure(const Error& error) override {
    failure = error.reason;
    message = error.message;
    fault = error.fault;
    if (on_over) on_over();
  }
  bool over() const { return ended || !failure.empty(); }

  std::string interims;
  int status = 0;
  std::string fields;
  std::string body;
  std::string trailers;
  bool peer_ended = false;
  bool ended = false;
  std::string failure;
  std::string message;
  Fault fault = Fault::kSelf;
  std::function<void()> on_head, on_body, on_over;
  std::unique_ptr<Call> call;
};

class ClientTest : public ::testing::Test {
 protected:
  ~ClientTest() override {
    thread_.Call([this] {
      logs_.clear();
      client_.reset();
      resolver_.reset();
    });
    thread_.Stop();
  }

  void Make(const ClientLimits& limits = {}, std::shared_ptr<net::TlsClient> tls = nullptr) {
    thread_.Call([&] {
      resolver_ = *net::Resolver::Create(thread_.loop());
      client_ = Client::Create(thread_.loop(), *resolver_, tls, limits);
    });
  }
  static RequestHead Head(std::string_view method = "GET", std::string_view target = "/") {
    RequestHead head;
    head.method = method;
    head.authority = "site.test";
    head.target = target;
    return head;
  }
  /// Starts a call; what it needs of a handler may be set up by `prepare` on the loop.
  CallLog* Start(const std::string& url, RequestHead head,
                 std::unique_ptr<BodySource> body = nullptr,
                 std::optional<uint64_t> body_bytes = std::nullopt,
                 const std::function<void(CallLog*)>& prepare = nullptr) {
    if (client_ == nullptr) Make();
    CallLog* log = &logs_.emplace_back();
    thread_.Call([&] {
      if (prepare) prepare(log);
      Endpoint endpoint = *Endpoint::Parse(url);
      if (endpoint.tls) endpoint.server_name = "www.demo.test";
      log->call = client_->Start(endpoint, head, std::move(body), body_bytes, log);
      EXPECT_FALSE(log->over()) << "never from inside the call";
    });
    return log;
  }
  CallLog* AwaitOver(CallLog* log) {
    EXPECT_TRUE(thread_.Await([log] { return log->over(); }));
    return log;
  }
  /// Ends all calls: what they refer to may go.
  void Forget() {
    thread_.Call([this] { logs_.clear(); });
  }
  CallLog* Get(const std::string& url, std::string_view target = "/") {
    return AwaitOver(Start(url, Head("GET", target)));
  }
  size_t idle() {
    return thread_.Call([this] { return client_->idle_connections(); });
  }
  size_t open() {
    return thread_.Call([this] { return client_->open_connections(); });
  }
  bool AwaitOpen(size_t count) {
    return thread_.Await([this, count] { return client_->open_connections() == count; });
  }

  net::LoopThread thread_;
  std::unique_ptr<net::Resolver> resolver_;
  std::unique_ptr<Client> client_;
  std::deque<CallLog> logs_;
  std::deque<BodyLog> body_logs_;  // destroyed behind the calls that write to them
};

}  // namespace nearside::http
