#include "origin/failure_limit.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

constexpr const char* kGuesser = "192.0.2.7";

class FailureLimitTest : public testing::Test {
 protected:
  static void Fail(FailureLimit* limit, int times, MonoTime now,
                   const std::string& client = kGuesser) {
    for (int i = 0; i < times; ++i) limit->Count(client, now);
  }
  const MonoTime now_ = MonoTime(seconds(1000));
};

TEST_F(FailureLimitTest, AsManyAsAllowedAtOnceThenOneAtATime) {
  FailureLimit limit(30);
  Fail(&limit, 29, now_);
  EXPECT_EQ(limit.WaitOf(kGuesser, now_), milliseconds(0));
  Fail(&limit, 1, now_);
  EXPECT_EQ(limit.WaitOf(kGuesser, now_), seconds(2));
  EXPECT_EQ(limit.WaitOf(kGuesser, now_ + milliseconds(1999)), milliseconds(1));
  EXPECT_EQ(limit.WaitOf(kGuesser, now_ + seconds(2)), milliseconds(0));
  Fail(&limit, 1, now_ + seconds(2));
  EXPECT_EQ(limit.WaitOf(kGuesser, now_ + seconds(2)), seconds(2));
  EXPECT_EQ(limit.WaitOf("192.0.2.8", now_), milliseconds(0));
}

TEST_F(FailureLimitTest, AfterAMinuteAllTriesAreBack) {
  FailureLimit limit(3);
  Fail(&limit, 3, now_);
  EXPECT_GT(limit.WaitOf(kGuesser, now_), milliseconds(0));
  Fail(&limit, 2, now_ + seconds(60));
  EXPECT_EQ(limit.WaitOf(kGuesser, now_ + seconds(60)), milliseconds(0));
  Fail(&limit, 1, now_ + seconds(60));
  EXPECT_GT(limit.WaitOf(kGuesser, now_ + seconds(60)), milliseconds(0));
}

TEST_F(FailureLimitTest, LoopbackIsSparedUnlessAsked) {
  for (const char* address : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}) {
    FailureLimit spared(1);
    Fail(&spared, 5, now_, address);
    EXPECT_EQ(spared.WaitOf(address, now_), milliseconds(0)) << address;
    FailureLimit held(1, /*loopback_too=*/true);
    Fail(&held, 5, now_, address);
    EXPECT_GT(held.WaitOf(address, now_), milliseconds(0)) << address;
  }
}

TEST_F(FailureLimitTest, NoLimitIsNone) {
  FailureLimit limit(0);
  Fail(&limit, 1000, now_);
  EXPECT_EQ(limit.WaitOf(kGuesser, now_), milliseconds(0));
  EXPECT_EQ(limit.size(), 0u);
}

TEST_F(FailureLimitTest, AnIpv6ClientIsItsNetworkAndAMappedAddressIsIpv4) {
  FailureLimit limit(1);
  Fail(&limit, 1, now_, "2001:db8:1:2::1");
  EXPECT_GT(limit.WaitOf("2001:db8:1:2:ffff::9", now_), milliseconds(0));
  EXPECT_EQ(limit.WaitOf("2001:db8:1:3::1", now_), milliseconds(0));
  Fail(&limit, 1, now_, "::ffff:192.0.2.7");
  EXPECT_GT(limit.WaitOf("192.0.2.7", now_), milliseconds(0));
  EXPECT_EQ(limit.WaitOf("::ffff:192.0.2.8", now_), milliseconds(0));
}

TEST_F(FailureLimitTest, MemoryIsBoundedAndWhoTriesMostIsNotForgotten) {
  FailureLimit limit(2);
  Fail(&limit, 2, now_);
  for (int i = 0; i < 10'000; ++i) {
    limit.Count("10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".1", now_);
  }
  EXPECT_EQ(limit.size(), FailureLimit::kAddresses);
  EXPECT_GT(limit.WaitOf(kGuesser, now_), milliseconds(0));
  limit.Count("10.99.99.99", now_ + seconds(61));
  EXPECT_EQ(limit.size(), 1u);
}

}  // namespace
}  // namespace nearside::origin
