#pragma once

#include "edge/node.h"
#include "http/session/exchange.h"

namespace nearside::edge {

/// Answers /healthz: 200 "ok" with Nearside-Load (0.00 to 1.00 and above), Nearside-Drain (0 or 1)
/// and Nearside-Lag (seconds behind the event log), which GeoDNS and people read.
void RespondHealth(const Node& node, http::Exchange& exchange);

}  // namespace nearside::edge
