// What a site may hold, over each way in.

#include <atomic>
#include <thread>

#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::HasSubstr;

class MetadataQuotaTest : public MetadataTest {
 protected:
  void SetUp() override {
    MetadataTest::SetUp();
    MakeSite();
  }
  void Limit(uint64_t bytes, uint64_t files = 0) {
    SiteDraft draft{"demo", {"www.demo.test"}, "{}"};
    draft.quota = {.bytes = bytes, .files = files};
    ASSERT_TRUE(metadata_->ReplaceSite(draft, Tell));
  }
  /// "" when it is done, else the error's reason.
  template <typename T>
  static std::string Why(const Result<T>& result) {
    return result ? "" : result.error().reason;
  }
  std::string Put(const std::string& path, const std::string& text) {
    AddContent(text);
    return Why(metadata_->PutAsset("demo", AssetOf(path, text), Anything, Tell));
  }
  Result<Release> Create(const std::vector<std::pair<std::string, std::string>>& files) {
    std::vector<Asset> assets;
    for (const auto& [path, text] : files) assets.push_back(AssetOf(path, text));
    return metadata_->CreateRelease("demo", assets);
  }
  /// "bytes files".
  std::string Used() {
    const SiteUsage usage = metadata_->UsageOf("demo").value();
    return std::to_string(usage.bytes) + " " + std::to_string(usage.files);
  }
  static ResumableUpload Going(const std::string& id, std::optional<uint64_t> length) {
    ResumableUpload upload;
    upload.id = id;
    upload.site = "demo";
    upload.asset = AssetOf("big", "");
    upload.asset.blob = {};
    upload.length = length;
    upload.expires = FromUnixMillis(9'000'000);
    return upload;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataQuotaTest, MetadataEngines());

TEST_P(MetadataQuotaTest, IsKeptWhenTheSiteChangesAndIsNoneAtFirst) {
  EXPECT_EQ(metadata_->FindSite("demo")->quota, SiteQuota());
  Limit(10, 2);
  metadata_ = OpenStore();
  ASSERT_TRUE(metadata_->ReplaceSite({"demo", {"new.demo.test"}, "{}"}, Tell));
  EXPECT_EQ(metadata_->FindSite("demo")->quota, (SiteQuota{10, 2}));
  EXPECT_EQ(metadata_->Sites()->front().quota, (SiteQuota{10, 2}));
  Limit(0);
  EXPECT_EQ(metadata_->FindSite("demo")->quota, SiteQuota());
  EXPECT_EQ(Why(metadata_->UsageOf("other")), "no_such_site");
}

TEST_P(MetadataQuotaTest, ContentsCountOnceWhereverTheyStand) {
  Publish({{"a", "12345"}, {"b", "12345"}, {"c", "678"}});
  EXPECT_EQ(Used(), "8 3");
  Publish({{"a", "12345"}, {"d", "90"}});
  EXPECT_EQ(Used(), "10 2") << "with the release before";
  EXPECT_EQ(Put("e", "x"), "");
  EXPECT_EQ(Used(), "11 3");
  MakeSite("shop", {});
  EXPECT_EQ(metadata_->UsageOf("shop").value(), SiteUsage());
  // Once past releases are dropped, what they alone had is free.
  ASSERT_TRUE(metadata_->DropReleases({.earlier = 0, .open_for = milliseconds(0)}, 10));
  EXPECT_EQ(Used(), "8 3");
}

TEST_P(MetadataQuotaTest, AnAssetThatDoesNotFitIsNotPut) {
  Limit(10);
  EXPECT_EQ(Put("a", "123456"), "");
  AddContent("abcdef");
  const auto refused = metadata_->PutAsset("demo", AssetOf("b", "abcdef"), Anything, Tell);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::kClient);
  EXPECT_EQ(refused.error().reason, "quota_exceeded");
  EXPECT_THAT(refused.error().message,
              HasSubstr("may have 10 bytes (quota.bytes): 6 are used, and this wants 6 more"));
  EXPECT_EQ(Used(), "6 1");
  EXPECT_FALSE(metadata_->FindAsset(Active(), "b")->has_value());
  EXPECT_EQ(Put("b", "123456"), "") << "the same content takes no room";
  EXPECT_EQ(Put("c", "abcd"), "") << "to the last byte";
  // The site's own live release, edited in place: what is replaced is free.
  EXPECT_EQ(Put("c", "efgh"), "");
  EXPECT_EQ(Put("c", "efghi"), "quota_exceeded");
  EXPECT_EQ(Used(), "10 3");
}

TEST_P(MetadataQuotaTest, AQuotaBelowWhatIsUsedLetsItShrink) {
  EXPECT_EQ(Put("a", "1234567890"), "");
  Limit(5);
  EXPECT_EQ(Put("b", "x"), "quota_exceeded");
  EXPECT_EQ(Put("a", "12345678"), "");
  EXPECT_EQ(Put("a", "123456789"), "quota_exceeded");
  ASSERT_TRUE(metadata_->RemoveAsset("demo", "a", Anything, Tell));
  EXPECT_EQ(Put("b", "x"), "");
}

TEST_P(MetadataQuotaTest, FilesAreThoseOfARelease) {
  Limit(0, 2);
  EXPECT_EQ(Put("a", "1"), "");
  EXPECT_EQ(Put("b", "1"), "");
  EXPECT_EQ(Put("c", "1"), "quota_exceeded");
  EXPECT_EQ(Put("b", "2"), "") << "it was there";
  const auto many = Create({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  ASSERT_FALSE(many);
  EXPECT_THAT(many.error().message, HasSubstr("may have 2 files (quota.files): with this it would "
                                              "have 3"));
  EXPECT_TRUE(Create({{"x", "1"}, {"y", "2"}}));
}

TEST_P(MetadataQuotaTest, AManifestCountsWhatItNamesBeforeItIsUploaded) {
  Limit(10);
  Publish({{"a", "12345"}});
  EXPECT_EQ(Why(Create({{"a", "12345"}, {"b", "abcdef"}})), "quota_exceeded");
  EXPECT_EQ(metadata_->Releases("demo", 10)->size(), 1u);
  const auto fits = Create({{"a", "12345"}, {"b", "abcde"}});
  ASSERT_TRUE(fits);
  EXPECT_EQ(Used(), "10 1");
  EXPECT_EQ(Put("c", "x"), "quota_exceeded") << "the room is taken";
  AddContent("abcde");
  EXPECT_TRUE(metadata_->ActivateRelease("demo", fits->id, Tell));
}

TEST_P(MetadataQuotaTest, AnActivationIsRefusedOnceTheQuotaIsLowerAndARollbackNever) {
  const ReleaseId first = Publish({{"a", "12345"}, {"b", "67890"}});
  Publish({{"a", "1"}});
  AddContent("abc");
  const auto open = Create({{"a", "abc"}});
  ASSERT_TRUE(open);
  Limit(5);
  EXPECT_EQ(Why(metadata_->ActivateRelease("demo", open->id, Tell)), "quota_exceeded");
  EXPECT_TRUE(metadata_->ActivateRelease("demo", first, Tell));
  Limit(0, 1);
  EXPECT_TRUE(metadata_->ActivateRelease("demo", open->id, Tell));
}

TEST_P(MetadataQuotaTest, PartsCountUntilTheyAreJoined) {
  Limit(10);
  MultipartUpload upload;
  upload.id = "u";
  upload.site = "demo";
  upload.asset = AssetOf("big", "12345678");
  ASSERT_TRUE(metadata_->CreateUpload(upload));
  const auto put = [&](int number, const std::string& text) {
    return Why(metadata_->PutPart(
        "u", {.number = number, .blob = IdOf(text), .bytes = text.size(), .md5 = "m"},
        every_blob_));
  };
  EXPECT_EQ(put(1, "1234"), "");
  EXPECT_EQ(put(2, "56789ab"), "quota_exceeded");
  EXPECT_EQ(Used(), "4 0");
  EXPECT_EQ(put(2, "5678"), "");
  EXPECT_EQ(Put("small", "xyz"), "quota_exceeded");
  AddContent("12345678");
  const auto done = metadata_->CompleteUpload(upload, Anything, Tell);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->parts.size(), 2u);
  EXPECT_EQ(Used(), "8 1");
}

TEST_P(MetadataQuotaTest, UploadsInSeveralGoesCountWhatTheyWillHave) {
  Limit(10);
  const ResumableLimits many{10, 10};
  EXPECT_EQ(Why(metadata_->CreateResumable(Going("u1", 11), many)), "quota_exceeded");
  EXPECT_EQ(metadata_->CountResumables().value(), 0u);
  ASSERT_TRUE(metadata_->CreateResumable(Going("u2", 8), many));
  EXPECT_EQ(Used(), "8 0");
  EXPECT_EQ(Put("a", "123"), "quota_exceeded");
  // One whose length nobody has told counts what has come.
  ASSERT_TRUE(metadata_->CreateResumable(Going("u3", std::nullopt), many));
  ResumableUpload grows = Going("u3", std::nullopt);
  grows.offset = 2;
  EXPECT_TRUE(metadata_->KeepResumable(grows));
  grows.offset = 3;
  EXPECT_EQ(Why(metadata_->KeepResumable(grows)), "quota_exceeded");
  EXPECT_EQ(metadata_->FindResumable("demo", "u3")->offset, 2u) << "as it was";
  ASSERT_TRUE(metadata_->RemoveResumable("u3"));
  ResumableUpload sealed = Going("u2", 8);
  sealed.offset = 8;
  sealed.state = ResumableState::kSealed;
  sealed.asset = AssetOf("big", "12345678");
  ASSERT_TRUE(metadata_->KeepResumable(sealed));
  AddContent("12345678");
  const auto done = metadata_->CompleteResumable(sealed, Anything, Tell);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(Used(), "8 1");
}

TEST_P(MetadataQuotaTest, TwoWritersDoNotPassItTogether) {
  constexpr int kWriters = 4;
  constexpr int kEach = 20;
  Limit(200);
  for (int i = 0; i < kWriters * kEach; ++i) AddContent("content " + std::to_string(100 + i));
  auto other = OpenStore();  // as another process has it
  std::atomic<int> put{0};
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      Metadata& store = w % 2 == 0 ? *metadata_ : *other;
      for (int i = 0; i < kEach; ++i) {
        const std::string text = "content " + std::to_string(100 + w * kEach + i);  // 11 bytes
        const auto done = store.PutAsset("demo", AssetOf(text, text), Anything, Tell);
        if (done) ++put;
        if (!done) {
          EXPECT_EQ(done.error().reason, "quota_exceeded");
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(put.load(), 18) << "of 11 bytes each";
  EXPECT_EQ(Used(), "198 18");
}

}  // namespace
}  // namespace nearside::storage::test
