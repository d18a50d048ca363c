#include "edge/tunnel.h"

#include <algorithm>
#include <array>
#include <utility>

#include "http/websocket.h"
#include "runtime/crypto.h"

namespace nearside::edge {

namespace {

/// How far an origin may be ahead of its client; one receive may come on top of it.
constexpr size_t kTunnelWindow = 64 << 10;

}  // namespace

class Tunnel::Source final : public http::BodySource {
 public:
  explicit Source(std::shared_ptr<Tunnel> tunnel) : tunnel_(std::move(tunnel)) {}
  State Peek(std::span<const uint8_t>* piece) override {
    *piece = tunnel_->bytes_.Front();
    return piece->empty() ? tunnel_->state_ : State::kReady;
  }
  void Consume(size_t n) override {
    Tunnel& tunnel = *tunnel_;
    tunnel.bytes_.Pop(n);
    tunnel.Touch();
    tunnel.parts_.count.cells->Add(tunnel.parts_.count.bytes, n);
    if (!tunnel.paused_ || tunnel.bytes_.size() > kTunnelWindow / 2) return;
    tunnel.paused_ = false;
    if (tunnel.resume_) tunnel.resume_();
  }

 private:
  std::shared_ptr<Tunnel> tunnel_;
};

Tunnel::Tunnel(Parts parts)
    : parts_(std::move(parts)),
      exchange_(&parts_.exchange),
      timer_(parts_.loop, [this] { OnTimer(); }) {
  ++parts_.open;
}

Tunnel::~Tunnel() { --parts_.open; }

std::unique_ptr<http::BodySource> Tunnel::MakeSource(std::shared_ptr<Tunnel> self) {
  return std::make_unique<Source>(std::move(self));
}

void Tunnel::Detach() {
  exchange_ = nullptr;
  bytes_.Clear();
  timer_.Disarm();
}

void Tunnel::Open(http::Fields fields) {
  if (exchange_ == nullptr) return;
  Touch();
  timer_.Arm(parts_.idle_timeout);
  parts_.opened(std::move(fields));
}

bool Tunnel::Push(std::span<const uint8_t> bytes) {
  if (exchange_ == nullptr || state_ != http::BodySource::State::kWait) return false;
  Touch();
  bytes_.Push(bytes);
  exchange_->Resume();
  paused_ = bytes_.size() >= kTunnelWindow;
  return paused_;
}

void Tunnel::Finish(http::BodySource::State state) {
  if (exchange_ == nullptr || state_ != http::BodySource::State::kWait) return;
  state_ = state;
  exchange_->Resume();
}

void Tunnel::OnTimer() {
  const auto silent = parts_.loop.now() - last_byte_;
  if (silent < parts_.idle_timeout) {
    timer_.Arm(std::chrono::ceil<milliseconds>(parts_.idle_timeout - silent));
    return;
  }
  if (state_ != http::BodySource::State::kWait) return;
  idle_ = true;
  bytes_.Clear();
  End();
  parts_.fell_silent();
}

void AskForWebSocket(http::RequestHead* head) {
  head->protocol = http::kWebSocket;
  if (head->method != "CONNECT") return;
  head->method = "GET";
  std::array<uint8_t, 16> key;
  RandomBytes(key);
  head->fields.Set("sec-websocket-key", Base64Encode(key));
  if (!head->fields.Has("sec-websocket-version")) head->fields.Add("sec-websocket-version", "13");
}

bool AgreesToWebSocket(const http::Fields& answer, const http::RequestHead& request) {
  const auto key = request.fields.Get("sec-websocket-key");
  return key && answer.Joined("sec-websocket-accept") == http::WebSocketAccept(*key);
}

}  // namespace nearside::edge
