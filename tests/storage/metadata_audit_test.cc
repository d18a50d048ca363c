#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MetadataAuditTest : public MetadataTest {
 protected:
  static AuditEntry EntryOf(std::string action, std::string site = "demo") {
    return {"a1", "ci", "192.0.2.7", std::move(action), std::move(site), "{\"a\":\"it's\"}"};
  }
  /// Announces as Tell does, and says who made the change.
  static Announce Signed(std::string action) {
    return [action = std::move(action)](const Change& change) {
      std::vector<NewEvent> events = Tell(change);
      events.front().audit = EntryOf(action);
      return events;
    };
  }
  /// "seq action" of each record.
  std::vector<std::string> Shown(const AuditRange& range = {}) {
    std::vector<std::string> shown;
    const auto records = metadata_->Audit(range).value();
    for (const AuditRecord& record : records) {
      shown.push_back(std::to_string(record.sequence) + " " + record.entry.action);
    }
    return shown;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataAuditTest, MetadataEngines());

TEST_P(MetadataAuditTest, ARecordComesBackAsItWasWritten) {
  ASSERT_TRUE(metadata_->AddAudit(EntryOf("edge_forgotten")));
  const AuditRecord record = metadata_->Audit({}).value().at(0);
  EXPECT_EQ(record.sequence, 1u);
  EXPECT_EQ(ToUnixMillis(record.time), 1'000'000);
  EXPECT_EQ(record.event.sequence, 0u);
  EXPECT_EQ(record.entry.token, "a1");
  EXPECT_EQ(record.entry.name, "ci");
  EXPECT_EQ(record.entry.client, "192.0.2.7");
  EXPECT_EQ(record.entry.action, "edge_forgotten");
  EXPECT_EQ(record.entry.site, "demo");
  EXPECT_EQ(record.entry.detail, "{\"a\":\"it's\"}");
}

TEST_P(MetadataAuditTest, AChangeAndItsRecordAreOneTransaction) {
  ASSERT_TRUE(metadata_->CreateSite({"demo", {"www.demo.test"}, ""}, Signed("site_created")));
  AddContent("1");
  ASSERT_TRUE(metadata_->PutAsset("demo", AssetOf("a", "1"), Anything, Signed("asset_put")));
  EXPECT_THAT(Shown(), ElementsAre("1 site_created", "2 asset_put"));
  EXPECT_EQ(metadata_->Audit({}).value().at(1).event, metadata_->Log().value().last);
  // What changes nothing leaves no record, and neither does what fails.
  ASSERT_TRUE(metadata_->PutAsset("demo", AssetOf("a", "1"), Anything, Signed("asset_put")));
  EXPECT_FALSE(metadata_->CreateSite({"demo", {}, ""}, Signed("site_created")));
  EXPECT_FALSE(metadata_->RemoveAsset("demo", "none", Anything, Signed("asset_deleted")));
  EXPECT_THAT(Shown(), SizeIs(2));
  ASSERT_TRUE(metadata_->DeleteSite("demo", Signed("site_deleted")));
  EXPECT_THAT(Shown(), ElementsAre("1 site_created", "2 asset_put", "3 site_deleted"));
}

TEST_P(MetadataAuditTest, AChangeOfNotesIsOnRecord) {
  ASSERT_TRUE(metadata_->CreateSite({"demo", {"www.demo.test"}, ""}, Signed("site_created")));
  AddContent("1");
  Asset asset = AssetOf("a", "1");
  ASSERT_TRUE(metadata_->PutAsset("demo", asset, Anything, Signed("asset_put")));
  const LogPosition last = metadata_->Log().value().last;
  asset.notes = {{"x-amz-meta-a", "1"}};
  ASSERT_TRUE(metadata_->PutAsset("demo", asset, Anything, Signed("asset_put")));
  EXPECT_THAT(Shown(), ElementsAre("1 site_created", "2 asset_put", "3 asset_put"));
  EXPECT_EQ(metadata_->Log().value().last, last);
}

TEST_P(MetadataAuditTest, NobodysVolumePushesOutOthersRecords) {
  MetadataOptions options;
  options.keep_audit = 10;
  metadata_ = Metadata::Open(engine_->Url(), options).value();
  ASSERT_TRUE(metadata_->AddAudit(EntryOf("token_created")));
  ASSERT_TRUE(metadata_->AddAudit(EntryOf("site_changed", "other")));
  ASSERT_TRUE(metadata_->AddAudit(EntryOf("asset_put", "other")));
  ASSERT_TRUE(metadata_->AddAudit(EntryOf("account_granted", "")));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(metadata_->AddAudit(EntryOf("asset_put")));
    ASSERT_TRUE(metadata_->AddAudit(EntryOf("account_signed_in", "")));
  }
  EXPECT_EQ(metadata_->Audit({.after = 0, .site = "demo", .limit = 500})->size(), 11u);
  EXPECT_EQ(Shown({.after = 0, .site = "", .limit = 1}).at(0), "1 token_created");
  EXPECT_EQ(Shown({.after = 3, .site = "", .limit = 1}).at(0), "4 account_granted");
  EXPECT_THAT(Shown({.after = 0, .site = "other", .limit = 9}),
              ElementsAre("2 site_changed", "3 asset_put"));
}

TEST_P(MetadataAuditTest, ARecordNamesTheLastEventOfAChangeInSeveralParts) {
  const std::vector<NewEvent> events = {{"purge", "demo", "1", EntryOf("purged")},
                                        {"purge", "demo", "2"}};
  const LogPosition last = metadata_->Append(events).value();
  EXPECT_EQ(last.sequence, 2u);
  EXPECT_EQ(metadata_->Audit({}).value().at(0).event, last);
}

TEST_P(MetadataAuditTest, RangesAreReadForwardsAndTheNewestWithoutAPlace) {
  for (int i = 1; i <= 6; ++i) {
    ASSERT_TRUE(metadata_->AddAudit(EntryOf("x", i % 2 == 0 ? "demo" : "other")));
  }
  EXPECT_THAT(Shown({.after = std::nullopt, .site = "", .limit = 2}), ElementsAre("5 x", "6 x"));
  EXPECT_THAT(Shown({.after = 0, .site = "", .limit = 2}), ElementsAre("1 x", "2 x"));
  EXPECT_THAT(Shown({.after = 2, .site = "demo", .limit = 9}), ElementsAre("4 x", "6 x"));
  EXPECT_THAT(Shown({.after = std::nullopt, .site = "other", .limit = 1}), ElementsAre("5 x"));
  EXPECT_THAT(Shown({.after = 6, .site = "", .limit = 9}), IsEmpty());
  EXPECT_THAT(Shown({.after = UINT64_MAX, .site = "", .limit = 9}), IsEmpty());
}

TEST_P(MetadataAuditTest, OldRecordsGoAndNumbersAreNotGivenTwice) {
  MetadataOptions options;
  options.keep_audit = 10;
  metadata_ = Metadata::Open(engine_->Url(), options).value();
  for (int i = 1; i <= 25; ++i) ASSERT_TRUE(metadata_->AddAudit(EntryOf("x")));
  const auto records = metadata_->Audit({.after = 0, .site = "", .limit = 100}).value();
  ASSERT_THAT(records, SizeIs(10));
  EXPECT_EQ(records.front().sequence, 16u);
  EXPECT_EQ(records.back().sequence, 25u);
  options.keep_audit = 1;
  metadata_.reset();
  metadata_ = Metadata::Open(engine_->Url(), options).value();
  ASSERT_TRUE(metadata_->AddAudit(EntryOf("x")));
  EXPECT_THAT(Shown(), ElementsAre("26 x"));
}

}  // namespace
}  // namespace nearside::storage::test
