#include "edge/hops.h"

#include <gtest/gtest.h>

namespace nearside::edge {
namespace {

struct HopsRow {
  http::Fields fields;
  int hops;
};

TEST(HopsTest, CountsWhereTheEdgeIsNamed) {
  const HopsRow rows[] = {
      {{}, 0},
      {{{"via", "1.1 other"}, {"cdn-loop", "other"}}, 0},
      {{{"via", "1.1 frankfurt"}}, 1},
      {{{"via", "HTTP/2.0 Frankfurt"}}, 1},
      {{{"via", "1.1 frankfurt (nearside)"}}, 1},
      {{{"via", "1.1 frankfurt(nearside)"}}, 1},
      {{{"via", "1.1  \tfrankfurt"}}, 1},
      {{{"via", "1.0 fred, 1.1 frankfurt, 1.1 fred"}}, 1},
      {{{"via", "1.1 frankfurt, 1.1 tokyo"}, {"via", "2.0 frankfurt"}}, 2},
      // Whoever is not named is not meant.
      {{{"via", "1.1 frankfurt2, 1.1 a-frankfurt, frankfurt 1.1, frankfurt"}}, 0},
      {{{"via", "1.1 other (frankfurt)"}}, 0},
      {{{"via", "1.1 frankfurt:8080"}}, 0},
      // RFC 8586 §2.
      {{{"cdn-loop", "frankfurt"}}, 1},
      {{{"cdn-loop", "FRANKFURT"}}, 1},
      {{{"cdn-loop", "frankfurt; version=1"}}, 1},
      {{{"cdn-loop", "frankfurt;a=\"x, frankfurt\""}}, 1},
      {{{"cdn-loop", "other; frankfurt"}}, 0},
      {{{"cdn-loop", "frankfurt.example"}}, 0},
      {{{"cdn-loop", "frankfurt, other"}, {"cdn-loop", "frankfurt"}}, 2},
      // Both tell of the same passages.
      {{{"via", "1.1 frankfurt"}, {"cdn-loop", "frankfurt"}}, 1},
      {{{"via", "1.1 frankfurt"}, {"cdn-loop", "frankfurt, frankfurt"}}, 2},
      // Nonsense names nobody.
      {{{"via", ""}, {"cdn-loop", ",;,"}}, 0},
  };
  for (const HopsRow& row : rows) {
    EXPECT_EQ(HopsThrough("frankfurt", row.fields), row.hops) << row.fields.ToText();
  }
}

}  // namespace
}  // namespace nearside::edge
