#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"
#include "runtime/settings.h"
#include "runtime/units.h"

namespace nearside::edge {

struct NodeSettings {
  std::string name;
  int workers = 0;  ///< 0: one a core
  bool vaes = true;
  std::string access_log;
  milliseconds drain_timeout{};
  std::vector<std::string> trusted_proxies;
  std::string client_address_field;
  settings::Origin where;
};

struct ListenSettings {
  std::string address;
  bool tls = false;
  bool proxy_protocol = false;
  settings::Origin where;
};

struct AdminSettings {
  std::string address;  ///< "": no admin listener
  std::string token_file;
  settings::Origin where;
};

struct CacheSettings {
  std::string path;
  ByteSize disk;
  ByteSize memory;
  ByteSize largest_object;
  int disk_min_uses = 0;
  ByteSize fill_window;
  int encoders = 0;
  int encoder_threads = 0;  ///< 0: one a core
  int reader_threads = 0;
  milliseconds read_timeout{0};
  settings::Origin where;
};

struct CertificateSettings {
  std::string chain;
  std::string key;
  settings::Origin where;
};

struct LimitSettings {
  ByteSize request_line;
  ByteSize fields;
  int field_lines = 0;
  ByteSize body;
  int streams = 0;
  int abuse_budget = 0;
  int abuse_refill = 0;
  milliseconds head_timeout{};
  milliseconds idle_timeout{};
  milliseconds body_timeout{};
  milliseconds send_timeout{};
  milliseconds half_closed_timeout{};
  ByteSize least_rate;
  int connections = 0;
  int max_hops = 0;
  int tunnels = 0;
  milliseconds tunnel_idle_timeout{};
};

/// RFC 6797.
struct HstsSettings {
  milliseconds max_age{};
  bool include_subdomains = false;
  bool preload = false;
};

struct CorsSettings {
  std::vector<std::string> origins;
  std::vector<std::string> methods;
  std::vector<std::string> headers;
  std::vector<std::string> expose;
  bool credentials = false;
  milliseconds max_age{};
};

struct OriginCheckSettings {
  std::string path;
  milliseconds interval{};
  milliseconds timeout{};
  int rise = 0;
  int fall = 0;
  int status = 0;  ///< 0: any from 200 to 399
  settings::Origin where;

  /// Whether the same is checked in the same way.
  bool operator==(const OriginCheckSettings& other) const;
};

struct SiteSettings {
  std::string name;
  std::vector<std::string> hosts;
  std::vector<std::string> origins;
  std::string origin_host;
  std::string origin_ca;
  std::string origin_server_name;
  milliseconds connect_timeout{};
  milliseconds origin_timeout{};
  int retries = 0;
  int retry_percent = 0;
  int eject_after = 1;
  milliseconds eject_for{};
  milliseconds eject_at_most{};
  std::optional<OriginCheckSettings> check;
  milliseconds default_ttl{};
  milliseconds negative_ttl{};
  milliseconds stale_while_revalidate{};
  milliseconds stale_if_error{};
  milliseconds max_event_lag{};  ///< 0: no limit
  milliseconds keep{};
  bool prove_releases = true;
  bool keep_whole = false;
  std::vector<std::string> keep_at;
  std::string set_cookie;
  ByteSize slice;
  std::string query;
  std::vector<std::string> query_ignore;
  std::vector<std::string> query_keep;
  bool cache_status_key = false;
  std::string request_directives;
  bool redirect_https = false;
  int redirect_https_port = 443;
  std::string trailing_slash;
  std::optional<HstsSettings> hsts;
  std::optional<CorsSettings> cors;
  std::string error_pages;
  bool error_pages_replace_origin = false;
  bool compress = true;
  ByteSize compress_smallest;
  ByteSize compress_largest;
  std::vector<std::string> compress_types;
  bool normalize_accept_encoding = true;
  bool normalize_accept_language = true;
  settings::Origin where;
};

struct FleetSettings {
  std::vector<std::string> events;  ///< empty: the edge stands alone
  std::string token_file;
  std::string ca;  ///< "": the system's authorities
  ByteSize keep_rate;
  int keep_parallel = 16;
  ByteSize prepare_most;
  settings::Origin where;
};

/// edge.toml as it is written; `docs/configuration.md` has the prose of every key.
struct EdgeSettings {
  NodeSettings node;
  std::vector<ListenSettings> listen;
  AdminSettings admin;
  CacheSettings cache;
  std::vector<CertificateSettings> certificates;
  LimitSettings limits;
  std::vector<SiteSettings> sites;
  FleetSettings fleet;
  settings::RestartValues restart_values;
};

/// The rows behind EdgeSettings.
settings::Table EdgeTable();

/// Reads the file and checks what can be told without touching anything it names.
/// Error: kOperator bad_settings with file, line, key and expectation.
Result<EdgeSettings> ReadEdgeSettings(const std::string& path);

}  // namespace nearside::edge
