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

uint64_t HashOfNetwork(const IpAddress& client, const RateLimits& limits,
                       const RateLimiter::Key& key) {
  const size_t prefix =
      std::min<size_t>(client.is_ipv6 ? limits.ipv6_prefix : limits.ipv4_prefix, client.bits());
  std::array<char, 17> text;
  text[0] = client.is_ipv6 ? 6 : 4;
  const size_t whole = prefix / 8;
  std::copy_n(client.bytes.begin(), whole, text.begin() + 1);
  size_t size = 1 + whole;
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
RateLimiter::Entry& RateLimiter::EntryFor(const IpAddress& client, const RateLimits& limits,
                                          int64_t now) {
  const uint64_t hash = HashOfNetwork(client, limits, key_);
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

RateVerdict RateLimiter::Decide(const IpAddress& client, const RateLimits& limits, MonoTime now) {
  if (limits.answers_per_second == 0) return RateVerdict::kAnswer;
  const int64_t now_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  const int64_t interval = kSecond / limits.answers_per_second;
  Entry& entry = EntryFor(client, limits, now_ns);
  const int64_t full_at = std::max(entry.full_at, now_ns) + interval;
  if (full_at - now_ns <= interval * limits.answers_per_second) {
    entry.full_at = full_at;
    return RateVerdict::kAnswer;
  }
  ++entry.limited;
  if (limits.slip == 0 || entry.limited % limits.slip != 0) return RateVerdict::kDrop;
  return RateVerdict::kSlip;
}

}  // namespace nearside::geodns
