#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "http/session/exchange.h"
#include "origin/node.h"

namespace nearside::origin {

/// The admin listener's requests: GET /healthz, /metrics and /status. The control loop's thread;
/// reads metadata for /status, which blocks for a moment, and nothing but this listener is served
/// by that loop. Nothing can be changed from here: a POST learns that with the token alone.
class Admin final : public http::Application {
 public:
  /// `tokens`: what POST must carry one of; none refuses every POST.
  Admin(Node& node, std::optional<Tokens> tokens)
      : node_(node), tokens_(std::move(tokens)), started_(WallNow()) {}
  void SetTokens(std::optional<Tokens> tokens) { tokens_ = std::move(tokens); }
  void OnRequest(http::Exchange& exchange) override;

 private:
  Answer Get(std::string_view path) const;
  Answer Post(const http::RequestHead& request) const;
  Answer StatusAnswer() const;

  Node& node_;
  std::optional<Tokens> tokens_;
  const WallTime started_;
};

}  // namespace nearside::origin
