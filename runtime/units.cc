#include "runtime/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace nearside {

namespace {

using std::chrono::milliseconds;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;

// Largest first: the order in which a duration's parts must stand.
constexpr std::array<Unit, 7> kDurations = {{{"y", 365 * kDay},
                                             {"w", 7 * kDay},
                                             {"d", kDay},
                                             {"h", kHour},
                                             {"m", kMinute},
                                             {"s", kSecond},
                                             {"ms", 1}}};

constexpr std::array<Unit, 6> kBinary = {{{"PiB", 1LL << 50},
                                          {"TiB", 1LL << 40},
                                          {"GiB", 1LL << 30},
                                          {"MiB", 1LL << 20},
                                          {"KiB", 1LL << 10},
                                          {"B", 1}}};

constexpr std::array<Unit, 5> kDecimal = {{{"PB", 1'000'000'000'000'000},
                                           {"TB", 1'000'000'000'000},
                                           {"GB", 1'000'000'000},
                                           {"MB", 1'000'000},
                                           {"kB", 1'000}}};

/// Takes digits and then letters off the front of `text`. False: one of them is missing or too
/// large.
bool TakePart(std::string_view* text, int64_t* number, std::string_view* unit) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc() || text->front() == '-') return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  size_t letters = 0;
  while (letters < text->size() && ((*text)[letters] < '0' || (*text)[letters] > '9')) ++letters;
  *unit = text->substr(0, letters);
  text->remove_prefix(letters);
  return letters > 0;
}

/// total + number · factor, or nothing beyond 2^63.
bool AddProduct(int64_t* total, int64_t number, int64_t factor) {
  int64_t product = 0;
  return !__builtin_mul_overflow(number, factor, &product) &&
         !__builtin_add_overflow(*total, product, total);
}

template <size_t n>
const Unit* Find(const std::array<Unit, n>& units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

tl::unexpected<Error> BadDuration(std::string_view text) {
  return Fail(
      Fault::kOperator, "bad_duration",
      "expected a duration like \"250ms\", \"2s\" or \"1h30m\", got \"" + std::string(text) + "\"");
}

tl::unexpected<Error> BadSize(std::string_view text) {
  return Fail(
      Fault::kOperator, "bad_size",
      "expected a size like \"64KiB\", \"1GiB\" or \"10MB\", got \"" + std::string(text) + "\"");
}

template <size_t n>
std::string LargestExact(const std::array<Unit, n>& units, uint64_t bytes) {
  for (const Unit& unit : units) {
    const auto factor = static_cast<uint64_t>(unit.factor);
    if (bytes >= factor && bytes % factor == 0) {
      return std::to_string(bytes / factor) + std::string(unit.name);
    }
  }
  return std::to_string(bytes) + "B";
}

}  // namespace

Result<milliseconds> ParseDuration(std::string_view text) {
  std::string_view rest = text;
  int64_t total = 0;
  int64_t last_factor = kMost;
  do {
    int64_t number = 0;
    std::string_view name;
    if (rest.empty() || !TakePart(&rest, &number, &name)) return BadDuration(text);
    const Unit* unit = Find(kDurations, name);
    if (unit == nullptr || unit->factor >= last_factor) return BadDuration(text);
    if (!AddProduct(&total, number, unit->factor)) return BadDuration(text);
    last_factor = unit->factor;
  } while (!rest.empty());
  return milliseconds(total);
}

std::string FormatDuration(milliseconds duration) {
  if (duration.count() == 0) return "0s";
  if (duration.count() < 0) {
    return "-" + FormatDuration(milliseconds(-std::max(duration.count(), -kMost)));
  }
  int64_t rest = duration.count();
  std::string text;
  for (const Unit& unit : kDurations) {
    // Years and weeks only alone: "30d" says more than "4w2d".
    if (unit.factor > kDay && rest % unit.factor != 0) continue;
    if (rest < unit.factor) continue;
    text += std::to_string(rest / unit.factor) + std::string(unit.name);
    rest %= unit.factor;
  }
  return text;
}

Result<ByteSize> ParseSize(std::string_view text) {
  std::string_view rest = text;
  int64_t number = 0;
  std::string_view name;
  if (text.empty() || !TakePart(&rest, &number, &name) || !rest.empty()) return BadSize(text);
  const Unit* unit = Find(kBinary, name);
  if (unit == nullptr) unit = Find(kDecimal, name == "KB" ? "kB" : name);
  int64_t bytes = 0;
  if (unit == nullptr || !AddProduct(&bytes, number, unit->factor)) return BadSize(text);
  return ByteSize{static_cast<uint64_t>(bytes)};
}

std::string FormatSize(ByteSize size) {
  std::string binary = LargestExact(kBinary, size.bytes);
  std::string decimal = LargestExact(kDecimal, size.bytes);
  return decimal.size() < binary.size() ? decimal : binary;
}

}  // namespace nearside
