#include "runtime/fatal.h"

#include <gtest/gtest.h>

namespace nearside {
namespace {

TEST(FatalDeathTest, ABugIsNamedAndEndsTheProcess) {
  EXPECT_EXIT(Fatal("two and two are five"), testing::KilledBySignal(SIGABRT),
              "^nearside: bug: two and two are five\n");
}

}  // namespace
}  // namespace nearside
