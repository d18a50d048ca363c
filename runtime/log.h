#pragma once

// Diagnostics: one event a line, key=value, to stderr. Requests do not go here (edge/access_log.h).
//
//   Log(Level::kWarning, "origin_down", {{"site", site.name}, {"error", error.ToString()}});
//
//   time=2026-11-20T07:00:00.123Z level=warning daemon=edge event=origin_down site=demo error="…"
//
// error = someone must act, warning = we degraded, info = lifecycle, debug = off unless asked for.
// Any thread. Values are quoted when they hold a space, a quote, an equals sign, a backslash or a
// control character; the last are escaped, so a line stays a line. Before StartLog: no daemon, from
// info on.

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace nearside {

enum class Level { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <typename N>
  requires std::is_arithmetic_v<N> LogField(std::string_view k, N v)
      : key(k), value(std::to_string(v)) {}
};

/// Names the daemon in every later line ("daemon=edge") and sets the least level written. Once, at
/// start.
void StartLog(std::string_view daemon, Level least);
void Log(Level level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace nearside
