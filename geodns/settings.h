#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"
#include "runtime/settings.h"

namespace nearside::geodns {

struct ServerSettings {
  std::vector<std::string> listen;
  int threads = 0;
  uint32_t gather_microseconds = 50;
  std::string state;
  int tcp_connections = 0;
  milliseconds tcp_idle_timeout{};
  ByteSize signature_cache;
  milliseconds signature_validity{};
  uint32_t signatures_a_second = 0;
  milliseconds drain_timeout{};
  std::string user;
  std::string nsid;
  std::string version;
  std::string identity;
  bool cookies = true;
  std::string cookie_secret_file;
  milliseconds watch_interval{};
  std::vector<std::string> resolvers;
  uint32_t alias_least_ttl = 0;
  uint32_t alias_most_ttl = 0;
  milliseconds alias_stale{};
  uint32_t alias_networks = 0;
  settings::Origin where;
};

struct LimitSettings {
  uint32_t answers_per_second = 0;
  uint32_t slip = 0;
  uint8_t ipv4_prefix = 0;
  uint8_t ipv6_prefix = 0;
  uint32_t wide_answers_per_second = 0;
  uint8_t wide_ipv4_prefix = 0;
  uint8_t wide_ipv6_prefix = 0;
  uint32_t all_answers_per_second = 0;
  int networks = 0;
  uint32_t most_amplification = 0;
  int tcp_connections_per_client = 0;
  bool spare_loopback = true;
  settings::Origin where;
};

struct AdminSettings {
  std::string address;  ///< empty: no admin listener
  std::string token_file;
  settings::Origin where;
};

struct GeoSettings {
  std::vector<std::string> databases;
  settings::Origin where;
};

struct CheckSettings {
  std::string url;
  std::string ca;
  std::string server_name;
  milliseconds interval{};
  milliseconds timeout{};
  int rise = 0;
  int fall = 0;
  std::vector<int64_t> expect_status;
  std::string expect_body;
  milliseconds most_lag{};
  settings::Origin where;
};

struct PopSettings {
  std::string name;
  std::vector<std::string> addresses;
  std::vector<double> location;
  uint32_t weight = 0;
  std::optional<CheckSettings> check;
  double most_load = 0;
  std::optional<double> take_back_load;
  settings::Origin where;
};

struct OverrideSettings {
  std::vector<std::string> countries;
  std::vector<std::string> continents;
  std::vector<std::string> cidrs;
  std::vector<int64_t> asns;
  std::vector<std::string> pops;
  settings::Origin where;
};

struct SteerSettings {
  std::vector<std::string> names;
  std::string policy;
  std::vector<std::string> pops;
  uint32_t ttl = 0;
  int answers = 0;
  std::string answers_within;
  bool far_ipv6 = false;
  int min_healthy = 0;
  std::vector<std::string> fallback;
  std::optional<CheckSettings> fallback_check;
  std::vector<OverrideSettings> overrides;
  std::vector<std::string> unknown;
  settings::Origin where;
};

struct ZoneSettings {
  std::string name;
  std::string file;
  bool dnssec = false;
  std::vector<SteerSettings> steers;
  settings::Origin where;
};

/// geodns.toml as it is written; `docs/configuration.md` has the prose of every key.
struct GeodnsSettings {
  ServerSettings server;
  LimitSettings limits;
  AdminSettings admin;
  GeoSettings geo;
  std::vector<PopSettings> pops;
  std::vector<ZoneSettings> zones;
  settings::RestartValues restart;  ///< what a reload cannot change
};

/// The rows behind GeodnsSettings.
settings::Table GeodnsTable();

/// Reads the file and checks each value on its own; Configuration::Make checks them together.
/// Error: kOperator bad_settings with file, line, key and expectation.
Result<GeodnsSettings> ReadGeodnsSettings(const std::string& path);

}  // namespace nearside::geodns
