#pragma once

#include "http/fields.h"
#include "http/http1_parser.h"
#include "http/http1_refusal.h"

namespace nearside::http {

/// Reads Content-Length, Transfer-Encoding and Connection of a complete head (RFC 9112 §6, §9.3).
/// `framing->http10` is set before. Without both, body is kNone: what that means differs between
/// requests and responses.
Refusal ReadFraming(const Fields& fields, Http1Framing* framing);

/// "HTTP/1.1", "HTTP/1.0", and later minor versions, which are read as 1.1. False for all else;
/// then
/// `*is_version` tells another major version from nonsense.
bool ReadVersion(std::string_view text, bool* http10, bool* is_version);

}  // namespace nearside::http
