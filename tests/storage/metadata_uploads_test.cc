#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string EncodedPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string text;
  for (const auto& [name, value] : pairs) text += name + ": " + value;
  return text;
}

class MetadataUploadsTest : public MetadataTest {
 protected:
  void SetUp() override {
    MetadataTest::SetUp();
    MakeSite();
  }
  Status Begin(const std::string& id, const std::string& path, const std::string& site = "demo") {
    MultipartUpload upload;
    upload.id = id;
    upload.site = site;
    upload.asset = AssetOf(path, "");
    upload.asset.headers = {{"cache-control", "no-store"}};
    upload.asset.tags = {"news"};
    upload.asset.notes = {{"x-amz-meta-a", "1"}};
    return metadata_->CreateUpload(upload);
  }
  Result<std::optional<BlobId>> Put(const std::string& id, int number, const std::string& text) {
    return metadata_->PutPart(
        id, {.number = number, .blob = IdOf(text), .bytes = text.size(), .md5 = text}, every_blob_);
  }
  std::string PartsOf(const std::string& id, int after = 0, size_t limit = 100) {
    std::string text;
    const auto parts = metadata_->Parts(id, after, limit).value();
    for (const UploadPart& part : parts) {
      text += std::to_string(part.number) + "=" + part.md5 + " ";
    }
    return text;
  }
  std::vector<std::string> Ids(const UploadRange& range) {
    std::vector<std::string> ids;
    const auto uploads = metadata_->ListUploads("demo", range).value();
    for (const MultipartUpload& upload : uploads) ids.push_back(upload.id);
    return ids;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataUploadsTest, MetadataEngines());

TEST_P(MetadataUploadsTest, WhatItIsToBecomeIsKept) {
  ASSERT_TRUE(Begin("u1", "a/b"));
  metadata_ = OpenStore();
  const MultipartUpload upload = metadata_->FindUpload("demo", "a/b", "u1").value();
  EXPECT_EQ(upload.asset.path, "a/b");
  EXPECT_EQ(upload.asset.content_type, "text/plain");
  EXPECT_EQ(EncodedPairs(upload.asset.headers), "cache-control: no-store");
  EXPECT_THAT(upload.asset.tags, ElementsAre("news"));
  EXPECT_EQ(EncodedPairs(upload.asset.notes), "x-amz-meta-a: 1");
  EXPECT_EQ(upload.begun, now_);
  EXPECT_EQ(metadata_->FindUpload("demo", "a/c", "u1").error().reason, "no_such_upload");
  EXPECT_EQ(metadata_->FindUpload("other", "a/b", "u1").error().reason, "no_such_upload");
  EXPECT_EQ(Begin("u2", "a", "none").error().reason, "no_such_site");
}

TEST_P(MetadataUploadsTest, PartsComeInAnyOrderAndReplaceEachOther) {
  ASSERT_TRUE(Begin("u1", "a"));
  EXPECT_EQ(*Put("u1", 7, "seven"), std::nullopt);
  EXPECT_EQ(*Put("u1", 2, "two"), std::nullopt);
  EXPECT_EQ(*Put("u1", 7, "sieben"), IdOf("seven"));
  EXPECT_EQ(PartsOf("u1"), "2=two 7=sieben ");
  EXPECT_EQ(PartsOf("u1", 2), "7=sieben ");
  EXPECT_EQ(PartsOf("u1", 0, 1), "2=two ");
  EXPECT_EQ(Put("u2", 1, "x").error().reason, "no_such_upload");
}

TEST_P(MetadataUploadsTest, RemovingGivesTheBlobsAndIsDoneOnce) {
  ASSERT_TRUE(Begin("u1", "a"));
  (void)Put("u1", 1, "one");
  (void)Put("u1", 2, "two");
  EXPECT_THAT(*metadata_->RemoveUpload("u1"),
              testing::UnorderedElementsAre(IdOf("one"), IdOf("two")));
  EXPECT_THAT(*metadata_->RemoveUpload("u1"), IsEmpty());
  EXPECT_EQ(PartsOf("u1"), "");
  EXPECT_EQ(metadata_->FindUpload("demo", "a", "u1").error().reason, "no_such_upload");
}

TEST_P(MetadataUploadsTest, CompletingPutsTheAssetAndRemovesTheUploadOrNeither) {
  AddContent("joined");
  MultipartUpload upload;
  upload.id = "u1";
  upload.site = "demo";
  upload.asset = AssetOf("a", "joined");
  ASSERT_TRUE(Begin("u1", "a"));
  (void)Put("u1", 1, "one");
  const auto refuse = [](const std::optional<Asset>&) -> Status {
    return Fail(Fault::kClient, "precondition_failed", "no");
  };
  EXPECT_EQ(metadata_->CompleteUpload(upload, refuse, Tell).error().reason, "precondition_failed");
  EXPECT_EQ(PartsOf("u1"), "1=one ");
  MultipartUpload elsewhere = upload;
  elsewhere.asset.path = "b";
  EXPECT_EQ(metadata_->CompleteUpload(elsewhere, Anything, Tell).error().reason, "no_such_upload");
  const UploadCompletion done = metadata_->CompleteUpload(upload, Anything, Tell).value();
  EXPECT_THAT(done.parts, ElementsAre(IdOf("one")));
  EXPECT_EQ(done.change.position, metadata_->Log()->last);
  EXPECT_TRUE(metadata_->FindAsset(Active(), "a").value());
  EXPECT_EQ(PartsOf("u1"), "");
  // The second of two completions, and one that was aborted while its parts were joined.
  EXPECT_EQ(metadata_->CompleteUpload(upload, Anything, Tell).error().reason, "no_such_upload");
  ASSERT_TRUE(Begin("u2", "c"));
  upload.id = "u2";
  upload.asset.path = "c";
  (void)metadata_->RemoveUpload("u2");
  EXPECT_EQ(metadata_->CompleteUpload(upload, Anything, Tell).error().reason, "no_such_upload");
  EXPECT_FALSE(metadata_->FindAsset(Active(), "c").value());
}

TEST_P(MetadataUploadsTest, AreListedByPathAndId) {
  for (const auto& [id, path] : {std::pair("u3", "a/1"), std::pair("u1", "b"),
                                 std::pair("u2", "a/1"), std::pair("u4", "a/2")}) {
    ASSERT_TRUE(Begin(id, path));
  }
  EXPECT_THAT(Ids({}), ElementsAre("u2", "u3", "u4", "u1"));
  EXPECT_THAT(Ids({.prefix = "a/"}), ElementsAre("u2", "u3", "u4"));
  EXPECT_THAT(Ids({.after_path = "a/1", .after_id = "u2"}), ElementsAre("u3", "u4", "u1"));
  EXPECT_THAT(Ids({.after_path = "a/1", .after_id = "u9", .limit = 1}), ElementsAre("u4"));
}

TEST_P(MetadataUploadsTest, OldOnesAreFoundAndThoseOfASiteThatIsGone) {
  ASSERT_TRUE(Begin("u1", "a"));
  now_ += seconds(10);
  ASSERT_TRUE(Begin("u2", "a"));
  const auto before = [&](WallTime time) {
    std::vector<std::string> ids;
    const auto uploads = metadata_->UploadsBefore(time, 10).value();
    for (const MultipartUpload& upload : uploads) ids.push_back(upload.id);
    return ids;
  };
  EXPECT_THAT(before(now_ - seconds(10)), IsEmpty());
  EXPECT_THAT(before(now_), ElementsAre("u1"));
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  EXPECT_THAT(before(FromUnixMillis(1)), testing::UnorderedElementsAre("u1", "u2"));
  MakeSite();
  EXPECT_THAT(Ids({}), IsEmpty());
}

TEST_P(MetadataUploadsTest, NotesAreKeptAndAnnounceNothing) {
  AddContent("1");
  Asset asset = AssetOf("a", "1");
  asset.notes = {{"etag", "x"}};
  ASSERT_TRUE(metadata_->PutAsset("demo", asset, Anything, Tell));
  const uint64_t events = metadata_->Log()->last.sequence;
  asset.notes = {{"etag", "y"}};
  const AssetChange change = metadata_->PutAsset("demo", asset, Anything, Tell).value();
  EXPECT_TRUE(change.replaced);
  EXPECT_EQ(change.position.sequence, events);
  EXPECT_EQ(metadata_->Log()->last.sequence, events);
  EXPECT_EQ(EncodedPairs(metadata_->FindAsset(Active(), "a").value()->notes), "etag: y");
  // When another release becomes the active one by it, edges must know.
  ASSERT_TRUE(metadata_->ActivateRelease("demo", Publish({{"a", "1"}}), Tell));
  const ReleaseId published = Active();
  const uint64_t activated = metadata_->Log()->last.sequence;
  ASSERT_TRUE(metadata_->PutAsset("demo", asset, Anything, Tell));
  EXPECT_NE(Active(), published);
  EXPECT_EQ(metadata_->Log()->last.sequence, activated + 1);
  // A live copy of a published release takes them along.
  const ReleaseId live = Active();
  (void)Publish({{"b", "2"}});
  ASSERT_TRUE(metadata_->ActivateRelease("demo", live, Tell));
  AddContent("3");
  ASSERT_TRUE(metadata_->PutAsset("demo", AssetOf("c", "3"), Anything, Tell));
  EXPECT_NE(Active(), live);
  EXPECT_EQ(EncodedPairs(metadata_->FindAsset(Active(), "a").value()->notes), "etag: y");
}

}  // namespace
}  // namespace nearside::storage::test
