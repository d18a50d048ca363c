#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class MetadataReceiptsTest : public MetadataTest {
 protected:
  void SetUp() override {
    MetadataTest::SetUp();
    MakeSite();
    MakeSite("other", {"other.test"});
  }
  int64_t Add(const std::string& site, uint64_t sequence, std::vector<std::string> edges = {}) {
    PublishReceipt draft{.site = site,
                         .release = 7,
                         .previous = 6,
                         .position = {1, sequence},
                         .time = now_,
                         .changed = 3,
                         .digest = "",
                         .edges = {}};
    for (std::string& edge : edges) draft.edges.push_back({std::move(edge), {}, {}, ""});
    const ReleaseId release = metadata_->CreateRelease(site, {}).value().id;
    const auto draft_of = [&draft](const Activation&) { return draft; };
    return *metadata_->ActivateRelease(site, release, Tell, draft_of).value().receipt;
  }
  int64_t Note(uint64_t sequence, const std::string& edge, int64_t applied, int64_t proved,
               const std::string& report, const std::string& site = "demo") {
    return metadata_
        ->NoteProof(site, {1, sequence},
                    {edge, FromUnixMillis(applied), FromUnixMillis(proved), report})
        .value();
  }
  /// "frankfurt 10/20 report, …".
  std::string EdgesOf(int64_t id) {
    std::string text;
    const PublishReceipt receipt = metadata_->FindReceipt(id).value();
    for (const EdgeProof& proof : receipt.edges) {
      text += (text.empty() ? "" : ", ") + proof.edge + " " +
              std::to_string(ToUnixMillis(proof.applied_at)) + "/" +
              std::to_string(ToUnixMillis(proof.proved_at)) + " " + proof.report;
    }
    return text;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataReceiptsTest, MetadataEngines());

TEST_P(MetadataReceiptsTest, AReceiptIsFoundAsItWasMade) {
  const int64_t id = Add("demo", 5, {"tokyo", "frankfurt"});
  const PublishReceipt receipt = metadata_->FindReceipt(id).value();
  EXPECT_EQ(receipt.site, "demo");
  EXPECT_EQ(receipt.release, 7);
  EXPECT_EQ(receipt.previous, 6);
  EXPECT_EQ(receipt.position, (LogPosition{1, 5}));
  EXPECT_EQ(receipt.time, now_);
  EXPECT_EQ(receipt.changed, 3u);
  EXPECT_EQ(receipt.digest, "");
  EXPECT_EQ(EdgesOf(id), "frankfurt 0/0 , tokyo 0/0 ");
  EXPECT_EQ(metadata_->FindReceipt(id + 1).error().reason, "no_such_receipt");
}

TEST_P(MetadataReceiptsTest, WhatAnEdgeSaidFirstStandsAndItsNewestWordWithIt) {
  const int64_t id = Add("demo", 5, {"frankfurt"});
  EXPECT_EQ(Note(5, "frankfurt", 10, 0, "a"), id);
  EXPECT_EQ(Note(5, "frankfurt", 11, 20, "b"), id);
  EXPECT_EQ(Note(5, "frankfurt", 12, 21, "c"), id);
  EXPECT_EQ(Note(5, "new", 30, 0, "d"), id) << "it came to the fleet meanwhile";
  EXPECT_EQ(EdgesOf(id), "frankfurt 10/20 c, new 30/0 d");
  EXPECT_EQ(Note(6, "frankfurt", 10, 0, "x"), 0);
  EXPECT_EQ(Note(5, "frankfurt", 10, 0, "x", "other"), 0);
  EXPECT_EQ(EdgesOf(id), "frankfurt 10/20 c, new 30/0 d");
}

TEST_P(MetadataReceiptsTest, TheDigestIsKept) {
  const int64_t id = Add("demo", 5);
  ASSERT_TRUE(metadata_->SetReceiptDigest(id, "abc"));
  EXPECT_EQ(metadata_->FindReceipt(id).value().digest, "abc");
}

TEST_P(MetadataReceiptsTest, TheNewestOfEachSiteAreKept) {
  const int64_t other = Add("other", 1, {"tokyo"});
  const int64_t first = Add("demo", 2, {"tokyo"});
  int64_t last = first;
  for (uint64_t i = 0; i < kReceiptsOfSite; ++i) last = Add("demo", 3 + i, {"tokyo"});
  EXPECT_EQ(last, first + static_cast<int64_t>(kReceiptsOfSite));
  EXPECT_FALSE(metadata_->FindReceipt(first));
  EXPECT_TRUE(metadata_->FindReceipt(first + 1));
  EXPECT_TRUE(metadata_->FindReceipt(other));
  const auto listed = metadata_->Receipts("demo", 1000).value();
  ASSERT_THAT(listed, SizeIs(kReceiptsOfSite));
  EXPECT_EQ(listed.front().id, last);
  EXPECT_THAT(metadata_->Receipts("", 1000).value(), SizeIs(kReceiptsOfSite + 1));
  EXPECT_THAT(metadata_->Receipts("demo", 5).value(), SizeIs(5));
}

TEST_P(MetadataReceiptsTest, ADeletedSitesReceiptsGoAndTheirNumbersAreNotGivenAgain) {
  const int64_t id = Add("demo", 5, {"tokyo"});
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  EXPECT_FALSE(metadata_->FindReceipt(id));
  EXPECT_THAT(metadata_->Receipts("", 10).value(), IsEmpty());
  MakeSite();
  EXPECT_EQ(Add("demo", 9), id + 1);
  EXPECT_EQ(EdgesOf(id + 1), "");
}

}  // namespace
}  // namespace nearside::storage::test
