#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dns/edns.h"
#include "dns/name.h"
#include "geodns/address.h"
#include "geodns/stub_query.h"
#include "net/event_loop.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::geodns {

struct AliasOptions {
  std::vector<net::SocketAddress> resolvers;
  milliseconds timeout{2000};
  uint32_t least_ttl = 10;   ///< seconds; what a resolver says is raised to it
  uint32_t most_ttl = 3600;  ///< and lowered to this
  uint32_t stale = 86'400;   ///< seconds that an answer stands after its time, while none comes
  /// Networks of clients, in all, whose own answers are kept; 0: their subnets are told to nobody.
  size_t networks = 0;
};

/// What resolvers say of one name.
struct AliasFound {
  std::vector<IpAddress> addresses;  ///< in one order, however resolvers turn their lists round
  uint32_t ttl = 0;                  ///< seconds, within the bounds of AliasOptions
  uint8_t scope = 0;                 ///< bits of the subnet that either family depended on
};

/// Asks for the A and the AAAA records of a name together. Owned by the loop's thread; destroying
/// it ends the look-up without a word.
class AliasLookup {
 public:
  using OnDone = std::function<void(Result<AliasFound>)>;

  /// `on_done` runs once, when both have an answer or an error, not from inside the constructor,
  /// and may destroy this. Errors: StubQuery's.
  AliasLookup(net::EventLoop& loop, const AliasOptions& options, dns::NameView name,
              const std::optional<dns::ClientSubnet>& subnet, OnDone on_done);

 private:
  struct Family {
    std::unique_ptr<StubQuery> query;
    std::optional<Result<dns::AddressReply>> result;
  };
  void OnReply(size_t family, Result<dns::AddressReply> result);
  AliasFound Merge() const;

  const uint32_t least_ttl_;
  const uint32_t most_ttl_;
  OnDone on_done_;
  std::array<Family, 2> families_;  ///< A, AAAA
};

}  // namespace nearside::geodns
