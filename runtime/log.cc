#include "runtime/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

namespace nearside {

namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

/// Time and level are spdlog's, in UTC; %v is the rest of the line, from `event=` on.
void SetPattern(spdlog::logger& logger, const std::string& daemon) {
  logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l " + daemon + "%v", spdlog::pattern_time_type::utc));
}

/// One logger a process. Its sink locks, so that lines of several threads never mix.
spdlog::logger& Logger() {
  // Never destroyed: a detached thread may log while the process exits.
  static spdlog::logger* const kLogger = [] {
    auto* logger =
        new spdlog::logger("nearside", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    SetPattern(*logger, "");
    return logger;
  }();
  return *kLogger;
}

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
      return true;
    }
  }
  return false;
}

/// Control characters become escapes: a value that a client chose cannot begin a line of its own.
void AppendQuoted(std::string& line, std::string_view value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  line += '"';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (c == '\r') {
      line += "\\r";
    } else if (byte < ' ' || byte == 0x7f) {
      line += "\\x";
      line += kDigits[byte >> 4];
      line += kDigits[byte & 15];
    } else {
      line += c;
    }
  }
  line += '"';
}

void AppendField(std::string& line, std::string_view key, std::string_view value) {
  if (!line.empty()) line += ' ';
  line += key;
  line += '=';
  if (NeedsQuotes(value)) {
    AppendQuoted(line, value);
  } else {
    line += value;
  }
}

}  // namespace

void StartLog(std::string_view daemon, Level least) {
  SetPattern(Logger(), "daemon=" + std::string(daemon) + " ");
  Logger().set_level(ToSpdlog(least));
}

void Log(Level level, std::string_view event, std::initializer_list<LogField> fields) {
  spdlog::logger& logger = Logger();
  if (!logger.should_log(ToSpdlog(level))) return;
  std::string line;
  AppendField(line, "event", event);
  for (const LogField& field : fields) AppendField(line, field.key, field.value);
  logger.log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace nearside
