#include "runtime/hash.h"

#include <xxhash.h>

#include <bit>

#include "runtime/crypto.h"

namespace nearside {

namespace {

static_assert(std::endian::native == std::endian::little, "SipHash reads words as they lie");

/// The four words of SipHash's state and its rounds (Aumasson, Bernstein 2012, §2).
struct SipState {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
  uint64_t Finish() {
    v2 ^= 0xff;
    for (int i = 0; i < 4; ++i) Round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

std::array<uint64_t, 2> RandomKey() {
  std::array<uint64_t, 2> key;
  RandomBytes({reinterpret_cast<uint8_t*>(key.data()), sizeof key});
  return key;
}

}  // namespace

Hash128 Xxh128(std::span<const uint8_t> bytes, uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {.low = hash.low64, .high = hash.high64};
}

uint64_t Xxh64(std::span<const uint8_t> bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t SipHash(std::string_view text) {
  static const std::array<uint64_t, 2> kKey = RandomKey();
  return SipHash(text, kKey);
}

uint64_t SipHash(std::string_view text, const std::array<uint64_t, 2>& key) {
  SipState state{.v0 = key[0] ^ 0x736f6d6570736575,
                 .v1 = key[1] ^ 0x646f72616e646f6d,
                 .v2 = key[0] ^ 0x6c7967656e657261,
                 .v3 = key[1] ^ 0x7465646279746573};
  const uint64_t length = text.size();
  while (text.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data(), sizeof word);
    state.Absorb(word);
    text.remove_prefix(8);
  }
  uint64_t last = length << 56;
  for (size_t i = 0; i < text.size(); ++i) {
    last |= static_cast<uint64_t>(static_cast<uint8_t>(text[i])) << (8 * i);
  }
  state.Absorb(last);
  return state.Finish();
}

}  // namespace nearside
