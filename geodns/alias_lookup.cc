#include "geodns/alias_lookup.h"

#include <algorithm>

namespace nearside::geodns {

AliasLookup::AliasLookup(net::EventLoop& loop, const AliasOptions& options, dns::NameView name,
                         const std::optional<dns::ClientSubnet>& subnet, OnDone on_done)
    : least_ttl_(options.least_ttl), most_ttl_(options.most_ttl), on_done_(std::move(on_done)) {
  const StubQuery::Options asked{options.resolvers, options.timeout, subnet};
  for (size_t family = 0; family < families_.size(); ++family) {
    families_[family].query = std::make_unique<StubQuery>(
        loop, asked, name, family == 0 ? dns::type::kA : dns::type::kAaaa,
        [this, family](Result<dns::AddressReply> result) { OnReply(family, std::move(result)); });
  }
}

void AliasLookup::OnReply(size_t family, Result<dns::AddressReply> result) {
  families_[family].result = std::move(result);
  for (const Family& each : families_) {
    if (!each.result) return;
  }
  const OnDone on_done = std::move(on_done_);  // which may destroy this
  for (const Family& each : families_) {
    if (!*each.result) return on_done(unexpected(each.result->error()));
  }
  on_done(Merge());
}

AliasFound AliasLookup::Merge() const {
  AliasFound found{.ttl = most_ttl_};
  // A family that is not there and does not say for how long has no say while the other has.
  const bool nobody_says =
      std::ranges::none_of(families_, [](const Family& each) { return (**each.result).has_ttl; });
  for (size_t family = 0; family < families_.size(); ++family) {
    const dns::AddressReply& reply = **families_[family].result;
    found.scope = std::max(found.scope, reply.scope);
    if (reply.has_ttl || nobody_says) found.ttl = std::min(found.ttl, reply.ttl);
    const size_t step = family == 0 ? 4 : 16;
    for (size_t at = 0; at < reply.addresses.size(); at += step) {
      const uint8_t* bytes = reply.addresses.data() + at;
      const IpAddress address = family == 0 ? IpAddress::V4(bytes) : IpAddress::V6(bytes);
      // An IPv4 address mapped into IPv6 is no address of an AAAA record.
      if (address.is_ipv6 == (family == 1)) found.addresses.push_back(address);
    }
  }
  std::ranges::sort(found.addresses, {}, &IpAddress::ToText);
  found.ttl = std::max(found.ttl, least_ttl_);
  return found;
}

}  // namespace nearside::geodns
