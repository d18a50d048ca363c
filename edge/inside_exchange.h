#pragma once

// A request that the edge makes to itself, without a connection: it meets the same site, key, cache
// and fills as a client's.

#include <functional>
#include <memory>
#include <string>

#include "edge/pace.h"
#include "http/session/exchange.h"
#include "net/event_loop.h"
#include "runtime/crypto.h"

namespace nearside::edge {

/// What the edge has answered itself.
struct InsideAnswer {
  int status = 0;
  bool complete = false;
  uint64_t body_bytes = 0;
  std::string sha256;  ///< of the body, hexadecimal
};

/// The body is read at a pace, hashed and dropped. One loop's thread. Destroying it leaves, as a
/// client does.
class InsideExchange final : public http::Exchange, public net::Disposable {
 public:
  /// `done` runs once, on the loop and not from inside a call; it may have this disposed later.
  /// `pace` outlives it.
  InsideExchange(net::EventLoop& loop, http::RequestHead request, Pace& pace,
                 std::function<void(InsideAnswer)> done);
  ~InsideExchange() override;
  InsideExchange(const InsideExchange&) = delete;
  InsideExchange& operator=(const InsideExchange&) = delete;

  const http::RequestHead& request() const override { return request_; }
  void SetScheme(std::string_view scheme) override { request_.scheme = scheme; }
  bool has_body() const override { return false; }
  http::Version version() const override { return http::Version::kHttp11; }
  const net::Stream& stream() const override { return *stream_; }
  uint64_t id() const override { return id_; }
  MonoTime started() const override { return started_; }
  void SetHandler(std::unique_ptr<http::ExchangeHandler> handler) override;
  void ConsumedBody(size_t) override {}
  void SendInterim(int, const http::Fields&) override {}
  void WantBody() override {}
  void Respond(int status, std::span<const http::FieldLine> prepared,
               std::span<const http::FieldLine> extra,
               std::unique_ptr<http::BodySource> body) override;
  void SwitchProtocol(std::span<const http::FieldLine> lines,
                      std::unique_ptr<http::BodySource> body) override;
  void Resume() override { PullSoon(); }
  void Abort() override;

 private:
  void PullSoon();
  void Pull();
  void End(bool complete);

  net::EventLoop& loop_;
  http::RequestHead request_;
  Pace& pace_;
  std::function<void(InsideAnswer)> done_;
  const std::unique_ptr<net::Stream> stream_;
  const uint64_t id_;
  const MonoTime started_;
  std::unique_ptr<http::ExchangeHandler> handler_;
  std::unique_ptr<http::BodySource> source_;
  Sha256 hash_;
  InsideAnswer answer_;
  net::Timer pause_;
  bool posted_ = false;
  bool pulling_ = false;
  bool aborted_ = false;
  bool ended_ = false;
  std::shared_ptr<InsideExchange*> self_;  ///< null inside once destroyed, for what was posted
};

}  // namespace nearside::edge
