#pragma once

// Signatures that have been made, in memory of a fixed size: a table of sets with four places each,
// where a newcomer takes the place that has not been used for longest.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/signing_key.h"

namespace nearside::geodns {

/// Owned by one worker.
class SignatureCache {
 public:
  /// Of what was signed, and by which key. Both halves together tell things apart; the first also
  /// says where it lies, so whoever chooses names must not be able to predict it.
  struct Key {
    uint64_t first = 0;
    uint64_t second = 0;
    bool operator==(const Key&) const = default;
  };
  struct Entry {
    uint32_t inception = 0;   ///< as in the RRSIG
    uint32_t expiration = 0;  ///< likewise; 0: nothing here
    uint32_t used = 0;        ///< second of the last Find
    Signature signature{};
  };

  /// Takes `bytes` or a little less, and the room for one set at least.
  explicit SignatureCache(size_t bytes);

  /// The entry, valid until the next Place, or nullptr. `now` in seconds.
  Entry* Find(const Key& key, uint32_t now);
  /// The place for a new entry, emptied.
  Entry* Place(const Key& key, uint32_t now);
  size_t capacity() const { return sets_ * kWays; }

 private:
  static constexpr size_t kWays = 4;  ///< their keys fill a cache line
  struct alignas(64) Keys {
    std::array<Key, kWays> keys;
  };

  size_t SetOf(const Key& key) const;

  size_t sets_;
  std::vector<Keys> keys_;
  std::vector<Entry> entries_;
};

}  // namespace nearside::geodns
