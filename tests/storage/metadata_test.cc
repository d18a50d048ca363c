#include "storage/metadata.h"

#include <thread>

#include "storage/metadata_session.h"
#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

INSTANTIATE_TEST_SUITE_P(Engines, MetadataTest, MetadataEngines());

TEST_P(MetadataTest, SitesAreCreatedReadReplacedAndDeleted) {
  MakeSite("demo", {"www.demo.test", "demo.test"});
  now_ = FromUnixMillis(2'000'000);
  ASSERT_TRUE(metadata_->ReplaceSite({"demo", {"demo.test", "new.demo.test"}, "{\"a\":1}"}, Tell));
  const Site site = metadata_->FindSite("demo").value();
  EXPECT_THAT(site.hosts, ElementsAre("demo.test", "new.demo.test"));
  EXPECT_EQ(site.settings, "{\"a\":1}");
  EXPECT_EQ(site.active, kNoRelease);
  EXPECT_EQ(ToUnixMillis(site.created), 1'000'000);
  EXPECT_EQ(ToUnixMillis(site.changed), 2'000'000);
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  EXPECT_EQ(metadata_->FindSite("demo").error().reason, "no_such_site");
  EXPECT_THAT(metadata_->Sites().value(), IsEmpty());
  EXPECT_EQ(metadata_->Log().value().last.sequence, 3u);
}

TEST_P(MetadataTest, ASiteExistsOnce) {
  MakeSite();
  EXPECT_EQ(metadata_->CreateSite({"demo", {}, ""}, Tell).error().reason, "site_exists");
  EXPECT_EQ(metadata_->ReplaceSite({"other", {}, ""}, Tell).error().reason, "no_such_site");
  EXPECT_EQ(metadata_->DeleteSite("other", Tell).error().reason, "no_such_site");
  EXPECT_EQ(metadata_->DeleteEmptySite("other", Tell).error().reason, "no_such_site");
  (void)Publish({{"a", "1"}});
  EXPECT_EQ(metadata_->DeleteEmptySite("demo", Tell).error().reason, "site_not_empty");
  ASSERT_TRUE(metadata_->RemoveAsset("demo", "a", Anything, Tell));
  EXPECT_TRUE(metadata_->DeleteEmptySite("demo", Tell));
}

TEST_P(MetadataTest, AHostBelongsToOneSiteAndAFailedChangeLeavesNoTrace) {
  MakeSite();
  auto taken = metadata_->CreateSite({"other", {"free.test", "www.demo.test"}, ""}, Tell);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().reason, "host_taken");
  EXPECT_THAT(taken.error().message, HasSubstr("demo"));
  EXPECT_THAT(metadata_->Sites().value(), SizeIs(1));
  EXPECT_EQ(metadata_->Log().value().last.sequence, 1u);
  MakeSite("other", {"free.test"});  // the host of the failed attempt is free
}

TEST_P(MetadataTest, AReleaseNamesTheBlobsThatAreMissing) {
  MakeSite();
  AddContent("a");
  const std::vector<Asset> assets = {AssetOf("a", "a"), AssetOf("b", "b"), AssetOf("b2", "b")};
  const Release release = metadata_->CreateRelease("demo", assets).value();
  EXPECT_EQ(release.state, ReleaseState::kOpen);
  EXPECT_EQ(release.assets, 3u);
  EXPECT_EQ(release.bytes, 3u);
  EXPECT_THAT(metadata_->MissingBlobs(release.id).value(), ElementsAre(StoredBlob{IdOf("b"), 1}));
  auto early = metadata_->ActivateRelease("demo", release.id, Tell);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().reason, "missing_blobs");
  EXPECT_THAT(early.error().message, HasSubstr(BlobName(IdOf("b"))));
  EXPECT_EQ(Active(), kNoRelease);
  AddContent("b");
  EXPECT_THAT(metadata_->MissingBlobs(release.id).value(), IsEmpty());
  EXPECT_TRUE(metadata_->ActivateRelease("demo", release.id, Tell));
  EXPECT_EQ(Active(), release.id);
}

TEST_P(MetadataTest, AnAnnouncedLengthThatIsNotTheContentsIsRefused) {
  MakeSite();
  AddContent("abc");
  Asset wrong = AssetOf("a", "abc");
  wrong.bytes = 4;
  EXPECT_EQ(metadata_->CreateRelease("demo", {{wrong}}).error().reason, "bytes_mismatch");
  EXPECT_THAT(metadata_->Releases("demo", 10).value(), IsEmpty());
  Asset unknown = AssetOf("a", "later");
  unknown.bytes = 99;
  const Release release = metadata_->CreateRelease("demo", {{unknown}}).value();
  AddContent("later");
  EXPECT_EQ(metadata_->ActivateRelease("demo", release.id, Tell).error().reason, "bytes_mismatch");
}

TEST_P(MetadataTest, ActivationAnnouncesExactlyThePathsWhoseAnswerChanges) {
  MakeSite();
  Publish({{"gone", "1"}, {"kept", "2"}, {"new-bytes", "3"}});
  EXPECT_EQ(LastEvent(), "activate /gone /kept /new-bytes ");
  Publish({{"kept", "2"}, {"new", "4"}, {"new-bytes", "5"}});
  EXPECT_EQ(LastEvent(), "activate /gone /new /new-bytes ");
  Asset asset = AssetOf("kept", "2");
  asset.headers = {{"cache-control", "no-store"}};
  auto with_headers =
      metadata_->CreateRelease("demo", {{asset, AssetOf("new", "4"), AssetOf("new-bytes", "5")}});
  auto activation = metadata_->ActivateRelease("demo", with_headers->id, Tell);
  EXPECT_EQ(LastEvent(), "activate /kept ");
  EXPECT_EQ(activation->changed_paths, 1u);
}

TEST_P(MetadataTest, ActivatingTheActiveReleaseChangesNothing) {
  MakeSite();
  const ReleaseId release = Publish({{"a", "1"}});
  const LogPosition before = metadata_->Log().value().last;
  auto again = metadata_->ActivateRelease("demo", release, Tell);
  EXPECT_EQ(again->position, before);
  EXPECT_EQ(metadata_->Log().value().last, before);
}

TEST_P(MetadataTest, RollbackIsActivationAndEarlierReleasesAreListedLastFirst) {
  MakeSite();
  const ReleaseId one = Publish({{"a", "1"}});
  const ReleaseId two = Publish({{"a", "2"}});
  const ReleaseId three = Publish({{"a", "3"}});
  EXPECT_THAT(metadata_->FindSite("demo")->earlier, ElementsAre(two, one));
  ASSERT_TRUE(metadata_->ActivateRelease("demo", one, Tell));
  EXPECT_EQ(Active(), one);
  EXPECT_EQ(LastEvent(), "activate /a ");
  EXPECT_THAT(metadata_->FindSite("demo")->earlier, ElementsAre(three, two));
  const auto releases = metadata_->Releases("demo", 10).value();
  ASSERT_THAT(releases, SizeIs(3));
  EXPECT_EQ(releases[0].state, ReleaseState::kPast);
  EXPECT_EQ(releases[2].id, one);
  EXPECT_EQ(releases[2].state, ReleaseState::kActive);
  EXPECT_THAT(metadata_->Releases("demo", 2).value(), SizeIs(2));
}

TEST_P(MetadataTest, AReleaseOfAnotherSiteIsNoRelease) {
  MakeSite();
  MakeSite("other", {"other.test"});
  const ReleaseId release = Publish({{"a", "1"}});
  EXPECT_EQ(metadata_->ActivateRelease("other", release, Tell).error().reason, "no_such_release");
  EXPECT_EQ(metadata_->FindRelease("other", release).error().reason, "no_such_release");
  EXPECT_EQ(metadata_->ActivateRelease("demo", 999, Tell).error().reason, "no_such_release");
  EXPECT_EQ(metadata_->CreateRelease("none", {}).error().reason, "no_such_site");
}

TEST_P(MetadataTest, DatesStayWithContentThatStays) {
  MakeSite();
  Publish({{"a", "1"}, {"b", "1"}});
  now_ = FromUnixMillis(2'000'000);
  const ReleaseId second = Publish({{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(ToUnixMillis(metadata_->FindAsset(second, "a").value()->modified), 1'000'000);
  EXPECT_EQ(ToUnixMillis(metadata_->FindAsset(second, "b").value()->modified), 2'000'000);
}

TEST_P(MetadataTest, ARollbackDatesReturningContentAnew) {
  MakeSite();
  const ReleaseId first = Publish({{"a", "1"}});
  now_ = FromUnixMillis(2'000'000);
  Publish({{"a", "2"}});
  now_ = FromUnixMillis(3'000'000);
  ASSERT_TRUE(metadata_->ActivateRelease("demo", first, Tell));
  // Its old date would answer If-Modified-Since of a client that has release 2 with 304.
  EXPECT_EQ(ToUnixMillis(metadata_->FindAsset(first, "a").value()->modified), 3'000'000);
}

TEST_P(MetadataTest, TwoActivationsAtOnceAreOneAfterTheOther) {
  MakeSite();
  std::vector<ReleaseId> ids;
  AddContent("x");
  for (int i = 0; i < 8; ++i) {
    ids.push_back(metadata_->CreateRelease("demo", {{AssetOf("p" + std::to_string(i), "x")}})->id);
  }
  auto other = OpenStore();  // another process would do the same
  std::vector<std::thread> threads;
  for (size_t i = 0; i < ids.size(); ++i) {
    threads.emplace_back([&, i] {
      Metadata& store = i % 2 == 0 ? *metadata_ : *other;
      auto activation = store.ActivateRelease("demo", ids[i], Tell);
      EXPECT_TRUE(activation) << activation.error().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metadata_->Log().value().last.sequence, 9u);  // the site's event and eight more
  EXPECT_THAT(metadata_->FindSite("demo")->earlier, SizeIs(7));
  // Every event names what left and what came: each change started from the one before it.
  std::string active;
  const auto events = metadata_->Events(1, 100).value();
  for (const Event& event : events) {
    std::string body = event.body;
    const size_t place = body.find(active);
    ASSERT_NE(place, std::string::npos) << body << " does not start from " << active;
    active = body.erase(place, active.size());
    EXPECT_THAT(active, ::testing::MatchesRegex("/p[0-7] "));
  }
  EXPECT_EQ("/" + ContentOf(Active()), active.substr(0, 3) + "=" + Short("x") + " ");
}

TEST_P(MetadataTest, EverythingSurvivesReopening) {
  MakeSite();
  const ReleaseId release = Publish({{"a", "1"}});
  const LogState log = metadata_->Log().value();
  metadata_.reset();
  metadata_ = OpenStore();
  EXPECT_EQ(Active(), release);
  EXPECT_EQ(metadata_->Log().value().last, log.last);
  EXPECT_EQ(metadata_->FindBlob(IdOf("1")).value(), 1u);
  EXPECT_FALSE(metadata_->FindBlob(IdOf("2")).value());
}

TEST_P(MetadataTest, ReleaseNumbersAreNotReusedAfterASiteIsDeleted) {
  MakeSite();
  const ReleaseId first = Publish({{"a", "1"}});
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  MakeSite();
  EXPECT_GT(Publish({{"a", "1"}}), first);
}

TEST_P(MetadataTest, ADatabaseOfANewerProgramIsRefused) {
  if (engine_->SqliteFile().empty()) GTEST_SKIP() << "of SQLite alone";
  metadata_.reset();
  {
    auto session = SqlSession::OpenSqlite(engine_->SqliteFile(), true);
    ASSERT_TRUE((*session)->Run("UPDATE schema_version SET version = 1000"));
  }
  auto metadata = Metadata::Open(engine_->Url(), {});
  ASSERT_FALSE(metadata);
  EXPECT_EQ(metadata.error().reason, "newer_schema");
  EXPECT_EQ(metadata.error().fault, Fault::kOperator);
  EXPECT_THAT(metadata.error().message, HasSubstr("version 1000"));
}

TEST(MetadataUrlTest, AFileThatIsNoDatabaseIsRefusedByName) {
  nearside::test::TempDir dir;
  const std::string path = dir.Write("no.db", std::string(5000, 'x'));
  auto metadata = Metadata::Open("sqlite:" + path, {});
  ASSERT_FALSE(metadata);
  EXPECT_EQ(metadata.error().reason, "cannot_open");
  EXPECT_THAT(metadata.error().message, HasSubstr("no.db"));
  dir.Write("file", "");
  EXPECT_EQ(Metadata::Open("sqlite:" + dir.In("file/meta.db"), {}).error().reason, "cannot_open");
}

TEST(MetadataUrlTest, OtherSchemesAreRefusedWithWhatWasExpected) {
  for (const char* url : {"postgresql://db/x", "sqlite:", "meta.db", ""}) {
    SCOPED_TRACE(url);
    auto metadata = Metadata::Open(url, {});
    ASSERT_FALSE(metadata);
    EXPECT_EQ(metadata.error().reason, "bad_url");
    EXPECT_THAT(metadata.error().message, HasSubstr("sqlite:"));
  }
}

TEST_P(MetadataTest, TextsWithQuotesAndAnyUtf8ComeBackAsTheyWere) {
  MakeSite();
  const std::string path = "it's/\"quoted\"/%41/\xC3\xA4\xF0\x9F\x98\x80; DROP TABLE sites";
  Asset asset = AssetOf(path, "x");
  asset.headers = {{"link", "</a>; rel=\"preload\""}, {"x-empty", ""}};
  asset.tags = {"product-7", "\xC3\xA4"};
  AddContent("x");
  const Release release = metadata_->CreateRelease("demo", {{asset}}).value();
  const Asset found = metadata_->FindAsset(release.id, path).value().value();
  EXPECT_EQ(found.path, path);
  EXPECT_EQ(found.headers, asset.headers);
  EXPECT_EQ(found.tags, asset.tags);
}

}  // namespace
}  // namespace nearside::storage::test
