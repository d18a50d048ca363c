#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "geodns/admin.h"
#include "geodns/simulation_desk.h"
#include "geodns/steering_state.h"

namespace nearside::geodns {

/// What operators do about steering, as routes of the admin listener. All of it outlives the
/// routes. Control loop's thread.
struct SteeringRoutes {
  SteeringState& state;
  SimulationDesk& desk;
  std::function<const World&()> world;
  std::function<std::shared_ptr<const Snapshot>()> snapshot;
  std::function<Moment()> moment;
  /// Why what is changed now would be lost; "": it would not.
  std::function<std::string_view()> refuses;
  std::function<void()> publish;  ///< makes what changed count

  /// POST /drain?pop=NAME and /undrain?pop=NAME.
  std::vector<PostRoute> Posts() const;
  /// GET /steer?name=&without=NAME,NAME&load=NAME:VALUE.
  std::vector<PostRoute> Gets() const;
};

}  // namespace nearside::geodns
