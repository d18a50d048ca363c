#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>

namespace nearside {

/// XXH3-128 of `bytes` under `seed`: for checksums and keys nobody gains from colliding.
struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};
Hash128 Xxh128(std::span<const uint8_t> bytes, uint64_t seed = 0);
/// The 64-bit variant of XXH3.
uint64_t Xxh64(std::span<const uint8_t> bytes, uint64_t seed = 0);

/// SipHash-2-4 with a per-process random key: for tables that an attacker can choose the keys of.
/// (Aumasson, Bernstein 2012.)
uint64_t SipHash(std::string_view text);
uint64_t SipHash(std::string_view text, const std::array<uint64_t, 2>& key);

/// A 256-bit name of a cached object or a blob: SHA-256 of what identifies it. Uniform, so its
/// first word serves as its hash in a table.
struct Key256 {
  std::array<uint8_t, 32> bytes{};
  bool operator==(const Key256&) const = default;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 misreads a defaulted <=>
  auto operator<=>(const Key256&) const = default;
  uint64_t word() const {
    uint64_t w;
    std::memcpy(&w, bytes.data(), sizeof w);
    return w;
  }
};

}  // namespace nearside

template <>
struct std::hash<nearside::Key256> {
  size_t operator()(const nearside::Key256& key) const noexcept { return key.word(); }
};
