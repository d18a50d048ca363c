#include "tests/storage/collection_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MetadataVariantsTest : public CollectionTest {
 protected:
  void SetUp() override {
    CollectionTest::SetUp();
    MakeSite();
  }
  /// Adds one whose bytes are `text`.
  Status Add(std::string_view content, const std::string& coding, std::string_view text) {
    const StoredBlob stored = Land(*store_, text);
    return metadata_->AddVariant(IdOf(content), {coding, stored.id, stored.bytes}, *store_);
  }
  /// "coding bytes" of each.
  std::vector<std::string> VariantsOf(std::string_view content) {
    std::vector<std::string> texts;
    const auto listed = metadata_->Variants(IdOf(content)).value();
    for (const BlobVariant& variant : listed) {
      texts.push_back(variant.coding + " " + std::to_string(variant.bytes));
    }
    return texts;
  }
  std::vector<std::string> Uncoded(ReleaseId release, uint64_t least = 0, size_t codings = 2) {
    std::vector<std::string> paths;
    const auto assets = metadata_->UncodedAssets({.release = release,
                                                  .after = "",
                                                  .least_bytes = least,
                                                  .most_bytes = 8,
                                                  .codings = codings});
    for (const Asset& asset : assets.value()) paths.push_back(asset.path);
    return paths;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataVariantsTest, MetadataEngines());

TEST_P(MetadataVariantsTest, AContentHasOneVariantACoding) {
  PublishFiles({{"a.css", "content"}});
  EXPECT_THAT(VariantsOf("content"), IsEmpty());
  ASSERT_TRUE(Add("content", "gzip", "zipped"));
  ASSERT_TRUE(Add("content", "br", "b"));
  ASSERT_TRUE(metadata_->AddVariant(IdOf("content"), {"zstd", {}, 0}, *store_));
  EXPECT_THAT(VariantsOf("content"), ElementsAre("br 1", "gzip 6", "zstd 0"));
  EXPECT_EQ(metadata_->Variants(IdOf("content")).value()[1].blob, IdOf("zipped"));
  ASSERT_TRUE(Add("content", "br", "other"));
  EXPECT_THAT(VariantsOf("content"), ElementsAre("br 5", "gzip 6", "zstd 0"));
}

TEST_P(MetadataVariantsTest, OfAContentThatIsNotThereNothingIsKept) {
  EXPECT_EQ(Add("unknown", "br", "b").error().reason, "no_such_blob");
  EXPECT_THAT(VariantsOf("unknown"), IsEmpty());
  PublishFiles({{"a.css", "content"}});
  // Says that it is stored, and it is not.
  const Status lost = metadata_->AddVariant(IdOf("content"), {"br", IdOf("lost"), 4}, *store_);
  EXPECT_EQ(lost.error().reason, "blob_collected");
  EXPECT_THAT(VariantsOf("content"), IsEmpty());
}

TEST_P(MetadataVariantsTest, VariantsAreKeptWithTheirContentAndCollectedAfterIt) {
  PublishFiles({{"a.css", "old"}});
  ASSERT_TRUE(Add("old", "br", "o"));
  PublishFiles({{"a.css", "new"}});
  ASSERT_TRUE(Add("new", "br", "n"));
  const Retention kept_one{.earlier = 1};
  EXPECT_EQ(Collect(kept_one), 0u);
  EXPECT_TRUE(Holds("o") && Holds("n"));
  const Retention none{.earlier = 0};
  EXPECT_EQ(Collect(none), 1u);  // the content; then nothing names its variant
  EXPECT_THAT(VariantsOf("old"), IsEmpty());
  EXPECT_EQ(Collect(none), 1u);
  EXPECT_FALSE(Holds("old") || Holds("o"));
  EXPECT_TRUE(Holds("new") && Holds("n"));
  EXPECT_THAT(VariantsOf("new"), ElementsAre("br 1"));
  EXPECT_EQ(Collect(none), 0u);
}

TEST_P(MetadataVariantsTest, AContentThatWasCondemnedAndCameBackHasItsVariants) {
  Upload("content");
  ASSERT_TRUE(Add("content", "br", "b"));
  const WallTime later = now_ + std::chrono::hours(1);
  EXPECT_EQ(metadata_->CondemnBlobs({.after = std::nullopt, .added_before = later})->blobs, 1u);
  Upload("content");
  EXPECT_TRUE(Knows("content") && Knows("b"));
  EXPECT_THAT(VariantsOf("content"), ElementsAre("br 1"));
}

TEST_P(MetadataVariantsTest, UncodedAssetsAreThoseOfASizeThatLackAVariant) {
  const ReleaseId release =
      PublishFiles({{"a.css", "aaaa"}, {"b.css", "bbbb"}, {"c.css", "c"}, {"d.css", "too large"}});
  EXPECT_THAT(Uncoded(release), ElementsAre("a.css", "b.css", "c.css"));
  EXPECT_THAT(Uncoded(release, 2), ElementsAre("a.css", "b.css"));
  ASSERT_TRUE(Add("aaaa", "br", "a"));
  EXPECT_THAT(Uncoded(release, 2), ElementsAre("a.css", "b.css"));  // one of two
  ASSERT_TRUE(metadata_->AddVariant(IdOf("aaaa"), {"gzip", {}, 0}, *store_));
  EXPECT_THAT(Uncoded(release, 2), ElementsAre("b.css"));
  EXPECT_THAT(Uncoded(release, 2, 3), ElementsAre("a.css", "b.css"));
  const auto behind = metadata_->UncodedAssets(
      {.release = release, .after = "b.css", .least_bytes = 0, .most_bytes = 8, .codings = 2});
  EXPECT_EQ(behind.value().size(), 1u);
}

TEST_P(MetadataVariantsTest, ARestoredCopyHasNone) {
  PublishFiles({{"a.css", "content"}});
  ASSERT_TRUE(Add("content", "br", "b"));
  const std::vector<StoredBlob> named = metadata_->NamedBlobs("", 10).value();
  EXPECT_EQ(named.size(), 1u);  // a backup holds contents alone
  ASSERT_TRUE(metadata_->RenewLog());
  EXPECT_THAT(VariantsOf("content"), IsEmpty());
  EXPECT_TRUE(Knows("content"));
  EXPECT_FALSE(Knows("b"));
}

}  // namespace
}  // namespace nearside::storage::test
