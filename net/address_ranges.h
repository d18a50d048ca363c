#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "runtime/result.h"

namespace nearside::net {

/// Networks that addresses lie in or not. Immutable once made, any thread.
class AddressRanges {
 public:
  /// "10.0.0.0/8", "2001:db8::/32", "192.0.2.1" (one address). Error: kOperator bad_range, also
  /// when bits beyond the prefix are set.
  static Result<AddressRanges> Parse(const std::vector<std::string>& texts);

  /// Whether one of them has the address; its port does not matter. An IPv4 address mapped into
  /// IPv6 (::ffff:0:0/96) is what it is: IPv4.
  bool Contains(const SocketAddress& address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    std::string network;  ///< 4 or 16 bytes
    unsigned bits = 0;
  };
  static Result<Range> ParseOne(std::string_view text);
  std::vector<Range> ranges_;
};

}  // namespace nearside::net
