#include "storage/presence_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "tests/storage/cache_fixture.h"

namespace nearside::storage {
namespace {

TEST(PresenceTableTest, AnswersYesUntilItIsComplete) {
  PresenceTable table;
  EXPECT_TRUE(table.MayContain(KeyOf("a")));
  table.SetComplete(true);
  EXPECT_FALSE(table.MayContain(KeyOf("a")));
}

TEST(PresenceTableTest, CountsSoThatAReplacementIsNotAnAbsence) {
  PresenceTable table;
  table.SetComplete(true);
  table.Add(KeyOf("a"));
  table.Add(KeyOf("a"));
  table.Drop(KeyOf("a"));
  EXPECT_TRUE(table.MayContain(KeyOf("a")));
  table.Drop(KeyOf("a"));
  EXPECT_FALSE(table.MayContain(KeyOf("a")));
  table.Drop(KeyOf("a"));
  EXPECT_FALSE(table.MayContain(KeyOf("a")));
}

TEST(PresenceTableTest, AgreesWithAMapThroughGrowthAndErasure) {
  PresenceTable table;
  table.SetComplete(true);
  std::map<std::string, int> counts;
  std::mt19937 random(3);
  for (int i = 0; i < 60'000; ++i) {
    const std::string name = std::to_string(random() % 8000);
    if (random() % 2 == 0) {
      if (counts[name] < 20) {
        ++counts[name];
        table.Add(KeyOf(name));
      }
    } else if (counts[name] > 0) {
      --counts[name];
      table.Drop(KeyOf(name));
    }
  }
  for (const auto& [name, count] : counts) {
    ASSERT_EQ(table.MayContain(KeyOf(name)), count > 0) << name;
  }
}

TEST(PresenceTableTest, AFullCountStaysYesForGood) {
  PresenceTable table;
  table.SetComplete(true);
  for (int i = 0; i < 100; ++i) table.Add(KeyOf("a"));
  for (int i = 0; i < 100; ++i) table.Drop(KeyOf("a"));
  EXPECT_TRUE(table.MayContain(KeyOf("a")));
}

TEST(PresenceTableTest, MarksAreCountedUpToThreeAndUsedUp) {
  PresenceTable table;
  table.Mark(KeyOf("absent"));
  EXPECT_FALSE(table.TakeMark(KeyOf("absent")));
  table.Add(KeyOf("a"));
  for (int i = 0; i < 5; ++i) table.Mark(KeyOf("a"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(table.TakeMark(KeyOf("a"))) << i;
  EXPECT_FALSE(table.TakeMark(KeyOf("a")));
  table.SetComplete(true);
  EXPECT_TRUE(table.MayContain(KeyOf("a")));
}

TEST(PresenceTableTest, TakesAboutADozenBytesAKey) {
  PresenceTable table;
  constexpr uint64_t kKeys = 100'000;
  for (uint64_t i = 0; i < kKeys; ++i) table.Add(KeyOf(std::to_string(i)));
  EXPECT_LT(table.memory_bytes(), kKeys * 22);
  PresenceTable expected;
  expected.Expect(kKeys);
  const uint64_t bytes = expected.memory_bytes();
  for (uint64_t i = 0; i < kKeys; ++i) expected.Add(KeyOf(std::to_string(i)));
  EXPECT_EQ(expected.memory_bytes(), bytes) << "what was expected needs no growth";
}

}  // namespace
}  // namespace nearside::storage
