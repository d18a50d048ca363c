#include "origin/log_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/metadata.h"
#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kKept = 300;

class LogTailTest : public testing::Test {
 protected:
  LogTailTest() { EXPECT_TRUE(tail_.Open()); }
  storage::LogPosition Append(const std::string& site = "demo", size_t count = 1) {
    const std::vector<storage::NewEvent> events(count, {"purge", site, "\"site\":\"x\"}"});
    return metadata_->Append(events).value();
  }
  /// Numbers of the messages behind `place`, which is moved; "gone" behind them if it has to ask
  /// again.
  std::string Next(LogTail::Place* place) {
    std::string text, numbers;
    for (bool there = true; there;) {
      const LogTail::Place before = *place;
      text.clear();
      there = tail_.Next(place, &text);
      for (size_t at = 0; (at = text.find("\"seq\":", at)) != std::string::npos; ++at) {
        numbers += text.substr(at + 6, text.find(',', at) - at - 6) + " ";
      }
      if (!there) return numbers + "gone";
      there = *place != before;
    }
    return numbers;
  }
  nearside::test::TempDir dir_;
  std::unique_ptr<storage::Metadata> metadata_ =
      storage::Metadata::Open("sqlite:" + dir_.In("meta.db"), {.keep_events = kKept}).value();
  LogTail tail_{*metadata_};
};

TEST_F(LogTailTest, ALookTellsWhichSitesHaveNews) {
  EXPECT_THAT(tail_.Look()->sites, IsEmpty());
  Append("b");
  Append("a");
  const storage::LogPosition last = Append("b");
  EXPECT_THAT(tail_.Look()->sites, ElementsAre("a", "b"));
  EXPECT_EQ(tail_.state().last, last);
  EXPECT_THAT(tail_.Look()->sites, IsEmpty());
}

TEST_F(LogTailTest, AFollowerGetsWhatItLacksInOrder) {
  const uint64_t epoch = Append("demo", 3).epoch;
  ASSERT_TRUE(tail_.Look());
  LogTail::Place place = 0;
  ASSERT_TRUE(tail_.Begin(storage::LogPosition{epoch, 1}, WallTime(), &place));
  EXPECT_EQ(Next(&place), "2 3 ");
  Append();
  EXPECT_EQ(Next(&place), "") << "not before a look";
  ASSERT_TRUE(tail_.Look());
  EXPECT_EQ(Next(&place), "4 ");
  LogTail::Place newest = 0;
  EXPECT_THAT(*tail_.Begin(std::nullopt, WallTime(), &newest), HasSubstr("\"seq\":4"));
  EXPECT_EQ(Next(&newest), "");
}

TEST_F(LogTailTest, WhatIsNotInTheWindowComesFromTheLog) {
  Append("demo", 200);
  while (tail_.Look()->more) {
  }
  LogTail opened(*metadata_);
  ASSERT_TRUE(opened.Open());  // without a window
  LogTail::Place place = 190;
  std::string text;
  EXPECT_TRUE(opened.Next(&place, &text));
  EXPECT_EQ(place, 200u);
  LogTail::Place beginning = 0;
  EXPECT_THAT(Next(&beginning), HasSubstr("199 200 "));
}

TEST_F(LogTailTest, WhoLacksWhatWasTrimmedAsksAgain) {
  Append("demo", kKept + 100);
  while (tail_.Look()->more) {
  }
  LogTail::Place place = 10;
  EXPECT_EQ(Next(&place), "gone");
}

TEST_F(LogTailTest, AFollowerOfTheLogBeforeItWasReplacedAsksAgain) {
  const storage::LogPosition before = Append("demo", 2);
  ASSERT_TRUE(tail_.Look());
  ASSERT_TRUE(metadata_->RenewLog());
  LogTail::Place place = 0;
  EXPECT_TRUE(tail_.Look()->replaced);
  EXPECT_FALSE(tail_.Begin(before, WallTime(), &place));
  EXPECT_TRUE(tail_.Begin(tail_.state().last, WallTime(), &place));
}

TEST_F(LogTailTest, GoneAnswersTellWhyAndWhereTheLogStands) {
  const storage::LogState log{.last = {7, 20}, .first = 11};
  const auto reason = [&](const EventsQuery& wanted) {
    const std::optional<Answer> gone = GoneAnswer(wanted, log);
    if (gone) {
      EXPECT_EQ(gone->status, 410);
      EXPECT_THAT(gone->body.at(0).text, HasSubstr("\"epoch\":7,\"seq\":20"));
    }
    return gone ? gone->reason : "";
  };
  EXPECT_EQ(reason({}), "");
  EXPECT_EQ(reason({.epoch = 7, .after = 10}), "");
  EXPECT_EQ(reason({.epoch = 7, .after = 20}), "");
  EXPECT_EQ(reason({.after = 15}), "");
  EXPECT_EQ(reason({.epoch = 6, .after = 15}), "unknown_epoch");
  EXPECT_EQ(reason({.epoch = 7, .after = 9}), "past_retention");
  EXPECT_EQ(reason({.epoch = 7, .after = 21}), "ahead_of_log");
}

}  // namespace
}  // namespace nearside::origin
