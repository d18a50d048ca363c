#pragma once

#include <string>

#include "dns/name.h"
#include "geodns/address.h"
#include "geodns/moment.h"
#include "geodns/snapshot.h"
#include "geodns/world.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// What `client` (an address, or the network that a resolver discloses) gets for `name` and why, as
/// JSON: the place found, every point of presence with its distance and why it was left out, the
/// answer, TTL and scope. Error: kClient not_our_zone.
Result<std::string> Explain(const World& world, const Snapshot& snapshot, const Moment& moment,
                            dns::NameView name, const Network& client);

}  // namespace nearside::geodns
