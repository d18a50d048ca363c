#include "runtime/local_ref.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace nearside {
namespace {

TEST(LocalRefTest, TheLastOneEndsTheValue) {
  const auto owned = std::make_shared<int>(7);
  auto first = LocalRef<std::shared_ptr<int>>::Make(owned);
  EXPECT_EQ(owned.use_count(), 2);
  LocalRef<std::shared_ptr<int>> second = first;
  EXPECT_TRUE(first == second);
  EXPECT_EQ(**second, 7);
  EXPECT_EQ(owned.use_count(), 2) << "one value for both";
  first = nullptr;
  EXPECT_FALSE(first);
  EXPECT_EQ(owned.use_count(), 2);
  const LocalRef<std::shared_ptr<int>> third = std::move(second);
  EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move): it says so
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(third->get(), owned.get());
  EXPECT_EQ(owned.use_count(), 2);
}

TEST(LocalRefTest, AssignmentLetsGoOfWhatWasHeld) {
  const auto owned = std::make_shared<int>(7);
  const auto other = std::make_shared<int>(8);
  {
    auto held = LocalRef<std::shared_ptr<int>>::Make(owned);
    const auto& itself = held;
    held = itself;
    EXPECT_EQ(owned.use_count(), 2);
    held = LocalRef<std::shared_ptr<int>>::Make(other);
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_EQ(other.use_count(), 2);
    EXPECT_FALSE(held == LocalRef<std::shared_ptr<int>>::Make(other)) << "another value";
  }
  EXPECT_EQ(other.use_count(), 1);
}

}  // namespace
}  // namespace nearside
