#include "runtime/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace nearside {
namespace {

TEST(ResultTest, EveryFaultHasAName) {
  EXPECT_EQ(FaultName(Fault::kClient), "client");
  EXPECT_EQ(FaultName(Fault::kOrigin), "origin");
  EXPECT_EQ(FaultName(Fault::kOperator), "operator");
  EXPECT_EQ(FaultName(Fault::kSelf), "self");
}

Result<int> Half(int n) {
  if (n % 2 != 0) return Fail(Fault::kClient, "odd", "expected an even number");
  return n / 2;
}

TEST(ResultTest, AFailureCarriesFaultReasonAndMessage) {
  EXPECT_EQ(Half(4).value(), 2);
  const Result<int> half = Half(3);
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().fault, Fault::kClient);
  EXPECT_EQ(half.error().reason, "odd");
  EXPECT_EQ(half.error().ToString(), "expected an even number (odd)");
}

TEST(ResultTest, ContextGoesBeforeTheMessage) {
  Error error = Half(3).error();
  EXPECT_EQ(std::move(error).In("page 7").ToString(), "page 7: expected an even number (odd)");
}

TEST(ResultTest, ErrnoBecomesOursWithItsName) {
  const Status status = FailErrno("/var/x", ENOSPC);
  EXPECT_EQ(status.error().fault, Fault::kSelf);
  EXPECT_EQ(status.error().ToString(), "/var/x: No space left on device (ENOSPC)");
}

TEST(ResultTest, AnErrnoThatNobodyKnowsKeepsItsNumber) {
  const Status status = FailErrno("/var/x", 99999);
  EXPECT_EQ(status.error().ToString(), "/var/x: error 99999 (errno)");
}

}  // namespace
}  // namespace nearside
