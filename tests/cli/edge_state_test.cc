#include "cli/edge_state.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace nearside::cli {
namespace {

TEST(EdgeStateTest, EveryRow) {
  struct Row {
    bool reachable;
    int64_t since_ms;
    bool draining;
    std::string_view dns;
    std::string_view state;
  };
  const Row rows[] = {
      {true, 0, false, "up", "up"},           {true, 0, false, "", "up"},
      {true, 0, false, "unknown", "up"},      {true, 0, false, "down", "unhealthy"},
      {true, 0, true, "up", "draining"},      {true, 0, true, "down", "draining"},
      {true, 7000, false, "up", "up"},        {true, 7001, false, "up", "silent"},
      {true, 7001, true, "down", "silent"},   {false, 0, false, "up", "silent"},
      {false, 60'000, false, "up", "silent"},
  };
  for (const Row& row : rows) {
    const Json edge = {{"reachable", row.reachable},
                       {"seen", 1'000'000 - row.since_ms},
                       {"report", {{"draining", row.draining}}}};
    EXPECT_EQ(StateOf(edge, {{"now", 1'000'000}}, row.dns), row.state)
        << row.since_ms << " ms, DNS " << row.dns;
  }
}

TEST(EdgeStateTest, SinceSeenIsByTheOriginsClockAndNeverNegative) {
  EXPECT_EQ(SinceSeen({{"seen", 400}}, {{"now", 1000}}), milliseconds(600));
  EXPECT_EQ(SinceSeen({{"seen", 1400}}, {{"now", 1000}}), milliseconds(0));
  EXPECT_LT(SinceSeen({{"seen", ToUnixMillis(WallNow())}}, Json::object()), seconds(60));
}

}  // namespace
}  // namespace nearside::cli
