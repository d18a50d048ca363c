#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "geodns/moment.h"
#include "geodns/snapshot.h"
#include "geodns/world.h"
#include "http/session/exchange.h"
#include "runtime/metrics.h"

namespace nearside::geodns {

/// The answer to a POST, called once on the control loop, at once or later: a status and a JSON
/// object. When the client has gone meanwhile nobody hears it.
using PostAnswer = std::function<void(int status, const std::string& json)>;
/// {"error": message} for a status of 400 and above.
std::string ErrorJson(std::string_view message);

/// What one path does when it is posted to. Token and Host were checked, the body is whole and at
/// most 64 KiB; without one what stands behind the path's question mark is given instead.
struct PostRoute {
  std::string path;  ///< "/reload"
  std::function<void(const std::string& body, PostAnswer answer)> run;
};

/// The admin listener's requests: GET /healthz /metrics /status /explain?name=&client=, and POST
/// to the routes given. Control loop's thread.
class Admin final : public http::Application {
 public:
  struct Sources {
    std::function<const World&()> world;
    std::function<std::shared_ptr<const Snapshot>()> snapshot;
    std::function<Moment()> moment;
    const AliasResolver* aliases = nullptr;  ///< outlives this
    std::function<bool()> draining;
    std::vector<PostRoute> posts;
    std::vector<PostRoute> gets;  ///< for GET, without a token: what is answered later
  };
  Admin(const metrics::Registry& registry, WallTime started, Sources sources);

  void OnRequest(http::Exchange& exchange) override;

 private:
  class PostBody;
  void Get(http::Exchange& exchange);
  void Post(http::Exchange& exchange);
  static void Run(const PostRoute& route, http::Exchange& exchange);
  void Explain(http::Exchange& exchange);

  const metrics::Registry& registry_;
  const WallTime started_;
  const Sources sources_;
};

}  // namespace nearside::geodns
