#include "edge/origin_set.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "edge/site.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

constexpr OriginDraws kDraws = {0, 0};

class OriginSetTest : public testing::Test {
 protected:
  /// `more`: further lines of the site's table.
  static SiteSettings SiteWith(std::string_view more, int origins) {
    SiteSettings site = SettingsWith(more).sites.front();
    site.origins.clear();
    for (int i = 0; i < origins; ++i) {
      site.origins.push_back("http://127.0.0.1:" + std::to_string(9000 + i));
    }
    return site;
  }
  void Make(int origins, std::string_view more = "eject_after = 2\n") {
    table_ = std::make_unique<SiteTable>(std::vector<SiteSettings>{SiteWith(more, origins)});
    set_ = table_->sites().front()->origin_set;
  }
  /// As a reload does.
  void MakeAgain(const SiteSettings& site) {
    auto next = std::make_unique<SiteTable>(std::vector<SiteSettings>{site}, table_.get());
    table_ = std::move(next);
    set_ = table_->sites().front()->origin_set;
  }
  OriginAttempt Begin(bool repeatable = true) { return set_->Begin(repeatable, kDraws, now_); }
  /// One that goes to that origin: the others are busier as long as this looks for it.
  OriginAttempt BeginAt(size_t origin) {
    std::vector<OriginAttempt> others;
    while (true) {
      OriginAttempt attempt = Begin(false);
      if (attempt.origin() == origin) return attempt;
      others.push_back(std::move(attempt));
    }
  }
  void FailAt(size_t origin, int times = 1) {
    for (int i = 0; i < times; ++i) {
      BeginAt(origin).Fail(Reason::kOriginUnreachable, "it refused", now_);
    }
  }
  /// "up ejected …", with "*" where a request may be sent now.
  std::string States() const {
    std::string text;
    for (const OriginReport& report : set_->Report(now_)) {
      text += (text.empty() ? "" : " ") + std::string(report.state) + (report.next ? "*" : "");
    }
    return text;
  }

  std::unique_ptr<SiteTable> table_;
  std::shared_ptr<OriginSet> set_;
  MonoTime now_ = MonoTime(seconds(1000));
};

TEST_F(OriginSetTest, RequestsInFlightAreCountedAsLongAsTheyLive) {
  Make(2);
  {
    OriginAttempt first = Begin();
    OriginAttempt second = Begin();
    EXPECT_NE(first.origin(), second.origin());
    EXPECT_EQ(set_->Report(now_)[0].in_flight, 1u);
    EXPECT_EQ(set_->Report(now_)[1].in_flight, 1u);
    OriginAttempt moved = std::move(first);
    EXPECT_EQ(set_->Report(now_)[moved.origin()].in_flight, 1u);
    second = std::move(moved);
    EXPECT_EQ(set_->Report(now_)[0].in_flight + set_->Report(now_)[1].in_flight, 1u);
  }
  EXPECT_EQ(set_->Report(now_)[0].in_flight, 0u);
  EXPECT_EQ(set_->Report(now_)[0].requests, 1u);
  EXPECT_EQ(set_->Report(now_)[1].requests, 1u);
}

TEST_F(OriginSetTest, FailuresInARowEjectAndATrialBringsItBack) {
  Make(2);
  FailAt(1);
  EXPECT_EQ(States(), "up* up*");
  FailAt(1);
  EXPECT_EQ(States(), "up* ejected");
  const OriginReport report = set_->Report(now_)[1];
  EXPECT_EQ(report.why, "it refused");
  EXPECT_EQ(report.failures[0], 2u);
  EXPECT_EQ(report.ejections, 1u);
  now_ += seconds(10);
  EXPECT_EQ(States(), "up trial*");
  OriginAttempt trial = Begin();
  EXPECT_EQ(trial.origin(), 1u);
  EXPECT_EQ(States(), "up* ejected") << "and not a herd";
  EXPECT_EQ(Begin().origin(), 0u);
  trial.Answer(now_);
  EXPECT_EQ(States(), "up* up");  // it still has that one in flight
  EXPECT_EQ(set_->Report(now_)[1].why, "");
}

TEST_F(OriginSetTest, WhatCannotBeAskedAgainIsNoTrial) {
  Make(2);
  FailAt(1, 2);
  now_ += seconds(10);
  EXPECT_EQ(Begin(/*repeatable=*/false).origin(), 0u);
  Make(2, "eject_after = 2\nretries = 0\n");
  FailAt(1, 2);
  now_ += seconds(10);
  EXPECT_EQ(Begin().origin(), 0u) << "where nothing is retried, nothing is";
}

TEST_F(OriginSetTest, ATrialThatEndsWithoutAVerdictIsFollowedByAnother) {
  Make(2);
  FailAt(1, 2);
  now_ += seconds(10);
  { EXPECT_EQ(Begin().origin(), 1u); }
  EXPECT_EQ(States(), "up trial*");
  EXPECT_EQ(Begin().origin(), 1u);
}

TEST_F(OriginSetTest, TheLastOneIsNeverEjectedAndBringsTheOthersTrialForward) {
  Make(2);
  FailAt(1, 2);
  now_ += seconds(1);
  FailAt(0, 1);
  EXPECT_EQ(States(), "up* ejected");
  FailAt(0, 1);
  EXPECT_EQ(States(), "up trial*");
  Make(1);
  FailAt(0, 10);
  EXPECT_EQ(States(), "up*");
  EXPECT_EQ(set_->Report(now_)[0].ejections, 0u);
}

TEST_F(OriginSetTest, OneRequestIsOneFailure) {
  Make(2);
  OriginAttempt attempt = BeginAt(1);
  attempt.Fail(Reason::kOriginFailed, "503", now_);
  attempt.Fail(Reason::kOriginBroken, "and cut off", now_);
  EXPECT_EQ(States(), "up* up");
  EXPECT_EQ(set_->Report(now_)[1].failures,
            (std::array<uint64_t, kOriginFailures>{0, 0, 0, 0, 0, 0, 1}));
}

TEST_F(OriginSetTest, BodiesThatAreCutOffEjectAsWell) {
  Make(2);
  for (int i = 0; i < 2; ++i) {
    OriginAttempt attempt = BeginAt(1);
    attempt.Answer(now_);
    attempt.Fail(Reason::kOriginBroken, "cut off", now_);
  }
  EXPECT_EQ(States(), "up* ejected");
}

TEST_F(OriginSetTest, ARetryGoesToWhatHasNotBeenAskedAsOftenAsAllowed) {
  Make(4);
  OriginAttempt attempt = Begin();
  OriginMask tried = 0;
  for (int retries = 0; retries < 2; ++retries) {
    tried |= OriginMask{1} << attempt.origin();
    EXPECT_EQ(set_->BeginAgain(tried, retries, kDraws, now_, &attempt), RetryVerdict::kAgain);
    EXPECT_EQ(tried >> attempt.origin() & 1, 0u);
  }
  EXPECT_EQ(set_->BeginAgain(tried, 2, kDraws, now_, &attempt), RetryVerdict::kSpent);
  EXPECT_EQ(set_->BeginAgain(0xf, 1, kDraws, now_, &attempt), RetryVerdict::kNoneLeft);
  uint64_t retries = 0;
  for (const OriginReport& report : set_->Report(now_)) retries += report.retries;
  EXPECT_EQ(retries, 2u);
  Make(1);
  attempt = Begin();
  EXPECT_EQ(set_->BeginAgain(0, 0, kDraws, now_, &attempt), RetryVerdict::kNoneLeft);
}

TEST_F(OriginSetTest, RetriesHaveABudget) {
  Make(2, "retry_percent = 0\n");
  OriginAttempt attempt;
  for (int i = 0; i < 10; ++i) {
    attempt = Begin();
    EXPECT_EQ(set_->BeginAgain(OriginMask{1} << attempt.origin(), 0, kDraws, now_, &attempt),
              RetryVerdict::kAgain);
  }
  EXPECT_EQ(set_->BeginAgain(1, 0, kDraws, now_, &attempt), RetryVerdict::kBudget);
  EXPECT_EQ(set_->retries_refused(), 1u);
  now_ += seconds(10);
  EXPECT_EQ(set_->BeginAgain(1, 0, kDraws, now_, &attempt), RetryVerdict::kAgain);
}

TEST_F(OriginSetTest, AFailingCheckTakesAnOriginOutUnlessTheyAllFail) {
  Make(3, "check = { path = \"/health\" }\n");
  set_->TakeCheck(1, false, "status 503");
  EXPECT_EQ(States(), "up* down up*");
  EXPECT_EQ(set_->Report(now_)[1].why, "status 503");
  set_->TakeCheck(0, false, "status 503");
  set_->TakeCheck(2, false, "status 503");
  EXPECT_EQ(States(), "down* down* down*");
  set_->TakeCheck(1, true, "");
  EXPECT_EQ(States(), "down up* down");
}

TEST_F(OriginSetTest, WhatIsDownByItsCheckIsNoOtherThatIsUp) {
  Make(2, "eject_after = 2\ncheck = { path = \"/health\" }\n");
  set_->TakeCheck(1, false, "status 503");
  FailAt(0, 10);
  EXPECT_EQ(States(), "up* down");
}

TEST_F(OriginSetTest, AReloadKeepsWhatIsKnownOfOriginsThatStay) {
  Make(2);
  FailAt(1, 2);
  OriginAttempt in_flight = Begin();
  SiteSettings site = SiteWith("eject_after = 2\nretries = 0\n", 3);
  std::swap(site.origins[1], site.origins[2]);
  MakeAgain(site);
  EXPECT_EQ(States(), "up up* ejected");
  EXPECT_EQ(set_->Report(now_)[0].in_flight, 1u);
  in_flight = {};
  EXPECT_EQ(set_->Report(now_)[0].in_flight, 0u);
  site.origin_server_name = "other.test";  // another server, as far as TLS is concerned
  MakeAgain(site);
  EXPECT_EQ(States(), "up* up* up*");
}

TEST_F(OriginSetTest, AnOriginThatIsTheOnlyOneAfterAReloadIsAskedAndComesBack) {
  Make(2);
  FailAt(1, 2);
  SiteSettings site = SiteWith("", 2);
  site.origins.erase(site.origins.begin());
  MakeAgain(site);
  EXPECT_EQ(States(), "ejected*");
  EXPECT_EQ(Begin().origin(), 0u);
  now_ += seconds(10);
  Begin().Answer(now_);
  EXPECT_EQ(States(), "up*");
}

TEST_F(OriginSetTest, AReloadThatChangesTheCheckBeginsAnewWithIt) {
  Make(2, "check = { path = \"/health\" }\n");
  set_->TakeCheck(1, false, "status 503");
  MakeAgain(SiteWith("check = { path = \"/health\" }\nretries = 1\n", 2));
  EXPECT_EQ(States(), "up* down");
  MakeAgain(SiteWith("check = { path = \"/other\" }\n", 2));
  EXPECT_EQ(States(), "up* up*");
  set_->TakeCheck(1, false, "status 503");
  MakeAgain(SiteWith("", 2));
  EXPECT_EQ(States(), "up* up*");
}

// Run under tsan.
TEST_F(OriginSetTest, ManyWorkersAtOnceLeaveNothingInFlightAndOneOriginUp) {
  Make(3, "eject_after = 2\neject_for = \"100ms\"\nretry_percent = 100\n");
  std::atomic<int> unserved{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; i < 3'000; ++i) {
        const MonoTime now = now_ + milliseconds(i);
        OriginAttempt attempt = set_->Begin(true, {i * 7 + t, i}, now);
        if ((i + t) % 5 == 0) {
          attempt.Answer(now);
          attempt.Complete();
          continue;
        }
        if (i % 7 == 0) continue;  // the client leaves
        attempt.Fail(Reason::kOriginTimeout, "too late", now);
        const OriginMask tried = OriginMask{1} << attempt.origin();
        if (set_->BeginAgain(tried, 0, {i, t}, now, &attempt) == RetryVerdict::kAgain) {
          attempt.Answer(now);
        }
        bool one_up = false;
        for (const OriginReport& report : set_->Report(now)) one_up |= report.state == "up";
        if (!one_up) ++unserved;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(unserved, 0);
  for (const OriginReport& report : set_->Report(now_)) EXPECT_EQ(report.in_flight, 0u);
}

}  // namespace
}  // namespace nearside::edge
