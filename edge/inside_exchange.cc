#include "edge/inside_exchange.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "net/address.h"
#include "net/stream.h"

namespace nearside::edge {
namespace {

/// So much of a body is read in one turn of the loop.
constexpr uint64_t kTurnBytes = 256 << 10;
constexpr milliseconds kPause{10};
/// Numbers of requests that come by connections count from 1.
constexpr uint64_t kFirstId = uint64_t{1} << 63;

/// The connection that there is none of.
class NoStream final : public net::Stream {
 public:
  explicit NoStream(net::EventLoop& loop) : loop_(loop) {}
  void SetHandler(net::StreamHandler*) override {}
  void WantWrite() override {}
  void PauseReading() override {}
  void ResumeReading() override {}
  void Close(milliseconds) override {}
  void EndSending() override {}
  void Abort() override {}
  size_t unsent_bytes() const override { return 0; }
  const net::StreamCounters& counters() const override { return counters_; }
  net::EventLoop& loop() override { return loop_; }
  const net::SocketAddress& peer() const override { return address_; }
  const net::SocketAddress& local() const override { return address_; }
  std::string_view alpn() const override { return ""; }
  std::string_view server_name() const override { return ""; }
  bool is_tls() const override { return false; }
  bool is_https() const override { return false; }
  bool Covers(std::string_view) const override { return true; }

 private:
  net::EventLoop& loop_;
  const net::SocketAddress address_ = net::SocketAddress::Parse("127.0.0.1:0").value();
  net::StreamCounters counters_;
};

uint64_t NextId() {
  static std::atomic<uint64_t> next{kFirstId};
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

InsideExchange::InsideExchange(net::EventLoop& loop, http::RequestHead request, Pace& pace,
                               std::function<void(InsideAnswer)> done)
    : loop_(loop),
      request_(std::move(request)),
      pace_(pace),
      done_(std::move(done)),
      stream_(std::make_unique<NoStream>(loop)),
      id_(NextId()),
      started_(loop.now()),
      pause_(loop, [this] { Pull(); }),
      self_(std::make_shared<InsideExchange*>(this)) {}

InsideExchange::~InsideExchange() {
  *self_ = nullptr;
  if (handler_ && !ended_) handler_->OnFinished({.complete = false, .reason = "client_gone"});
  source_.reset();
  handler_.reset();
}

void InsideExchange::SetHandler(std::unique_ptr<http::ExchangeHandler> handler) {
  handler_ = std::move(handler);
}

void InsideExchange::Respond(int status, std::span<const http::FieldLine> /*prepared*/,
                             std::span<const http::FieldLine> /*extra*/,
                             std::unique_ptr<http::BodySource> body) {
  answer_.status = status;
  source_ = std::move(body);
  PullSoon();
}

void InsideExchange::SwitchProtocol(std::span<const http::FieldLine> /*lines*/,
                                    std::unique_ptr<http::BodySource> /*body*/) {
  Abort();  // it has not asked for another one
}

void InsideExchange::Abort() {
  aborted_ = true;
  PullSoon();
}

void InsideExchange::PullSoon() {
  if (ended_ || pulling_ || std::exchange(posted_, true)) return;
  loop_.Post([self = self_] {
    if (*self == nullptr) return;
    (*self)->posted_ = false;
    (*self)->Pull();
  });
}

void InsideExchange::Pull() {
  if (ended_ || pulling_) return;
  if (aborted_) return End(false);
  if (answer_.status == 0) return;
  if (!source_ || http::StatusHasNoContent(answer_.status)) return End(true);
  pulling_ = true;
  std::optional<bool> end;
  uint64_t left = kTurnBytes;
  bool again = false;
  while (!end && !again) {
    std::span<const uint8_t> piece;
    switch (source_->Peek(&piece)) {
      case http::BodySource::State::kWait:
        pulling_ = false;
        return;  // until Resume
      case http::BodySource::State::kEnd:
        end = true;
        break;
      case http::BodySource::State::kFailed:
        end = false;
        break;
      case http::BodySource::State::kReady: {
        const uint64_t wanted = std::min<uint64_t>(left, piece.size());
        const uint64_t taken = wanted == 0 ? 0 : pace_.Take(wanted, loop_.now());
        again = taken == 0;
        if (again) break;
        hash_.Update(piece.first(taken));
        answer_.body_bytes += taken;
        left -= taken;
        source_->Consume(taken);
        break;
      }
    }
  }
  pulling_ = false;
  if (end) return End(*end);
  if (left == 0) return PullSoon();
  pause_.Arm(kPause);
}

void InsideExchange::End(bool complete) {
  ended_ = true;
  answer_.complete = complete;
  answer_.sha256 = HexEncode(hash_.Finish());
  source_.reset();
  if (handler_) {
    handler_->OnFinished({.complete = complete,
                          .body_bytes = answer_.body_bytes,
                          .reason = complete ? "" : "body_failed"});
  }
  handler_.reset();
  std::exchange(done_, nullptr)(std::move(answer_));
}

}  // namespace nearside::edge
