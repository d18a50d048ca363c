#include "tests/sim/edge_process.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "edge/stored_response.h"
#include "runtime/fatal.h"
#include "storage/cache_store.h"
#include "tests/edge/messages.h"
#include "tests/sim/shared_state.h"

namespace nearside::sim {
namespace {

/// How long an edge waits for its log before it serves: edge/edge_server.cc.
constexpr milliseconds kCatchUpPatience{3000};
/// A task that was posted runs within this.
constexpr microseconds kLongestTurn{200};

std::string TextOf(http::BodySource* source) {
  std::string text;
  std::span<const uint8_t> piece;
  while (source != nullptr && source->Peek(&piece) == http::BodySource::State::kReady) {
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    source->Consume(piece.size());
  }
  return text;
}

std::unique_ptr<const storage::HeadPayload> Decode(const storage::Head& head) {
  return edge::DecodeStored(head.meta);
}

}  // namespace

/// Calls over the simulation's network.
class EdgeProcess::Client final : public http::Client {
 public:
  Client(EdgeProcess& owner, Patience patience) : owner_(owner), patience_(patience) {}
  std::unique_ptr<http::Call> Start(const http::Endpoint& endpoint, const http::RequestHead& head,
                                    std::unique_ptr<http::BodySource> body, std::optional<uint64_t>,
                                    http::CallHandler* handler) override {
    const std::string text = TextOf(body.get());
    if (head.method == "POST" && head.path().starts_with("/v1/edges/")) {
      const auto json = nlohmann::json::parse(text);
      owner_.parts_.reports({json.at("epoch"), json.at("seq")});
    }
    const size_t origin = static_cast<size_t>(endpoint.host.back() - '0');
    WireRef wire =
        owner_.parts_.network.Ask(owner_.parts_.index, origin, head, text, patience_, handler);
    std::erase_if(owner_.process_->wires,
                  [](const WireRef& old) { return old->handler == nullptr; });
    owner_.process_->wires.push_back(wire);
    return std::make_unique<OneCall>(owner_.parts_.network, std::move(wire));
  }
  size_t idle_connections() const override { return 0; }
  size_t open_connections() const override { return 0; }

 private:
  struct OneCall final : http::Call {
    OneCall(Network& on, WireRef of) : network(on), wire(std::move(of)) {}
    ~OneCall() override {
      if (std::exchange(wire->handler, nullptr) != nullptr) network.Leave(wire);
    }
    void PauseBody() override { network.Pause(wire); }
    void ResumeBody() override { network.Resume(wire); }
    void ResumeRequestBody() override {}
    Network& network;
    WireRef wire;
  };
  EdgeProcess& owner_;
  const Patience patience_;
};

std::unique_ptr<storage::CacheStore> EdgeProcess::MakeStore() {
  if (parts_.without_disk) {
    return *storage::CacheStore::Open({.path = "", .memory = {1 << 20}}, Decode);
  }
  auto store = std::make_unique<DiskStore>(disk_, Decode, parts_.bug, [this] { DueCommit(); });
  process_->store = store.get();
  return store;
}

void EdgeProcess::Boot() {
  process_ = std::make_shared<Process>();
  process_->loop = net::EventLoop::CreateTurned(parts_.schedule.now(), parts_.clock.now());
  process_->node = std::make_unique<edge::Node>(name(), MakeStore(), *LineLog::Open("off"));
  process_->node->draw_seed = parts_.chance.Next() | 1;
  process_->node->make_client = [this](net::EventLoop&, const edge::Site&) {
    return std::make_shared<Client>(*this, Patience{});
  };
  process_->worker =
      std::make_unique<edge::Worker>(*process_->node, *process_->loop,
                                     std::make_shared<const edge::Configuration>(parts_.settings));
  StartFollower();
  Wake(parts_.schedule.now());
}

/// As EdgeServer does.
void EdgeProcess::StartFollower() {
  edge::EventFollower::Options options{
      .origins = {},
      .token = "secret",
      .edge = name(),
      .report = [this] { return Report(); },
      .to_keys = {},
      .on_event = [this](storage::LogPosition position,
                         std::string_view data) { process_->keeper->OnEvent(position, data); },
      .on_log_cut =
          [this] {
            process_->keeper->OnLogCut();
            parts_.log_cut(process_->store == nullptr || process_->store->IsAllStale());
          }};
  const size_t first = parts_.chance.Below(parts_.origins);
  for (size_t i = 0; i < parts_.origins; ++i) {
    const std::string host = "o" + std::to_string((first + i) % parts_.origins);
    options.origins.push_back(*http::Endpoint::Parse("http://" + host + ":80"));
  }
  process_->fleet_client = std::make_unique<Client>(*this, Patience{.head = seconds(5)});
  const auto configuration = process_->worker->configuration();
  process_->inside =
      std::make_unique<edge::Worker>(*process_->node, *process_->loop, configuration);
  process_->keeper = std::make_unique<edge::Keeper>(
      *process_->inside, *process_->fleet_client,
      edge::Keeper::Options{
          .origins = options.origins, .token = options.token, .rate = {0}, .told = [this] {
            process_->follower->ReportNow();
          }});
  process_->keeper->Use(configuration);
  process_->follower = std::make_unique<edge::EventFollower>(
      *process_->loop, *process_->fleet_client, *process_->node->store, std::move(options));
  process_->follower->Start();
  process_->follower->WhenCaughtUp(kCatchUpPatience, [this] { process_->serving = true; });
}

std::string EdgeProcess::Report() const {
  const storage::LogPosition applied = process_->follower->state().applied;
  auto sites = nlohmann::json::parse(process_->keeper->StatesJson(applied));
  for (nlohmann::json& site : sites) {
    if (parts_.bug == Bug::kProvesUnasked && site.contains("state")) site["state"] = "proved";
  }
  return nlohmann::json{{"sites", sites}}.dump();
}

void EdgeProcess::Crash() {
  if (!process_) return;
  for (const WireRef& wire : process_->wires) {
    wire->handler = nullptr;
    wire->held.clear();
    // An origin may never hear of it: then its own sending tells.
    if (!parts_.chance.Permille(300)) parts_.network.Leave(wire);
  }
  Process& process = *process_;
  process.store = nullptr;
  process.follower.reset();
  process.keeper.reset();
  process.visits.clear();
  process.inside.reset();
  process.worker.reset();
  process.fleet_client.reset();
  process.node.reset();
  process.loop.reset();
  process_.reset();
}

void EdgeProcess::Run(std::function<void()> what) {
  if (!process_) return;
  process_->loop->Post(std::move(what));
  Wake(parts_.schedule.now());
}

/// A turn not later than a moment after `when`.
void EdgeProcess::Wake(MonoTime when) {
  const MonoTime at = when + parts_.chance.Between({}, kLongestTurn);
  if (process_->turn_at && *process_->turn_at <= at) return;
  process_->turn_at = at;
  parts_.schedule.At(at, [this, process = std::weak_ptr(process_), at] {
    const auto still = process.lock();
    if (!still || still != process_ || process_->turn_at != at) return;
    Turn();
  });
}

void EdgeProcess::Turn() {
  process_->turn_at.reset();
  const WallTime wall = parts_.clock.now();
  process_->loop->Turn(parts_.schedule.now(), wall);
  if (parts_.bug != Bug::kIgnoresLag) {
    process_->node->lag_ms.store(process_->follower->Lag(parts_.schedule.now(), wall).count());
  }
  CollectAnswers();
  if (const auto next = process_->loop->NextTurn()) Wake(*next);
}

/// The writer's batch: committed after a while, told a moment later.
void EdgeProcess::DueCommit() {
  if (std::exchange(process_->commit_due, true)) return;
  const auto lives = [this, process = std::weak_ptr(process_)] {
    const auto still = process.lock();
    return still && still == process_ && process_->store != nullptr;
  };
  parts_.schedule.After(parts_.chance.Between({}, longest_commit), [this, lives] {
    if (!lives()) return;
    process_->commit_due = false;
    process_->store->Write();
    parts_.schedule.After(parts_.chance.Between({}, microseconds(500)), [this, lives] {
      if (!lives()) return;
      process_->store->TellWritten();
      Wake(parts_.schedule.now());
    });
  });
}

void EdgeProcess::Evict() {
  if (process_->store != nullptr) process_->store->Evict(parts_.chance.Next());
}

void EdgeProcess::Ask(const std::string& url, uint64_t kind, uint64_t visit) {
  Run([this, url, kind, visit] {
    http::RequestHead head = edge::GetFor("https://" + std::string(kHost) + url);
    if (kind != 0) head.fields.Add(kKindField, std::to_string(kind));
    auto exchange = std::make_unique<edge::FakeExchange>(std::move(head), process_->loop.get());
    exchange->pull_at_once = true;
    edge::FakeExchange& asked = *exchange;
    process_->visits.push_back({url, visit, std::move(exchange)});
    process_->worker->OnRequest(asked);
  });
}

void EdgeProcess::LeaveAll() {
  Run([this] { process_->visits.clear(); });
}

void EdgeProcess::CollectAnswers() {
  std::vector<Visit> over;
  for (Visit& visit : process_->visits) {
    const edge::FakeExchange& exchange = *visit.exchange;
    const bool ended =
        exchange.status != 0 && (exchange.state == "end" || exchange.state == "failed");
    if (ended) over.push_back(std::move(visit));
  }
  std::erase_if(process_->visits, [](const Visit& visit) { return !visit.exchange; });
  for (Visit& visit : over) {
    edge::FakeExchange& exchange = *visit.exchange;
    const bool whole = exchange.state == "end";
    exchange.Finish(whole);
    parts_.answered({.url = visit.url,
                     .visit = visit.number,
                     .status = exchange.status,
                     .body = exchange.body,
                     .made = exchange.Field(kMadeField),
                     .cache_status = exchange.Field("cache-status"),
                     .whole = whole});
  }
}

}  // namespace nearside::sim
