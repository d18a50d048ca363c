#include "storage/purge_reclaim.h"

#include <gtest/gtest.h>

#include <chrono>

namespace nearside::storage {
namespace {

using std::chrono::minutes;

class PurgeReclaimTest : public testing::Test {
 protected:
  bool Begin(int at_minute, uint64_t newest_purge) {
    return reclaim_.Begin(start_ + minutes(at_minute), newest_purge);
  }
  const MonoTime start_ = MonoNow();
  PurgeReclaim reclaim_;
};

TEST_F(PurgeReclaimTest, APassBeginsWhenPurgesAreNewAndNotAllTheTime) {
  EXPECT_FALSE(Begin(0, 0)) << "no purge";
  EXPECT_TRUE(Begin(1, 3));
  reclaim_.End();
  EXPECT_FALSE(Begin(4, 4)) << "too short ago";
  EXPECT_FALSE(Begin(7, 3)) << "nothing new";
  EXPECT_TRUE(Begin(8, 4));
}

TEST_F(PurgeReclaimTest, APassThatDidNotEndIsBegunAgain) {
  EXPECT_TRUE(Begin(0, 3));
  EXPECT_TRUE(Begin(6, 3));
}

TEST_F(PurgeReclaimTest, MarksAreForgottenWhenTheyAreOlderThanAnyFill) {
  ASSERT_TRUE(Begin(0, 3));
  EXPECT_EQ(reclaim_.floor(), 0u);
  reclaim_.End();
  ASSERT_TRUE(Begin(30, 5));
  EXPECT_EQ(reclaim_.floor(), 0u);
  reclaim_.End();
  ASSERT_TRUE(Begin(61, 5)) << "some have become old";
  EXPECT_EQ(reclaim_.floor(), 3u);
  reclaim_.End();
  ASSERT_TRUE(Begin(92, 9));
  EXPECT_EQ(reclaim_.floor(), 5u);
}

TEST_F(PurgeReclaimTest, WhatIsStaleKeepsTheMarksThatMadeItSo) {
  ASSERT_TRUE(Begin(0, 9));
  reclaim_.End();
  ASSERT_TRUE(Begin(61, 9));
  reclaim_.NoteStale(7);
  reclaim_.NoteStale(4);
  reclaim_.NoteStale(8);
  EXPECT_EQ(reclaim_.floor(), 4u);
  reclaim_.End();
  ASSERT_TRUE(Begin(70, 10));
  EXPECT_EQ(reclaim_.floor(), 9u) << "each pass looks anew";
}

TEST_F(PurgeReclaimTest, NoFillOfAnEarlierRunIsUnderWay) {
  reclaim_.BeginFirst(12);
  EXPECT_EQ(reclaim_.floor(), 12u);
}

}  // namespace
}  // namespace nearside::storage
