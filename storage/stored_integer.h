#pragma once

// Integers as they lie in the store's files: big-endian in keys, so that LMDB's byte order is the
// numbers' order, little-endian in values.

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace nearside::storage {

static_assert(std::endian::native == std::endian::little,
              "values are written as they lie in memory");

template <typename Integer>
Integer SwapBytes(Integer value) {
  static_assert(std::is_unsigned_v<Integer>);
  Integer swapped = 0;
  for (size_t i = 0; i < sizeof value; ++i) {
    swapped = static_cast<Integer>(swapped << 8) | static_cast<Integer>(value & 0xff);
    value = static_cast<Integer>(value >> 8);
  }
  return swapped;
}

/// `at` has room for sizeof(Integer) bytes; no alignment is needed.
template <typename Integer>
void PutBig(uint8_t* at, Integer value) {
  value = SwapBytes(value);
  std::memcpy(at, &value, sizeof value);
}
template <typename Integer>
Integer GetBig(const uint8_t* at) {
  Integer value;
  std::memcpy(&value, at, sizeof value);
  return SwapBytes(value);
}
template <typename Integer>
void PutLittle(uint8_t* at, Integer value) {
  static_assert(std::is_integral_v<Integer>);
  std::memcpy(at, &value, sizeof value);
}
template <typename Integer>
Integer GetLittle(const uint8_t* at) {
  Integer value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace nearside::storage
