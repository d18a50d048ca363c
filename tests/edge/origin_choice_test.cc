#include "edge/origin_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace nearside::edge {
namespace {

using CandidateState = OriginCandidate::State;
using Verdict = OriginStanding::Verdict;

/// "u3 t0 d1 e2*": up, trial, down, ejected; how many in flight; * tried.
struct Scene {
  explicit Scene(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(' ', at), text.size());
      std::string word(text.substr(at, end - at));
      at = end + 1;
      if (word.ends_with('*')) {
        tried |= OriginMask{1} << candidates.size();
        word.pop_back();
      }
      const CandidateState state = word[0] == 'u'   ? CandidateState::kUp
                                   : word[0] == 't' ? CandidateState::kTrial
                                   : word[0] == 'd' ? CandidateState::kDown
                                                    : CandidateState::kEjected;
      candidates.push_back(
          {.state = state, .in_flight = static_cast<uint32_t>(std::stoul(word.substr(1)))});
    }
  }
  std::vector<OriginCandidate> candidates;
  OriginMask tried = 0;
};

/// Numbers of all that some draw chooses: "0 2", or "none".
std::string Chosen(const Scene& scene, bool repeatable) {
  const auto count = static_cast<uint32_t>(scene.candidates.size());
  OriginMask mask = 0;
  bool none = false;
  for (uint32_t first = 0; first < 2 * count; ++first) {
    for (uint32_t second = 0; second < 2 * count; ++second) {
      const auto chosen = ChooseOrigin(scene.candidates, scene.tried, repeatable, {first, second});
      none = none || !chosen;
      if (chosen) mask |= OriginMask{1} << *chosen;
    }
  }
  EXPECT_FALSE(none && mask != 0) << "whether there is one does not hang on draws";
  std::string text;
  for (uint32_t i = 0; i < count; ++i) {
    if ((mask >> i & 1) != 0) text += (text.empty() ? "" : " ") + std::to_string(i);
  }
  return none ? "none" : text;
}

TEST(ChooseOriginTest, EveryRow) {
  struct Row {
    std::string_view scene;
    std::string_view repeatable, once;  ///< what may be chosen
  };
  constexpr Row kRows[] = {
      {"u0", "0", "0"},
      {"u7", "0", "0"},
      {"e0", "0", "0"},  // the only one, come what may
      {"d0", "0", "0"},
      {"u0 u0", "0 1", "0 1"},
      {"u1 u0", "1", "1"},
      {"u1 u2", "0", "0"},
      {"u1 u2 u3", "0 1", "0 1"},  // two of three are drawn: the busiest never wins
      {"u2 u2 u3", "0 1", "0 1"},
      {"u3 u3 u3", "0 1 2", "0 1 2"},
      {"u9 e0", "0", "0"},
      {"u9 d0", "0", "0"},
      {"u9 e0 d0 u9", "0 3", "0 3"},
      // A trial goes first, but not with what cannot be asked again.
      {"u0 t0", "1", "0"},
      {"u0 t5", "1", "0"},
      {"t0 u0 t0", "0 2", "1"},
      {"t0 t0", "0 1", "0 1"},
      {"d0 t0", "1", "1"},
      // None is up: those that fail their check, then those that fail.
      {"d0 d1", "0", "0"},
      {"d0 e0", "0", "0"},
      {"e0 e1", "0", "0"},
      // Retries: the best of what is left.
      {"u0*", "none", "none"},
      {"u0* u5", "1", "1"},
      {"u0* u5 u1", "2", "2"},
      {"u0* u5 u1 u2", "2 3", "2 3"},
      {"u0* e0", "1", "1"},
      {"u0* d0", "1", "1"},
      {"u0* t0", "1", "1"},
      {"t0* u0", "1", "1"},
      {"t0* e0", "1", "1"},
      {"u0* e0 d0 u1", "3", "3"},
      {"u0* e0 d0 u1*", "2", "2"},
      {"d0* d0", "1", "1"},
      {"d0* d0*", "none", "none"},
      {"e0* e0", "1", "1"},
  };
  for (const Row& row : kRows) {
    const Scene scene(row.scene);
    EXPECT_EQ(Chosen(scene, true), row.repeatable) << row.scene;
    EXPECT_EQ(Chosen(scene, false), row.once) << row.scene;
  }
}

TEST(ChooseOriginTest, WhatMayBeChosenIsWhatSomeDrawChooses) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 2'000; ++round) {
    Scene scene("");
    const size_t count = 1 + random() % 6;
    for (size_t i = 0; i < count; ++i) {
      scene.candidates.push_back({.state = static_cast<CandidateState>(random() % 4),
                                  .in_flight = static_cast<uint32_t>(random() % 4)});
    }
    std::string text;
    const OriginMask mask = MayBeChosen(scene.candidates);
    for (size_t i = 0; i < count; ++i) {
      if ((mask >> i & 1) != 0) text += (text.empty() ? "" : " ") + std::to_string(i);
    }
    EXPECT_EQ(text, Chosen(scene, true));
  }
}

TEST(ChooseOriginTest, SixtyFourOriginsAreAllInTheGame) {
  const std::vector<OriginCandidate> candidates(kMostOrigins);
  EXPECT_EQ(MayBeChosen(candidates), ~OriginMask{0});
  EXPECT_EQ(ChooseOrigin(candidates, ~OriginMask{0} >> 1, true, {5, 5}), 63u);
  EXPECT_EQ(ChooseOrigin(candidates, ~OriginMask{0}, true, {5, 5}), std::nullopt);
}

// By simulation: an origin that takes ten times as long gets about a tenth, where turns or chance
// alone would give it a quarter.
TEST(ChooseOriginTest, ASlowOriginGetsLessOfTheLoad) {
  std::mt19937 random(7);
  std::vector<OriginCandidate> candidates(4);
  std::vector<std::vector<int>> ends(4);  // times at which requests end
  std::vector<int> asked(4);
  for (int now = 0; now < 40'000; ++now) {
    for (size_t i = 0; i < 4; ++i) {
      candidates[i].in_flight -=
          static_cast<uint32_t>(std::erase_if(ends[i], [now](int end) { return end <= now; }));
    }
    const size_t chosen = *ChooseOrigin(
        candidates, 0, true, {static_cast<uint32_t>(random()), static_cast<uint32_t>(random())});
    ++asked[chosen];
    ++candidates[chosen].in_flight;
    ends[chosen].push_back(now + (chosen == 0 ? 100 : 10));
  }
  const int others = (asked[1] + asked[2] + asked[3]) / 3;
  EXPECT_LT(asked[0], others / 3) << asked[0] << " against " << others;
  EXPECT_GT(asked[0], 0);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_NEAR(asked[i], others, others / 10) << i;
  }
}

MonoTime At(int64_t second) { return MonoTime(seconds(second)); }

class OriginStandingTest : public testing::Test {
 protected:
  /// What becomes of it: 'f' a failure, 'c' a cut body, 'a' an answer, 'e' the end of a body, 'T' a
  /// trial that fails, 'R' one that goes well, 'l' a failure of the last one. Each a second after
  /// the one before. Answers "u", "e"jected or "t" (may be tried) after each, a capital where the
  /// event was told.
  std::string After(std::string_view events) {
    std::string states;
    for (const char event : events) {
      now_ += seconds(1);
      const bool told = Apply(event);
      const CandidateState state = standing_.StateAt(now_);
      const char letter = state == CandidateState::kUp      ? 'u'
                          : state == CandidateState::kTrial ? 't'
                                                            : 'e';
      states += told ? static_cast<char>(letter - 32) : letter;
    }
    return states;
  }
  bool Apply(char event) {
    using Failure = OriginStanding::Failure;
    switch (event) {
      case 'a':
        return standing_.Answer(/*trial=*/false, now_);
      case 'e':
        standing_.Complete();
        return false;
      case 'R':
        standing_.BeginTrial();
        return standing_.Answer(/*trial=*/true, now_);
      case 'T':
        standing_.BeginTrial();
        return standing_.Fail(Failure::kNoAnswer, true, false, rules_, now_) == Verdict::kEjected;
      case 'l':
        return standing_.Fail(Failure::kNoAnswer, false, true, rules_, now_) == Verdict::kLast;
      case '.':
        return false;
      default:
        return standing_.Fail(event == 'c' ? Failure::kCutBody : Failure::kNoAnswer, false, false,
                              rules_, now_) == Verdict::kEjected;
    }
  }
  seconds EjectedFor() const { return std::chrono::floor<seconds>(standing_.until() - now_); }

  EjectionRules rules_{.after = 3, .first = seconds(4), .most = seconds(10)};
  OriginStanding standing_;
  MonoTime now_ = At(1000);
};

TEST_F(OriginStandingTest, EveryRow) {
  struct Row {
    std::string_view events, states;
  };
  constexpr Row kRows[] = {
      {"ff", "uu"},
      {"fff", "uuE"},
      {"ffaff", "uuuuu"},  // in a row only
      {"ffaf", "uuuu"},
      {"fff...", "uuEeee"},    // four seconds
      {"fff....", "uuEeeet"},  // then it may be tried
      {"fff....R", "uuEeeetU"},
      {"fff....T", "uuEeeetE"},
      {"fffff", "uuEee"},  // what was under way does not count twice
      {"fffa", "uuEe"},    // nor does an answer from before
      {"fff....a", "uuEeeett"},
      {"cc", "uu"},
      {"ccc", "uuE"},
      {"cacac", "uuuuE"},  // heads that come do not make up for bodies that do not
      {"cecec", "uuuuu"},
      {"fcfc", "uuuu"},  // two rows, each for itself
      {"fffc", "uuEe"},
      {"lll", "uuU"},        // the last one stays …
      {"llllll", "uuUuuU"},  // … however often
      {"llf", "uuE"},
  };
  for (const Row& row : kRows) {
    standing_ = OriginStanding();
    EXPECT_EQ(After(row.events), row.states) << row.events;
  }
}

TEST_F(OriginStandingTest, EachTimeInARowIsTwiceAsLongUpToALimit) {
  After("fff");
  EXPECT_EQ(EjectedFor(), seconds(4));
  After("....T");
  EXPECT_EQ(EjectedFor(), seconds(8));
  After("........T");
  EXPECT_EQ(EjectedFor(), seconds(10));
  After("..........T");
  EXPECT_EQ(EjectedFor(), seconds(10));
  // It comes back and fails at once: no new beginning.
  After("..........Rfff");
  EXPECT_EQ(EjectedFor(), seconds(10));
  // It is well for as long as it was left alone: a new beginning.
  After("..........R.......fff");
  EXPECT_EQ(EjectedFor(), seconds(4));
}

TEST_F(OriginStandingTest, OneTrialAtATime) {
  After("fff....");
  EXPECT_EQ(standing_.StateAt(now_), CandidateState::kTrial);
  standing_.BeginTrial();
  EXPECT_EQ(standing_.StateAt(now_), CandidateState::kEjected);
  standing_.DropTrial();  // its client left before anything was known
  EXPECT_EQ(standing_.StateAt(now_), CandidateState::kTrial);
}

TEST_F(OriginStandingTest, AnEjectionEndsEarlyWhenTheOthersFailToo) {
  After("fff");
  standing_.EndEjection(now_);
  EXPECT_EQ(standing_.StateAt(now_), CandidateState::kTrial);
  standing_.BeginTrial();
  standing_.EndEjection(now_);
  EXPECT_EQ(standing_.StateAt(now_), CandidateState::kEjected) << "it is being tried already";
}

TEST_F(OriginStandingTest, SpotlessMeansThatASuccessChangesNothing) {
  EXPECT_TRUE(standing_.spotless());
  After("f");
  EXPECT_FALSE(standing_.spotless());
  After("a");
  EXPECT_TRUE(standing_.spotless());
  After("c");
  EXPECT_FALSE(standing_.spotless());
  After("ae");
  EXPECT_TRUE(standing_.spotless());
  After("fff");
  EXPECT_FALSE(standing_.spotless());
}

TEST(RetryBudgetTest, AFewAreAlwaysAllowedAndThenTheirShare) {
  RetryBudget budget;
  const auto taken = [&budget](MonoTime now) {
    int count = 0;
    while (count < 1000 && budget.TakeRetry(20, now)) ++count;
    return count;
  };
  EXPECT_EQ(taken(At(100)), 10);  // the least
  for (int i = 0; i < 100; ++i) budget.CountRequest(At(103));
  EXPECT_EQ(taken(At(103)), 20);
  EXPECT_EQ(taken(At(109)), 0);
  EXPECT_EQ(taken(At(110)), 10);  // those of second 100 are over
  EXPECT_EQ(taken(At(112)), 0);
  EXPECT_EQ(taken(At(113)), 0) << "requests and retries of second 103 are over together";
  EXPECT_EQ(taken(At(200)), 10);
}

TEST(RetryBudgetTest, NoPercentLeavesTheLeastAndHundredDoublesTheLoadAtMost) {
  RetryBudget none, all;
  for (int i = 0; i < 50; ++i) {
    none.CountRequest(At(1));
    all.CountRequest(At(1));
  }
  int of_none = 0, of_all = 0;
  while (none.TakeRetry(0, At(1))) ++of_none;
  while (all.TakeRetry(100, At(1))) ++of_all;
  EXPECT_EQ(of_none, 10);
  EXPECT_EQ(of_all, 60);
}

}  // namespace
}  // namespace nearside::edge
