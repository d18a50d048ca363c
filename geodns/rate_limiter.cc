#include "geodns/rate_limiter.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "runtime/crypto.h"
#include "runtime/hash.h"

namespace nearside::geodns {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

RateLimiter::Key RandomRateKey() {
  RateLimiter::Key key;
  RandomBytes({reinterpret_cast<uint8_t*>(key.data()), sizeof key});
  return key;
}

uint64_t HashOfNetwork(const IpAddress& client, uint8_t prefix, RateBound bound,
                       const RateLimiter::Key& key) {
  prefix = std::min(prefix, client.bits());
  std::array<char, 18> text;
  text[0] = client.is_ipv6 ? 6 : 4;
  text[1] = static_cast<char>(bound);  // a network and a larger one around it count apart
  const size_t whole = prefix / 8;
  std::copy_n(client.bytes.begin(), whole, text.begin() + 2);
  size_t size = 2 + whole;
  if (prefix % 8 != 0) {
    text[size++] = static_cast<char>(client.bytes[whole] & (0xFF00 >> prefix % 8));
  }
  return SipHash(std::string_view(text.data(), size), key);
}

}  // namespace

RateLimiter::RateLimiter(size_t networks, const Key& key)
    : key_(key),
      set_mask_(std::bit_ceil(std::max(networks, kWays)) / kWays - 1),
      sets_(std::make_unique<Set[]>(set_mask_ + 1)) {}

RateLimiter::RateLimiter(size_t networks) : RateLimiter(networks, RandomRateKey()) {}

/// The network's entry; a new one takes the place of the one of its set that matters least.
RateLimiter::Entry& RateLimiter::EntryFor(const IpAddress& client, uint8_t prefix, RateBound bound,
                                          int64_t now) {
  const uint64_t hash = HashOfNetwork(client, prefix, bound, key_);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  auto& entries = sets_[hash & set_mask_].entries;
  Entry* least = entries.data();
  for (Entry& entry : entries) {
    if (entry.tag == tag) return entry;
    if (entry.full_at < least->full_at) least = &entry;
  }
  if (least->full_at > now) ++evicted_;
  *least = Entry{.tag = tag};
  return *least;
}

RateVerdict RateLimiter::Take(Entry* entry, uint32_t per_second, uint32_t slip, int64_t now) {
  const int64_t interval = kSecond / per_second;
  const int64_t full_at = std::max(entry->full_at, now) + interval;
  if (full_at - now <= interval * per_second) {
    entry->full_at = full_at;
    return RateVerdict::kAnswer;
  }
  ++entry->limited;
  return slip == 0 || entry->limited % slip != 0 ? RateVerdict::kDrop : RateVerdict::kSlip;
}

/// From the narrowest to the widest: who is over a narrow limit takes nothing of the wide ones,
/// while what a wide one refuses has been taken from the narrow ones, which it is well within.
RateLimiter::Decision RateLimiter::Decide(const IpAddress& client, const RateLimits& limits,
                                          MonoTime now) {
  const int64_t now_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  RateVerdict verdict = RateVerdict::kAnswer;
  if (limits.answers_per_second != 0) {
    Entry& entry = EntryFor(client, client.is_ipv6 ? limits.ipv6_prefix : limits.ipv4_prefix,
                            RateBound::kNetwork, now_ns);
    verdict = Take(&entry, limits.answers_per_second, limits.slip, now_ns);
    if (verdict != RateVerdict::kAnswer) return {verdict, RateBound::kNetwork};
  }
  if (limits.wide_answers_per_second != 0) {
    Entry& entry =
        EntryFor(client, client.is_ipv6 ? limits.wide_ipv6_prefix : limits.wide_ipv4_prefix,
                 RateBound::kWide, now_ns);
    verdict = Take(&entry, limits.wide_answers_per_second, limits.slip, now_ns);
    if (verdict != RateVerdict::kAnswer) return {verdict, RateBound::kWide};
  }
  if (limits.all_answers_per_second != 0) {
    verdict = Take(&all_, limits.all_answers_per_second, limits.slip, now_ns);
  }
  return {verdict, RateBound::kAll};
}

}  // namespace nearside::geodns
