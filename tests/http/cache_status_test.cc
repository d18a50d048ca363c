#include "http/cache_status.h"

#include <gtest/gtest.h>

#include "http/structured_field.h"

namespace nearside::http {
namespace {

TEST(CacheStatusTest, Members) {
  EXPECT_EQ(FormatCacheStatus({.cache = "frankfurt"}), "\"frankfurt\"");
  EXPECT_EQ(FormatCacheStatus({.cache = "frankfurt", .hit = true, .ttl_seconds = 545}),
            "\"frankfurt\"; hit; ttl=545");
  EXPECT_EQ(
      FormatCacheStatus({.cache = "f", .hit = true, .ttl_seconds = -3, .detail = "stale_if_error"}),
      "\"f\"; hit; ttl=-3; detail=stale_if_error");
  EXPECT_EQ(
      FormatCacheStatus({.cache = "f",
                         .forward = ForwardReason::kUriMiss,
                         .forward_status = 200,
                         .stored = true,
                         .collapsed = true,
                         .key = "k",
                         .detail = "two words"}),
      "\"f\"; fwd=uri-miss; fwd-status=200; stored; collapsed; key=\"k\"; detail=\"two words\"");
}

TEST(CacheStatusTest, ForwardReasons) {
  const struct {
    ForwardReason reason;
    const char* name;
  } rows[] = {{ForwardReason::kBypass, "bypass"},    {ForwardReason::kMethod, "method"},
              {ForwardReason::kUriMiss, "uri-miss"}, {ForwardReason::kVaryMiss, "vary-miss"},
              {ForwardReason::kMiss, "miss"},        {ForwardReason::kRequest, "request"},
              {ForwardReason::kStale, "stale"},      {ForwardReason::kPartial, "partial"}};
  for (const auto& row : rows) EXPECT_EQ(ForwardReasonName(row.reason), row.name);
}

TEST(CacheStatusTest, IsAlwaysAStructuredList) {
  const std::string text = FormatCacheStatus(
      {.cache = "a \"b\" \\ \xc3\xbc\n", .key = "http://x/\"\x01", .detail = "\"d\""});
  EXPECT_TRUE(structured::ParseList(text)) << text;
  EXPECT_EQ(text, R"("a \"b\" \\ ???"; key="http://x/\"?"; detail="\"d\"")");
}

TEST(CacheStatusTest, CachesNearerToTheOriginComeFirst) {
  const CacheStatus ours = {.cache = "edge", .hit = true};
  EXPECT_EQ(ExtendCacheStatus({}, ours), "\"edge\"; hit");
  EXPECT_EQ(ExtendCacheStatus({{"cache-status", "\"shield\"; fwd=miss"}}, ours),
            "\"shield\"; fwd=miss, \"edge\"; hit");
  EXPECT_EQ(ExtendCacheStatus({{"cache-status", "a"}, {"cache-status", "b; hit"}}, ours),
            "a, b; hit, \"edge\"; hit");
  EXPECT_EQ(ExtendCacheStatus({{"cache-status", "not, a list,"}}, ours), "\"edge\"; hit");
}

}  // namespace
}  // namespace nearside::http
