#pragma once

// A client's request without a client: what the edge does with it is recorded, and the body is
// pulled when the test says so.

#include <memory>
#include <string>
#include <string_view>

#include "http/session/exchange.h"
#include "net/address.h"
#include "net/stream.h"

namespace nearside::edge {

/// The connection that a request came on, as far as the edge looks at it.
class FakeStream final : public net::Stream {
 public:
  explicit FakeStream(net::EventLoop* loop = nullptr) : loop_(loop) {}

  void SetHandler(net::StreamHandler*) override {}
  void WantWrite() override {}
  void PauseReading() override {}
  void ResumeReading() override {}
  void Close(milliseconds) override {}
  void EndSending() override {}
  void Abort() override {}
  size_t unsent_bytes() const override { return 0; }
  const net::StreamCounters& counters() const override { return counters_; }
  net::EventLoop& loop() override { return *loop_; }
  const net::SocketAddress& peer() const override { return peer_; }
  const net::SocketAddress& local() const override { return peer_; }
  std::string_view alpn() const override { return ""; }
  std::string_view server_name() const override { return asked_name; }
  bool is_tls() const override { return !asked_name.empty(); }
  bool is_https() const override { return is_tls(); }
  bool Covers(std::string_view host) const override { return host == covered_name; }

  std::string asked_name;    ///< by SNI
  std::string covered_name;  ///< by the certificate

 private:
  net::EventLoop* loop_;
  net::SocketAddress peer_ = net::SocketAddress::Parse("192.0.2.7:5000").value();
  net::StreamCounters counters_;
};

class FakeExchange final : public http::Exchange {
 public:
  explicit FakeExchange(http::RequestHead request, net::EventLoop* loop = nullptr);
  ~FakeExchange() override;

  const http::RequestHead& request() const override { return request_; }
  void SetScheme(std::string_view scheme) override { request_.scheme = scheme; }
  bool has_body() const override { return has_request_body; }
  http::Version version() const override { return spoken; }
  const net::Stream& stream() const override { return stream_; }
  uint64_t id() const override { return 17; }
  MonoTime started() const override { return started_; }
  void SetHandler(std::unique_ptr<http::ExchangeHandler> handler) override;
  void ConsumedBody(size_t n) override { consumed += n; }
  void SendInterim(int interim, const http::Fields& lines) override {
    interims += std::to_string(interim) + "\n" + lines.ToText();
    interims_late = interims_late || status != 0;
  }
  void WantBody() override { wanted_body = true; }
  void Respond(int with, std::span<const http::FieldLine> prepared,
               std::span<const http::FieldLine> extra,
               std::unique_ptr<http::BodySource> source) override;
  void SwitchProtocol(std::span<const http::FieldLine> lines,
                      std::unique_ptr<http::BodySource> source) override;
  void Resume() override;
  void Abort() override { aborted = true; }

  /// Takes at most `most` bytes of the body, as far as they are there, then what the source says
  /// next: "wait", "end", "failed", or "more".
  std::string Pull(uint64_t most = UINT64_MAX);
  /// The client sends a piece of its body, or all of it has been sent.
  void Send(std::string_view bytes);
  void EndBody(const http::Fields& behind = {});
  /// Ends the exchange as the session does when all is sent, or the client has left.
  void Finish(bool complete = true);

  /// Lines of the answer of that name, joined.
  std::string Field(std::string_view name) const { return fields.Joined(name); }

  bool has_request_body = false;
  http::Version spoken = http::Version::kHttp2;
  bool pull_at_once = false;  ///< as a fast client: on Respond and on each Resume
  FakeStream& fake_stream() { return stream_; }

  // What the edge did.
  int status = 0;  ///< 0: has not answered
  int responses = 0;
  bool switched = false;
  http::Fields fields;   ///< prepared and extra
  std::string body;      ///< pulled so far
  std::string trailers;  ///< behind it, once it has ended
  std::string state;     ///< of the last Pull
  int resumes = 0;
  size_t consumed = 0;
  bool wanted_body = false;
  bool aborted = false;
  std::string interims;        ///< "103\nlink: </a.css>\n" each
  bool interims_late = false;  ///< one came behind the final head

 private:
  http::RequestHead request_;
  FakeStream stream_;
  MonoTime started_ = MonoNow();
  std::unique_ptr<http::BodySource> source_;
  std::unique_ptr<http::ExchangeHandler> handler_;
};

}  // namespace nearside::edge
