#include "net/prompt_ends.h"

#include <gtest/gtest.h>

namespace nearside::net {
namespace {

constexpr milliseconds kWithin{4};

/// Clients of a listener, one every so often, of whom some stay.
class Clients {
 public:
  explicit Clients(milliseconds within = kWithin) : ends_(within) {}

  /// How many of `count` are looked at; every `stays`-th is still there then (0: none).
  int Looked(int count, MonoTime::duration apart, int stays) {
    int looked = 0;
    for (int i = 1; i <= count; ++i) {
      now_ += apart;
      if (!ends_.ShouldLook(now_)) continue;
      ++looked;
      ends_.Learn(stays == 0 || i % stays != 0);
    }
    return looked;
  }

 private:
  PromptEnds ends_;
  MonoTime now_{seconds(1000)};
};

constexpr std::chrono::microseconds kApart{100};

TEST(PromptEndsTest, WhereAllEndAllAreLookedAtAfterAWhile) {
  Clients clients;
  EXPECT_LT(clients.Looked(500, kApart, 0), 40) << "a sixteenth at first";
  clients.Looked(500, kApart, 0);
  EXPECT_EQ(clients.Looked(1000, kApart, 0), 1000);
}

TEST(PromptEndsTest, AFewThatStayChangeNothing) {
  Clients clients;
  clients.Looked(1000, kApart, 0);
  EXPECT_EQ(clients.Looked(1000, kApart, 20), 1000);
}

TEST(PromptEndsTest, WhereManyStayASixteenthIsLookedAt) {
  Clients clients;
  EXPECT_EQ(clients.Looked(1601, kApart, 1), 100) << "none is known to end, the first is alone";
  clients.Looked(2000, kApart, 0);
  clients.Looked(100, kApart, 1);
  EXPECT_EQ(clients.Looked(1600, kApart, 1), 100) << "they have begun to stay";
  clients.Looked(2000, kApart, 0);
  EXPECT_EQ(clients.Looked(1000, kApart, 0), 1000) << "and end again";
}

TEST(PromptEndsTest, WhoComesAloneIsWatchedAtOnce) {
  Clients clients;
  clients.Looked(2000, kApart, 0);
  EXPECT_EQ(clients.Looked(1000, kWithin, 0), 0);
  EXPECT_EQ(clients.Looked(1000, kWithin - kApart, 0), 1000);
}

TEST(PromptEndsTest, NoTimeIsNoLook) {
  Clients clients(milliseconds(0));
  EXPECT_EQ(clients.Looked(1000, MonoTime::duration(0), 0), 0);
}

}  // namespace
}  // namespace nearside::net
