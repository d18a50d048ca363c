#include "geodns/weighted_draw.h"

#include <algorithm>

#include "geodns/geo_map.h"
#include "runtime/hash.h"

namespace nearside::geodns {
namespace {

/// Rounds of Mix below this are for answers; the next are for keeping, one a point; then those of
/// draws after a refusal.
constexpr uint64_t kKeepRounds = 1000;
constexpr uint64_t kAgainRounds = 2000;

/// Independent numbers from one hash (the finaliser of splitmix64, Steele et al. 2014).
uint64_t Mix(uint64_t hash, uint64_t round) {
  uint64_t z = hash + (round + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

uint8_t PickByWeight(std::span<const uint8_t> pops, std::span<const uint32_t> weights,
                     uint64_t number) {
  uint64_t total = 0;
  for (uint8_t pop : pops) total += weights[pop];
  // The upper half of a product: no modulo, no bias worth the name (Lemire 2019).
  uint64_t at = (number >> 32) * total >> 32;
  for (uint8_t pop : pops) {
    if (at < weights[pop]) return pop;
    at -= weights[pop];
  }
  return pops.front();
}

/// The points that may still be drawn, on the stack.
class Left {
 public:
  explicit Left(std::span<const uint8_t> pops) : count_(pops.size()) {
    std::copy(pops.begin(), pops.end(), pops_.begin());
  }
  std::span<const uint8_t> pops() const { return {pops_.data(), count_}; }
  bool Contains(uint8_t pop) const {
    return std::find(pops_.begin(), pops_.begin() + count_, pop) != pops_.begin() + count_;
  }
  void Remove(uint8_t pop) {
    *std::find(pops_.begin(), pops_.begin() + count_, pop) = pops_[count_ - 1];
    --count_;
  }
  void RemoveAllBut(std::span<const uint8_t> others) {
    const auto end = std::remove_if(pops_.begin(), pops_.begin() + count_, [&](uint8_t pop) {
      return std::find(others.begin(), others.end(), pop) == others.end();
    });
    count_ = static_cast<size_t>(end - pops_.begin());
  }
  /// True of none as well. Weight 0 is for when nobody else is there, not for company.
  bool IsWeightless(std::span<const uint32_t> weights) const {
    return std::all_of(pops_.begin(), pops_.begin() + count_,
                       [&](uint8_t pop) { return weights[pop] == 0; });
  }

 private:
  std::array<uint8_t, kMaxPops> pops_;
  size_t count_;
};

/// Who takes the client that came to `first`; the points that refused it are removed from `left`,
/// unless all did.
uint8_t KeptBy(uint8_t first, std::span<const uint32_t> weights, std::span<const double> kept,
               uint64_t client_hash, Left* left) {
  Left others = *left;
  uint8_t pop = first;
  for (uint64_t round = kAgainRounds;; ++round) {
    if (FractionOf(Mix(client_hash, kKeepRounds + pop)) < kept[pop]) break;
    others.Remove(pop);
    if (others.IsWeightless(weights)) return first;
    pop = PickByWeight(others.pops(), weights, Mix(client_hash, round));
  }
  *left = others;
  return pop;
}

}  // namespace

Drawn DrawByWeight(std::span<const uint8_t> all, std::span<const uint8_t> usable,
                   std::span<const uint32_t> weights, std::span<const double> kept,
                   uint64_t client_hash, size_t answers,
                   std::span<const std::vector<uint8_t>> beside) {
  Left left(usable);
  answers = std::min({answers, usable.size(), kMaxAnswers});
  Drawn drawn;
  while (drawn.count < answers) {
    uint8_t pop = 0;
    if (drawn.count == 0) {
      pop = PickByWeight(all, weights, Mix(client_hash, 0));
      if (!left.Contains(pop)) pop = PickByWeight(left.pops(), weights, Mix(client_hash, 1));
      uint8_t home = pop;
      if (!kept.empty()) pop = KeptBy(home, weights, kept, client_hash, &left);
      drawn.shed = pop != home;
    } else {
      pop = PickByWeight(left.pops(), weights, Mix(client_hash, drawn.count + 1));
    }
    drawn.pops[drawn.count++] = pop;
    left.Remove(pop);
    if (drawn.count == 1 && !beside.empty()) left.RemoveAllBut(beside[pop]);
    if (left.IsWeightless(weights)) break;
  }
  return drawn;
}

uint64_t HashOfNetwork(const IpAddress& client, uint8_t prefix_bits) {
  Network network = Network::Of(client, prefix_bits);
  return Xxh64({network.address.bytes.data(), client.bits() / size_t{8}}, client.is_ipv6 ? 6 : 4);
}

}  // namespace nearside::geodns
