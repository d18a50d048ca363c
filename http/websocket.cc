#include "http/websocket.h"

#include "runtime/crypto.h"

namespace nearside::http {

namespace {

constexpr size_t kKeyBytes = 16;
/// §1.3: what no server hashes that does not know the protocol.
constexpr std::string_view kSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

}  // namespace

bool IsWebSocketKey(std::string_view key) {
  const Result<std::string> bytes = Base64Decode(key);
  return bytes && bytes->size() == kKeyBytes;
}

std::string WebSocketAccept(std::string_view key) {
  return Base64Encode(Sha1Of(std::string(key).append(kSuffix)));
}

}  // namespace nearside::http
