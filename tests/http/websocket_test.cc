#include "http/websocket.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(WebSocketTest, Keys) {
  const struct {
    const char* key;
    bool valid;
  } rows[] = {
      {"dGhlIHNhbXBsZSBub25jZQ==", true},
      {"AAAAAAAAAAAAAAAAAAAAAA==", true},
      {"", false},
      {"dGhlIHNhbXBsZSBub25jZQ", false},
      {"dGhlIHNhbXBsZSBub25jZR==", false},     // bits that
                                               // stand for
                                               // nothing
      {"dGhlIHNhbXBsZSBub25jZSE=", false},     // 17 bytes
      {"dGhlIHNhbXBsZSBub25j", false},         // 15
      {"dGhlIHNhbXBsZSBub25jZQ==, x", false},  // a list
      {"dGhl IHNhbXBsZSBub25jZQ==", false},
  };
  for (const auto& row : rows) EXPECT_EQ(IsWebSocketKey(row.key), row.valid) << row.key;
}

// RFC 6455 §1.3.
TEST(WebSocketTest, TheStandardsExample) {
  EXPECT_EQ(WebSocketAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace nearside::http
