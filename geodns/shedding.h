#pragma once

// Which clients an overloaded point of presence gives away, and to whom. Pure.
//
// Clients ask the points in their order of preference. A point that keeps the share s of its
// clients keeps the nearest of those that have asked it, by number of addresses, up to s of them
// all, and refuses the farthest, who ask their next (the deferred acceptance of Gale and Shapley,
// 1962, with a capacity that is a share of the demand). Whom every point refuses stays with the
// first: shedding goes to where there is room, never to nobody. Everything changes steadily with
// the shares, because the clients at the margin are divided by a hash of their network.

#include <cstdint>
#include <span>
#include <vector>

namespace nearside::geodns {

/// Clients that are alike: one place under one set of overrides.
struct Crowd {
  std::vector<uint8_t> wanted;  ///< points that are up, in order; empty: nothing to choose
  /// By index in `wanted`; greater is nearer. Empty: nobody knows where they are, and each point
  /// keeps its share of them by hash.
  std::vector<float> nearness;
  double weight = 0;  ///< addresses, or whatever counts
};

/// The part of a crowd whose hash fraction is from that of the portion before to `until`.
struct Portion {
  double until = 1;
  size_t refusals = 0;  ///< so many of the crowd's `wanted` refused it; 0: it has its first
  bool operator==(const Portion&) const = default;
};

/// For each crowd its portions, one at least. `kept` has for each point the share of its clients
/// that it keeps, above 0 and at most 1.
std::vector<std::vector<Portion>> Shed(std::span<const Crowd> crowds, std::span<const double> kept);

}  // namespace nearside::geodns
