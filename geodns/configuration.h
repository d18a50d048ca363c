#pragma once

// The settings put together: names resolved to numbers, texts to values, all of it checked.

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dns/name.h"
#include "geodns/address.h"
#include "geodns/alias_resolver.h"
#include "geodns/capacity.h"
#include "geodns/check_plan.h"
#include "geodns/place.h"
#include "geodns/protocol.h"
#include "geodns/settings.h"
#include "geodns/signer.h"
#include "geodns/steering.h"
#include "net/address.h"
#include "runtime/result.h"

namespace nearside::geodns {

struct Pop {
  std::string name;
  std::vector<IpAddress> addresses;
  std::optional<Coordinates> location;
  uint32_t weight = 1;
  std::optional<size_t> check;  ///< into Configuration::checks
  CapacityLimit capacity;
};

/// One [[zone.steer]].
struct Steering {
  SteerRule rule;
  /// For A and for AAAA: the points that are asked when those without such an address are passed
  /// over, SteerRule::only of that family; empty: nobody is passed over.
  std::array<Pops, 2> only;
  uint32_t ttl = 0;
  std::vector<IpAddress> fallback;
  std::optional<size_t> fallback_check;
  std::vector<std::vector<uint8_t>> names;  ///< absolute, wire form
  std::string where;                        ///< "geodns.toml:31"
  std::string names_where;                  ///< "geodns.toml:32: zone.steer.names"

  SteerRule RuleFor(size_t family) const;
};

struct ZonePlan {
  dns::Name name;
  std::string file;
  bool dnssec = false;
  std::vector<Steering> steers;
  settings::Origin where;
};

/// Immutable; any thread.
struct Configuration {
  std::vector<net::SocketAddress> listen;
  size_t threads = 1;
  std::string state;
  size_t tcp_connections = 0;
  milliseconds tcp_idle_timeout{};
  SignerOptions signing;
  milliseconds drain_timeout{};
  std::string user;  ///< to become when the ports are open; empty: nobody else
  Protocol protocol;
  size_t rate_networks = 0;
  std::chrono::microseconds gather{0};  ///< UdpSocket::Options
  size_t tcp_connections_per_client = 0;
  milliseconds watch_interval{};  ///< 0: files are not watched
  AliasOptions alias;             ///< without resolvers: those of the system
  net::SocketAddress admin;       ///< unset: none
  std::string admin_token;
  std::vector<std::string> secret_files;  ///< which a reload reads again
  std::vector<std::string> databases;
  std::vector<uint32_t> asns;  ///< autonomous systems that overrides name, ascending
  std::vector<Pop> pops;
  std::vector<ZonePlan> zones;
  std::vector<CheckPlan> checks;
  // For what goes wrong when all of this is used.
  settings::Origin server_where;
  settings::Origin admin_where;
  settings::Origin geo_where;
  settings::RestartValues restart;  ///< what a reload cannot change

  /// Error: kOperator bad_settings, with file, line, key and expectation; all that was found, one a
  /// line.
  static Result<std::shared_ptr<const Configuration>> Make(const GeodnsSettings& settings);
};

}  // namespace nearside::geodns
