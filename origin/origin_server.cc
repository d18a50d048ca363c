#include "origin/origin_server.h"

#include <unistd.h>

#include <filesystem>
#include <optional>

#include "http/session/server.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "net/service_manager.h"
#include "net/worker_group.h"
#include "origin/admin.h"
#include "origin/api_server.h"
#include "origin/collector.h"
#include "origin/job_worker.h"
#include "origin/node.h"
#include "origin/s3_key.h"
#include "origin/settings.h"
#include "origin/tls_front.h"
#include "origin/visitor_listeners.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr milliseconds kDrainStep{20};
constexpr milliseconds kLookAtCertificates{1000};

std::vector<FileStamp> StampsOf(const std::vector<CertificateSettings>& rows) {
  std::vector<FileStamp> stamps;
  for (const CertificateSettings& row : rows) {
    for (const std::string& file : {row.chain, row.key}) stamps.push_back(StampOf(file));
  }
  return stamps;
}

/// What the settings name, read and checked.
struct Loaded {
  OriginSettings settings;
  std::vector<net::Certificate> certificates;
  Tokens tokens;
  std::string s3_key;  ///< "": made at the start
  std::optional<Tokens> admin_tokens;
};

Result<std::vector<net::Certificate>> LoadCertificates(
    const std::vector<CertificateSettings>& rows) {
  std::vector<net::Certificate> certificates;
  for (const CertificateSettings& row : rows) {
    auto certificate = net::LoadCertificate(row.chain, row.key);
    if (!certificate) {
      return row.where.Refuse(certificate.error().reason == "bad_key" ? "key" : "chain",
                              certificate.error());
    }
    certificates.push_back(std::move(*certificate));
  }
  return certificates;
}

/// A database's file, which its engine makes in a folder that it writes too.
Status CheckDatabaseFile(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  if (Status good = CheckFolder(folder.empty() ? "." : folder.string()); !good) return good;
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    return Fail(Fault::kOperator, "bad_file", file.string() + ": is a folder; expected a file");
  }
  if (::access(file.c_str(), F_OK) == 0 && ::access(file.c_str(), R_OK | W_OK) != 0) {
    return Fail(Fault::kOperator, "bad_file",
                file.string() + ": " + std::generic_category().message(errno) +
                    "; expected a file that can be read and written");
  }
  return {};
}

/// Changes nothing: what is missing is made at the start.
Status CheckFolders(const StorageSettings& settings) {
  // Schemes are checked with the settings.
  const auto path_of = [](const std::string& url) { return url.substr(url.find(':') + 1); };
  if (Status good = CheckDatabaseFile(path_of(settings.metadata)); !good) {
    return settings.where.Refuse("metadata", good.error());
  }
  const std::pair<std::string_view, const std::string&> folders[] = {
      {"blobs", settings.blobs}, {"sessions", settings.sessions}, {"queue", settings.queue}};
  for (const auto& [key, url] : folders) {
    if (url.empty()) continue;
    if (Status good = CheckFolder(path_of(url)); !good) {
      return settings.where.Refuse(key, good.error());
    }
  }
  return {};
}

Result<Loaded> Load(const std::string& config) {
  Loaded loaded;
  Result<OriginSettings> settings = ReadOriginSettings(config);
  if (!settings) return unexpected(std::move(settings.error()));
  loaded.settings = std::move(*settings);
  auto certificates = LoadCertificates(loaded.settings.certificates);
  if (!certificates) return unexpected(std::move(certificates.error()));
  loaded.certificates = std::move(*certificates);
  const AuthSettings& auth = loaded.settings.auth;
  Result<Tokens> tokens = Tokens::Load(auth.token_file, "");
  if (!tokens) return auth.where.Refuse("token_file", tokens.error());
  tokens = Tokens::Load(auth.token_file, auth.fleet_token_file);
  if (!tokens) return auth.where.Refuse("fleet_token_file", tokens.error());
  loaded.tokens = std::move(*tokens);
  if (const std::string file = S3KeyFile(auth, loaded.settings.storage);
      !auth.s3_key_file.empty() || ::access(file.c_str(), F_OK) == 0) {
    Result<std::string> key = ReadS3Key(file);
    if (!key) return auth.where.Refuse("s3_key_file", key.error());
    loaded.s3_key = std::move(*key);
  }
  const AdminSettings& admin = loaded.settings.admin;
  if (!admin.token_file.empty()) {
    Result<Tokens> admin_tokens = Tokens::Load(admin.token_file, "");
    if (!admin_tokens) return admin.where.Refuse("token_file", admin_tokens.error());
    loaded.admin_tokens = std::move(*admin_tokens);
  }
  if (Status good = CheckFolders(loaded.settings.storage); !good) {
    return unexpected(std::move(good.error()));
  }
  return loaded;
}

constexpr std::string_view kRoles[] = {"all", "api", "worker"};

/// What of an origin this process is.
struct Role {
  std::string name;
  bool serves = true;
  bool works = true;
};

Role RoleOf(const CommandValues& values) {
  const auto given = values.find("role");
  const std::string name = given == values.end() ? std::string(kRoles[0]) : given->second;
  return {.name = name, .serves = name != "worker", .works = name != "api"};
}

/// The process: a control loop (signals, admin) on the main thread, and the servers on theirs.
class OriginServer {
 public:
  OriginServer(std::string config, Role role, Loaded loaded)
      : config_(std::move(config)), role_(std::move(role)), loaded_(std::move(loaded)) {}
  Status Start();
  void Run() { control_->Run(); }

 private:
  Status OpenServers();
  Status OpenTlsFront();
  Status OpenAdmin();
  void LogReady() const;
  void DeclareMetrics();
  void Reload();
  void UseCertificates(std::vector<net::Certificate> certificates);
  void LookAtCertificates();
  void Terminate();
  void WaitForIdle();

  const std::string config_;
  const Role role_;
  Loaded loaded_;
  std::unique_ptr<net::EventLoop> control_;
  std::unique_ptr<Node> node_;
  // Null where the role does not serve.
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<TlsFront> tls_front_;  // before what it hands connections to
  std::unique_ptr<VisitorListeners> visitors_;
  // Null where it does not work, or there is no queue.
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<JobWorker> worker_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<http::ServerSessions> admin_sessions_;
  std::unique_ptr<net::Listener> admin_listener_;
  std::unique_ptr<net::SignalWatch> signals_;
  std::optional<net::Timer> drain_timer_;
  std::optional<net::Timer> certificate_timer_;
  std::vector<FileStamp> certificate_stamps_;
  WallTime certificates_expire_;  ///< the first of those in use
  MonoTime drain_deadline_;
  bool visitors_drained_ = false;
  bool terminating_ = false;
};

Status OriginServer::Start() {
  auto control = net::EventLoop::Create();
  if (!control) return unexpected(std::move(control.error()));
  control_ = std::move(*control);
  auto node = Node::Open(loaded_.settings, std::move(loaded_.tokens));
  if (!node) return unexpected(std::move(node.error()));
  node_ = std::move(*node);
  if (role_.serves) {
    if (Status opened = OpenServers(); !opened) return opened;
  }
  if (role_.works) {
    collector_ = std::make_unique<Collector>(*node_);
    if (node_->jobs) worker_ = std::make_unique<JobWorker>(*node_);
  }
  DeclareMetrics();
  if (Status opened = OpenAdmin(); !opened) return opened;
  auto signals = net::SignalWatch::Create(
      *control_, {.on_terminate = [this] { Terminate(); }, .on_reload = [this] { Reload(); }});
  if (!signals) return unexpected(std::move(signals.error()));
  signals_ = std::move(*signals);
  drain_timer_.emplace(*control_, [this] { WaitForIdle(); });
  certificate_stamps_ = StampsOf(loaded_.settings.certificates);
  certificate_timer_.emplace(*control_, [this] { LookAtCertificates(); });
  certificate_timer_->Arm(kLookAtCertificates);
  if (api_) api_->Start();
  if (tls_front_) tls_front_->Start();
  if (visitors_) visitors_->Start();
  if (collector_) collector_->Start();
  if (worker_) worker_->Start();
  net::NotifyServiceManager("READY=1");
  LogReady();
  return {};
}

Status OriginServer::OpenServers() {
  std::vector<net::SocketAddress> addresses;
  for (const std::string& text : loaded_.settings.node.api) {
    addresses.push_back(*net::SocketAddress::Parse(text));  // checked with the settings
  }
  auto api = ApiServer::Open(*node_, addresses);
  if (!api) return loaded_.settings.node.where.Refuse("api", api.error());
  api_ = std::move(*api);
  if (Status opened = OpenTlsFront(); !opened) return opened;
  auto visitors = VisitorListeners::Open(*node_, loaded_.certificates);
  if (!visitors) return unexpected(std::move(visitors.error()));
  visitors_ = std::move(*visitors);
  return {};
}

void OriginServer::LogReady() const {
  std::string listening;
  std::string visited;
  if (api_) {
    for (const auto& address : api_->addresses()) {
      listening += (listening.empty() ? "" : ",") + address.ToString();
    }
  }
  if (tls_front_) {
    for (const auto& address : tls_front_->addresses()) listening += ",tls:" + address.ToString();
  }
  if (visitors_) {
    for (const auto& address : visitors_->addresses()) {
      visited += (visited.empty() ? "" : ",") + address.ToString();
    }
  }
  Log(Level::kInfo, "ready",
      {{"name", node_->settings.node.name},
       {"role", role_.name},
       {"api", listening},
       {"listen", visited},
       {"admin", admin_listener_ ? admin_listener_->address().ToString() : ""},
       {"sites", node_->sites.size()}});
}

Status OriginServer::OpenTlsFront() {
  const NodeSettings& settings = loaded_.settings.node;
  if (settings.tls_api.empty()) return {};
  TlsFront::Options options;
  for (const std::string& text : settings.tls_api) {
    options.addresses.push_back(*net::SocketAddress::Parse(text));  // checked with the settings
  }
  options.connections = static_cast<size_t>(loaded_.settings.limits.connections);
  options.handshake_timeout = loaded_.settings.limits.head_timeout;
  auto front = TlsFront::Open(options, loaded_.certificates,
                              [this](net::Descriptor socket, std::string client) {
                                api_->Adopt(std::move(socket), std::move(client));
                              });
  if (!front) return settings.where.Refuse("tls_api", front.error());
  tls_front_ = std::move(*front);
  return {};
}

void OriginServer::DeclareMetrics() {
  if (api_) api_->ExportMetrics(node_->registry);
  if (visitors_) visitors_->ExportMetrics(node_->registry);
  if (collector_) collector_->ExportMetrics(node_->registry);
  if (worker_) worker_->ExportMetrics(node_->registry);
  if (node_->jobs) ExportJobCounts(*node_->jobs, node_->registry);
  if (!loaded_.certificates.empty()) {
    certificates_expire_ = net::EarliestExpiry(loaded_.certificates);
    // Asked on the control loop, where they are replaced.
    node_->registry.Gauge("nearside_origin_certificate_expiry_timestamp_seconds",
                          "When the first of the certificates in use expires.", {}, [this] {
                            return static_cast<double>(ToUnixMillis(certificates_expire_)) / 1000;
                          });
  }
  node_->registry.CounterFrom("nearside_origin_access_log_dropped_total",
                              "Batches of access log lines that could not be written.", {},
                              [this] { return static_cast<double>(node_->access_log.dropped()); });
  node_->registry.Gauge("nearside_origin_sites", "Sites.", {},
                        [this] { return static_cast<double>(node_->sites.size()); });
  node_->registry.Gauge("nearside_origin_log_seq", "The newest event's number.", {}, [this] {
    const auto log = node_->metadata->Log();
    return log ? static_cast<double>(log->last.sequence) : 0.0;
  });
  node_->registry.Gauge("nearside_origin_edges_reachable", "Edges that have reported lately.", {},
                        [this] {
                          const WallTime now = WallNow();
                          double reachable = 0;
                          for (const auto& edge : node_->fleet.Edges()) {
                            if (now - edge.seen_at < kEdgeLost) ++reachable;
                          }
                          return reachable;
                        });
}

Status OriginServer::OpenAdmin() {
  const AdminSettings& settings = loaded_.settings.admin;
  if (settings.address.empty()) return {};
  admin_ = std::make_unique<Admin>(*node_, std::move(loaded_.admin_tokens));
  admin_sessions_ = http::ServerSessions::Create(*control_, *admin_, {});
  auto address = net::SocketAddress::Parse(settings.address);
  if (!address) return settings.where.Refuse("address", address.error());
  auto listener = net::Listener::Open(
      *control_, {.address = *address, .reuse_port = false, .max_connections = 1000}, nullptr,
      [this](std::unique_ptr<net::Stream> stream) { admin_sessions_->Adopt(std::move(stream)); });
  if (!listener) return settings.where.Refuse("address", listener.error());
  admin_listener_ = std::move(*listener);
  return {};
}

void OriginServer::Reload() {
  node_->access_log.Reopen();  // whatever becomes of the settings
  Result<Loaded> loaded = Load(config_);
  if (!loaded) {
    Log(Level::kError, "reload_refused", {{"error", loaded.error().message}});
    return;
  }
  node_->access.SetFiles(std::move(loaded->tokens), std::move(loaded->s3_key));
  if (admin_) admin_->SetTokens(std::move(loaded->admin_tokens));
  loaded_.settings.certificates = loaded->settings.certificates;
  certificate_stamps_ = StampsOf(loaded_.settings.certificates);
  if (!loaded->certificates.empty()) UseCertificates(std::move(loaded->certificates));
  settings::WarnOfRestart(loaded_.settings.restart_values, loaded->settings.restart_values);
  Log(Level::kInfo, "reloaded", {{"certificates", loaded->settings.certificates.size()}});
}

/// Compared with the values of the start: they count until there is another one.
void OriginServer::LookAtCertificates() {
  certificate_timer_->Arm(kLookAtCertificates);
  const std::vector<CertificateSettings>& rows = loaded_.settings.certificates;
  std::vector<FileStamp> stamps = StampsOf(rows);
  if (stamps == certificate_stamps_) return;
  certificate_stamps_ = std::move(stamps);
  Result<std::vector<net::Certificate>> certificates = LoadCertificates(rows);
  if (!certificates) {
    // Written in two steps, or wrong: the old ones stay, and the next change is looked at again.
    Log(Level::kWarning, "certificate_refused", {{"error", certificates.error().message}});
    return;
  }
  UseCertificates(std::move(*certificates));
  Log(Level::kInfo, "certificates_reloaded", {{"count", rows.size()}});
}

void OriginServer::UseCertificates(std::vector<net::Certificate> certificates) {
  certificates_expire_ = net::EarliestExpiry(certificates);
  if (tls_front_) tls_front_->UseCertificates(certificates);
  if (visitors_) visitors_->UseCertificates(std::move(certificates));
}

void OriginServer::Terminate() {
  if (terminating_) return control_->Stop();  // asked twice: now
  terminating_ = true;
  node_->draining.store(true);
  const milliseconds patience = loaded_.settings.node.drain_timeout;
  net::NotifyServiceManager("STOPPING=1");
  Log(Level::kInfo, "stopping", {{"drain_timeout", FormatDuration(patience)}});
  drain_deadline_ = MonoNow() + patience;
  if (tls_front_) tls_front_->Drain();
  if (worker_) worker_->RequestStop();
  if (api_) api_->Drain();
  if (visitors_) {
    visitors_->Drain(patience, [this] { control_->Post([this] { visitors_drained_ = true; }); });
  }
  WaitForIdle();
}

void OriginServer::WaitForIdle() {
  const bool served = (!visitors_ || visitors_drained_) && (!api_ || api_->idle()) &&
                      (!tls_front_ || tls_front_->idle());
  const bool idle = served && (!worker_ || worker_->idle());
  if (idle || MonoNow() >= drain_deadline_) return control_->Stop();
  drain_timer_->Arm(kDrainStep);
}

}  // namespace

Status CheckOrigin(const std::string& config) {
  Result<Loaded> loaded = Load(config);
  return loaded ? Status() : Status(unexpected(std::move(loaded.error())));
}

CommandOption RoleOption() {
  return {.name = "role",
          .value = "ROLE",
          .help = "all, api (no jobs) or worker (jobs alone)",
          .fallback = std::string(kRoles[0]),
          .one_of = {std::begin(kRoles), std::end(kRoles)}};
}

Status RunOrigin(const std::string& config, const CommandValues& values) {
  StartLog("origin", Level::kInfo);
  Result<Loaded> loaded = Load(config);
  if (!loaded) return unexpected(std::move(loaded.error()));
  Role role = RoleOf(values);
  if (!role.serves && loaded->settings.storage.queue.empty()) {
    return loaded->settings.storage.where.Refuse(
        "queue",
        Error{Fault::kOperator, "no_queue", "expected the queue whose jobs are to be done"});
  }
  OriginServer server(config, std::move(role), std::move(*loaded));
  if (Status started = server.Start(); !started) return started;
  server.Run();
  Log(Level::kInfo, "stopped");
  return {};
}

}  // namespace nearside::origin
