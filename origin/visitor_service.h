#pragma once

#include <memory>

#include "http/message.h"
#include "origin/answer.h"
#include "origin/node.h"

namespace nearside::origin {

/// The answer to a visitor of the site that the request's host has now, its blobs opened. Blocks on
/// metadata and disk; failures of ours are logged and become 500 or 503.
Answer AnswerVisitor(Node& node, const http::RequestHead& request);

/// /healthz: 200 "ok", or 503 while the node drains, with Nearside-Load, Nearside-Drain and
/// Nearside-Lag.
Answer HealthAnswer(const Node& node);

/// Whether the Host asks for the node itself: an IP literal or the node's name.
bool AsksNode(const Node& node, const http::RequestHead& request);

/// 421 for a Host that nobody here serves.
Answer UnknownHost(std::string_view host);

}  // namespace nearside::origin
