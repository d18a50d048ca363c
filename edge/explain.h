#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "edge/node.h"
#include "http/session/exchange.h"
#include "net/event_loop.h"

namespace nearside::edge {

/// Answers /explain?url=…&header=…: which site and key a URL has and what the key is made of, every
/// response stored under it with its freshness in numbers and where each comes from, and what a GET
/// would get now and why. Each `header` ("Accept-Language: de") is a field of that GET, so that a
/// variant can be asked for. `query` is the request's, encoded. JSON; the loop's thread.
void RespondExplain(Node& node, net::EventLoop& loop,
                    std::shared_ptr<const Configuration> configuration, std::string_view query,
                    http::Exchange& exchange);

/// A JSON answer with its length and no-store.
void RespondJson(http::Exchange& exchange, int status, const std::string& json);

}  // namespace nearside::edge
