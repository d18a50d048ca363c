#pragma once

// Time is an argument everywhere below main(): the pure cores never ask for it.

#include <chrono>
#include <cstdint>
#include <string>

namespace nearside {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// For timers and durations: never goes back, means nothing to another machine.
using MonoTime = std::chrono::steady_clock::time_point;
/// For dates, freshness and whatever is stored or sent. Millisecond precision is enough.
using WallTime = std::chrono::time_point<std::chrono::system_clock, milliseconds>;

inline MonoTime MonoNow() { return std::chrono::steady_clock::now(); }
inline WallTime WallNow() {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

/// Milliseconds since 1970, the stored form of a WallTime.
inline int64_t ToUnixMillis(WallTime t) { return t.time_since_epoch().count(); }
inline WallTime FromUnixMillis(int64_t ms) { return WallTime(milliseconds(ms)); }

/// RFC 3339 in UTC, with milliseconds: "2026-11-20T07:00:00.123Z". For logs and JSON.
std::string FormatIsoTime(WallTime t);

}  // namespace nearside
