#include "origin/access_log.h"

#include <nlohmann/json.hpp>

namespace nearside::origin {
namespace {

/// Longer targets are cut: nothing is found by what is behind.
constexpr size_t kTargetBytes = 2048;

}  // namespace

std::string FormatEntry(const AccessEntry& entry, WallTime now, const std::string& own) {
  const http::RequestHead& request = entry.request;
  nlohmann::ordered_json line = {
      {"time", FormatIsoTime(now)},
      {"id", http::RequestIdOf(request.fields).value_or(own)},
      {"kind", entry.kind},
      {"client", entry.client},
      {"method", request.method},
      {"host", request.authority},
      {"target", std::string_view(request.target).substr(0, kTargetBytes)},
      {"status", entry.status},
      {"received_bytes", entry.received_bytes},
      {"bytes", entry.sent_bytes},
      {"duration_ms", entry.duration.count()},
      {"complete", entry.complete},
  };
  if (!entry.reason.empty()) line["reason"] = entry.reason;
  // Targets are bytes from clients: what is not UTF-8 is replaced rather than refused.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void AccessLog::Add(const AccessEntry& entry) {
  if (!enabled()) return;
  log_->Write(FormatEntry(entry, WallNow(), ids_.Of(++count_)));
}

}  // namespace nearside::origin
