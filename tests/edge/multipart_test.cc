#include "edge/multipart.h"

#include <gtest/gtest.h>

#include "http/session/exchange.h"
#include "tests/edge/fake_exchange.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

using BodyState = http::BodySource::State;

const std::string kAll = "0123456789";

Multipart Layout(std::string content_type = "text/plain") {
  return {{{0, 1}, {7, 9}}, kAll.size(), std::move(content_type), "b"};
}

std::unique_ptr<http::BodySource> BodyOf(const Multipart& layout) {
  return std::make_unique<MultipartBody>(layout, [layout](size_t part) {
    const ByteSpan span = layout.SpanOf(part);
    return http::TextBody(kAll.substr(span.first, span.end - span.first));
  });
}

std::string Sent(const Multipart& layout, uint64_t step) {
  FakeExchange exchange(GetFor("https://www.demo.test/a"));
  exchange.Respond(206, {}, {}, BodyOf(layout));
  while (exchange.Pull(step) == "more") continue;
  EXPECT_EQ(exchange.state, "end");
  return exchange.body;
}

TEST(MultipartTest, PartsStandBetweenBoundariesAtAnyPace) {
  const std::string expected =
      "--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n"
      "--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-9/10\r\n\r\n789\r\n--b--\r\n";
  for (const uint64_t step : {1u, 2u, 7u, 1000u}) EXPECT_EQ(Sent(Layout(), step), expected) << step;
  EXPECT_EQ(Layout().body_bytes(), expected.size());
  EXPECT_EQ(Layout().content_type(), "multipart/byteranges; boundary=b");
}

TEST(MultipartTest, WithoutATypeNoneIsTold) {
  const std::string sent = Sent(Layout(""), 1000);
  EXPECT_EQ(sent.find("Content-Type"), std::string::npos);
  EXPECT_EQ(Layout("").body_bytes(), sent.size());
}

TEST(MultipartTest, APartThatFailsFailsTheWhole) {
  class Broken final : public http::BodySource {
   public:
    BodyState Peek(std::span<const uint8_t>*) override { return BodyState::kFailed; }
    void Consume(size_t) override {}
  };
  FakeExchange exchange(GetFor("https://www.demo.test/a"));
  exchange.Respond(206, {}, {}, std::make_unique<MultipartBody>(Layout(), [](size_t) {
                     return std::make_unique<Broken>();
                   }));
  EXPECT_EQ(exchange.Pull(), "failed");
}

TEST(MultipartTest, BoundariesAreOfManyRandomDigits) {
  const std::string boundary = RandomBoundary();
  EXPECT_EQ(boundary.size(), 32u);
  EXPECT_NE(boundary, RandomBoundary());
}

}  // namespace
}  // namespace nearside::edge
