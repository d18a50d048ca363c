#include "edge/worker.h"

#include <algorithm>
#include <utility>

#include "edge/request.h"
#include "runtime/crypto.h"
#include "runtime/log.h"

namespace nearside::edge {

namespace {

uint64_t RandomSeed() {
  uint64_t seed = 0;
  RandomBytes({reinterpret_cast<uint8_t*>(&seed), sizeof seed});
  return seed;
}

}  // namespace

std::vector<std::string> PublicAlpn() { return {"h2", "http/1.1"}; }

Worker::Worker(Node& node, net::EventLoop& loop, std::shared_ptr<const Configuration> configuration)
    : node_(node),
      loop_(loop),
      configuration_(ConfigurationRef::Make(std::move(configuration))),
      cells_(node.registry.MakeCells()),
      access_log_(loop, *node.access_log),
      draws_(node.draw_seed != 0 ? node.draw_seed : RandomSeed()),
      known_resources_(RandomSeed()) {}

Worker::~Worker() {
  // Client sessions hold requests that read from fetches; fetches hold calls of the clients.
  listeners_.clear();
  sessions_.reset();
  fetches_.clear();
  loop_.DestroyDisposed();  // fetches that have ended in this very turn
}

Status Worker::Open(const std::vector<net::Certificate>& certificates,
                    const net::TicketKeys& ticket_keys) {
  if (Status opened = OpenSessions(); !opened) return opened;
  const EdgeSettings& settings = configuration()->settings;
  std::shared_ptr<net::TlsServer> tls;
  if (!certificates.empty()) {
    auto made = net::TlsServer::Create(certificates, PublicAlpn(), ticket_keys);
    if (!made) return tl::unexpected<Error>(made.error());
    tls = std::move(*made);
  }
  for (const ListenSettings& listen : settings.listen) {
    if (auto opened = OpenListener(listen, listen.tls ? tls : nullptr); !opened) return opened;
  }
  return {};
}

Status Worker::OpenInside() {
  inside_ = true;
  return OpenSessions();
}

Status Worker::OpenSessions() {
  auto resolver = net::Resolver::Create(loop_);
  if (!resolver) return tl::unexpected<Error>(resolver.error());
  resolver_ = std::move(*resolver);
  sessions_ =
      http::ServerSessions::Create(loop_, *this, LimitsOf(configuration()->settings.limits));
  return {};
}

Status Worker::OpenListener(const ListenSettings& settings, std::shared_ptr<net::TlsServer> tls) {
  auto address = net::SocketAddress::Parse(settings.address);
  if (!address) return settings.where.Refuse("address", address.error());
  const bool is_tls = tls != nullptr;
  auto listener = net::Listener::Open(
      loop_,
      {.address = *address,
       .max_connections = static_cast<size_t>(configuration()->settings.limits.connections),
       .proxy_protocol = settings.proxy_protocol,
       .proxies = configuration()->trusted_proxies},
      std::move(tls),
      [this](std::unique_ptr<net::Stream> stream) { sessions_->Adopt(std::move(stream)); });
  if (!listener) {
    return settings.where.Refuse("address", listener.error());
  }
  if (is_tls) tls_listeners_.push_back(listener->get());
  listeners_.push_back(std::move(*listener));
  return {};
}

void Worker::OnRequest(http::Exchange& exchange) { Request::Serve(*this, exchange); }

void Worker::Reload(std::shared_ptr<const Configuration> configuration,
                    std::shared_ptr<net::TlsServer> tls) {
  configuration_ = ConfigurationRef::Make(std::move(configuration));
  known_resources_.Clear();
  sessions_->SetLimits(LimitsOf((*configuration_)->settings.limits));
  if (tls) {
    for (net::Listener* listener : tls_listeners_) listener->SetTls(tls);
  }
  for (auto& listener : listeners_) listener->SetProxies((*configuration_)->trusted_proxies);
  // Sites may have other authorities or timeouts now; fetches under way keep the client they use.
  clients_.clear();
}

std::array<uint64_t, net::kProxyRefusals> Worker::proxy_refusals() const {
  std::array<uint64_t, net::kProxyRefusals> sum{};
  for (const auto& listener : listeners_) {
    const auto& refused = listener->counters().proxy_refused;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += refused[i];
  }
  return sum;
}

void Worker::Drain(milliseconds deadline, std::function<void()> done) {
  for (auto& listener : listeners_) listener->StopAccepting();
  sessions_->Drain(deadline, std::move(done));
}

std::shared_ptr<http::Client> Worker::ClientOf(const Site& site) {
  auto& client = clients_[site.origin_set];
  if (client) return client;
  if (node_.make_client) return client = node_.make_client(loop_, site);
  std::shared_ptr<net::TlsClient> tls;
  const bool wants_tls = std::any_of(site.origins.begin(), site.origins.end(),
                                     [](const http::Endpoint& origin) { return origin.tls; });
  if (wants_tls) {
    auto made = net::TlsClient::Create(site.settings.origin_ca, {"http/1.1"});
    if (made) {
      tls = std::move(*made);
    } else {  // checked at start; the file may have gone since
      Log(Level::kError, "origin_ca_unusable",
          {{"site", site.settings.name}, {"error", made.error().ToString()}});
    }
  }
  http::ClientLimits limits;
  limits.connect_timeout = site.settings.connect_timeout;
  limits.head_timeout = limits.read_timeout = site.settings.origin_timeout;
  client = http::Client::Create(loop_, *resolver_, std::move(tls), limits);
  return client;
}

// SplitMix64 (Steele, Lea, Flood 2014).
OriginDraws Worker::Draw() {
  draws_ += 0x9e3779b97f4a7c15;
  uint64_t mixed = draws_;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
  mixed ^= mixed >> 31;
  return {static_cast<uint32_t>(mixed), static_cast<uint32_t>(mixed >> 32)};
}

void Worker::LogOriginFailure(const Site& site, std::string_view url, const Error& error) {
  FailureLog& log = failure_logs_[site.settings.name];
  if (loop_.now() - log.written < seconds(1)) {
    ++log.unwritten;
    return;
  }
  Log(Level::kWarning, "origin_failed",
      {{"site", site.settings.name},
       {"url", url},
       {"reason", error.reason},
       {"error", error.message},
       {"more_since_last_line", log.unwritten}});
  log = {.written = loop_.now(), .unwritten = 0};
}

void Worker::Own(std::unique_ptr<OriginFetch> fetch) {
  OriginFetch* key = fetch.get();
  fetches_.emplace(key, std::move(fetch));
}

void Worker::Disown(OriginFetch* fetch) {
  auto found = fetches_.find(fetch);
  if (found == fetches_.end()) return;
  loop_.DisposeLater(std::move(found->second));
  fetches_.erase(found);
}

http::SessionLimits Worker::LimitsOf(const LimitSettings& settings) {
  http::SessionLimits limits;
  limits.request_line = settings.request_line;
  limits.fields = settings.fields;
  limits.field_lines = static_cast<size_t>(settings.field_lines);
  limits.body = settings.body;
  limits.concurrent_streams = static_cast<uint32_t>(settings.streams);
  limits.abuse_budget = static_cast<uint32_t>(settings.abuse_budget);
  limits.abuse_refill = static_cast<uint32_t>(settings.abuse_refill);
  limits.head_timeout = settings.head_timeout;
  limits.idle_timeout = settings.idle_timeout;
  limits.body_timeout = settings.body_timeout;
  limits.send_timeout = settings.send_timeout;
  limits.half_closed_timeout = settings.half_closed_timeout;
  limits.least_rate = settings.least_rate;
  return limits;
}

}  // namespace nearside::edge
