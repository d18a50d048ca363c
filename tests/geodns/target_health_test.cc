#include "geodns/target_health.h"

#include <gtest/gtest.h>

#include "geodns/health_checker.h"

namespace nearside::geodns {
namespace {

WallTime At(int64_t second) { return FromUnixMillis(second * 1000); }

/// Feeds results ('+' success, '-' failure, 'd' success that asks for drain) and tells the states
/// after each: 'u', 'd'own, 'x' for drained; a capital where a change was reported.
std::string Feed(std::string_view results, int rise, int fall, TargetHealth health) {
  RiseAndFall counter(rise, fall);
  std::string states;
  int64_t second = 0;
  for (char c : results) {
    CheckResult result;
    result.success = c != '-';
    result.drained = c == 'd';
    if (c == '-') result.error = "refused";
    bool changed = TakeResult(result, At(++second), &counter, &health);
    EXPECT_EQ(health.changed == At(second), changed);
    char state = health.state() == PopState::kUp     ? 'u'
                 : health.state() == PopState::kDown ? 'd'
                                                     : 'x';
    states += changed ? static_cast<char>(state - 32) : state;
  }
  return states;
}

TEST(TakeResultTest, EveryRow) {
  TargetHealth fresh;
  TargetHealth doubted{.up = false};
  TargetHealth known_up{.known = true};
  TargetHealth known_down{.up = false, .known = true};
  const struct {
    std::string_view results, want;
    int rise, fall;
    TargetHealth before;
  } kRows[] = {
      {"++", "uu", 2, 2, fresh},
      {"-", "D", 2, 3, fresh},        // the first look at an unknown target decides
      {"-+-+", "Dddd", 2, 2, fresh},  // then it takes rise in a row
      {"-++", "DdU", 2, 2, fresh},
      {"+--", "UuD", 3, 2, doubted},  // of a reload: one success is enough
      {"-++", "DdU", 2, 2, doubted},  // and a failure is told, though it was down before
      {"--", "uD", 2, 2,
       known_up},  // what an earlier process knew is not thrown away at one failure
      {"-+--", "uuuD", 2, 2, known_up},  // only in a row
      {"---", "uuD", 2, 3, known_up},
      {"++", "dU", 2, 2, known_down},
      {"+-++", "dddU", 2, 2, known_down},
      {"+", "U", 1, 1, known_down},
      {"dd+", "XxU", 2, 2, known_up},  // drain counts at once, either way
      {"d--", "XxD", 2, 2, known_up},
      {"dd", "dX", 2, 2, known_down},  // up again, and drained
      {"d--++", "XxDdU", 2, 2, fresh},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Feed(row.results, row.rise, row.fall, row.before), row.want) << row.results;
  }
}

TEST(TakeResultTest, WhatTheLastCheckSaidIsKept) {
  RiseAndFall counter(1, 2);
  TargetHealth health;
  TakeResult({.success = true, .load = 0.5, .took = milliseconds(7)}, At(1), &counter, &health);
  EXPECT_EQ(health.load, 0.5);
  EXPECT_EQ(health.took, milliseconds(7));
  EXPECT_EQ(health.checked_at, At(1));
  TakeResult({.success = false, .error = "status 503"}, At(2), &counter, &health);
  EXPECT_EQ(health.error, "status 503");
  EXPECT_EQ(health.load, 0.5) << "still up";
  TakeResult({.success = false, .error = "status 503"}, At(3), &counter, &health);
  EXPECT_FALSE(health.load) << "the dead have no load";
}

TEST(HealthMemoryTest, GoesThroughTheStateFile) {
  HealthMemory memory;
  memory["frankfurt"] = {"https://127.0.1.1:8443/healthz", false, false, At(77)};
  memory["fallback demo.test \"www\""] = {"http://127.0.0.1/", true, true, At(78)};
  auto read = HealthMemoryFromText(HealthMemoryToText(memory));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 2U);
  EXPECT_FALSE((*read)["frankfurt"].up);
  EXPECT_EQ((*read)["frankfurt"].changed, At(77));
  EXPECT_EQ((*read)["frankfurt"].url, "https://127.0.1.1:8443/healthz");
  EXPECT_TRUE((*read)["fallback demo.test \"www\""].drained);
}

TEST(HealthMemoryTest, OtherTextIsRefused) {
  std::string whole = HealthMemoryToText({{"a", {"http://b/", true, false, At(1)}}});
  for (size_t size = 0; size + 2 < whole.size(); ++size) {
    EXPECT_FALSE(HealthMemoryFromText(whole.substr(0, size))) << size;
  }
  for (std::string_view text :
       {"[]", "1", "{\"a\":1}", "{\"a\":{}}", "{\"a\":{\"url\":1,\"up\":true,\"drained\":true}}",
        "{\"a\":{\"url\":\"\",\"up\":1,\"drained\":true,\"changed_ms\":0}}", "\xff\xfe"}) {
    EXPECT_FALSE(HealthMemoryFromText(text)) << text;
  }
  EXPECT_TRUE(HealthMemoryFromText("{}"));
}

}  // namespace
}  // namespace nearside::geodns
