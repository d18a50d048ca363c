#pragma once

#include <string>
#include <string_view>

#include "edge/node.h"
#include "http/session/exchange.h"
#include "net/event_loop.h"

namespace nearside::edge {

/// Answers /explain?url=…: which site and key a URL has, what is stored under it, the freshness
/// arithmetic in numbers, and what a plain GET would get now and why. JSON; the loop's thread.
void RespondExplain(Node& node, net::EventLoop& loop,
                    std::shared_ptr<const Configuration> configuration, std::string_view url,
                    http::Exchange& exchange);

/// A JSON answer with its length and no-store.
void RespondJson(http::Exchange& exchange, int status, const std::string& json);

}  // namespace nearside::edge
