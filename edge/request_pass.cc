// A request that is passed on: what is for its client alone, and WebSockets.

#include "edge/origin_request.h"
#include "edge/request.h"
#include "edge/tunnel.h"
#include "edge/upload.h"
#include "edge/worker.h"
#include "http/websocket.h"

namespace nearside::edge {
namespace {

/// How far a response that is only passed on may run ahead of its client.
constexpr uint64_t kPassWindow = 256 << 10;

}  // namespace

void Request::Pass(Reason reason) {
  reason_ = reason;
  passing_ = true;
  collapsed_ = false;
  auto fill = std::make_shared<Fill>(key_, kPassWindow, worker_.node().store->purge_sequence());
  FetchOrder order = MakeOrder(fill, OriginMode::kPass, false);
  if (exchange_.has_body()) {
    upload_ = std::make_shared<Upload>(exchange_);
    order.body = upload_->MakeSource(upload_);
    if (const auto length = exchange_.request().fields.Get("content-length")) {
      uint64_t bytes = 0;
      for (const char c : *length) bytes = bytes * 10 + static_cast<uint64_t>(c - '0');
      order.body_bytes = bytes;
    }
    exchange_.WantBody();
  }
  fetch_ = OriginFetch::Start(worker_, std::move(order));
  Await(std::move(fill));
}

void Request::AskToSwitch() {
  Node& node = worker_.node();
  const LimitSettings& limits = configuration().settings.limits;
  const http::RequestHead& head = exchange_.request();
  const bool by_upgrade = exchange_.version() == http::Version::kHttp11;
  if (by_upgrade && !http::IsWebSocketKey(head.fields.Joined("sec-websocket-key"))) {
    return Fail(Reason::kBadRequest,
                "The request asks for WebSocket without a valid Sec-WebSocket-Key.");
  }
  if (node.tunnels.load() >= limits.tunnels) {
    return Fail(Reason::kTooManyTunnels,
                "This edge has as many WebSockets open as it may have. Try again later.");
  }
  reason_ = Reason::kWebSocket;
  passing_ = true;
  tunnel_ = std::make_shared<Tunnel>(Tunnel::Parts{.loop = worker_.loop(),
                                                   .open = node.tunnels,
                                                   .exchange = exchange_,
                                                   .idle_timeout = limits.tunnel_idle_timeout,
                                                   .count = CountOf(reason_),
                                                   .opened =
                                                       [self = Self()](http::Fields fields) {
                                                         if (*self != nullptr)
                                                           (*self)->OnSwitched(std::move(fields));
                                                       },
                                                   .fell_silent =
                                                       [self = Self()] {
                                                         if (*self != nullptr) (*self)->OnSilence();
                                                       }});
  upload_ = std::make_shared<Upload>(exchange_);
  if (!by_upgrade && !exchange_.has_body()) upload_->End();
  auto fill = std::make_shared<Fill>(key_, kPassWindow, node.store->purge_sequence());
  FetchOrder order = MakeOrder(fill, OriginMode::kPass, false);
  AskForWebSocket(&order.origin_request);
  order.body = upload_->MakeSource(upload_);
  order.tunnel = tunnel_;
  fetch_ = OriginFetch::Start(worker_, std::move(order));
  Await(std::move(fill));
}

/// The origin has agreed: so do we.
void Request::OnSwitched(http::Fields fields) {
  const bool by_upgrade = exchange_.version() == http::Version::kHttp11;
  if (!by_upgrade) fields.Remove("sec-websocket-accept");  // RFC 8441 §5: its client has no key
  std::string cache_status;
  AppendStatusLine(worker_.node().name, {.reason = reason_, .origin_status = 101}, &cache_status);
  fields.Add("via", "1.1 " + worker_.node().name);
  fields.Add("cache-status", cache_status);
  status_ = by_upgrade ? 101 : 200;
  responded_ = true;
  worker_.CountRequest(reason_);
  exchange_.SwitchProtocol(fields.lines(), tunnel_->MakeSource(tunnel_));
}

void Request::OnSilence() {
  worker_.cells().Add(worker_.node().metrics.idle_tunnels);
  OnBodyEnd({});
}

/// RFC 8441 §5: to a CONNECT every 2xx is an agreement, and this one is none.
bool Request::IsNoAgreement(int status) const {
  return tunnel_ && exchange_.version() == http::Version::kHttp2 && status >= 200 && status < 300;
}

void Request::OnBody(std::span<const uint8_t> bytes) {
  if (!upload_) return exchange_.ConsumedBody(bytes.size());
  if (tunnel_) tunnel_->Touch();
  upload_->Push(bytes);
  if (fetch_ && *fetch_ != nullptr) (*fetch_)->ResumeRequestBody();
}

void Request::OnBodyEnd(const http::Fields& trailers) {
  if (!upload_) return;
  upload_->End(OriginTrailers(trailers));
  if (fetch_ && *fetch_ != nullptr) (*fetch_)->ResumeRequestBody();
}

}  // namespace nearside::edge
