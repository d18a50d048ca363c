#pragma once

#include <memory>
#include <string>
#include <vector>

#include "geodns/aliases.h"
#include "geodns/configuration.h"
#include "geodns/file_watch.h"
#include "geodns/geo_map.h"
#include "geodns/moment.h"
#include "geodns/snapshot.h"
#include "geodns/zone.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// The settings and everything they name, read and checked. Immutable; any thread.
struct World {
  std::shared_ptr<const Configuration> configuration;
  std::vector<std::shared_ptr<const Zone>> zones;  ///< as Configuration::zones
  ZoneCounters zone_counters;                      ///< as zones; empty until it is in force
  std::shared_ptr<const GeoMap> map;
  std::vector<AliasPlan> aliases;  ///< by Zone::first_alias() and Zone::Node::alias
  AliasOptions alias_options;

  std::vector<FileSource> zone_files;  ///< with those that they include
  std::vector<FileSource> map_files;

  /// Blocks for as long as reading takes (seconds for a large database). The map of `before` is
  /// taken over when nothing that it was made of has changed. Error: kOperator with file and line.
  static Result<World> Load(const std::string& config_file, const World* before = nullptr);
  /// The same with the settings of `before`: the files that they name are read again.
  static Result<World> ReadAgain(const World& before);

 private:
  static Result<World> Read(std::shared_ptr<const Configuration> settings, const World* before);
};

/// The state of every point of presence, and for one rule of its fallback. What has no check is up;
/// what an operator drained is drained unless it is down.
Health HealthFor(const Configuration& configuration, const Steering& steering,
                 const Moment& moment);

/// Works the rules out for the moment, and aliases for what `resolver` knows of them.
std::shared_ptr<const Snapshot> MakeSnapshot(const World& world, const Moment& moment,
                                             const AliasResolver* resolver = nullptr);

/// Rules that ask where clients are, which no database tells, so that they are not what they look
/// like: "geodns.toml:31: policy = …", one a line.
std::vector<std::string> BlindRules(const World& world);

/// One weight for each point of presence.
std::vector<uint32_t> WeightsOf(const Configuration& configuration);

}  // namespace nearside::geodns
