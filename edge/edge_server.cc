#include "edge/edge_server.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "edge/admin.h"
#include "edge/event_follower.h"
#include "edge/keeper.h"
#include "edge/node.h"
#include "edge/origin_checks.h"
#include "edge/worker.h"
#include "net/service_manager.h"
#include "net/tls_cipher_module.h"
#include "net/worker_group.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace nearside::edge {
namespace {

constexpr milliseconds kTick{1000};
/// How often it is noted, for the process after this one, that the log is applied whole.
constexpr seconds kNoteWhole{10};
/// What fills may hold in any case.
constexpr uint64_t kLeastFillBytes = 64 << 20;
/// How long a start waits for the event log before it serves what it has.
constexpr milliseconds kCatchUpPatience{3000};

/// Everything that a configuration file names, read and checked.
struct Loaded {
  std::shared_ptr<const Configuration> configuration;
  std::vector<net::Certificate> certificates;
  std::string admin_token;
  std::string fleet_token;
};

/// The first line of a token file; "" for no file.
Result<std::string> ReadToken(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = ReadFile(path, 4_KiB);
  if (!text) return text;
  text->resize(std::min(text->find_first_of("\r\n"), text->size()));
  if (text->size() < 16) {
    return Fail(Fault::kOperator, "bad_token",
                path + ": expected a token of 16 characters or more");
  }
  return text;
}

Status CheckAuthorities(const EdgeSettings& settings) {
  for (const SiteSettings& site : settings.sites) {
    if (site.origin_ca.empty()) continue;
    if (auto made = net::TlsClient::Create(site.origin_ca, {"http/1.1"}); !made) {
      return site.where.Refuse("origin_ca", made.error());
    }
  }
  if (!settings.fleet.ca.empty()) {
    if (auto made = net::TlsClient::Create(settings.fleet.ca, {"http/1.1"}); !made) {
      return settings.fleet.where.Refuse("ca", made.error());
    }
  }
  return {};
}

Result<std::vector<ErrorPages>> ReadErrorPages(const EdgeSettings& settings) {
  std::vector<ErrorPages> pages;
  for (const SiteSettings& site : settings.sites) {
    auto read = ErrorPages::Read(site.error_pages);
    if (!read) return site.where.Refuse("error_pages", read.error());
    pages.push_back(std::move(*read));
  }
  return pages;
}

/// `before` (may be null): the configuration that this one is to take the place of.
Result<Loaded> Load(const std::string& path, const Configuration* before) {
  auto settings = ReadEdgeSettings(path);
  if (!settings) return tl::unexpected<Error>(settings.error());
  Loaded loaded;
  for (const CertificateSettings& row : settings->certificates) {
    auto certificate = net::LoadCertificate(row.chain, row.key);
    if (!certificate) {
      return row.where.Refuse(certificate.error().reason == "bad_key" ? "key" : "chain",
                              certificate.error());
    }
    loaded.certificates.push_back(std::move(*certificate));
  }
  auto admin_token = ReadToken(settings->admin.token_file);
  if (!admin_token) return settings->admin.where.Refuse("token_file", admin_token.error());
  loaded.admin_token = std::move(*admin_token);
  auto fleet_token = ReadToken(settings->fleet.token_file);
  if (!fleet_token) return settings->fleet.where.Refuse("token_file", fleet_token.error());
  loaded.fleet_token = std::move(*fleet_token);
  if (auto ok = CheckAuthorities(*settings); !ok) return tl::unexpected<Error>(ok.error());
  if (!settings->cache.path.empty()) {
    if (auto ok = CheckFolder(settings->cache.path); !ok) {
      return settings->cache.where.Refuse("path", ok.error());
    }
  }
  auto pages = ReadErrorPages(*settings);
  if (!pages) return tl::unexpected<Error>(pages.error());
  loaded.configuration =
      std::make_shared<Configuration>(std::move(*settings), before, std::move(*pages));
  return loaded;
}

Result<std::unique_ptr<storage::CacheStore>> OpenStore(const CacheSettings& settings) {
  storage::CacheOptions options;
  options.path = settings.path;
  options.disk = settings.disk;
  options.memory = settings.memory;
  options.largest_object = settings.largest_object;
  options.disk_min_uses = static_cast<unsigned>(settings.disk_min_uses);
  options.reader_threads = static_cast<unsigned>(settings.reader_threads);
  options.read_timeout = settings.read_timeout;
  return storage::CacheStore::Open(
      options, [](const storage::Head& head) { return DecodeStored(head.meta); });
}

std::vector<FileStamp> StampsOf(const std::vector<CertificateSettings>& rows) {
  std::vector<FileStamp> stamps;
  for (const CertificateSettings& row : rows) {
    for (const std::string& file : {row.chain, row.key}) stamps.push_back(StampOf(file));
  }
  return stamps;
}

/// CPU time of the process so far.
std::chrono::microseconds CpuTime() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

/// The process: a control loop (signals, admin, event log, certificates) on the main thread, and
/// the workers.
class EdgeServer {
 public:
  EdgeServer(std::string config, Loaded loaded)
      : config_(std::move(config)), loaded_(std::move(loaded)) {}
  ~EdgeServer();
  Status Start();
  void Run() { control_->Run(); }

 private:
  Status OpenWorkers();
  Status OpenAdmin();
  Status StartFollower();
  Status StartKeeper(const EventFollower::Options& fleet);
  std::string WholeFile() const;
  std::optional<WallTime> WholeNoted() const;
  void NoteWhole();
  void Serve();
  void Reload();
  void UseCertificates(std::vector<net::Certificate> certificates);
  void Terminate();
  void Tick();
  void MeasureLoad();
  void WatchCertificates();
  void CollectCounters();
  std::string Report() const;
  void ToKeys(PurgeOrder* order) const;
  http::SessionCounters SumOfSessions() const;
  void DeclareSessionMetrics();

  const std::string config_;
  Loaded loaded_;
  const settings::RestartValues started_with_ = loaded_.configuration->settings.restart_values;
  std::unique_ptr<net::EventLoop> control_;
  std::unique_ptr<net::WorkerGroup> group_;  // its loops outlive the store, which posts to them
  std::unique_ptr<Node> node_;
  std::vector<std::unique_ptr<Worker>> workers_;
  struct Collected {
    http::SessionCounters sessions;
    std::array<uint64_t, net::kProxyRefusals> proxy_refusals{};
  };
  std::vector<Collected> collected_;  ///< of each worker, a second old at most
  std::unique_ptr<net::Resolver> resolver_;
  std::unique_ptr<OriginChecks> origin_checks_;
  std::unique_ptr<http::Client> fleet_client_;
  std::unique_ptr<EventFollower> follower_;
  std::unique_ptr<Worker> inside_;  ///< answers the keeper, on the control loop
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<http::ServerSessions> admin_sessions_;
  std::unique_ptr<net::Listener> admin_listener_;
  std::unique_ptr<net::SignalWatch> signals_;
  std::optional<net::Timer> tick_;
  MonoTime note_whole_at_;
  const net::TicketKeys ticket_keys_ = net::TicketKeys::Random();
  std::vector<FileStamp> certificate_stamps_;
  std::chrono::microseconds cpu_time_{};
  MonoTime cpu_measured_;
  size_t drained_ = 0;
  bool serving_ = false;
  bool terminating_ = false;
};

EdgeServer::~EdgeServer() {
  if (group_) group_->Stop();
  workers_.clear();  // their loops stand still
  keeper_.reset();
  inside_.reset();
}

Status EdgeServer::Start() {
  auto control = net::EventLoop::Create();
  if (!control) return tl::unexpected<Error>(control.error());
  control_ = std::move(*control);
  const EdgeSettings& settings = loaded_.configuration->settings;
  auto log = LineLog::Open(settings.node.access_log);
  if (!log) return settings.node.where.Refuse("access_log", log.error());
  auto store = OpenStore(settings.cache);
  if (!store) {
    const bool is_size = store.error().reason == "disk_too_small";
    return settings.cache.where.Refuse(is_size ? "disk" : "path", store.error());
  }
  node_ = std::make_unique<Node>(settings.node.name, std::move(*store), std::move(*log));
  node_->fills.SetLimit(std::max(settings.cache.memory.bytes / 4, kLeastFillBytes));
  DeclareSessionMetrics();
  DeclareOriginMetrics(node_->registry, [this] { return loaded_.configuration; });
  if (auto opened = OpenWorkers(); !opened) return opened;
  if (auto opened = OpenAdmin(); !opened) return opened;
  auto resolver = net::Resolver::Create(*control_);
  if (!resolver) return tl::unexpected<Error>(resolver.error());
  resolver_ = std::move(*resolver);
  origin_checks_ = std::make_unique<OriginChecks>(*control_, *resolver_);
  origin_checks_->Use(*loaded_.configuration);
  auto signals = net::SignalWatch::Create(
      *control_, {.on_terminate = [this] { Terminate(); }, .on_reload = [this] { Reload(); }});
  if (!signals) return tl::unexpected<Error>(signals.error());
  signals_ = std::move(*signals);
  certificate_stamps_ = StampsOf(settings.certificates);
  cpu_time_ = CpuTime();
  cpu_measured_ = MonoNow();
  tick_.emplace(*control_, [this] { Tick(); });
  tick_->Arm(kTick);
  if (settings.fleet.events.empty()) {
    Serve();
    return {};
  }
  return StartFollower();
}

Status EdgeServer::OpenWorkers() {
  size_t count = static_cast<size_t>(loaded_.configuration->settings.node.workers);
  if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
  // Workers share their ports (SO_REUSEPORT), which would let a second edge share them unnoticed.
  for (const ListenSettings& listen : loaded_.configuration->settings.listen) {
    const auto address = net::SocketAddress::Parse(listen.address);
    if (address->port() == 0) continue;
    if (auto free = net::Listener::CheckFree(*address); !free) {
      return listen.where.Refuse("address", free.error());
    }
  }
  auto group = net::WorkerGroup::Create(count);
  if (!group) return tl::unexpected<Error>(group.error());
  group_ = std::move(*group);
  collected_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(*node_, group_->loop(i), loaded_.configuration));
    if (auto opened = workers_.back()->Open(loaded_.certificates, ticket_keys_); !opened) {
      return opened;
    }
  }
  return {};
}

Status EdgeServer::OpenAdmin() {
  const AdminSettings& settings = loaded_.configuration->settings.admin;
  if (settings.address.empty()) return {};
  admin_ = std::make_unique<Admin>(
      *node_, *control_, loaded_.admin_token,
      Admin::Sources{.configuration = [this] { return loaded_.configuration; },
                     .follower = [this]() -> const FollowerState* {
                       return follower_ ? &follower_->state() : nullptr;
                     },
                     .kept =
                         [this] {
                           return keeper_ ? keeper_->StatesJson(follower_->state().applied)
                                          : std::string("[]");
                         },
                     .purged =
                         [this](const std::string& site) {
                           if (keeper_) keeper_->OnPurged(site);
                         },
                     .sessions = [this] { return SumOfSessions(); }});
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

Status EdgeServer::StartFollower() {
  const FleetSettings& settings = loaded_.configuration->settings.fleet;
  EventFollower::Options options{
      .origins = {},
      .token = loaded_.fleet_token,
      .edge = node_->name,
      .report = [this] { return Report(); },
      .to_keys = [this](PurgeOrder* order) { ToKeys(order); },
      .on_event = [this](storage::LogPosition position,
                         std::string_view data) { keeper_->OnEvent(position, data); },
      .on_log_cut = [this] { keeper_->OnLogCut(); },
      .whole_at = WholeNoted()};
  std::shared_ptr<net::TlsClient> tls;
  for (const std::string& url : settings.events) {
    options.origins.push_back(*http::Endpoint::Parse(url));
    if (!options.origins.back().tls || tls) continue;
    auto made = net::TlsClient::Create(settings.ca, {"http/1.1"});
    if (!made) return settings.where.Refuse("ca", made.error());
    tls = std::move(*made);
  }
  // The log sends a heartbeat every few seconds; three missed ones mean that it is lost.
  http::ClientLimits limits;
  limits.head_timeout = seconds(5);
  limits.read_timeout = seconds(15);
  fleet_client_ = http::Client::Create(*control_, *resolver_, std::move(tls), limits);
  if (Status started = StartKeeper(options); !started) return started;
  follower_ =
      std::make_unique<EventFollower>(*control_, *fleet_client_, *node_->store, std::move(options));
  follower_->Start();
  follower_->WhenCaughtUp(kCatchUpPatience, [this] { Serve(); });
  return {};
}

/// A file whose time of change says when the log was last applied whole; "" without a cache on
/// disk, which a start finds empty.
std::string EdgeServer::WholeFile() const {
  const std::string& path = loaded_.configuration->settings.cache.path;
  return path.empty() ? "" : path + "/log.seen";
}

std::optional<WallTime> EdgeServer::WholeNoted() const {
  struct stat file {};
  const std::string path = WholeFile();
  if (path.empty() || ::stat(path.c_str(), &file) != 0) return std::nullopt;
  return FromUnixMillis(int64_t{file.st_mtim.tv_sec} * 1000 + file.st_mtim.tv_nsec / 1'000'000);
}

void EdgeServer::NoteWhole() {
  const MonoTime now = control_->now();
  if (now < note_whole_at_ || WholeFile().empty()) return;
  note_whole_at_ = now + kNoteWhole;
  // What cannot be noted makes the next start count from its own.
  const int file = ::open(WholeFile().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  (void)::futimens(file, nullptr);
  ::close(file);
}

Status EdgeServer::StartKeeper(const EventFollower::Options& fleet) {
  inside_ = std::make_unique<Worker>(*node_, *control_, loaded_.configuration);
  if (Status opened = inside_->OpenInside(); !opened) return opened;
  keeper_ = std::make_unique<Keeper>(
      *inside_, *fleet_client_,
      Keeper::Options{.origins = fleet.origins,
                      .token = fleet.token,
                      .rate = loaded_.configuration->settings.fleet.keep_rate,
                      .told = [this] {
                        if (follower_) follower_->ReportNow();
                      }});
  keeper_->Use(loaded_.configuration);
  DeclareKeeperMetrics(node_->registry, [this] { return keeper_->States(); });
  return {};
}

void EdgeServer::Serve() {
  if (terminating_ || serving_) return;
  serving_ = true;
  group_->Start([](size_t) {});
  std::string addresses;
  for (const ListenSettings& listen : loaded_.configuration->settings.listen) {
    if (!addresses.empty()) addresses += ",";
    addresses += listen.address;
  }
  net::NotifyServiceManager("READY=1");
  Log(Level::kInfo, "ready",
      {{"name", node_->name}, {"workers", workers_.size()}, {"listen", addresses}});
}

void EdgeServer::Reload() {
  node_->access_log->Reopen();  // whatever becomes of the settings
  auto loaded = Load(config_, loaded_.configuration.get());
  if (!loaded) {
    Log(Level::kError, "reload_refused", {{"error", loaded.error().message}});
    return;
  }
  settings::WarnOfRestart(started_with_, loaded->configuration->settings.restart_values);
  loaded_ = std::move(*loaded);
  certificate_stamps_ = StampsOf(loaded_.configuration->settings.certificates);
  origin_checks_->Use(*loaded_.configuration);
  if (keeper_) {
    inside_->Reload(loaded_.configuration, nullptr);
    keeper_->Use(loaded_.configuration);
  }
  UseCertificates(loaded_.certificates);
  Log(Level::kInfo, "reloaded", {{"sites", loaded_.configuration->sites.sites().size()}});
}

void EdgeServer::UseCertificates(std::vector<net::Certificate> certificates) {
  auto shared = std::make_shared<const std::vector<net::Certificate>>(std::move(certificates));
  for (auto& worker : workers_) {
    worker->loop().Post([this, worker = worker.get(), shared, next = loaded_.configuration] {
      std::shared_ptr<net::TlsServer> tls;
      if (!shared->empty()) {
        auto made = net::TlsServer::Create(*shared, PublicAlpn(), ticket_keys_);
        if (made) {
          tls = std::move(*made);
        } else {
          Log(Level::kError, "certificate_refused", {{"error", made.error().message}});
        }
      }
      worker->Reload(next, std::move(tls));
    });
  }
}

void EdgeServer::WatchCertificates() {
  const auto& rows = loaded_.configuration->settings.certificates;
  auto stamps = StampsOf(rows);
  if (stamps == certificate_stamps_) return;
  certificate_stamps_ = std::move(stamps);
  std::vector<net::Certificate> certificates;
  for (const CertificateSettings& row : rows) {
    auto certificate = net::LoadCertificate(row.chain, row.key);
    if (!certificate) {
      // Written in two steps, or wrong: the old ones stay, and the next change is looked at again.
      Log(Level::kWarning, "certificate_refused", {{"error", certificate.error().message}});
      return;
    }
    certificates.push_back(std::move(*certificate));
  }
  loaded_.certificates = certificates;
  UseCertificates(std::move(certificates));
  Log(Level::kInfo, "certificates_reloaded", {{"count", rows.size()}});
}

void EdgeServer::Terminate() {
  if (terminating_) {  // asked twice: now
    control_->Stop();
    return;
  }
  terminating_ = true;
  node_->draining.store(true);
  const milliseconds deadline = loaded_.configuration->settings.node.drain_timeout;
  net::NotifyServiceManager("STOPPING=1");
  Log(Level::kInfo, "stopping", {{"drain_timeout", FormatDuration(deadline)}});
  if (!serving_) return control_->Stop();
  for (auto& worker : workers_) {
    worker->loop().Post([this, worker = worker.get(), deadline] {
      worker->Drain(deadline, [this] {
        control_->Post([this] {
          if (++drained_ == workers_.size()) control_->Stop();
        });
      });
    });
  }
}

void EdgeServer::Tick() {
  tick_->Arm(kTick);
  MeasureLoad();
  WatchCertificates();
  CollectCounters();
  if (!follower_) return;
  const milliseconds lag = follower_->Lag(control_->now(), control_->wall_now());
  node_->lag_ms.store(lag.count());
  if (lag == milliseconds(0)) NoteWhole();
}

void EdgeServer::MeasureLoad() {
  const auto cpu = CpuTime();
  const MonoTime now = MonoNow();
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(now - cpu_measured_);
  const auto share = elapsed.count() * static_cast<int64_t>(workers_.size());
  if (share > 0) {
    node_->load_permille.store(static_cast<uint32_t>((cpu - cpu_time_).count() * 1000 / share));
  }
  cpu_time_ = cpu;
  cpu_measured_ = now;
}

void EdgeServer::CollectCounters() {
  if (!serving_) return;
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->loop().Post([this, i] {
      const Collected now{.sessions = workers_[i]->session_counters(),
                          .proxy_refusals = workers_[i]->proxy_refusals()};
      control_->Post([this, i, now] { collected_[i] = now; });
    });
  }
}

http::SessionCounters EdgeServer::SumOfSessions() const {
  http::SessionCounters sum;
  for (const Collected& one : collected_) sum += one.sessions;
  return sum;
}

void EdgeServer::DeclareSessionMetrics() {
  using Member = uint64_t http::SessionCounters::*;
  struct Row {
    std::string_view name;
    std::string_view help;
    Member member;
  };
  const std::array<Row, 10> rows = {{
      {"nearside_edge_connections_total", "Client connections taken over.",
       &http::SessionCounters::connections},
      {"nearside_edge_bad_requests_total", "Malformed requests: answered 400, then closed.",
       &http::SessionCounters::bad_requests},
      {"nearside_edge_too_large_total", "Requests over a limit: 413, 414, 431.",
       &http::SessionCounters::too_large},
      {"nearside_edge_timeouts_total", "Client connections closed for slowness.",
       &http::SessionCounters::timeouts},
      {"nearside_edge_slow_reads_total", "Responses cut off: taken slower than least_rate.",
       &http::SessionCounters::slow_reads},
      {"nearside_edge_slow_bodies_total", "Request bodies cut off: sent slower than least_rate.",
       &http::SessionCounters::slow_bodies},
      {"nearside_edge_abuse_closed_total", "HTTP/2 connections closed with ENHANCE_YOUR_CALM.",
       &http::SessionCounters::abuse_closed},
      {"nearside_edge_protocol_errors_total", "HTTP/2 connection errors.",
       &http::SessionCounters::protocol_errors},
      {"nearside_edge_received_bytes_total", "Bytes from clients, after TLS.",
       &http::SessionCounters::bytes_in},
      {"nearside_edge_sent_bytes_total", "Bytes to clients, before TLS.",
       &http::SessionCounters::bytes_out},
  }};
  for (const Row& row : rows) {
    node_->registry.CounterFrom(row.name, row.help, {}, [this, member = row.member] {
      return static_cast<double>(SumOfSessions().*member);
    });
  }
  for (size_t i = 1; i < net::kProxyRefusals; ++i) {
    node_->registry.CounterFrom(
        "nearside_edge_proxy_refused_total",
        "Connections closed for their PROXY header, or because they may send none.",
        {{"reason", std::string(net::ProxyRefusalName(static_cast<net::ProxyRefusal>(i)))}},
        [this, i] {
          uint64_t sum = 0;
          for (const Collected& one : collected_) sum += one.proxy_refusals[i];
          return static_cast<double>(sum);
        });
  }
  if (!loaded_.certificates.empty()) {
    // Asked on the control loop, where they are replaced.
    node_->registry.Gauge(
        "nearside_edge_certificate_expiry_timestamp_seconds",
        "When the first of the certificates in use expires.", {}, [this] {
          return static_cast<double>(ToUnixMillis(net::EarliestExpiry(loaded_.certificates))) /
                 1000;
        });
  }
  node_->registry.Gauge("nearside_edge_connections", "Client connections now.", {},
                        [this] { return static_cast<double>(SumOfSessions().open); });
}

void EdgeServer::ToKeys(PurgeOrder* order) const {
  const Site* site = loaded_.configuration->sites.FindByName(order->site);
  if (site != nullptr) ApplyQueryRule(site->query_rule, order);
}

std::string EdgeServer::Report() const {
  const EdgeMetrics& metrics = node_->metrics;
  uint64_t requests = 0, hits = 0, hit_bytes = 0, miss_bytes = 0;
  for (int i = 0; i < static_cast<int>(Reason::kStored); ++i) {
    const uint64_t count = node_->registry.Sum(metrics.requests[i]);
    const ResultClass result = ClassOf(static_cast<Reason>(i));
    if (result == ResultClass::kNode) continue;
    requests += count;
    if (result == ResultClass::kHit || result == ResultClass::kStale) hits += count;
  }
  for (int i = 0; i < kResultClassCount; ++i) {
    const auto result = static_cast<ResultClass>(i);
    const uint64_t bytes = node_->registry.Sum(metrics.body_bytes[i]);
    (result == ResultClass::kHit || result == ResultClass::kStale ? hit_bytes : miss_bytes) +=
        bytes;
  }
  nlohmann::json report = {
      {"load", node_->load_permille.load() / 1000.0},
      {"address", loaded_.configuration->settings.listen.front().address},
      {"requests", requests},
      {"hits", hits},
      {"hit_bytes", hit_bytes},
      {"miss_bytes", miss_bytes},
      {"draining", node_->draining.load()},
  };
  report["sites"] = nlohmann::json::parse(keeper_->StatesJson(follower_->state().applied));
  return report.dump();
}

}  // namespace

Status CheckEdge(const std::string& config) {
  auto loaded = Load(config, nullptr);
  if (!loaded) return tl::unexpected<Error>(loaded.error());
  return {};
}

Status RunEdge(const std::string& config) {
  StartLog("edge", Level::kInfo);
  auto loaded = Load(config, nullptr);
  if (!loaded) return tl::unexpected<Error>(loaded.error());
  const bool vaes =
      loaded->configuration->settings.node.vaes && net::LoadTlsCiphers(net::TlsCipherFolder());
  Log(Level::kInfo, "tls_ciphers", {{"by", vaes ? "libipsec-mb" : "openssl"}});
  EdgeServer server(config, std::move(*loaded));
  if (auto started = server.Start(); !started) return started;
  server.Run();
  Log(Level::kInfo, "stopped");
  return {};
}

}  // namespace nearside::edge
