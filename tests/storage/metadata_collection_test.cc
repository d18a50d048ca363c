#include "storage/collection.h"

#include <atomic>
#include <thread>

#include "storage/metadata_session.h"
#include "tests/storage/collection_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MetadataCollectionTest : public CollectionTest {
 protected:
  void SetUp() override {
    CollectionTest::SetUp();
    MakeSite();
  }
  /// The releases of "demo", the newest first.
  std::vector<ReleaseId> Ids() {
    std::vector<ReleaseId> ids;
    const auto releases = metadata_->Releases("demo", 100).value();
    for (const Release& release : releases) ids.push_back(release.id);
    return ids;
  }
  bool FindsEarlier(const std::string& path, const Retention& kept) {
    return metadata_->FindEarlierAsset("demo", path, kept).value().has_value();
  }
  uint64_t Condemn(WallTime added_before) {
    return metadata_->CondemnBlobs({.after = std::nullopt, .added_before = added_before})->blobs;
  }
  /// Whole, but its asset has not been put.
  void AddSealedUpload(const std::string& id, const std::string& text) {
    ResumableUpload upload;
    upload.id = id;
    upload.site = "demo";
    upload.asset = AssetOf("d", text);
    upload.expires = Later();
    ASSERT_TRUE(metadata_->CreateResumable(upload, {10, 20}));
    upload.offset = text.size();
    upload.state = ResumableState::kSealed;
    ASSERT_TRUE(metadata_->KeepResumable(upload));
  }
  WallTime Later() const { return now_ + std::chrono::hours(1); }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataCollectionTest, MetadataEngines());

TEST_P(MetadataCollectionTest, EarlierAssetsAreFoundInTheReleasesThatAreKept) {
  for (int i = 1; i <= 5; ++i) Publish({{"app." + std::to_string(i), "x"}});
  const Retention kept{.earlier = 3};
  EXPECT_FALSE(FindsEarlier("app.5", kept));  // of the active one
  EXPECT_TRUE(FindsEarlier("app.4", kept));
  EXPECT_TRUE(FindsEarlier("app.2", kept));
  EXPECT_FALSE(FindsEarlier("app.1", kept));
  EXPECT_FALSE(FindsEarlier("app.4", {.earlier = 0}));
  EXPECT_FALSE(metadata_->FindEarlierAsset("none", "app.4", kept).value());
}

TEST_P(MetadataCollectionTest, AReleaseIsKeptForATimeAfterItWasLeft) {
  Publish({{"app.1", "x"}});
  now_ += seconds(100);
  Publish({{"app.2", "x"}});  // the first was left now, however long it was active
  const Retention kept{.earlier = 0, .earlier_for = seconds(10)};
  now_ += seconds(9);
  EXPECT_TRUE(FindsEarlier("app.1", kept));
  EXPECT_THAT(metadata_->DropReleases(kept, 10).value(), IsEmpty());
  now_ += seconds(1);
  EXPECT_FALSE(FindsEarlier("app.1", kept));
  EXPECT_THAT(metadata_->DropReleases(kept, 10).value(), SizeIs(1));
}

TEST_P(MetadataCollectionTest, TheSameNameIsThatOfTheLastRelease) {
  Publish({{"app.js", "1"}});
  Publish({{"app.js", "2"}});
  Publish({{"other", "3"}});
  EXPECT_EQ(metadata_->FindEarlierAsset("demo", "app.js", {}).value()->blob, IdOf("2"));
}

TEST_P(MetadataCollectionTest, ReleasesThatAreNotKeptLeaveTheirSite) {
  std::vector<ReleaseId> ids;
  for (int i = 1; i <= 6; ++i) ids.push_back(Publish({{"a", std::to_string(i)}}));
  ASSERT_TRUE(metadata_->ActivateRelease("demo", ids[1], Tell));  // back to the second
  const auto dropped = metadata_->DropReleases({.earlier = 2}, 2).value();
  ASSERT_THAT(dropped, SizeIs(2));
  EXPECT_EQ(dropped[0].id, ids[0]);
  EXPECT_EQ(dropped[0].site, "demo");
  EXPECT_EQ(dropped[1].id, ids[2]);
  EXPECT_THAT(metadata_->DropReleases({.earlier = 2}, 2).value(), SizeIs(1));
  EXPECT_THAT(metadata_->DropReleases({.earlier = 2}, 2).value(), IsEmpty());
  EXPECT_THAT(Ids(), ElementsAre(ids[5], ids[4], ids[1]));
  EXPECT_EQ(metadata_->ActivateRelease("demo", ids[0], Tell).error().reason, "no_such_release");
  EXPECT_EQ(Active(), ids[1]);
  EXPECT_TRUE(metadata_->ActivateRelease("demo", ids[5], Tell));
}

TEST_P(MetadataCollectionTest, AnOpenReleaseIsKeptForATimeOfItsOwn) {
  const ReleaseId open = metadata_->CreateRelease("demo", {{AssetOf("a", "never")}})->id;
  const Retention kept{.earlier = 0, .open_for = seconds(60)};
  now_ += seconds(59);
  EXPECT_THAT(metadata_->DropReleases(kept, 10).value(), IsEmpty());
  now_ += seconds(1);
  EXPECT_EQ(metadata_->DropReleases(kept, 10)->at(0).id, open);
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_P(MetadataCollectionTest, WhatADroppedReleaseNamesGoesInBoundedSteps) {
  Publish({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  const ReleaseId active = Publish({{"a", "1"}});
  ASSERT_TRUE(metadata_->DropReleases({.earlier = 0}, 10));
  EXPECT_EQ(metadata_->TrimDropped(2).value(), 2u);
  EXPECT_EQ(Condemn(Later()), 1u) << "of b, which is trimmed, but not of c";
  EXPECT_EQ(metadata_->TrimDropped(2).value(), 2u);  // the last row, and the release
  EXPECT_EQ(metadata_->TrimDropped(2).value(), 0u);
  EXPECT_EQ(ContentOf(active), "a=" + Short("1") + " ");
}

TEST_P(MetadataCollectionTest, WhatIsNamedIsNeverCondemned) {
  PublishFiles({{"a", "active"}});
  PublishFiles({{"a", "kept"}, {"b", "shared"}});
  Upload("single");
  ASSERT_TRUE(metadata_->PutAsset("demo", AssetOf("c", "single"), Anything, Tell));
  Upload("announced");
  const ReleaseId open = metadata_->CreateRelease("demo", {{AssetOf("a", "announced")}})->id;
  Upload("sealed");
  AddSealedUpload("u", "sealed");
  Upload("free");
  EXPECT_EQ(Condemn(now_), 0u) << "all are as young as that";
  EXPECT_EQ(Condemn(Later()), 1u);
  EXPECT_FALSE(Knows("free"));
  for (const char* text : {"active", "kept", "shared", "single", "announced", "sealed"}) {
    EXPECT_TRUE(Knows(text)) << text;
  }
  EXPECT_TRUE(metadata_->ActivateRelease("demo", open, Tell));
}

TEST_P(MetadataCollectionTest, TheTableIsLookedThroughInStretches) {
  for (int i = 0; i < 10; ++i) AddContent(std::to_string(i));
  BlobStretch stretch{.after = std::nullopt, .added_before = Later(), .limit = 4};
  uint64_t condemned = 0;
  int steps = 0;
  do {
    const CondemnedBlobs step = metadata_->CondemnBlobs(stretch).value();
    EXPECT_LE(step.blobs, 4u);
    condemned += step.blobs;
    stretch.after = step.last;
    ++steps;
  } while (stretch.after);
  EXPECT_EQ(condemned, 10u);
  EXPECT_EQ(steps, 3);
}

TEST_P(MetadataCollectionTest, ACondemnedContentCountsAsMissingUntilItIsUploadedAgain) {
  Upload("x");
  ASSERT_EQ(Condemn(Later()), 1u);
  EXPECT_EQ(metadata_->PutAsset("demo", AssetOf("a", "x"), Anything, Tell).error().reason,
            "missing_blobs");
  const ReleaseId release = metadata_->CreateRelease("demo", {{AssetOf("a", "x")}})->id;
  EXPECT_THAT(metadata_->MissingBlobs(release).value(), ElementsAre(StoredBlob{IdOf("x"), 1}));
  EXPECT_EQ(metadata_->ActivateRelease("demo", release, Tell).error().reason, "missing_blobs");
  Upload("x");
  EXPECT_EQ(Collect({}), 0u);
  EXPECT_TRUE(metadata_->ActivateRelease("demo", release, Tell));
  EXPECT_TRUE(Holds("x"));
}

TEST_P(MetadataCollectionTest, ACondemnedContentGoesFromTheDiskAndThenFromTheTable) {
  Upload("x");
  ASSERT_EQ(Condemn(Later()), 1u);
  const auto none =
      metadata_->CollectBlobs(*store_, {.condemned_before = now_, .landed_before = kAnyFile});
  EXPECT_EQ(none->blobs, 0u) << "condemned at this moment, not before it";
  const CollectedBlobs gone =
      metadata_->CollectBlobs(*store_, {.condemned_before = Later(), .landed_before = kAnyFile})
          .value();
  EXPECT_EQ(gone.blobs, 1u);
  EXPECT_EQ(gone.bytes, 1u);
  EXPECT_FALSE(gone.more);
  EXPECT_FALSE(Holds("x"));
  Upload("x");
  EXPECT_TRUE(Knows("x"));
}

TEST_P(MetadataCollectionTest, AFileThatHasJustBeenStoredAgainStays) {
  Upload("x");
  ASSERT_EQ(Condemn(Later()), 1u);
  const WallTime before_upload = WallNow() - seconds(60);
  (void)Land(*store_, "x");  // its AddBlob is still to come
  const auto step = metadata_->CollectBlobs(
      *store_, {.condemned_before = Later(), .landed_before = before_upload});
  EXPECT_EQ(step->blobs, 0u);
  EXPECT_TRUE(Holds("x"));
  EXPECT_TRUE(metadata_->AddBlob({IdOf("x"), 1}, *store_));
}

TEST_P(MetadataCollectionTest, AnUploadWhoseFileWasCollectedFails) {
  const StoredBlob stored = Land(*store_, "x");
  ASSERT_TRUE(store_->Remove(stored.id));
  EXPECT_EQ(metadata_->AddBlob(stored, *store_).error().reason, "blob_collected");
  EXPECT_FALSE(Knows("x"));
  MultipartUpload upload;
  upload.id = "u";
  upload.site = "demo";
  upload.asset = AssetOf("a", "");
  ASSERT_TRUE(metadata_->CreateUpload(upload));
  const UploadPart part{.number = 1, .blob = stored.id, .bytes = 1, .md5 = "m"};
  EXPECT_EQ(metadata_->PutPart("u", part, *store_).error().reason, "blob_collected");
  EXPECT_THAT(metadata_->Parts("u", 0, 10).value(), IsEmpty());
}

TEST_P(MetadataCollectionTest, FilesThatNothingKnowsAreSwept) {
  Upload("known");
  Upload("condemned");
  MultipartUpload upload;
  upload.id = "u";
  upload.site = "demo";
  upload.asset = AssetOf("a", "");
  ASSERT_TRUE(metadata_->CreateUpload(upload));
  const StoredBlob part = Land(*store_, "part");
  ASSERT_TRUE(metadata_->PutPart("u", {.number = 1, .blob = part.id, .bytes = 4}, *store_));
  ASSERT_TRUE(metadata_->PutAsset("demo", AssetOf("a", "known"), Anything, Tell));
  ASSERT_EQ(Condemn(Later()), 1u);
  (void)Land(*store_, "sealed");  // its row of a content is not there yet
  AddSealedUpload("u2", "sealed");
  (void)Land(*store_, "lost");
  const std::vector<BlobId> files = store_->List(std::nullopt, 100).value();
  ASSERT_THAT(files, SizeIs(5));
  EXPECT_EQ(metadata_->SweepFiles(*store_, files, WallNow() - seconds(60))->blobs, 0u);
  const CollectedBlobs swept = metadata_->SweepFiles(*store_, files, kAnyFile).value();
  EXPECT_EQ(swept.blobs, 1u);
  EXPECT_EQ(swept.bytes, 4u);
  EXPECT_FALSE(Holds("lost"));
  for (const char* text : {"known", "condemned", "part", "sealed"})
    EXPECT_TRUE(Holds(text)) << text;
}

TEST_P(MetadataCollectionTest, ADeletedSitesContentsAreCollected) {
  PublishFiles({{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(Collect({}), 0u);
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  EXPECT_EQ(Collect({}), 2u);
  EXPECT_THAT(store_->List(std::nullopt, 10).value(), IsEmpty());
}

TEST_P(MetadataCollectionTest, UploadsAndActivationsBesideACollectorLoseNothing) {
  std::atomic<bool> done{false};
  std::thread collector([&] {
    auto metadata = OpenStore();  // another process would do the same
    auto store = OpenBlobs();
    while (!done) {
      (void)CollectAll(*metadata, *store, {.earlier = 0}, Later(), Later(), kAnyFile);
      const auto files = store->List(std::nullopt, 100).value();
      EXPECT_TRUE(metadata->SweepFiles(*store, files, kAnyFile));
    }
  });
  // Half of the contents come back again and again, just as they are collected.
  int published = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string text = "content " + std::to_string(i % 2 == 0 ? i : i % 4);
    const Status added = metadata_->AddBlob(Land(*store_, text), *store_);
    if (!added) {
      EXPECT_EQ(added.error().reason, "blob_collected");
      continue;
    }
    const std::string path = std::to_string(i % 16);
    auto put = metadata_->PutAsset("demo", AssetOf(path, text), Anything, Tell);
    if (!put) {
      EXPECT_EQ(put.error().reason, "missing_blobs");
      continue;
    }
    ++published;
    EXPECT_TRUE(Holds(text)) << text;
  }
  done = true;
  collector.join();
  EXPECT_GT(published, 0);
  // Nor later: what the collector had seen before it was named.
  const auto assets = metadata_->ListAssets(Active(), {}).value();
  for (const Asset& asset : assets) {
    EXPECT_TRUE(metadata_->FindBlob(asset.blob).value()) << asset.path;
    EXPECT_TRUE(store_->Find(asset.blob).value()) << asset.path;
  }
}

TEST_P(MetadataCollectionTest, ADatabaseOfTheThirdVersionIsBroughtUp) {
  if (engine_->SqliteFile().empty()) GTEST_SKIP() << "of SQLite alone";
  const ReleaseId first = Publish({{"a", "1"}});
  now_ += seconds(10);
  const ReleaseId second = Publish({{"a", "2"}});
  metadata_.reset();
  {
    auto session = SqlSession::OpenSqlite(engine_->SqliteFile(), true).value();
    for (const char* statement :
         {"DROP TABLE blob_variants", "DROP TABLE accounts", "DROP TABLE account_grants",
          "ALTER TABLE releases DROP COLUMN past_since", "DROP INDEX blobs_condemned",
          "DROP INDEX upload_parts_by_blob", "ALTER TABLE blobs DROP COLUMN condemned",
          "DROP TABLE resumable_uploads", "DROP TABLE receipts", "DROP TABLE receipt_edges",
          "ALTER TABLE log DROP COLUMN last_receipt", "ALTER TABLE sites DROP COLUMN quota_bytes",
          "ALTER TABLE sites DROP COLUMN quota_files", "ALTER TABLE sites DROP COLUMN held_most",
          "UPDATE schema_version SET version = 3"}) {
      ASSERT_TRUE(session->Run(statement)) << statement;
    }
  }
  metadata_ = OpenStore();
  ASSERT_NE(metadata_, nullptr);
  EXPECT_EQ(Active(), second);
  // When the first was left is known from the activation of the second.
  now_ += seconds(9);
  const Retention kept{.earlier = 0, .earlier_for = seconds(10)};
  EXPECT_THAT(metadata_->DropReleases(kept, 10).value(), IsEmpty());
  now_ += seconds(1);
  EXPECT_EQ(metadata_->DropReleases(kept, 10)->at(0).id, first);
  EXPECT_TRUE(Knows("1"));
}

}  // namespace
}  // namespace nearside::storage::test
