#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "edge/access_log.h"
#include "edge/node.h"
#include "edge/origin_fetch.h"
#include "edge/resource.h"
#include "http/session/client.h"
#include "http/session/server.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "net/tls.h"

namespace nearside::edge {

/// One event loop's share of the edge: its listeners, client sessions, origin connections and
/// fetches. Everything but Open is for the loop's thread.
class Worker final : public http::Application {
 public:
  Worker(Node& node, net::EventLoop& loop, std::shared_ptr<const Configuration> configuration);
  ~Worker() override;

  /// Binds every listener of the configuration; before the loop runs. Errors: kOperator, naming the
  /// setting.
  Status Open(const std::vector<net::Certificate>& certificates,
              const net::TicketKeys& ticket_keys);
  /// In place of Open, on a loop that is none of the workers': it takes OnRequest of the edge's own
  /// requests alone, which no counter of clients' requests and no access log has.
  Status OpenInside();
  bool is_inside() const { return inside_; }

  void OnRequest(http::Exchange& exchange) override;
  bool TakesWebSocket() const override { return true; }

  /// New connections and requests use these from now on. The certificates have been checked.
  void Reload(std::shared_ptr<const Configuration> configuration,
              std::shared_ptr<net::TlsServer> tls);
  /// Stops accepting, lets exchanges under way finish, calls `done` when all are gone.
  void Drain(milliseconds deadline, std::function<void()> done);
  const http::SessionCounters& session_counters() const { return sessions_->counters(); }
  /// Connections refused for their PROXY header, by net::ProxyRefusal, of all listeners.
  std::array<uint64_t, net::kProxyRefusals> proxy_refusals() const;

  Node& node() { return node_; }
  net::EventLoop& loop() { return loop_; }
  metrics::Cells& cells() { return *cells_; }
  AccessBuffer& access_log() { return access_log_; }
  void CountRequest(Reason reason) {
    if (!inside_) cells_->Add(node_.metrics.requests[static_cast<size_t>(reason)]);
  }
  const std::shared_ptr<const Configuration>& configuration() const { return *configuration_; }
  /// The same, to be held by requests of this worker: of one count for all workers the cache line
  /// would go from core to core with each request.
  const ConfigurationRef& held_configuration() const { return configuration_; }
  /// What requests under configuration() have named.
  KnownResources& known_resources() { return known_resources_; }
  /// Memory for the fields of an answer: an empty list, to be given back when the answer is told.
  std::unique_ptr<http::Fields> TakeFields() {
    return spare_fields_ ? std::move(spare_fields_) : std::make_unique<http::Fields>();
  }
  void GiveFields(std::unique_ptr<http::Fields> fields) {
    fields->Clear();
    spare_fields_ = std::move(fields);
  }
  /// Memory for one text at a time.
  std::string& status_text() { return status_text_; }
  /// The connections to a site's origins, made when first wanted.
  std::shared_ptr<http::Client> ClientOf(const Site& site);
  /// Random numbers to choose an origin by.
  OriginDraws Draw();

  /// One line a second and site, however many requests fail: an outage is told, not repeated.
  void LogOriginFailure(const Site& site, std::string_view url, const Error& error);

  void Own(std::unique_ptr<OriginFetch> fetch);
  void Disown(OriginFetch* fetch);

 private:
  static http::SessionLimits LimitsOf(const LimitSettings& settings);
  Status OpenSessions();
  Status OpenListener(const ListenSettings& settings, std::shared_ptr<net::TlsServer> tls);

  Node& node_;
  net::EventLoop& loop_;
  bool inside_ = false;
  ConfigurationRef configuration_;
  metrics::Cells* cells_;
  AccessBuffer access_log_;
  std::unique_ptr<net::Resolver> resolver_;
  /// By site and configuration: what is asked under the one before keeps its timeouts.
  std::map<std::shared_ptr<OriginSet>, std::shared_ptr<http::Client>> clients_;
  uint64_t draws_;  ///< state of a generator
  KnownResources known_resources_;
  std::unique_ptr<http::Fields> spare_fields_;  ///< null while an answer has it
  std::string status_text_;
  std::unique_ptr<http::ServerSessions> sessions_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<net::Listener*> tls_listeners_;
  std::unordered_map<OriginFetch*, std::unique_ptr<OriginFetch>> fetches_;
  struct FailureLog {
    MonoTime written;
    uint64_t unwritten = 0;  ///< failures since
  };
  std::unordered_map<std::string, FailureLog> failure_logs_;  ///< by site
};

/// ALPN of public TLS listeners, in order of preference.
std::vector<std::string> PublicAlpn();

}  // namespace nearside::edge
