#pragma once

// An origin on a test's loop that answers every request alike, over TLS where it is wanted.

#include <memory>
#include <string>
#include <utility>

#include "http/session/server.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "net/tls.h"

namespace nearside::edge {

/// To be made, changed and ended on the loop.
class LoopOrigin final : public http::Application {
 public:
  LoopOrigin(net::EventLoop& loop, std::shared_ptr<net::TlsServer> tls)
      : tls_(tls != nullptr),
        sessions_(http::ServerSessions::Create(loop, *this, {})),
        listener_(*net::Listener::Open(
            loop, {.address = *net::SocketAddress::Parse("127.0.0.1:0")}, std::move(tls),
            [this](std::unique_ptr<net::Stream> stream) { sessions_->Adopt(std::move(stream)); })) {
  }

  void OnRequest(http::Exchange& exchange) override {
    ++requests;
    asked = exchange.request().authority + exchange.request().target;
    server_name = exchange.stream().server_name();
    exchange.Respond(status, {}, {}, http::TextBody("body"));
  }
  std::string url() const {
    return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") +
           std::to_string(listener_->address().port());
  }

  int status = 200;
  int requests = 0;
  std::string asked;        ///< the last one's authority and target
  std::string server_name;  ///< the last one's, by SNI

 private:
  const bool tls_;
  std::unique_ptr<http::ServerSessions> sessions_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace nearside::edge
