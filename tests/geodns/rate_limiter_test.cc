#include "geodns/rate_limiter.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace nearside::geodns {
namespace {

constexpr RateLimiter::Key kRateKey = {1, 2};
constexpr MonoTime kRateStart{seconds(1000)};

IpAddress RateClient(std::string_view text) { return *IpAddress::Parse(text); }

/// One letter a query: answered, slipped, dropped.
char LetterOf(RateVerdict verdict) {
  return verdict == RateVerdict::kAnswer ? 'a' : verdict == RateVerdict::kSlip ? 's' : 'd';
}

std::string Verdicts(RateLimiter* limiter, std::string_view client, const RateLimits& limits,
                     MonoTime now, int queries) {
  std::string letters;
  for (int i = 0; i < queries; ++i) {
    letters += LetterOf(limiter->Decide(RateClient(client), limits, now).verdict);
  }
  return letters;
}

TEST(RateLimiterTest, EverySlip) {
  const struct {
    uint32_t rate;
    uint32_t slip;
    std::string_view want;  // of eight queries at once
  } kRows[] = {
      {0, 2, "aaaaaaaa"}, {1, 2, "adsdsdsd"}, {3, 2, "aaadsdsd"}, {3, 0, "aaaddddd"},
      {3, 1, "aaasssss"}, {3, 3, "aaaddsdd"}, {8, 2, "aaaaaaaa"}, {7, 1, "aaaaaaas"},
  };
  for (const auto& row : kRows) {
    RateLimiter limiter(1024, kRateKey);
    const RateLimits limits{.answers_per_second = row.rate, .slip = row.slip};
    EXPECT_EQ(Verdicts(&limiter, "192.0.2.1", limits, kRateStart, 8), row.want)
        << row.rate << " a second, slip " << row.slip;
  }
}

TEST(RateLimiterTest, TheRateIsGivenBackEvenly) {
  RateLimiter limiter(1024, kRateKey);
  const RateLimits limits{.answers_per_second = 10, .slip = 0};
  EXPECT_EQ(Verdicts(&limiter, "192.0.2.1", limits, kRateStart, 12), "aaaaaaaaaadd");
  const struct {
    milliseconds after;
    std::string_view want;
  } kRows[] = {
      {milliseconds(99), "ddd"},
      {milliseconds(100), "add"},
      {milliseconds(199), "ddd"},
      {milliseconds(400), "aaa"},
      {milliseconds(401), "ddd"},
      {seconds(60), "aaaaaaaaaadd"},  // a whole second's worth and no more
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Verdicts(&limiter, "192.0.2.1", limits, kRateStart + row.after,
                       static_cast<int>(row.want.size())),
              row.want)
        << row.after.count();
  }
}

TEST(RateLimiterTest, ASteadyRateBelowTheLimitIsNeverTouched) {
  RateLimiter limiter(1024, kRateKey);
  const RateLimits limits{.answers_per_second = 1000, .slip = 2};
  for (int i = 0; i < 20'000; ++i) {
    const MonoTime now = kRateStart + std::chrono::microseconds(1000 * i);
    ASSERT_EQ(limiter.Decide(RateClient("192.0.2.1"), limits, now).verdict, RateVerdict::kAnswer)
        << i;
  }
}

TEST(RateLimiterTest, ANetworkIsWhatItsPrefixSays) {
  const struct {
    uint8_t ipv4_prefix, ipv6_prefix;
    std::string_view first, second;
    bool same;
  } kRows[] = {
      {24, 56, "192.0.2.1", "192.0.2.254", true},
      {24, 56, "192.0.2.1", "192.0.3.1", false},
      {32, 56, "192.0.2.1", "192.0.2.2", false},
      {23, 56, "192.0.2.1", "192.0.3.1", true},
      {23, 56, "192.0.2.1", "192.0.4.1", false},
      {1, 56, "1.0.0.0", "127.255.255.255", true},
      {24, 56, "2001:db8:0:ff::1", "2001:db8:0:1::2", true},
      {24, 56, "2001:db8:0:100::1", "2001:db8:0:1::2", false},
      {24, 128, "2001:db8::1", "2001:db8::2", false},
      {24, 61, "2001:db8:0:8::1", "2001:db8:0:f::2", true},
      {24, 61, "2001:db8:0:8::1", "2001:db8:0:7::2", false},
      {32, 32, "1.2.3.4", "102:304::", false},  // the same bits of the other family
  };
  for (const auto& row : kRows) {
    RateLimiter limiter(1024, kRateKey);
    const RateLimits limits{1, 0, row.ipv4_prefix, row.ipv6_prefix};
    EXPECT_EQ(Verdicts(&limiter, row.first, limits, kRateStart, 1), "a");
    EXPECT_EQ(Verdicts(&limiter, row.second, limits, kRateStart, 1), row.same ? "d" : "a")
        << row.first << ' ' << row.second << ' ' << +row.ipv4_prefix << ' ' << +row.ipv6_prefix;
  }
}

TEST(RateLimiterTest, ManyNetworksDoNotShareTheirRate) {
  RateLimiter limiter(65'536, kRateKey);
  const RateLimits limits{.answers_per_second = 1, .slip = 0};
  std::map<char, int> letters;
  for (int net = 0; net < 20'000; ++net) {
    const std::string client = "10." + std::to_string(net / 256) + "." + std::to_string(net % 256);
    letters[Verdicts(&limiter, client + ".1", limits, kRateStart, 1)[0]]++;
  }
  EXPECT_EQ(letters['a'], 20'000) << "nobody is limited for another's queries";
}

/// Queries from each /24 of 10.0.0.0/16 in turn and what became of them, as letters counted.
std::map<char, int> FloodOf16(RateLimiter* limiter, const RateLimits& limits, MonoTime now,
                              int queries, RateBound* bound) {
  std::map<char, int> letters;
  for (int i = 0; i < queries; ++i) {
    const IpAddress client = RateClient("10.0." + std::to_string(i % 256) + ".1");
    const auto decision = limiter->Decide(client, limits, now);
    if (decision.verdict != RateVerdict::kAnswer) *bound = decision.bound;
    letters[LetterOf(decision.verdict)]++;
  }
  return letters;
}

TEST(RateLimiterTest, ForgedAddressesAllOverALargeNetworkGetWhatItsRateAllows) {
  RateLimiter limiter(65'536, kRateKey);
  const RateLimits limits{.answers_per_second = 1000, .slip = 2, .wide_answers_per_second = 2000};
  auto bound = RateBound::kAll;
  auto letters = FloodOf16(&limiter, limits, kRateStart, 10'000, &bound);
  EXPECT_EQ(letters['a'], 2000);
  EXPECT_EQ(letters['s'], 4000) << "every second one learns of TCP";
  EXPECT_EQ(letters['d'], 4000);
  EXPECT_EQ(bound, RateBound::kWide);
  EXPECT_EQ(Verdicts(&limiter, "10.1.0.1", limits, kRateStart, 3), "aaa") << "not its neighbours";
  letters = FloodOf16(&limiter, limits, kRateStart + milliseconds(500), 10'000, &bound);
  EXPECT_EQ(letters['a'], 1000) << "it comes back with time";
}

TEST(RateLimiterTest, OneOfALargeNetworkTakesNoMoreOfItThanItsOwnRate) {
  RateLimiter limiter(65'536, kRateKey);
  const RateLimits limits{.answers_per_second = 10, .slip = 0, .wide_answers_per_second = 20};
  EXPECT_EQ(Verdicts(&limiter, "10.0.0.1", limits, kRateStart, 100),
            std::string(10, 'a') + std::string(90, 'd'));
  EXPECT_EQ(Verdicts(&limiter, "10.0.1.1", limits, kRateStart, 11), "aaaaaaaaaad");
  const auto refused = limiter.Decide(RateClient("10.0.2.1"), limits, kRateStart);
  EXPECT_EQ(LetterOf(refused.verdict), 'd');
  EXPECT_EQ(refused.bound, RateBound::kWide);
  EXPECT_EQ(limiter.Decide(RateClient("10.0.0.1"), limits, kRateStart).bound, RateBound::kNetwork);
}

TEST(RateLimiterTest, ALargeNetworkIsWhatItsPrefixSays) {
  const struct {
    uint8_t ipv4_prefix, ipv6_prefix;
    std::string_view first, second;
    bool same;
  } kRows[] = {
      {16, 32, "10.0.0.1", "10.0.255.1", true},
      {16, 32, "10.0.0.1", "10.1.0.1", false},
      {12, 32, "10.16.0.1", "10.31.0.1", true},
      {16, 32, "2001:db8::1", "2001:db8:ffff::1", true},
      {16, 32, "2001:db8::1", "2001:db9::1", false},
      {24, 32, "10.0.0.1", "10.0.0.2", true},  // the same bits as the small one, and another count
  };
  for (const auto& row : kRows) {
    RateLimiter limiter(1024, kRateKey);
    const RateLimits limits{.answers_per_second = 2,
                            .slip = 0,
                            .wide_answers_per_second = 1,
                            .wide_ipv4_prefix = row.ipv4_prefix,
                            .wide_ipv6_prefix = row.ipv6_prefix};
    EXPECT_EQ(Verdicts(&limiter, row.first, limits, kRateStart, 1), "a");
    EXPECT_EQ(Verdicts(&limiter, row.second, limits, kRateStart, 1), row.same ? "d" : "a")
        << row.first << ' ' << row.second << ' ' << +row.ipv4_prefix << ' ' << +row.ipv6_prefix;
  }
}

TEST(RateLimiterTest, EverybodyTogetherHasABudgetOfItsOwn) {
  RateLimiter limiter(65'536, kRateKey);
  const RateLimits limits{.answers_per_second = 0, .slip = 2, .all_answers_per_second = 3};
  std::string letters;
  for (const char* client :
       {"10.0.0.1", "172.16.0.1", "2001:db8::1", "192.0.2.1", "198.51.100.1"}) {
    letters += Verdicts(&limiter, client, limits, kRateStart, 1);
  }
  EXPECT_EQ(letters, "aaads");
  EXPECT_EQ(limiter.Decide(RateClient("10.9.0.1"), limits, kRateStart).bound, RateBound::kAll);
  EXPECT_EQ(Verdicts(&limiter, "203.0.113.1", limits, kRateStart + seconds(1), 4), "aaas");
}

TEST(RateLimiterTest, AFullTableForgetsThoseWhoMatterLeast) {
  RateLimiter limiter(4, kRateKey);  // one set
  const RateLimits limits{.answers_per_second = 100, .slip = 0};
  Verdicts(&limiter, "192.0.2.1", limits, kRateStart, 150);
  for (int net = 0; net < 1000; ++net) {
    const std::string client = "10." + std::to_string(net / 256) + "." + std::to_string(net % 256);
    Verdicts(&limiter, client + ".1", limits, kRateStart, 1);
  }
  EXPECT_EQ(Verdicts(&limiter, "192.0.2.1", limits, kRateStart, 2), "dd");
  EXPECT_EQ(limiter.evicted(), 997U);
  Verdicts(&limiter, "10.200.0.1", limits, kRateStart + seconds(5), 1);
  EXPECT_EQ(limiter.evicted(), 997U) << "who has asked nothing for a second is not missed";
}

}  // namespace
}  // namespace nearside::geodns
