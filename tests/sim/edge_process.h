#pragma once

// One edge: the product's requests, fills, fetches, policy and follower of the event log
// (edge/worker.h, edge/event_follower.h) on a loop whose time is virtual, over the simulation's
// store and connections. The disk outlives it.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "edge/event_follower.h"
#include "edge/keeper.h"
#include "edge/node.h"
#include "edge/worker.h"
#include "tests/edge/fake_exchange.h"
#include "tests/sim/bug.h"
#include "tests/sim/disk_store.h"
#include "tests/sim/network.h"
#include "tests/sim/schedule.h"

namespace nearside::sim {

/// What a visitor was answered.
struct Answered {
  std::string url;
  uint64_t visit = 0;
  int status = 0;
  std::string body;
  std::string made;  ///< the field kMadeField
  std::string cache_status;
  bool whole = false;
};

class EdgeProcess {
 public:
  struct Parts {
    Schedule& schedule;
    const WallClock& clock;
    Chance& chance;
    Network& network;
    size_t index = 0;
    size_t origins = 1;
    const edge::EdgeSettings& settings;
    Bug bug = Bug::kNone;
    bool without_disk = false;  ///< the product's store in RAM, and nothing outlives the process
    std::function<void(const Answered&)> answered;
    std::function<void(storage::LogPosition)> reports;  ///< about to tell the origin
    std::function<void(bool all_stale)> log_cut;
  };
  explicit EdgeProcess(Parts parts) : parts_(std::move(parts)) {}
  ~EdgeProcess() { Crash(); }

  std::string name() const { return "edge" + std::to_string(parts_.index); }
  bool up() const { return process_ != nullptr; }
  /// Visitors are let in.
  bool serving() const { return up() && process_->serving; }
  void Boot();
  /// At any moment: what was in RAM is gone.
  void Crash();
  void LoseDisk() { disk_ = {}; }
  void Evict();
  /// A visitor of a kind asks; `visit` comes back with the answer.
  void Ask(const std::string& url, uint64_t kind, uint64_t visit);
  /// The process's clients are taken away in the middle.
  void LeaveAll();
  /// Runs `what` on the loop of the process that lives now.
  void Run(std::function<void()> what);
  const Disk& disk() const { return disk_; }
  bool has_disk() const { return !parts_.without_disk; }
  const edge::FollowerState* state() const { return up() ? &process_->follower->state() : nullptr; }

  /// A commit takes up to this long.
  microseconds longest_commit{30'000};

 private:
  class Client;
  struct Visit {
    std::string url;
    uint64_t number = 0;
    std::unique_ptr<edge::FakeExchange> exchange;
  };
  struct Process {
    std::unique_ptr<net::EventLoop> loop;
    std::unique_ptr<edge::Node> node;
    DiskStore* store = nullptr;  ///< the node's; null: it is another kind
    std::unique_ptr<edge::Worker> worker;
    std::unique_ptr<http::Client> fleet_client;
    std::unique_ptr<edge::EventFollower> follower;
    std::unique_ptr<edge::Worker> inside;
    std::unique_ptr<edge::Keeper> keeper;
    std::vector<Visit> visits;
    std::vector<WireRef> wires;
    std::optional<MonoTime> turn_at;
    bool serving = false;
    bool commit_due = false;
  };
  std::unique_ptr<storage::CacheStore> MakeStore();
  void StartFollower();
  std::string Report() const;
  void Wake(MonoTime when);
  void Turn();
  void DueCommit();
  void CollectAnswers();

  Parts parts_;
  Disk disk_;
  std::shared_ptr<Process> process_;  ///< null: it is down
};

}  // namespace nearside::sim
