#include "http/date.h"

#include <array>
#include <chrono>

#include "http/characters.h"

namespace nearside::http {

namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr int kYearsAhead = 50;

struct Civil {
  int year = 0;
  int month = 0;  // 1 to 12
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

/// Takes a date apart from its front. Once something did not match, nothing matches any more.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void Literal(std::string_view expected) {
    ok_ = ok_ && EqualsIgnoringCase(rest_.substr(0, expected.size()), expected);
    if (ok_) rest_.remove_prefix(expected.size());
  }
  int Digits(size_t count) {
    int value = 0;
    if (rest_.size() < count) ok_ = false;
    for (size_t i = 0; ok_ && i < count; ++i) {
      if (!IsDigit(rest_[i])) ok_ = false;
      value = value * 10 + (rest_[i] - '0');
    }
    if (ok_) rest_.remove_prefix(count);
    return value;
  }
  /// The place of the name that comes next, with `letters` letters of it (0: all).
  template <size_t N>
  int Name(const std::array<std::string_view, N>& names, size_t letters) {
    for (size_t i = 0; ok_ && i < N; ++i) {
      if (ToLower(peek()) != ToLower(names[i].front())) continue;
      const std::string_view name = letters == 0 ? names[i] : names[i].substr(0, letters);
      if (!EqualsIgnoringCase(rest_.substr(0, name.size()), name)) continue;
      rest_.remove_prefix(name.size());
      return static_cast<int>(i);
    }
    ok_ = false;
    return 0;
  }
  void Time(Civil* civil) {
    civil->hour = Digits(2);
    Literal(":");
    civil->minute = Digits(2);
    Literal(":");
    civil->second = Digits(2);
  }
  bool Done() const { return ok_ && rest_.empty(); }
  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<WallTime> ToTime(const Civil& civil) {
  const std::chrono::year_month_day date{std::chrono::year(civil.year),
                                         std::chrono::month(static_cast<unsigned>(civil.month)),
                                         std::chrono::day(static_cast<unsigned>(civil.day))};
  // Second 60 is a leap second's.
  if (!date.ok() || civil.hour > 23 || civil.minute > 59 || civil.second > 60) return std::nullopt;
  return WallTime(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(civil.hour) +
                  std::chrono::minutes(civil.minute) + seconds(civil.second));
}

int YearOf(WallTime time) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  return static_cast<int>(date.year());
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<WallTime> ParseImfFixdate(std::string_view text) {
  Scanner scan(text);
  Civil civil;
  scan.Name(kWeekdays, 3);
  scan.Literal(", ");
  civil.day = scan.Digits(2);
  scan.Literal(" ");
  civil.month = scan.Name(kMonths, 3) + 1;
  scan.Literal(" ");
  civil.year = scan.Digits(4);
  scan.Literal(" ");
  scan.Time(&civil);
  scan.Literal(" GMT");
  return scan.Done() ? ToTime(civil) : std::nullopt;
}

// "Sunday, 06-Nov-94 08:49:37 GMT"
std::optional<WallTime> ParseRfc850(std::string_view text, WallTime now) {
  Scanner scan(text);
  Civil civil;
  scan.Name(kWeekdays, 0);
  scan.Literal(", ");
  civil.day = scan.Digits(2);
  scan.Literal("-");
  civil.month = scan.Name(kMonths, 3) + 1;
  scan.Literal("-");
  const int digits = scan.Digits(2);
  scan.Literal(" ");
  scan.Time(&civil);
  scan.Literal(" GMT");
  if (!scan.Done()) return std::nullopt;
  const int latest = YearOf(now) + kYearsAhead;
  civil.year = latest - (latest - digits) % 100;
  return ToTime(civil);
}

// "Sun Nov  6 08:49:37 1994"
std::optional<WallTime> ParseAsctime(std::string_view text) {
  Scanner scan(text);
  Civil civil;
  scan.Name(kWeekdays, 3);
  scan.Literal(" ");
  civil.month = scan.Name(kMonths, 3) + 1;
  scan.Literal(" ");
  if (scan.peek() == ' ') {
    scan.Literal(" ");
    civil.day = scan.Digits(1);
  } else {
    civil.day = scan.Digits(2);
  }
  scan.Literal(" ");
  scan.Time(&civil);
  scan.Literal(" ");
  civil.year = scan.Digits(4);
  return scan.Done() ? ToTime(civil) : std::nullopt;
}

void PutDigits(int value, size_t count, char* place) {
  for (size_t i = count; i > 0; --i) {
    place[i - 1] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

}  // namespace

std::optional<WallTime> ParseDate(std::string_view text, WallTime now) {
  if (text.size() < 4) return std::nullopt;
  if (text[3] == ',') return ParseImfFixdate(text);
  if (text[3] == ' ') return ParseAsctime(text);
  return ParseRfc850(text, now);
}

std::string FormatDate(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<seconds>(time - day));
  const unsigned weekday = std::chrono::weekday(day).c_encoding();
  std::string text = "Sun, 06 Nov 1994 08:49:37 GMT";
  text.replace(0, 3, kWeekdays[weekday].substr(0, 3));
  PutDigits(static_cast<int>(static_cast<unsigned>(date.day())), 2, &text[5]);
  text.replace(8, 3, kMonths[static_cast<unsigned>(date.month()) - 1]);
  PutDigits(static_cast<int>(date.year()), 4, &text[12]);
  PutDigits(static_cast<int>(clock.hours().count()), 2, &text[17]);
  PutDigits(static_cast<int>(clock.minutes().count()), 2, &text[20]);
  PutDigits(static_cast<int>(clock.seconds().count()), 2, &text[23]);
  return text;
}

std::string_view DateClock::At(WallTime now) {
  const int64_t second = std::chrono::floor<seconds>(now).time_since_epoch().count();
  if (second_ != second) {
    second_ = second;
    text_ = FormatDate(now);
  }
  return text_;
}

}  // namespace nearside::http
