#pragma once

#include <optional>
#include <string>
#include <vector>

#include "geodns/settings.h"
#include "http/session/client.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// One health check, of a point of presence or of fallback addresses.
struct CheckPlan {
  /// "frankfurt", "fallback demo.test www": for logs, metrics and the state file.
  std::string target;
  std::string url;
  bool is_tcp = false;  ///< a connection is all that is asked for
  http::Endpoint endpoint;
  std::string path;       ///< with the query
  std::string authority;  ///< for Host: the URL's
  std::string ca;
  milliseconds interval{};
  milliseconds timeout{};
  int rise = 1;
  int fall = 1;
  std::vector<int> expect_status;  ///< empty: 200 to 399
  std::string expect_body;         ///< to be found in the first kCheckedBodyBytes; empty: not read
  milliseconds most_lag{};         ///< 0: not looked at
  settings::Origin where;
};

inline constexpr size_t kCheckedBodyBytes = 64 << 10;

/// What is wrong with a [check], and with which of its keys.
struct CheckMistake {
  std::string key;
  std::string message;
};

/// The plan behind a [check] of the settings, or the first mistake in it.
tl::expected<CheckPlan, CheckMistake> MakeCheckPlan(const CheckSettings& row, std::string target);

}  // namespace nearside::geodns
