#pragma once

#include <string>
#include <utility>
#include <vector>

#include "geodns/moment.h"
#include "geodns/snapshot.h"
#include "geodns/world.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// What would change: "who goes where when frankfurt is away?"
struct SimulationQuestion {
  std::string name;                  ///< steered; may be "" when only one rule is there
  std::vector<std::string> without;  ///< points of presence that are away
  /// Points by name with a load that they tell: above their most_load they keep a smaller share.
  std::vector<std::pair<std::string, double>> loads;
};

/// Clients asked for of each address family.
inline constexpr size_t kSimulatedClients = 100'000;

/// Asks for clients all over the networks that the databases know, evenly by addresses (IPv6: by
/// /48 networks), each known to its /24 or /56: whom they get now and whom they would get. A JSON
/// object with the shares of each point of presence, continent and country. The same question gives
/// the same answer. Takes a few tenths of a second, so not on a loop's thread. Errors: kClient
/// no_such_name, no_such_pop, no_limit (a load for a point without most_load), no_places (no
/// database), with what to write instead.
Result<std::string> Simulate(const World& world, const Snapshot& snapshot, const Moment& moment,
                             const SimulationQuestion& question);

}  // namespace nearside::geodns
