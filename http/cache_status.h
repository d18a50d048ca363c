#pragma once

// The Cache-Status field (RFC 9211): how a cache handled a request, for people and tools.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/fields.h"

namespace nearside::http {

/// RFC 9211 §2.2: why a request was forwarded.
enum class ForwardReason {
  kBypass,
  kMethod,
  kUriMiss,
  kVaryMiss,
  kMiss,
  kRequest,
  kStale,
  kPartial
};
std::string_view ForwardReasonName(ForwardReason reason);

/// One cache's member of the list.
struct CacheStatus {
  std::string_view cache;  ///< the edge's name
  bool hit = false;
  std::optional<ForwardReason> forward;  ///< not together with hit
  std::optional<int> forward_status;     ///< of the origin's answer, where it differs from ours
  std::optional<int64_t> ttl_seconds;    ///< negative: stale since
  bool stored = false;
  bool collapsed = false;
  std::string_view key;
  std::string_view detail;
};

/// `"frankfurt"; hit; ttl=545`: appended to `out`, whose memory a caller may keep.
void AppendCacheStatus(const CacheStatus& status, std::string* out);
std::string FormatCacheStatus(const CacheStatus& status);

/// The field's value after this cache: caches nearer to the origin come first (RFC 9211 §2).
std::string ExtendCacheStatus(const Fields& fields, const CacheStatus& status);

}  // namespace nearside::http
