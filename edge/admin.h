#pragma once

#include <functional>
#include <memory>
#include <string>

#include "edge/event_follower.h"
#include "edge/node.h"
#include "http/session/server.h"
#include "net/event_loop.h"

namespace nearside::edge {

/// The admin listener's requests: GET /healthz /metrics /status /explain?url=, POST /purge and
/// /drain. The control loop's thread.
class Admin final : public http::Application {
 public:
  struct Sources {
    std::function<std::shared_ptr<const Configuration>()> configuration;
    std::function<const FollowerState*()> follower;  ///< null: the edge stands alone
    std::function<std::string()> kept;               ///< Keeper::StatesJson
    std::function<void(const std::string& site)> purged;
    std::function<http::SessionCounters()>
        sessions;  ///< sum over the workers, a second old at most
  };
  /// `token`: what POST must carry; "" refuses every POST.
  Admin(Node& node, net::EventLoop& loop, std::string token, Sources sources);

  void OnRequest(http::Exchange& exchange) override;

 private:
  class PostBody;
  /// Null inside once the exchange has ended.
  using Client = std::shared_ptr<http::Exchange*>;
  void Get(http::Exchange& exchange);
  void Post(http::Exchange& exchange);
  void OnPost(const Client& client, const std::string& body);
  void Purge(const Client& client, const std::string& body);
  void Drain(http::Exchange& exchange, const std::string& body);
  std::string StatusJson() const;

  Node& node_;
  net::EventLoop& loop_;
  const std::string token_;
  const Sources sources_;
  const WallTime started_;
};

}  // namespace nearside::edge
