#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class MetadataResumableTest : public MetadataTest {
 protected:
  void SetUp() override {
    MetadataTest::SetUp();
    MakeSite();
  }
  ResumableUpload Draft(const std::string& id, const std::string& site = "demo") const {
    ResumableUpload upload;
    upload.id = id;
    upload.site = site;
    upload.asset = AssetOf("a/b", "");
    upload.asset.blob = {};
    upload.asset.headers = {{"cache-control", "no-store"}};
    upload.asset.tags = {"news", "shop"};
    upload.conditions = {{"if-none-match", "*"}, {"if-match", "\"x\", \"y\""}};
    upload.metadata = "path YS9i";
    upload.hash = "00ff";
    upload.expires = now_ + seconds(60);
    return upload;
  }
  Status Create(const ResumableUpload& upload, ResumableLimits limits = {10, 20}) {
    return metadata_->CreateResumable(upload, limits);
  }
  ResumableUpload Find(const std::string& id) {
    return metadata_->FindResumable("demo", id).value();
  }
  std::string WhyNot(const std::string& id, const std::string& site = "demo") {
    const auto found = metadata_->FindResumable(site, id);
    return found ? "none" : found.error().reason;
  }
  std::vector<std::string> Expired(WallTime now, size_t limit = 10, size_t skip = 0) {
    std::vector<std::string> ids;
    const auto expired = metadata_->ExpiredResumables(now, limit, skip).value();
    for (const ResumableUpload& upload : expired) ids.push_back(upload.id);
    return ids;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataResumableTest, MetadataEngines());

TEST_P(MetadataResumableTest, WhatItIsToBecomeAndHowFarItIsAreKept) {
  ResumableUpload draft = Draft("u1");
  draft.expected = IdOf("whole");
  ASSERT_TRUE(Create(draft));
  metadata_ = OpenStore();
  ResumableUpload upload = Find("u1");
  EXPECT_EQ(upload.asset.path, "a/b");
  EXPECT_EQ(upload.asset.content_type, "text/plain");
  EXPECT_THAT(upload.asset.headers, ElementsAre(Pair("cache-control", "no-store")));
  EXPECT_THAT(upload.asset.tags, ElementsAre("news", "shop"));
  EXPECT_THAT(upload.conditions,
              ElementsAre(Pair("if-none-match", "*"), Pair("if-match", "\"x\", \"y\"")));
  EXPECT_EQ(upload.metadata, "path YS9i");
  EXPECT_EQ(upload.expected, IdOf("whole"));
  EXPECT_EQ(upload.length, std::nullopt);
  EXPECT_EQ(upload.offset, 0u);
  EXPECT_EQ(upload.hash, "00ff");
  EXPECT_EQ(upload.state, ResumableState::kOpen);
  EXPECT_EQ(upload.expires, now_ + seconds(60));
  upload.length = uint64_t{1} << 40;
  upload.offset = (uint64_t{1} << 40) - 1;
  upload.hash = "11";
  upload.expires += seconds(60);
  ASSERT_TRUE(metadata_->KeepResumable(upload));
  const ResumableUpload kept = Find("u1");
  EXPECT_EQ(kept.length, upload.length);
  EXPECT_EQ(kept.offset, upload.offset);
  EXPECT_EQ(kept.hash, "11");
  EXPECT_EQ(kept.expires, upload.expires);
}

TEST_P(MetadataResumableTest, IsFoundBelowItsSiteAlone) {
  ASSERT_TRUE(Create(Draft("u1")));
  EXPECT_EQ(WhyNot("u2"), "no_such_upload");
  EXPECT_EQ(WhyNot("u1", "other"), "no_such_upload");
  EXPECT_EQ(Create(Draft("u3", "other")).error().reason, "no_such_site");
}

TEST_P(MetadataResumableTest, SoManyOfASiteAndInAllMayBeUnfinished) {
  MakeSite("other", {"www.other.test"});
  ASSERT_TRUE(Create(Draft("u1"), {2, 3}));
  ASSERT_TRUE(Create(Draft("u2"), {2, 3}));
  EXPECT_EQ(Create(Draft("u3"), {2, 3}).error().reason, "too_many_uploads");
  ASSERT_TRUE(Create(Draft("u3", "other"), {2, 3}));
  EXPECT_EQ(Create(Draft("u4", "other"), {2, 3}).error().reason, "too_many_uploads");
  EXPECT_EQ(metadata_->CountResumables().value(), 3u);
  ASSERT_TRUE(metadata_->RemoveResumable("u1"));
  EXPECT_TRUE(Create(Draft("u4", "other"), {2, 3}));
}

TEST_P(MetadataResumableTest, CompletingPutsTheAssetAndIsDoneOnceOrNeither) {
  AddContent("whole");
  ASSERT_TRUE(Create(Draft("u1")));
  ResumableUpload upload = Find("u1");
  upload.state = ResumableState::kSealed;
  upload.offset = 5;
  upload.length = 5;
  upload.asset.blob = IdOf("whole");
  upload.asset.bytes = 5;
  ASSERT_TRUE(metadata_->KeepResumable(upload));
  EXPECT_EQ(Find("u1").state, ResumableState::kSealed);
  EXPECT_EQ(Find("u1").asset.blob, IdOf("whole"));
  EXPECT_EQ(Find("u1").asset.bytes, 5u);
  const auto refuse = [](const std::optional<Asset>&) -> Status {
    return Fail(Fault::kClient, "precondition_failed", "no");
  };
  EXPECT_EQ(metadata_->CompleteResumable(upload, refuse, Tell).error().reason,
            "precondition_failed");
  EXPECT_EQ(Find("u1").state, ResumableState::kSealed);
  upload.expires = now_ + seconds(5);
  const AssetChange change = metadata_->CompleteResumable(upload, Anything, Tell).value();
  EXPECT_EQ(change.position, metadata_->Log()->last);
  EXPECT_TRUE(metadata_->FindAsset(Active(), "a/b").value());
  const ResumableUpload done = Find("u1");
  EXPECT_EQ(done.state, ResumableState::kDone);
  EXPECT_EQ(done.asset.blob, IdOf("whole"));
  EXPECT_EQ(done.expires, now_ + seconds(5));
  EXPECT_EQ(metadata_->CountResumables().value(), 0u);
  EXPECT_EQ(metadata_->CompleteResumable(upload, Anything, Tell).error().reason, "no_such_upload");
  EXPECT_EQ(metadata_->KeepResumable(upload).error().reason, "no_such_upload");
}

TEST_P(MetadataResumableTest, OneThatWasRemovedMeanwhilePutsNothing) {
  AddContent("whole");
  ASSERT_TRUE(Create(Draft("u1")));
  ResumableUpload upload = Find("u1");
  upload.asset.blob = IdOf("whole");
  ASSERT_TRUE(metadata_->RemoveResumable("u1"));
  ASSERT_TRUE(metadata_->RemoveResumable("u1"));
  EXPECT_EQ(metadata_->KeepResumable(upload).error().reason, "no_such_upload");
  EXPECT_EQ(metadata_->CompleteResumable(upload, Anything, Tell).error().reason, "no_such_upload");
  EXPECT_FALSE(metadata_->FindAsset(Active(), "a/b").value());
}

TEST_P(MetadataResumableTest, OldOnesAreFoundAndThoseOfASiteThatIsGone) {
  ASSERT_TRUE(Create(Draft("u1")));
  now_ += seconds(10);
  ASSERT_TRUE(Create(Draft("u2")));
  EXPECT_THAT(Expired(now_ + seconds(49)), IsEmpty());
  EXPECT_THAT(Expired(now_ + seconds(50)), ElementsAre("u1"));
  EXPECT_THAT(Expired(now_ + seconds(60)), ElementsAre("u1", "u2"));
  EXPECT_THAT(Expired(now_ + seconds(60), 1), ElementsAre("u1"));
  EXPECT_THAT(Expired(now_ + seconds(60), 1, 1), ElementsAre("u2"));
  EXPECT_THAT(Expired(now_ + seconds(60), 1, 2), IsEmpty());
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  EXPECT_THAT(Expired(FromUnixMillis(1)), testing::UnorderedElementsAre("u1", "u2"));
  MakeSite();
  EXPECT_EQ(WhyNot("u1"), "no_such_upload");
}

TEST_P(MetadataResumableTest, IdsThatNobodyHasAreTold) {
  ASSERT_TRUE(Create(Draft("u1")));
  const std::vector<std::string> ids = {"u0", "u1", "u2"};
  EXPECT_THAT(metadata_->UnknownResumables(ids).value(), ElementsAre("u0", "u2"));
  EXPECT_THAT(metadata_->UnknownResumables({}).value(), IsEmpty());
}

TEST_P(MetadataResumableTest, ARestoredDatabaseHasForgottenThem) {
  ASSERT_TRUE(Create(Draft("u1")));
  ASSERT_TRUE(metadata_->RenewLog());
  EXPECT_EQ(WhyNot("u1"), "no_such_upload");
}

}  // namespace
}  // namespace nearside::storage::test
