#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MetadataAssetsTest : public MetadataTest {
 protected:
  void SetUp() override {
    MetadataTest::SetUp();
    MakeSite();
  }
  Result<AssetChange> Put(const std::string& path, const std::string& text,
                          const Precondition& precondition = Anything) {
    AddContent(text);
    return metadata_->PutAsset("demo", AssetOf(path, text), precondition, Tell);
  }
  Result<AssetChange> Remove(const std::string& path) {
    return metadata_->RemoveAsset("demo", path, Anything, Tell);
  }
  std::vector<std::string> List(const AssetRange& range) {
    std::vector<std::string> paths;
    const auto assets = metadata_->ListAssets(Active(), range).value();
    for (const Asset& asset : assets) {
      paths.push_back(asset.path);
    }
    return paths;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataAssetsTest, MetadataEngines());

TEST_P(MetadataAssetsTest, TheFirstPutMakesALiveReleaseAndLaterOnesEditIt) {
  EXPECT_FALSE(Put("a", "1")->replaced);
  const ReleaseId live = Active();
  EXPECT_TRUE(Put("a", "22")->replaced);
  EXPECT_FALSE(Put("b", "3")->replaced);
  EXPECT_EQ(Active(), live);
  EXPECT_EQ(ContentOf(live), "a=" + Short("22") + " b=" + Short("3") + " ");
  const Release release = metadata_->FindRelease("demo", live).value();
  EXPECT_EQ(release.kind, ReleaseKind::kLive);
  EXPECT_EQ(release.state, ReleaseState::kActive);
  EXPECT_EQ(release.assets, 2u);
  EXPECT_EQ(release.bytes, 3u);
}

TEST_P(MetadataAssetsTest, AnEditLeavesThePublishedReleaseAsItWas) {
  const ReleaseId published = Publish({{"a", "1"}, {"b", "2"}});
  ASSERT_TRUE(Put("a", "edited"));
  const ReleaseId live = Active();
  EXPECT_NE(live, published);
  EXPECT_EQ(ContentOf(published), "a=" + Short("1") + " b=" + Short("2") + " ");
  EXPECT_EQ(ContentOf(live), "a=" + Short("edited") + " b=" + Short("2") + " ");
  ASSERT_TRUE(metadata_->ActivateRelease("demo", published, Tell));
  EXPECT_EQ(Active(), published);
}

TEST_P(MetadataAssetsTest, ALiveReleaseThatWasReturnedToIsCopiedBeforeTheNextEdit) {
  ASSERT_TRUE(Put("a", "1"));
  const ReleaseId live = Active();
  Publish({{"a", "2"}});
  ASSERT_TRUE(metadata_->ActivateRelease("demo", live, Tell));
  ASSERT_TRUE(Put("a", "3"));
  EXPECT_NE(Active(), live);
  EXPECT_EQ(ContentOf(live), "a=" + Short("1") + " ");
  EXPECT_EQ(ContentOf(Active()), "a=" + Short("3") + " ");
}

TEST_P(MetadataAssetsTest, RemovalIsAnnouncedAndUnknownPathsAreErrors) {
  ASSERT_TRUE(Put("a", "1"));
  ASSERT_TRUE(Remove("a"));
  EXPECT_EQ(LastEvent(), "activate /a ");
  EXPECT_EQ(Remove("a").error().reason, "no_such_asset");
  EXPECT_THAT(List({}), IsEmpty());
  EXPECT_EQ(metadata_->FindRelease("demo", Active())->assets, 0u);
}

TEST_P(MetadataAssetsTest, PuttingTheSameAgainIsNoEvent) {
  ASSERT_TRUE(Put("a", "1"));
  const LogPosition before = metadata_->Log().value().last;
  const AssetChange change = Put("a", "1").value();
  EXPECT_EQ(change.position, before);
  EXPECT_TRUE(change.replaced);
}

TEST_P(MetadataAssetsTest, APreconditionSeesWhatStandsThereAndItsErrorStopsTheChange) {
  ASSERT_TRUE(Put("a", "1"));
  const LogPosition before = metadata_->Log().value().last;
  const auto refuse = [](const std::optional<Asset>& there) -> Status {
    EXPECT_TRUE(there.has_value());
    return Fail(Fault::kClient, "precondition_failed", "no");
  };
  EXPECT_EQ(Put("a", "2", refuse).error().reason, "precondition_failed");
  EXPECT_EQ(ContentOf(Active()), "a=" + Short("1") + " ");
  EXPECT_EQ(metadata_->Log().value().last, before);
  const auto must_be_new = [](const std::optional<Asset>& there) -> Status {
    EXPECT_FALSE(there.has_value());
    return {};
  };
  EXPECT_TRUE(Put("new", "2", must_be_new));
}

TEST_P(MetadataAssetsTest, ContentThatNobodyAddedIsRefused) {
  auto put = metadata_->PutAsset("demo", AssetOf("a", "never added"), Anything, Tell);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().reason, "missing_blobs");
  EXPECT_EQ(Active(), kNoRelease);
  EXPECT_EQ(metadata_->PutAsset("none", AssetOf("a", "x"), Anything, Tell).error().reason,
            "no_such_site");
}

TEST_P(MetadataAssetsTest, ListingHasPrefixPlaceAndLimitInTheOrderOfBytes) {
  Publish({{"a", "1"},
           {"a/b", "1"},
           {"a/c", "1"},
           {"a0", "1"},
           {"B", "1"},
           {"a/\xF0\x9F\x98\x80", "1"},
           {"a/\xC3\xA4", "1"}});
  EXPECT_THAT(List({}),
              ElementsAre("B", "a", "a/b", "a/c", "a/\xC3\xA4", "a/\xF0\x9F\x98\x80", "a0"));
  EXPECT_THAT(List({.prefix = "a/"}),
              ElementsAre("a/b", "a/c", "a/\xC3\xA4", "a/\xF0\x9F\x98\x80"));
  EXPECT_THAT(List({.prefix = "a/", .after = "a/b", .limit = 2}), ElementsAre("a/c", "a/\xC3\xA4"));
  EXPECT_THAT(List({.prefix = "nothing"}), IsEmpty());
  EXPECT_THAT(List({.after = "a0"}), IsEmpty());
}

TEST_P(MetadataAssetsTest, AManifestOfManyEntriesIsStoredAndCompared) {
  AddContent("x");
  std::vector<Asset> assets;
  for (int i = 0; i < 20'000; ++i) assets.push_back(AssetOf("p/" + std::to_string(i), "x"));
  const ReleaseId first = metadata_->CreateRelease("demo", assets)->id;
  EXPECT_EQ(metadata_->ActivateRelease("demo", first, Tell)->changed_paths, 20'000u);
  assets.pop_back();
  const ReleaseId second = metadata_->CreateRelease("demo", assets)->id;
  EXPECT_EQ(metadata_->ActivateRelease("demo", second, Tell)->changed_paths, 1u);
}

}  // namespace
}  // namespace nearside::storage::test
