#pragma once

// The opening handshake of WebSocket (RFC 6455 §4), as far as those in between have a part in it.

#include <string>
#include <string_view>

namespace nearside::http {

/// The one protocol that a request may change to (RequestHead::protocol).
inline constexpr std::string_view kWebSocket = "websocket";

/// Whether a Sec-WebSocket-Key is one: 16 bytes in base64.
bool IsWebSocketKey(std::string_view key);

/// The Sec-WebSocket-Accept that answers `key` (§4.2.2).
std::string WebSocketAccept(std::string_view key);

}  // namespace nearside::http
