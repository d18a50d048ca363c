#include "geodns/geodns_server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include "geodns/admin.h"
#include "geodns/admin_steering.h"
#include "geodns/aliases.h"
#include "geodns/dns_metrics.h"
#include "geodns/file_watch.h"
#include "geodns/handover.h"
#include "geodns/health_checker.h"
#include "geodns/reloader.h"
#include "geodns/steering_state.h"
#include "geodns/worker.h"
#include "geodns/world.h"
#include "geodns/zone_serials.h"
#include "http/session/server.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "net/service_manager.h"
#include "net/worker_group.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/user.h"

namespace nearside::geodns {
namespace {

/// How long a start waits for the first checks of targets that nothing is known of.
constexpr milliseconds kFirstChecksPatience{1500};
constexpr milliseconds kFirstChecksLook{20};
constexpr milliseconds kShareStep{1000};
/// Targets are many and their TTLs short: not a write for each look-up.
constexpr milliseconds kAliasSaves{2000};
/// How often workers are asked which networks want answers of their own.
constexpr milliseconds kAliasAsksLook{50};
/// How long another process may take to read its databases and keys and to come to answer.
constexpr milliseconds kTakeOverPatience{60'000};
constexpr ByteSize kMostStateBytes = 16_MiB;
constexpr size_t kAdminConnections = 1000;

/// One log line for each line of an error: every one names a file and a line.
void LogEach(std::string_view event, std::string_view message) {
  while (!message.empty()) {
    std::string_view line = message.substr(0, message.find('\n'));
    message.remove_prefix(std::min(message.size(), line.size() + 1));
    Log(Level::kError, event, {{"error", line}});
  }
}

/// Another descriptor of the same socket; not open for -1 or when there are no more.
net::Descriptor CopyOf(int socket) {
  return net::Descriptor(socket < 0 ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 0));
}

void WarnOfSerials(const World& before, const World& now) {
  for (const SerialNotRaised& zone : SerialsNotRaised(before.zones, now.zones)) {
    Log(Level::kWarning, "serial_not_raised",
        {{"zone", zone.zone}, {"was", zone.before}, {"is", zone.now}});
  }
}

void WarnOfBlindRules(const World& world) {
  for (const std::string& rule : BlindRules(world)) {
    Log(Level::kWarning, "rule_is_blind", {{"rule", rule}});
  }
}

/// The process: a control loop on the main thread (signals, health checks, admin, reloads) and the
/// workers.
class GeodnsServer {
 public:
  GeodnsServer(std::string config_file, World world, InheritedSockets inherited)
      : world_(std::move(world)),
        started_with_(world_.configuration),
        inherited_(std::move(inherited)),
        config_file_(std::move(config_file)),
        started_(WallNow()),
        zone_queries_(started_with_->threads) {
    world_.zone_counters = zone_queries_.For(world_.zones);
    registry_.CountersFrom("nearside_dns_zone_queries_total",
                           "Queries answered from a zone, by the zone their name lies in.",
                           [this] { return zone_queries_.Samples(); });
  }
  ~GeodnsServer();
  Status Start();
  void Run() { control_->Run(); }

 private:
  Status StartChecks();
  void StepShares();
  Moment Now() const { return steering_.MomentOf(checker_->Targets()); }
  Status OpenWorkers();
  Result<net::SocketAddress> OpenEverywhere(const net::SocketAddress& wanted);
  Result<bool> AdoptEverywhere(const net::SocketAddress& wanted);
  Status OpenAdmin();
  Status GiveUpRoot();
  void WarnOfUnreadable() const;
  void OpenTheRest();
  void ServeWhenChecked();
  void Serve();
  void OnHealthChange(size_t target, PopState before);
  void OnAliasChange();
  void StartAliases();
  void TakeAliasAsks();
  void WatchFiles();
  void Publish();
  void HandOut();
  void SaveHealth();
  HealthMemory LoadHealth() const;
  void SaveAliases();
  AliasMemory LoadAliases() const;
  std::vector<PostRoute> PostRoutes();
  void PostReload(const PostAnswer& answer);
  void Reload(Extent extent);
  std::function<Result<World>()> PrepareReading(Extent extent) const;
  Result<ReloadReport> Apply(Result<World>& loaded);
  void HandOver();
  void Retire();
  void Terminate();
  std::string_view WhyNoChange() const;
  void EndWhenDrained(const std::function<void(Worker&, std::function<void()>)>& drain);
  bool KeepsState() const { return !started_with_->state.empty(); }
  std::string HealthFile() const { return started_with_->state + "/health.json"; }
  std::string AliasFile() const { return started_with_->state + "/aliases.json"; }

  World world_;
  /// The settings of the start: what a reload cannot change is in force as it stands here.
  const std::shared_ptr<const Configuration> started_with_;
  const std::string program_ = OwnProgram();
  InheritedSockets inherited_;
  const std::string config_file_;
  const WallTime started_;
  metrics::Registry registry_;
  ZoneQueries zone_queries_;
  DnsMetrics metrics_{registry_};
  std::unique_ptr<net::EventLoop> control_;
  std::unique_ptr<net::WorkerGroup> group_;
  std::vector<std::unique_ptr<AliasAsks>> alias_asks_;  ///< by worker
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<net::Resolver> resolver_;
  std::unique_ptr<HealthChecker> checker_;
  SteeringState steering_{started_with_->state};
  std::optional<net::Timer> share_steps_;
  std::unique_ptr<SimulationDesk> simulation_desk_;
  std::optional<SteeringRoutes> routes_;
  std::unique_ptr<AliasResolver> aliases_;
  std::optional<net::Timer> alias_looks_;
  std::optional<net::Timer> alias_saves_;
  uint64_t aliases_saved_ = 0;  ///< good look-ups by then
  std::unique_ptr<FileWatch> file_watch_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<http::ServerSessions> admin_sessions_;
  std::unique_ptr<net::Listener> admin_listener_;
  std::unique_ptr<net::SignalWatch> signals_;
  std::optional<net::Timer> first_checks_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<net::SocketAddress> bound_;
  /// An address that was taken over with fewer sockets than there are workers.
  struct TakenOver {
    net::SocketAddress address;
    std::vector<std::pair<int, int>> sockets;  ///< UDP and TCP, of the first workers; or -1
  };
  std::vector<TakenOver> unopened_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<Handover> handover_;
  MonoTime wait_until_;
  bool publish_posted_ = false;
  bool alias_posted_ = false;
  bool serving_ = false;
  bool terminating_ = false;
  size_t drained_ = 0;
};

GeodnsServer::~GeodnsServer() {
  reloader_.reset();
  if (group_) group_->Stop();
  workers_.clear();  // their loops stand still
}

Status GeodnsServer::Start() {
  auto control = net::EventLoop::Create();
  if (!control) return tl::unexpected(std::move(control.error()));
  control_ = std::move(*control);
  WarnOfBlindRules(world_);
  if (auto started = StartChecks(); !started) return started;
  steering_.Load();
  steering_.Use(world_.configuration);
  aliases_ = std::make_unique<AliasResolver>(*control_, [this] { OnAliasChange(); });
  aliases_->Remember(LoadAliases());
  alias_looks_.emplace(*control_, [this] { TakeAliasAsks(); });
  StartAliases();
  if (KeepsState()) {
    alias_saves_.emplace(*control_, [this] { SaveAliases(); });
    alias_saves_->Arm(kAliasSaves);
  }
  file_watch_ = std::make_unique<FileWatch>(*control_, [this] { Reload(Extent::kFiles); });
  WatchFiles();
  snapshot_ = MakeSnapshot(world_, Now(), aliases_.get());
  share_steps_.emplace(*control_, [this] { StepShares(); });
  share_steps_->Arm(kShareStep);
  if (auto opened = OpenWorkers(); !opened) return opened;
  reloader_ = std::make_unique<Reloader>(
      *control_, [this](Extent extent) { return PrepareReading(extent); },
      [this](Result<World>& loaded) { return Apply(loaded); });
  if (auto opened = OpenAdmin(); !opened) return opened;
  if (auto given_up = GiveUpRoot(); !given_up) return given_up;
  auto signals = net::SignalWatch::Create(
      *control_, {.on_terminate = [this] { Terminate(); },
                  .on_reload = [this] { Reload(Extent::kSettingsAndFiles); },
                  .on_upgrade = [this] { HandOver(); }});
  if (!signals) return tl::unexpected(std::move(signals.error()));
  signals_ = std::move(*signals);
  wait_until_ = MonoNow() + kFirstChecksPatience;
  first_checks_.emplace(*control_, [this] { ServeWhenChecked(); });
  first_checks_->Arm(milliseconds(0));
  return {};
}

Status GeodnsServer::StartChecks() {
  const Configuration& configuration = *world_.configuration;
  if (KeepsState()) {
    if (auto made = MakeFolders(configuration.state); !made) {
      return configuration.server_where.Refuse("state", made.error());
    }
  }
  auto resolver = net::Resolver::Create(*control_);
  if (!resolver) return tl::unexpected(std::move(resolver.error()));
  resolver_ = std::move(*resolver);
  checker_ = std::make_unique<HealthChecker>(
      *control_, *resolver_, registry_,
      [this](size_t target, PopState before) { OnHealthChange(target, before); });
  return checker_->Start(configuration.checks, LoadHealth());
}

Status GeodnsServer::OpenWorkers() {
  const Configuration& configuration = *world_.configuration;
  auto group = net::WorkerGroup::Create(configuration.threads);
  if (!group) return tl::unexpected(std::move(group.error()));
  group_ = std::move(*group);
  WorkerOptions options{.tcp_connections = configuration.tcp_connections,
                        .tcp_idle_timeout = configuration.tcp_idle_timeout,
                        .tcp_connections_per_client = configuration.tcp_connections_per_client,
                        .rate_networks = configuration.rate_networks,
                        .number = 0,
                        .udp = {.gather = configuration.gather},
                        .signing = configuration.signing};
  for (size_t i = 0; i < configuration.threads; ++i) {
    options.number = i;
    options.alias_asks = alias_asks_.emplace_back(std::make_unique<AliasAsks>()).get();
    workers_.push_back(std::make_unique<Worker>(group_->loop(i), metrics_, *registry_.MakeCells(),
                                                snapshot_, options));
  }
  for (const net::SocketAddress& wanted : configuration.listen) {
    auto bound = OpenEverywhere(wanted);
    if (!bound) return configuration.server_where.Refuse("listen", bound.error());
    bound_.push_back(*bound);
  }
  return {};
}

/// Opens one address in each worker. With port 0 the first finds a port, and the others share it.
Result<net::SocketAddress> GeodnsServer::OpenEverywhere(const net::SocketAddress& wanted) {
  auto adopted = AdoptEverywhere(wanted);
  if (!adopted) return unexpected(adopted.error());
  if (*adopted) return wanted;
  if (wanted.port() != 0) {
    if (auto is_free = UdpSocket::CheckFree(wanted); !is_free) {
      return tl::unexpected(std::move(is_free.error()));
    }
    if (auto is_free = net::Listener::CheckFree(wanted); !is_free) {
      return tl::unexpected(std::move(is_free.error()));
    }
  }
  net::SocketAddress address = wanted;
  for (auto& worker : workers_) {
    auto bound = worker->Open(address);
    if (!bound) return bound;
    address = *bound;
  }
  return address;
}

/// Takes over the sockets of one address, all of them: what is queued in one that nobody reads
/// would be lost. False when there are none.
Result<bool> GeodnsServer::AdoptEverywhere(const net::SocketAddress& wanted) {
  std::vector<std::pair<int, int>> taken;
  for (;;) {
    net::Descriptor udp = inherited_.Take(wanted, SOCK_DGRAM);
    net::Descriptor tcp = inherited_.Take(wanted, SOCK_STREAM);
    if (!udp.is_open() && !tcp.is_open()) break;
    Worker& worker = *workers_[taken.size() % workers_.size()];
    taken.emplace_back(udp.get(), tcp.get());
    if (auto adopted = worker.Adopt(std::move(udp), std::move(tcp)); !adopted) {
      return unexpected(adopted.error());
    }
  }
  const bool any = !taken.empty();
  if (any && taken.size() < workers_.size()) unopened_.push_back({wanted, std::move(taken)});
  return any;
}

/// Sockets for workers that the process before us had not. Only now, since the system at once deals
/// queries out to a socket that is open.
void GeodnsServer::OpenTheRest() {
  for (const auto& [address, sockets] : unopened_) {
    for (size_t i = sockets.size(); i < workers_.size(); ++i) {
      if (workers_[i]->Open(address)) continue;
      // A port that only root may open, or systemd's socket, which does not share its port: then
      // two threads read one socket.
      const auto [udp, tcp] = sockets[i % sockets.size()];
      auto shared = workers_[i]->Adopt(CopyOf(udp), CopyOf(tcp));
      if (!shared) {
        Log(Level::kWarning, "worker_without_socket", {{"error", shared.error().message}});
      }
    }
  }
}

/// Ports are open and threads not yet started.
Status GeodnsServer::GiveUpRoot() {
  const Configuration& configuration = *world_.configuration;
  if (configuration.user.empty()) return {};
  Status done = KeepsState() ? GiveFolderTo(configuration.state, configuration.user) : Status();
  if (done) done = BecomeUser(configuration.user);
  if (!done) return configuration.server_where.Refuse("user", done.error());
  WarnOfUnreadable();
  return {};
}

/// What root has read and the user cannot: better told now than by a reload that is refused.
void GeodnsServer::WarnOfUnreadable() const {
  const Configuration& configuration = *world_.configuration;
  std::vector<std::string> paths = configuration.secret_files;
  paths.push_back(config_file_);
  for (const auto* files : {&world_.zone_files, &world_.map_files}) {
    for (const FileSource& file : *files) paths.push_back(file.path);
  }
  for (const std::string& path : paths) {
    if (access(path.c_str(), R_OK) == 0) continue;
    Log(Level::kWarning, "file_unreadable_for_user",
        {{"path", path},
         {"user", configuration.user},
         {"error", std::string_view(std::strerror(errno))},
         {"effect", "the next reload will be refused until that user may read it"}});
  }
}

Status GeodnsServer::OpenAdmin() {
  const Configuration& configuration = *world_.configuration;
  const net::SocketAddress& address = configuration.admin;
  if (!address.is_set()) return {};
  simulation_desk_ = std::make_unique<SimulationDesk>(*control_);
  routes_.emplace(SteeringRoutes{.state = steering_,
                                 .desk = *simulation_desk_,
                                 .world = [this]() -> const World& { return world_; },
                                 .snapshot = [this] { return snapshot_; },
                                 .moment = [this] { return Now(); },
                                 .refuses = [this] { return WhyNoChange(); },
                                 .publish = [this] { Publish(); }});
  admin_ =
      std::make_unique<Admin>(registry_, started_,
                              Admin::Sources{.world = [this]() -> const World& { return world_; },
                                             .snapshot = [this] { return snapshot_; },
                                             .moment = [this] { return Now(); },
                                             .aliases = aliases_.get(),
                                             .draining = [this] { return terminating_; },
                                             .posts = PostRoutes(),
                                             .gets = routes_->Gets()});
  admin_sessions_ = http::ServerSessions::Create(*control_, *admin_, {});
  auto listener = net::Listener::Open(
      *control_,
      {.address = address,
       .reuse_port = false,
       .max_connections = kAdminConnections,
       .inherited = inherited_.Take(address, SOCK_STREAM).Release()},
      nullptr,
      [this](std::unique_ptr<net::Stream> stream) { admin_sessions_->Adopt(std::move(stream)); });
  if (!listener) return configuration.admin_where.Refuse("address", listener.error());
  admin_listener_ = std::move(*listener);
  return {};
}

/// Clients are not sent to the dead for want of a first look: answers begin when every target is
/// known, and what aliases lead to.
void GeodnsServer::ServeWhenChecked() {
  bool known = aliases_->all_asked();
  for (const TargetHealth& target : checker_->Targets()) known &= target.known;
  if (known || MonoNow() >= wait_until_) return Serve();
  first_checks_->Arm(kFirstChecksLook);
}

void GeodnsServer::Serve() {
  if (terminating_ || serving_) return;
  OpenTheRest();
  if (!inherited_.TellReady()) {
    Log(Level::kError, "take_over_failed",
        {{"error", "the process before this one has ended meanwhile; this one ends as well"}});
    return control_->Stop();
  }
  serving_ = true;
  group_->Start([](size_t) {
    // Sleeps of microseconds end when they should, and not 50 later; best effort.
    prctl(PR_SET_TIMERSLACK, 1000UL);
  });
  std::string addresses;
  for (const net::SocketAddress& address : bound_) {
    addresses += (addresses.empty() ? "" : ",") + address.ToString();
  }
  std::string admin = admin_listener_ ? admin_listener_->address().ToString() : "none";
  Log(Level::kInfo, "ready",
      {{"listen", addresses},
       {"admin", admin},
       {"threads", workers_.size()},
       {"zones", world_.zones.size()},
       {"places", world_.map->place_count()}});
  inherited_ = {};
  net::NotifyServiceManager("READY=1\nMAINPID=" + std::to_string(getpid()));
}

void GeodnsServer::OnHealthChange(size_t target, PopState before) {
  TargetHealth health = checker_->Targets()[target];
  PopState now = health.state();
  Log(now == PopState::kDown ? Level::kWarning : Level::kInfo, "health_changed",
      {{"target", world_.configuration->checks[target].target},
       {"was", PopStateName(before)},
       {"is", PopStateName(now)},
       {"error", health.error}});
  // Targets that change together are published together.
  if (std::exchange(publish_posted_, true)) return;
  control_->Post([this] {
    publish_posted_ = false;
    Publish();
    SaveHealth();
  });
}

void GeodnsServer::StartAliases() {
  const std::vector<AliasResolver::Target> targets = TargetsOf(world_.aliases);
  aliases_->Start(world_.alias_options, targets);
  if (targets.empty() || world_.alias_options.networks == 0) return alias_looks_->Disarm();
  alias_looks_->Arm(kAliasAsksLook);
}

void GeodnsServer::TakeAliasAsks() {
  alias_looks_->Arm(kAliasAsksLook);
  AliasAsk ask;
  for (const auto& asks : alias_asks_) {
    while (asks->Take(&ask)) aliases_->Learn(ask);
  }
}

/// Other addresses for the same names: the tables of steering stay as they are.
void GeodnsServer::OnAliasChange() {
  if (std::exchange(alias_posted_, true)) return;  // several at once are handed out together
  control_->Post([this] {
    alias_posted_ = false;
    auto snapshot = std::make_shared<Snapshot>(*snapshot_);
    snapshot->aliases = AnswersOf(world_.aliases, aliases_.get());
    snapshot_ = std::move(snapshot);
    HandOut();
  });
}

void GeodnsServer::WatchFiles() {
  std::vector<FileSource> files = world_.zone_files;
  files.insert(files.end(), world_.map_files.begin(), world_.map_files.end());
  file_watch_->Watch(std::move(files), world_.configuration->watch_interval);
}

void GeodnsServer::Publish() {
  snapshot_ = MakeSnapshot(world_, Now(), aliases_.get());
  HandOut();
}

void GeodnsServer::HandOut() {
  for (size_t i = 0; i < workers_.size(); ++i) {
    group_->loop(i).Post(
        [worker = workers_[i].get(), snapshot = snapshot_] { worker->SetSnapshot(snapshot); });
  }
}

void GeodnsServer::StepShares() {
  if (terminating_) return;
  share_steps_->Arm(kShareStep);
  if (steering_.StepShares(MonoNow(), checker_->Targets())) Publish();
}

void GeodnsServer::SaveHealth() {
  // A process that took over from us keeps it from then on.
  if (!KeepsState() || terminating_) return;
  constexpr mode_t kMode = 0644;
  auto saved = WriteFileAtomically(HealthFile(), HealthMemoryToText(checker_->Memory()), kMode);
  if (!saved) Log(Level::kError, "state_not_saved", {{"error", saved.error().message}});
}

HealthMemory GeodnsServer::LoadHealth() const {
  if (!KeepsState()) return {};
  auto text = ReadFile(HealthFile(), kMostStateBytes);
  if (!text) {
    if (text.error().reason != "ENOENT") {
      Log(Level::kWarning, "state_not_read", {{"error", text.error().message}});
    }
    return {};
  }
  auto memory = HealthMemoryFromText(*text);
  if (memory) return std::move(*memory);
  Log(Level::kWarning, "state_not_read",
      {{"error", HealthFile() + ": " + memory.error().message + "; starting without it"}});
  return {};
}

void GeodnsServer::SaveAliases() {
  // A process that took over from us keeps them from then on.
  if (terminating_) return;
  alias_saves_->Arm(kAliasSaves);
  if (std::exchange(aliases_saved_, aliases_->good_lookups()) == aliases_->good_lookups()) return;
  constexpr mode_t kMode = 0644;
  auto saved = WriteFileAtomically(AliasFile(), AliasMemoryToText(aliases_->Memory()), kMode);
  if (!saved) Log(Level::kError, "state_not_saved", {{"error", saved.error().message}});
}

AliasMemory GeodnsServer::LoadAliases() const {
  if (!KeepsState()) return {};
  auto text = ReadFile(AliasFile(), kMostStateBytes);
  auto memory = text ? AliasMemoryFromText(*text) : unexpected(text.error());
  if (memory) return std::move(*memory);
  if (memory.error().reason != "ENOENT") {
    Log(Level::kWarning, "state_not_read",
        {{"error", AliasFile() + ": " + memory.error().message + "; starting without it"}});
  }
  return {};
}

/// Zone files or databases were replaced, or SIGHUP came.
void GeodnsServer::Reload(Extent extent) {
  if (!terminating_) reloader_->Request(extent, nullptr);
}

std::function<Result<World>()> GeodnsServer::PrepareReading(Extent extent) const {
  return [extent, before = world_, file = config_file_]() -> Result<World> {
    return extent == Extent::kFiles ? World::ReadAgain(before) : World::Load(file, &before);
  };
}

std::vector<PostRoute> GeodnsServer::PostRoutes() {
  std::vector<PostRoute> routes = routes_->Posts();
  routes.push_back(
      {"/reload", [this](const std::string&, const PostAnswer& answer) { PostReload(answer); }});
  return routes;
}

void GeodnsServer::PostReload(const PostAnswer& answer) {
  if (terminating_) return answer(503, ErrorJson("the server is stopping"));
  reloader_->Request(Extent::kSettingsAndFiles, [answer](const Result<ReloadReport>& report) {
    if (report) return answer(200, report->ToJson());
    answer(422, ErrorJson(report.error().message));
  });
}

Result<ReloadReport> GeodnsServer::Apply(Result<World>& loaded) {
  Status checks;
  if (loaded) checks = checker_->Reload(loaded->configuration->checks);
  if (!loaded || !checks) {
    const Error& error = loaded ? checks.error() : loaded.error();
    LogEach("reload_refused", error.message);
    return unexpected(error);
  }
  WarnOfSerials(world_, *loaded);
  WarnOfBlindRules(*loaded);
  const bool same_map = world_.map == loaded->map;
  world_ = std::move(*loaded);
  steering_.Use(world_.configuration);
  world_.zone_counters = zone_queries_.For(world_.zones);
  StartAliases();
  WatchFiles();
  Publish();
  SaveHealth();
  ReloadReport report{.zones = world_.zones.size(), .places = world_.map->place_count()};
  Log(Level::kInfo, "reloaded",
      {{"zones", report.zones},
       {"places", report.places},
       {"databases", same_map ? "as before" : "read"}});
  // Compared with the start and not with the last reload: a second SIGHUP tells it again.
  settings::WarnOfRestart(started_with_->restart, world_.configuration->restart);
  report.need_restart =
      settings::ChangedKeys(started_with_->restart, world_.configuration->restart);
  return report;
}

/// Starts the program anew beside us, with our sockets, and goes when it answers.
void GeodnsServer::HandOver() {
  if (terminating_ || !serving_) return;
  if (handover_ != nullptr) {
    return Log(Level::kWarning, "take_over_under_way", {{"pid", handover_->pid()}});
  }
  std::vector<int> sockets;
  for (const auto& worker : workers_) {
    for (int descriptor : worker->Descriptors()) sockets.push_back(descriptor);
  }
  if (admin_listener_) sockets.push_back(admin_listener_->descriptor());
  const auto on_failed = [this](const std::string& why) {
    handover_.reset();
    if (terminating_) return;
    Log(Level::kError, "take_over_failed",
        {{"error", "the new process did not come to answer: " + why + "; this one goes on"}});
  };
  auto started = Handover::Start(*control_,
                                 {.program = program_,
                                  .arguments = {"--config", config_file_},
                                  .sockets = std::move(sockets),
                                  .cookie_secret = OwnCookieSecret(),
                                  .patience = kTakeOverPatience},
                                 {.on_ready = [this] { Retire(); }, .on_failed = on_failed});
  if (!started) {
    return Log(Level::kError, "take_over_failed", {{"error", started.error().message}});
  }
  handover_ = std::move(*started);
  Log(Level::kInfo, "taking_over", {{"pid", handover_->pid()}});
}

/// The new process answers. Clients that have come to us by TCP may still send their query here.
void GeodnsServer::Retire() {
  if (std::exchange(terminating_, true)) return;
  Log(Level::kInfo, "handed_over", {{"pid", handover_->pid()}});
  if (admin_listener_) admin_listener_->StopAccepting();
  const milliseconds patience = started_with_->tcp_idle_timeout;
  const milliseconds deadline = world_.configuration->drain_timeout;
  EndWhenDrained([patience, deadline](Worker& worker, std::function<void()> on_drained) {
    worker.Retire(patience, deadline, std::move(on_drained));
  });
}

void GeodnsServer::Terminate() {
  if (std::exchange(terminating_, true)) return control_->Stop();  // asked twice: now
  milliseconds deadline = world_.configuration->drain_timeout;
  net::NotifyServiceManager("STOPPING=1");
  Log(Level::kInfo, "stopping", {{"drain_timeout", FormatDuration(deadline)}});
  if (handover_ != nullptr) handover_->Abandon();
  if (!serving_) return control_->Stop();
  EndWhenDrained([deadline](Worker& worker, std::function<void()> on_drained) {
    worker.Drain(deadline, std::move(on_drained));
  });
}

/// What is changed now the process that comes to answer would not know. "": nothing is in the way.
std::string_view GeodnsServer::WhyNoChange() const {
  if (terminating_) return "the server is stopping";
  if (handover_ != nullptr) return "another process is taking over; ask again in a moment";
  if (!serving_) return "the server is starting; ask again in a moment";
  return "";
}

void GeodnsServer::EndWhenDrained(
    const std::function<void(Worker&, std::function<void()>)>& drain) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    group_->loop(i).Post([this, drain, worker = workers_[i].get()] {
      drain(*worker, [this] {
        control_->Post([this] {
          if (++drained_ == workers_.size()) control_->Stop();
        });
      });
    });
  }
}

}  // namespace

Status CheckGeodns(const std::string& config_file) {
  auto world = World::Load(config_file);
  if (!world) return tl::unexpected(std::move(world.error()));
  for (const std::string& rule : BlindRules(*world)) {
    std::fprintf(stderr, "warning: %s\n", rule.c_str());
  }
  return {};
}

Status RunGeodns(const std::string& config_file) {
  StartLog("geodns", Level::kInfo);
  InheritedSockets inherited = InheritedSockets::FromEnvironment();
  if (inherited.cookie_secret()) InheritCookieSecret(*inherited.cookie_secret());
  auto world = World::Load(config_file);
  if (!world) return tl::unexpected(std::move(world.error()));
  GeodnsServer server(config_file, std::move(*world), std::move(inherited));
  if (auto started = server.Start(); !started) return started;
  server.Run();
  Log(Level::kInfo, "stopped");
  return {};
}

}  // namespace nearside::geodns
