#include "geodns/client_count.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/allocation_counter.h"

namespace nearside::geodns {
namespace {

constexpr size_t kAny = ClientCount::kAnyNumber;

IpAddress Numbered(uint32_t number) {
  const uint8_t bytes[] = {10, 0, static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
  return IpAddress::V4(bytes);
}

TEST(ClientCountTest, AClientHasNoMoreThanItMay) {
  ClientCount count(16);
  const auto first = count.Add(Numbered(1), 2);
  ASSERT_TRUE(first);
  ASSERT_TRUE(count.Add(Numbered(1), 2));
  EXPECT_FALSE(count.Add(Numbered(1), 2));
  EXPECT_TRUE(count.Add(Numbered(2), 2)) << "another has as many";
  EXPECT_TRUE(count.Add(Numbered(1), 3));
  count.Remove(*first);
  EXPECT_FALSE(count.Add(Numbered(1), 2));
  count.Remove(*first);
  EXPECT_TRUE(count.Add(Numbered(1), 2));
}

TEST(ClientCountTest, NoneAtAllIsRefusedWithoutATrace) {
  ClientCount count(16);
  EXPECT_FALSE(count.Add(Numbered(1), 0));
  EXPECT_EQ(count.size(), 0U);
}

/// IPv4 addresses are no IPv6 ones that begin with the same bytes.
TEST(ClientCountTest, FamiliesAreApart) {
  ClientCount count(1);
  IpAddress six = Numbered(1);
  six.is_ipv6 = true;
  ASSERT_TRUE(count.Add(six, 1));
  EXPECT_TRUE(count.Add(Numbered(1), 1));
  EXPECT_EQ(count.size(), 2U);
}

TEST(ClientCountTest, RandomCountingAgreesWithAMap) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const size_t expected : {0, 1, 7, 64}) {
    ClientCount count(expected);
    std::map<uint32_t, std::vector<ClientCount::Place>> model;
    for (int step = 0; step < 20'000; ++step) {
      const uint32_t client = random() % 40;
      std::vector<ClientCount::Place>& held = model[client];
      if (random() % 2 == 0) {
        const auto place = count.Add(Numbered(client), 3);
        ASSERT_EQ(place.has_value(), held.size() < 3) << step;
        if (place) held.push_back(*place);
      } else if (!held.empty()) {
        count.Remove(held.back());
        held.pop_back();
      }
      if (held.empty()) model.erase(client);
      ASSERT_EQ(count.size(), model.size()) << step;
    }
  }
}

TEST(ClientCountTest, WhoComesAndGoesTakesNoMemory) {
  ClientCount count(4);
  count.Remove(*count.Add(Numbered(0), kAny));
  const size_t before = test::Allocations();
  for (uint32_t client = 1; client < 1000; ++client) {
    count.Remove(*count.Add(Numbered(client), kAny));
  }
  EXPECT_EQ(test::Allocations(), before);
}

}  // namespace
}  // namespace nearside::geodns
