#pragma once

#include <functional>
#include <string>

#include "http/session/exchange.h"
#include "origin/node.h"

namespace nearside::origin {

/// The admin listener's requests: GET /healthz, /metrics and /status. The control loop's thread;
/// reads metadata for /status, which blocks for a moment, and nothing but this listener is served
/// by that loop.
class Admin final : public http::Application {
 public:
  explicit Admin(Node& node) : node_(node), started_(WallNow()) {}
  void OnRequest(http::Exchange& exchange) override;

 private:
  Answer Get(std::string_view path) const;
  Answer StatusAnswer() const;

  Node& node_;
  const WallTime started_;
};

}  // namespace nearside::origin
