#pragma once

#include "http/fields.h"
#include "http/http1_parser.h"
#include "http/http1_refusal.h"

namespace nearside::http {

enum class MessageKind { kRequest, kResponse };

/// Reads Content-Length, Transfer-Encoding, Connection and Upgrade of a complete head (RFC 9112 §6,
/// §9.3, RFC 9110 §7.8).
/// `framing->http10` is set before. Without length and coding, body is kNone: what that means
/// differs between requests and responses. A response's single coding of an unknown name is read
/// until the connection's end, as §6.3 has it; what we would have to undo is refused.
Refusal ReadFraming(MessageKind kind, const Fields& fields, Http1Framing* framing);

/// "HTTP/1.1", "HTTP/1.0", and later minor versions, which are read as 1.1. False for all else;
/// then
/// `*is_version` tells another major version from nonsense.
bool ReadVersion(std::string_view text, bool* http10, bool* is_version);

}  // namespace nearside::http
