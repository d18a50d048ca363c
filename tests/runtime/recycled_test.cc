#include "runtime/recycled.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace nearside {
namespace {

struct Base {
  virtual ~Base() = default;
};
struct Short final : public Base, public Recycled<Short> {
  int value = 7;
};

TEST(RecycledTest, TheMemoryOfOneServesTheNext) {
  if (!kRecycles) GTEST_SKIP() << "under AddressSanitizer each object has its own memory";
  std::set<const void*> first;
  std::vector<std::unique_ptr<Base>> held;
  for (int n = 0; n < 100; ++n) {
    held.push_back(std::make_unique<Short>());
    first.insert(held.back().get());
  }
  ASSERT_EQ(first.size(), 100u);
  held.clear();
  for (int n = 0; n < 100; ++n) {
    auto next = std::make_unique<Short>();
    EXPECT_EQ(next->value, 7);
    EXPECT_EQ(first.count(next.get()), 1u) << n;
    held.push_back(std::move(next));
  }
}

TEST(RecycledTest, MoreThanAreKeptComeAndGo) {
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Short>> held(4 * Short::kMostKept);
    for (auto& one : held) one = std::make_unique<Short>();
    for (const auto& one : held) ASSERT_EQ(one->value, 7);
  }
}

TEST(RecycledTest, AnObjectMayEndInAnotherThread) {
  auto crossing = std::make_unique<Short>();
  std::thread([&] {
    crossing.reset();
    EXPECT_EQ(std::make_unique<Short>()->value, 7);
  }).join();
  EXPECT_EQ(std::make_unique<Short>()->value, 7);
}

}  // namespace
}  // namespace nearside
