#pragma once

#include <string>
#include <string_view>

#include "cli/origin_api.h"
#include "runtime/clock.h"

namespace nearside::cli {

/// Since the last report of `edge`, a member of `edges` (the answer to GET /v1/edges), by the
/// origin's clock.
milliseconds SinceSeen(const Json& edge, const Json& edges);

/// What an edge may be taken for: "up" when it reports as often as it should and DNS, whose word
/// for it is `dns` ("" when not asked), does not say "down"; else "silent", "draining",
/// "unhealthy".
std::string StateOf(const Json& edge, const Json& edges, std::string_view dns);

}  // namespace nearside::cli
