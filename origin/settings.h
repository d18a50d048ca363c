#pragma once

#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"
#include "runtime/settings.h"
#include "runtime/units.h"

namespace nearside::origin {

struct NodeSettings {
  std::string name;
  std::vector<std::string> api;
  bool cleartext_api = false;
  std::vector<std::string> tls_api;
  std::string access_log;
  std::string acme_webroot;  ///< "": none
  milliseconds drain_timeout{};
  settings::Origin where;
};

struct ListenSettings {
  std::string address;
  bool tls = true;
  settings::Origin where;
};

struct CertificateSettings {
  std::string chain;
  std::string key;
  settings::Origin where;
};

struct AdminSettings {
  std::string address;     ///< "": no admin listener
  std::string token_file;  ///< "": POST is refused
  settings::Origin where;
};

struct StorageSettings {
  std::string metadata;
  std::string blobs;
  std::string sessions;
  std::string queue;
  settings::Origin where;
};

struct AuthSettings {
  std::string token_file;
  std::string fleet_token_file;
  std::string s3_key_file;  ///< "": beside the database
  int tokens = 0;
  int failures = 0;
  bool limit_loopback = false;
  settings::Origin where;
};

struct AccountSettings {
  std::vector<std::string> hosts;  ///< of the pages; none: no pages
  std::string sign_up;             ///< "closed" or "open"
  bool secure = true;
  milliseconds hsts{};
  std::vector<std::string> trusted_proxies;
  int accounts = 0;
  int sessions = 0;
  int sessions_of_account = 0;
  milliseconds session_idle{};
  milliseconds session_life{};
  int failures = 0;
  milliseconds failure_window{};
  ByteSize hash_memory;
  int hash_passes = 0;
  int hashes = 0;
  int hash_queue = 0;
  settings::Origin where;
};

struct S3Settings {
  bool enabled = true;
  std::string domain;  ///< "": path style alone
  std::string region;
  std::vector<std::string> cors_origins;
  milliseconds upload_expiry{};
};

struct UploadSettings {
  int open = 0;
  int open_of_site = 0;
  milliseconds expiry{};
  std::vector<std::string> cors_origins;
};

struct ThreadSettings {
  int visitors = 0;
  int api = 0;
  int s3 = 0;
  int uploads = 0;
  int accounts = 0;
  int disk = 0;
};

struct EventSettings {
  int64_t keep = 0;
  milliseconds heartbeat{};
  int followers = 0;
};

struct AuditSettings {
  int64_t keep = 0;
};

struct ReleaseSettings {
  int keep = 0;
  milliseconds keep_for{};
  milliseconds open_expiry{};
  milliseconds collect_every{};
  milliseconds blob_grace{};
};

struct JobSettings {
  int concurrency = 0;
  int attempts = 0;
  milliseconds backoff{};
  milliseconds backoff_most{};
  milliseconds lease{};
  milliseconds poll{};
  int most = 0;
  int most_dead = 0;
  bool compress = true;
  ByteSize compress_smallest;
  ByteSize compress_largest;
};

struct LimitSettings {
  ByteSize asset;
  ByteSize json_body;
  int connections = 0;
  int queue = 0;
  milliseconds head_timeout{};
  milliseconds idle_timeout{};
  milliseconds body_timeout{};
  milliseconds send_timeout{};
  ByteSize least_rate;
};

/// origin.toml as it is written; `docs/configuration.md` has the prose of every key.
struct OriginSettings {
  NodeSettings node;
  std::vector<ListenSettings> listen;
  std::vector<CertificateSettings> certificates;
  AdminSettings admin;
  StorageSettings storage;
  AuthSettings auth;
  AccountSettings accounts;
  S3Settings s3;
  UploadSettings uploads;
  ThreadSettings threads;
  EventSettings events;
  AuditSettings audit;
  ReleaseSettings releases;
  JobSettings jobs;
  LimitSettings limits;
  settings::RestartValues restart_values;
};

/// The rows behind OriginSettings.
settings::Table OriginTable();

/// Reads the file and checks what can be told without touching anything it names.
/// Error: kOperator bad_settings with file, line, key and expectation.
Result<OriginSettings> ReadOriginSettings(const std::string& path);

}  // namespace nearside::origin
