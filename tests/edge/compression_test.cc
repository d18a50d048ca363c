// Which responses are encoded here, and what becomes of their fields.

#include "edge/compression.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/edge/answered.h"

namespace nearside::edge {
namespace {

using http::Fields;

/// "br", or the reason why not.
std::string Decide(const Answered& answered, std::optional<uint64_t> body_bytes) {
  const CodingDecision decision = DecideCoding(answered.exchanged(), body_bytes);
  const bool encoded = decision.reason == CodingReason::kEncoded;
  EXPECT_EQ(decision.coding != http::Coding::kIdentity, encoded);
  return std::string(encoded ? http::CodingName(decision.coding)
                             : CodingReasonName(decision.reason));
}

const Fields& Browser() {
  static const Fields fields = {{"accept-encoding", "gzip, deflate, br, zstd"}};
  return fields;
}

TEST(CompressionTest, TheResponseDecidesWhetherAnybodyGetsItEncoded) {
  struct Row {
    const char* name;
    Fields response;
    std::string_view decision;
    int status = 200;
    std::optional<uint64_t> body_bytes = 5000;
  };
  const auto html = [](std::string_view name, std::string_view value) {
    return Fields{{"content-type", "text/html"}, {name, value}};
  };
  const Row rows[] = {
      {"text", {{"content-type", "text/html; charset=utf-8"}}, "br"},
      {"json", {{"content-type", "application/problem+json"}}, "br"},
      {"a picture", {{"content-type", "image/png"}}, "type"},
      {"a drawing", {{"content-type", "image/svg+xml"}}, "br"},
      {"without a type", {}, "type"},
      {"an extra type", {{"content-type", "application/X-Report; v=1"}}, "br"},
      {"another one", {{"content-type", "application/x-reports"}}, "type"},
      {"a stream of events", {{"content-type", "text/event-stream"}}, "type"},
      {"with a parameter", {{"content-type", "Text/Event-Stream; charset=utf-8"}}, "type"},
      {"encoded already", html("content-encoding", "gzip"), "coded"},
      {"said to be the identity", html("content-encoding", "identity"), "coded"},
      {"no-transform", html("cache-control", "max-age=60, No-Transform"), "no_transform"},
      {"for CDNs", html("cdn-cache-control", "max-age=60, no-transform"), "no_transform"},
      {"for us", html("nearside-cache-control", "no-transform, max-age=60"), "no_transform"},
      {"in a broken one", html("cdn-cache-control", "no-transform, \""), "br"},
      {"another directive", html("cache-control", "max-age=60, x=\"no-transform\""), "br"},
      {"not found", {{"content-type", "text/html"}}, "status", 404},
      {"created", {{"content-type", "text/html"}}, "status", 201},
      {"not modified", {{"content-type", "text/html"}}, "status", 304},
      {"a part", html("content-range", "bytes 0-4999/9000"), "status", 206},
      {"a part that says 200", html("content-range", "bytes 0-4999/9000"), "status"},
      {"1023 bytes", {{"content-type", "text/html"}}, "too_small", 200, 1023},
      {"1024 bytes", {{"content-type", "text/html"}}, "br", 200, 1024},
      {"nothing", {{"content-type", "text/html"}}, "too_small", 200, 0},
      {"10 MiB", {{"content-type", "text/html"}}, "br", 200, 10 << 20},
      {"one more", {{"content-type", "text/html"}}, "too_large", 200, (10 << 20) + 1},
      {"of unknown length", {{"content-type", "text/html"}}, "br", 200, std::nullopt},
  };
  for (const Row& row : rows) {
    Answered answered = Answered(row.response, row.status).To(Browser());
    answered.site.compress_types = {"application/x-report"};
    EXPECT_EQ(Decide(answered, row.body_bytes), row.decision) << row.name;
    // Whoever asks: or variants would not be told apart in the same way each time.
    const bool negotiated = DecideCoding(answered.exchanged(), row.body_bytes).negotiated();
    answered.To({});
    EXPECT_EQ(DecideCoding(answered.exchanged(), row.body_bytes).negotiated(), negotiated)
        << row.name;
    answered.To(Browser()).site.compress = false;
    EXPECT_EQ(Decide(answered, row.body_bytes), "off") << row.name;
  }
}

TEST(CompressionTest, TheRequestDecidesWhichCoding) {
  struct Row {
    Fields request;
    std::string_view decision;
  };
  const Row rows[] = {
      {Browser(), "br"},
      {{{"accept-encoding", "gzip, zstd"}}, "zstd"},
      {{{"accept-encoding", "gzip"}}, "gzip"},
      {{{"accept-encoding", "gzip, br;q=0.1"}}, "br"},
      {{{"accept-encoding", "br;q=0, gzip"}}, "gzip"},
      {{{"accept-encoding", "*"}}, "br"},
      {{}, "not_accepted"},
      {{{"accept-encoding", ""}}, "not_accepted"},
      {{{"accept-encoding", "identity"}}, "not_accepted"},
      {{{"accept-encoding", "deflate"}}, "not_accepted"},
      {{{"accept-encoding", "br"}, {"range", "bytes=0-"}}, "not_accepted"},
      {{{"accept-encoding", "br"}, {"cache-control", "no-transform"}}, "not_accepted"},
      {{{"accept-encoding", "br"}, {"if-none-match", "\"a\""}}, "br"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Decide(Answered(Fields{{"content-type", "text/css"}}).To(row.request), 5000),
              row.decision)
        << TextOf(row.request);
  }
}

std::string Applied(const CodingDecision& decision, Fields fields) {
  StoredResponse stored;
  stored.fields = std::move(fields);
  ApplyCoding(decision, &stored);
  EXPECT_EQ(stored.negotiated, decision.negotiated());
  return TextOf(stored.fields) + "origin: " + stored.origin_etag;
}

constexpr CodingDecision kBr = {.reason = CodingReason::kEncoded, .coding = http::Coding::kBr};
constexpr CodingDecision kIdentity = {.reason = CodingReason::kNotAccepted};

TEST(CompressionTest, FieldsAreThoseOfWhatClientsGet) {
  const Fields origin = {{"content-type", "text/html"},
                         {"content-length", "5000"},
                         {"etag", "\"abc\""},
                         {"last-modified", DateAt(-9)},
                         {"accept-ranges", "bytes"},
                         {"content-md5", "x"},
                         {"digest", "x"},
                         {"content-digest", "x"},
                         {"repr-digest", "x"},
                         {"vary", "cookie"}};
  EXPECT_EQ(Applied(kBr, origin),
            "content-type: text/html\netag: W/\"abc-br\"\nlast-modified: " + DateAt(-9) +
                "\nvary: cookie\nvary: Accept-Encoding\ncontent-encoding: br\norigin: \"abc\"");
  EXPECT_EQ(Applied(kIdentity, origin), TextOf(origin) + "vary: Accept-Encoding\norigin: ");
  EXPECT_EQ(Applied({.reason = CodingReason::kBusy}, origin),
            TextOf(origin) + "vary: Accept-Encoding\norigin: ");
  EXPECT_EQ(Applied({.reason = CodingReason::kTooSmall}, origin), TextOf(origin) + "origin: ");
}

TEST(CompressionTest, VaryIsSaidOnce) {
  EXPECT_EQ(Applied(kIdentity, {{"vary", "Cookie, ACCEPT-encoding"}}),
            "vary: Cookie, ACCEPT-encoding\norigin: ");
}

// RFC 9110 §8.8.3.3.
TEST(CompressionTest, EachCodingHasATagOfItsOwn) {
  struct Row {
    std::string_view origin, gzip;
  };
  constexpr Row kRows[] = {
      {"\"abc\"", "W/\"abc-gzip\""},
      {"W/\"abc\"", "W/\"abc-gzip\""},
      {"\"\"", "W/\"-gzip\""},
      {"abc", "W/\"abc-gzip\""},
      {"\"a\"b\"", ""},
      {"a b", ""},
      {"w/\"abc\"", ""},
  };
  for (const Row& row : kRows) {
    StoredResponse stored;
    stored.fields = {{"etag", row.origin}};
    ApplyCoding({.reason = CodingReason::kEncoded, .coding = http::Coding::kGzip}, &stored);
    EXPECT_EQ(stored.fields.Joined("etag"), row.gzip);
    EXPECT_EQ(stored.origin_etag, row.origin);
  }
  StoredResponse untagged;
  ApplyCoding(kBr, &untagged);
  EXPECT_FALSE(untagged.fields.Has("etag"));
  EXPECT_EQ(untagged.origin_etag, "");
}

TEST(CompressionTest, A304IsReadAsOneOfWhatIsStored) {
  const Fields fresh = {
      {"vary", "cookie"}, {"accept-ranges", "bytes"}, {"repr-digest", "x"}, {"etag", "\"abc\""}};
  StoredResponse stored;
  EXPECT_EQ(TextOf(FreshFields(stored, fresh)), TextOf(fresh)) << "not negotiated";
  ApplyCoding(kIdentity, &stored);
  EXPECT_EQ(TextOf(FreshFields(stored, fresh)), TextOf(fresh) + "vary: Accept-Encoding\n");
  stored = StoredResponse();
  ApplyCoding(kBr, &stored);
  EXPECT_EQ(TextOf(FreshFields(stored, fresh)), "vary: cookie\nvary: Accept-Encoding\n");
  EXPECT_EQ(TextOf(FreshFields(stored, {{"x", "1"}})), "x: 1\n") << "what is stored stays";
}

TEST(CompressionTest, EachReasonHasAName) {
  std::set<std::string_view> names;
  for (int i = 0; i < kCodingReasonCount; ++i) {
    EXPECT_TRUE(names.insert(CodingReasonName(static_cast<CodingReason>(i))).second) << i;
  }
  EXPECT_EQ(names.count(""), 0u);
}

}  // namespace
}  // namespace nearside::edge
