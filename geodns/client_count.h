#pragma once

#include <cstddef>
#include <string_view>
#include <unordered_map>

#include "geodns/address.h"
#include "runtime/hash.h"

namespace nearside::geodns {

/// How many of something each client has. As large as the number of clients that have one. One
/// thread.
class ClientCount {
 public:
  size_t Of(const IpAddress& client) const {
    auto at = counts_.find(client);
    return at == counts_.end() ? 0 : at->second;
  }
  void Add(const IpAddress& client) { ++counts_[client]; }
  /// Of what was added.
  void Remove(const IpAddress& client) {
    auto at = counts_.find(client);
    if (--at->second == 0) counts_.erase(at);
  }

 private:
  struct Hash {
    size_t operator()(const IpAddress& client) const {
      auto raw = client.raw();
      return SipHash(std::string_view(reinterpret_cast<const char*>(raw.data()), raw.size()));
    }
  };
  std::unordered_map<IpAddress, size_t, Hash> counts_;
};

}  // namespace nearside::geodns
