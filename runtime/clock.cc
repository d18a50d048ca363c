#include "runtime/clock.h"

#include <cstdio>
#include <ctime>

namespace nearside {

std::string FormatIsoTime(WallTime t) {
  const auto whole = std::chrono::floor<seconds>(t);
  const std::time_t time = whole.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>((t - whole).count()));
  return text;
}

}  // namespace nearside
