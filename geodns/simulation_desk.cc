#include "geodns/simulation_desk.h"

#include <utility>

namespace nearside::geodns {

SimulationDesk::~SimulationDesk() {
  if (thread_.joinable()) thread_.join();
}

bool SimulationDesk::Ask(World world, std::shared_ptr<const Snapshot> snapshot, Moment moment,
                         SimulationQuestion question, OnDone on_done) {
  if (std::exchange(busy_, true)) return false;
  if (thread_.joinable()) thread_.join();
  auto task = [this, world = std::move(world), snapshot = std::move(snapshot),
               moment = std::move(moment), question = std::move(question),
               on_done = std::move(on_done), alive = std::weak_ptr<bool>(alive_)] {
    auto answer =
        std::make_shared<Result<std::string>>(Simulate(world, *snapshot, moment, question));
    loop_.Post([this, alive, on_done, answer] {
      if (alive.expired()) return;
      busy_ = false;
      on_done(std::move(*answer));
    });
  };
  thread_ = std::thread(std::move(task));
  return true;
}

}  // namespace nearside::geodns
