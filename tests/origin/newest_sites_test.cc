#include "origin/newest_sites.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/metadata.h"
#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NewestSitesTest : public testing::Test {
 protected:
  void Append(const std::string& site, size_t count = 1) {
    const std::vector<storage::NewEvent> events(count, {"purge", site, "{}"});
    ASSERT_TRUE(metadata_->Append(events));
  }
  /// What was read by catching up: the sites' names, "*" for all of them.
  std::vector<std::string> CatchUp() {
    read_.clear();
    EXPECT_TRUE(sites_.CatchUp());
    return read_;
  }
  nearside::test::TempDir dir_;
  std::unique_ptr<storage::Metadata> metadata_ =
      storage::Metadata::Open("sqlite:" + dir_.In("meta.db"), {}).value();
  std::vector<std::string> read_;
  bool fails_ = false;
  NewestSites sites_{*metadata_, [this](const std::string& site) -> Status {
                       if (fails_) return Fail(Fault::kSelf, "database_busy", "busy");
                       read_.push_back(site.empty() ? "*" : site);
                       return {};
                     }};
};

TEST_F(NewestSitesTest, ReadsWhatEventsNameAndNothingTwice) {
  ASSERT_TRUE(sites_.ReadAll());
  EXPECT_THAT(read_, ElementsAre("*"));
  EXPECT_THAT(CatchUp(), IsEmpty());
  Append("b");
  Append("a", 2);
  EXPECT_THAT(CatchUp(), ElementsAre("a", "b"));
  EXPECT_THAT(CatchUp(), IsEmpty());
}

TEST_F(NewestSitesTest, ReadsAllWhenItIsFarBehindOrTheLogIsAnotherOne) {
  ASSERT_TRUE(sites_.ReadAll());
  Append("a", 200);
  EXPECT_THAT(CatchUp(), ElementsAre("*"));
  EXPECT_THAT(CatchUp(), IsEmpty());
  ASSERT_TRUE(metadata_->RenewLog());
  EXPECT_THAT(CatchUp(), ElementsAre("*"));
  EXPECT_THAT(CatchUp(), IsEmpty());
}

TEST_F(NewestSitesTest, WhatCouldNotBeReadIsReadAgain) {
  ASSERT_TRUE(sites_.ReadAll());
  Append("a");
  fails_ = true;
  EXPECT_EQ(sites_.CatchUp().error().reason, "database_busy");
  fails_ = false;
  EXPECT_THAT(CatchUp(), ElementsAre("a"));
}

}  // namespace
}  // namespace nearside::origin
