#include "edge/access_log.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace nearside::edge {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

}  // namespace

std::string FormatEntry(const AccessEntry& entry) {
  nlohmann::ordered_json line = {
      {"time", FormatIsoTime(entry.time)},
      {"id", entry.id},
      {"client", entry.client},
      {"protocol", http::VersionName(entry.version)},
      {"method", entry.method},
      {"scheme", entry.scheme},
      {"host", entry.authority},
      {"target", entry.target},
      {"site", entry.site},
      {"status", entry.status},
      {"result", ResultClassName(ClassOf(entry.reason))},
      {"reason", ReasonName(entry.reason)},
      {"bytes", entry.body_bytes},
      {"duration_ms", entry.duration.count()},
      {"complete", entry.complete},
  };
  if (!entry.ended.empty()) line["ended"] = entry.ended;
  // Targets are bytes from clients: what is not UTF-8 is replaced rather than refused.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

AccessBuffer::~AccessBuffer() {
  loop_.CancelTurnEnd(this);
  OnTurnEnd();
}

void AccessBuffer::Add(const AccessEntry& entry) {
  lines_ += FormatEntry(entry);
  if (lines_.size() >= kBufferBytes) {
    OnTurnEnd();
  } else {
    loop_.AtTurnEnd(this);
  }
}

void AccessBuffer::OnTurnEnd() {
  if (lines_.empty()) return;
  log_.Write(std::exchange(lines_, {}));
}

}  // namespace nearside::edge
