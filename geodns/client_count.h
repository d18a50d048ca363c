#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "geodns/address.h"

namespace nearside::geodns {

/// How many of something each client has: a hash table with chains, so that counting one more costs
/// a single hash, counting it back none, and neither takes memory once there were as many clients
/// at a time. One thread.
class ClientCount {
 public:
  /// Where a client is counted, until the last of what it has is counted back.
  using Place = uint32_t;
  static constexpr size_t kAnyNumber = std::numeric_limits<size_t>::max();

  /// For so many clients at a time; with more of them the chains get longer.
  explicit ClientCount(size_t clients);
  /// Counts one more for `client`; nullopt when it has `most` of them.
  std::optional<Place> Add(const IpAddress& client, size_t most);
  /// Counts back what Add has counted there.
  void Remove(Place place);

  /// Clients that have one.
  size_t size() const { return counted_; }

 private:
  static constexpr Place kNone = std::numeric_limits<Place>::max();
  struct Client {
    IpAddress address;
    size_t count = 0;
    size_t chain = 0;    ///< that it stands in
    Place next = kNone;  ///< in its chain, or among the unused
  };
  Place Find(const IpAddress& client, size_t chain) const;
  Place Enter(const IpAddress& client, size_t chain);

  std::vector<Place> chains_;    ///< their first clients; a power of two
  std::vector<Client> clients_;  ///< by place
  Place unused_ = kNone;
  size_t counted_ = 0;
};

}  // namespace nearside::geodns
