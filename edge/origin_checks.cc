#include "edge/origin_checks.h"

#include <algorithm>
#include <string>
#include <utility>

#include "http/session/health_check.h"
#include "net/tls.h"
#include "runtime/daemon.h"
#include "runtime/log.h"
#include "runtime/rise_and_fall.h"

namespace nearside::edge {
namespace {

/// What an origin is asked for by: as a client would, if there is a name that clients use.
std::string AuthorityFor(const Site& site, const http::Endpoint& endpoint) {
  if (!site.settings.origin_host.empty()) return site.settings.origin_host;
  for (const std::string& host : site.settings.hosts) {
    if (host.find('*') == std::string::npos) return host;
  }
  const std::string url = endpoint.ToString();
  return url.substr(url.find("//") + 2);
}

}  // namespace

/// The checks of one origin of one site.
class OriginChecks::Probe {
 public:
  Probe(OriginChecks& checks, const Site& site, size_t origin)
      : checks_(checks),
        site_name_(site.settings.name),
        endpoint_(site.origins[origin]),
        settings_(*site.settings.check),
        counter_(settings_.rise, settings_.fall),
        check_(checks.loop_, checks.resolver_,
               [this](const http::HealthAnswer& answer) { OnAnswer(answer); }) {}

  /// Whether it goes on as the one that `site` wants for that origin.
  bool IsFor(const Site& site, size_t origin) const {
    return site_name_ == site.settings.name && endpoint_ == site.origins[origin] &&
           settings_ == *site.settings.check;
  }
  void Use(const Site& site, size_t origin, std::shared_ptr<http::Client> client) {
    set_ = site.origin_set;
    origin_ = origin;
    check_.Use({.endpoint = endpoint_,
                .authority = AuthorityFor(site, endpoint_),
                .target = settings_.path,
                .user_agent = "nearside-edge/" + std::string(Version()),
                .interval = settings_.interval,
                .timeout = settings_.timeout},
               std::move(client));
  }
  void Begin() { check_.Begin(); }

 private:
  void OnAnswer(const http::HealthAnswer& answer) {
    bool success = false;
    std::string why = answer.error;
    if (answer.head) {
      const int status = answer.head->status;
      success = settings_.status == 0 ? status >= 200 && status < 400 : status == settings_.status;
      why = settings_.path + " answered " + std::to_string(status);
    }
    up_ = counter_.Take(success, up_, std::exchange(known_, true));
    set_->TakeCheck(origin_, up_, why);
    ++checks_.done_;
  }

  OriginChecks& checks_;
  const std::string site_name_;
  const http::Endpoint endpoint_;
  const OriginCheckSettings settings_;
  RiseAndFall counter_;
  bool up_ = true;
  bool known_ = false;
  std::shared_ptr<OriginSet> set_;
  size_t origin_ = 0;
  http::HealthCheck check_;
};

OriginChecks::OriginChecks(net::EventLoop& loop, net::Resolver& resolver)
    : loop_(loop), resolver_(resolver) {}

OriginChecks::~OriginChecks() = default;

std::shared_ptr<http::Client> OriginChecks::ClientFor(const Site& site) {
  std::shared_ptr<net::TlsClient> tls;
  const bool wants_tls = std::any_of(site.origins.begin(), site.origins.end(),
                                     [](const http::Endpoint& origin) { return origin.tls; });
  if (wants_tls) {
    auto made = net::TlsClient::Create(site.settings.origin_ca, {"http/1.1"});
    if (made) {
      tls = std::move(*made);
    } else {  // it could be used a moment ago; the checks will fail and say so
      Log(Level::kError, "origin_ca_unusable",
          {{"site", site.settings.name}, {"error", made.error().ToString()}});
    }
  }
  return http::HealthCheck::MakeClient(loop_, resolver_, std::move(tls));
}

void OriginChecks::Use(const Configuration& configuration) {
  std::vector<std::unique_ptr<Probe>> before = std::exchange(probes_, {});
  for (const auto& site : configuration.sites.sites()) {
    if (!site->settings.check) continue;
    const std::shared_ptr<http::Client> client = ClientFor(*site);
    for (size_t origin = 0; origin < site->origins.size(); ++origin) {
      const auto same = std::find_if(before.begin(), before.end(), [&](const auto& probe) {
        return probe && probe->IsFor(*site, origin);
      });
      std::unique_ptr<Probe>& probe = probes_.emplace_back();
      const bool goes_on = same != before.end();
      probe = goes_on ? std::move(*same) : std::make_unique<Probe>(*this, *site, origin);
      probe->Use(*site, origin, client);
      if (!goes_on) probe->Begin();
    }
  }
}

}  // namespace nearside::edge
