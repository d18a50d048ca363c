#pragma once

// HTTP dates (RFC 9110 §5.6.7). All are GMT; no locale and no time zone of the machine takes part.

#include <optional>
#include <string>
#include <string_view>

#include "runtime/clock.h"

namespace nearside::http {

/// Reads all three forms: IMF-fixdate, RFC 850's and asctime's. Names match in any case (RFC 9111
/// §4.2 asks caches to); everything else is exact, so "UTC", one-digit hours and stray spaces are
/// refused. The name of the weekday is not compared with the date. `now` places a two-digit year:
/// the latest year with those digits that is not more than 50 years ahead.
std::optional<WallTime> ParseDate(std::string_view text, WallTime now);

/// Characters of an IMF-fixdate.
inline constexpr size_t kDateSize = 29;

/// "Sun, 06 Nov 1994 08:49:37 GMT": fractions of a second are cut off. Years 0 to 9999.
std::string FormatDate(WallTime time);

/// The text of FormatDate, kept for the second it is valid in: for the Date of every response. One
/// thread.
class DateClock {
 public:
  /// Valid until the next call.
  std::string_view At(WallTime now);

 private:
  std::optional<int64_t> second_;
  std::string text_;
};

}  // namespace nearside::http
