#include "geodns/signature_cache.h"

#include <algorithm>

namespace nearside::geodns {

SignatureCache::SignatureCache(size_t bytes)
    : sets_(std::max<size_t>(1, bytes / (sizeof(Keys) + kWays * sizeof(Entry)))),
      keys_(sets_),
      entries_(sets_ * kWays) {}

size_t SignatureCache::SetOf(const Key& key) const {
  // The upper bits, spread over the sets without a division.
  return static_cast<size_t>((key.first >> 32) * sets_ >> 32);
}

SignatureCache::Entry* SignatureCache::Find(const Key& key, uint32_t now) {
  const size_t set = SetOf(key);
  for (size_t way = 0; way < kWays; ++way) {
    if (keys_[set].keys[way] != key) continue;
    Entry& entry = entries_[set * kWays + way];
    if (entry.expiration == 0) return nullptr;
    if (entry.used != now) entry.used = now;  // a line that is written costs more than one read
    return &entry;
  }
  return nullptr;
}

SignatureCache::Entry* SignatureCache::Place(const Key& key, uint32_t now) {
  const size_t set = SetOf(key);
  Entry* const entries = &entries_[set * kWays];
  auto& keys = keys_[set].keys;
  size_t way = 0;
  for (size_t i = 0; i < kWays; ++i) {
    if (keys[i] == key) {
      way = i;
      break;
    }
    if (entries[i].used < entries[way].used) way = i;
  }
  keys[way] = key;
  entries[way] = {.used = now};
  return &entries[way];
}

}  // namespace nearside::geodns
