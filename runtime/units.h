#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside {

/// A number of bytes that cannot be mistaken for anything else.
struct ByteSize {
  uint64_t bytes = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 misreads a defaulted <=>
  auto operator<=>(const ByteSize&) const = default;
};

constexpr ByteSize operator""_KiB(unsigned long long n) { return {n << 10}; }
constexpr ByteSize operator""_MiB(unsigned long long n) { return {n << 20}; }
constexpr ByteSize operator""_GiB(unsigned long long n) { return {n << 30}; }

/// "250ms", "2s", "1m", "12h", "1d", "1w", "1y" (365 days), "1h30m", "0s": whole numbers with a
/// unit each, larger units first. Error: kOperator bad_duration for a bare number, an unknown unit,
/// overflow, or anything else.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);
/// Exact text that ParseDuration reads back, in the units people use: "1d", "1m30s", "30d",
/// "250ms", "0s".
std::string FormatDuration(std::chrono::milliseconds duration);

/// "512B", "64KiB", "1GiB", "2TiB", and decimal "10MB"; below 8 EiB. Error: kOperator bad_size.
Result<ByteSize> ParseSize(std::string_view text);
/// The shortest exact text that ParseSize reads back; binary units when both are as short.
std::string FormatSize(ByteSize size);

}  // namespace nearside
