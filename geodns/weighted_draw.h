#pragma once

// Draws by weight that stay the same for one client network as long as they can.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "geodns/address.h"

namespace nearside::geodns {

inline constexpr size_t kMaxAnswers = 16;

/// Up to kMaxAnswers points, on the stack.
struct Drawn {
  std::array<uint8_t, kMaxAnswers> pops;
  size_t count = 0;
  bool shed = false;  ///< the point that was drawn first gave the client away
};

/// Draws `answers` of `usable` (a part of `all`). The first one is drawn among `all`, and again
/// among `usable` only when it is not there, so that it does not depend on the others' health.
/// Points of weight 0 come alone and only when there is no other.
///
/// `kept` has the share of its clients that each point keeps (empty: all of them). Who is not kept
/// is drawn again among the others, which keep or refuse likewise; whom all refuse stays. As a
/// share shrinks clients leave and none comes, so that those who stay are always the same.
///
/// `beside` has for each point those that may come after it, if it is the first (empty: all may).
/// No allocation.
Drawn DrawByWeight(std::span<const uint8_t> all, std::span<const uint8_t> usable,
                   std::span<const uint32_t> weights, std::span<const double> kept,
                   uint64_t client_hash, size_t answers,
                   std::span<const std::vector<uint8_t>> beside = {});

/// Networks that are hashed: what a resolver discloses at most (RFC 7871 §11.1).
inline constexpr uint8_t kStickyBits4 = 24;
inline constexpr uint8_t kStickyBits6 = 56;
constexpr uint8_t StickyBits(const IpAddress& client) {
  return client.is_ipv6 ? kStickyBits6 : kStickyBits4;
}
/// The same for all addresses of a network.
uint64_t HashOfNetwork(const IpAddress& client, uint8_t prefix_bits);
/// From 0 to below 1, evenly.
inline double FractionOf(uint64_t hash) { return static_cast<double>(hash >> 11) * 0x1p-53; }

}  // namespace nearside::geodns
