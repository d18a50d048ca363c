#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MetadataLogTest : public MetadataTest {
 protected:
  LogPosition Append(std::vector<std::string> bodies) {
    std::vector<NewEvent> events;
    for (std::string& body : bodies) events.push_back({"purge", "demo", std::move(body)});
    return metadata_->Append(events).value();
  }
  std::vector<std::string> Bodies(uint64_t after, size_t limit = 100) {
    std::vector<std::string> bodies;
    const auto events = metadata_->Events(after, limit).value();
    for (const Event& event : events) bodies.push_back(event.body);
    return bodies;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataLogTest, MetadataEngines());

TEST_P(MetadataLogTest, ANewLogIsEmptyWithAnEpochThatJsonKeeps) {
  const LogState log = metadata_->Log().value();
  EXPECT_EQ(log.last.sequence, 0u);
  EXPECT_EQ(log.first, 1u);
  EXPECT_GT(log.last.epoch, 0u);
  EXPECT_LT(log.last.epoch, uint64_t{1} << 53);
}

TEST_P(MetadataLogTest, EpochsOfTwoLogsDiffer) {
  auto other = Metadata::Open(engine_->Url("other"), {});
  EXPECT_NE(metadata_->Log()->last.epoch, (*other)->Log()->last.epoch);
}

TEST_P(MetadataLogTest, ARenewedLogIsAnotherOneWithTheSameEvents) {
  const LogPosition before = Append({"a", "b"});
  ASSERT_TRUE(metadata_->RenewLog());
  const LogPosition after = metadata_->Log()->last;
  EXPECT_NE(after.epoch, before.epoch);
  EXPECT_GT(after.epoch, 0u);
  EXPECT_LT(after.epoch, uint64_t{1} << 53);
  EXPECT_EQ(after.sequence, 2u);
  EXPECT_EQ(Append({"c"}), (LogPosition{after.epoch, 3}));
}

TEST_P(MetadataLogTest, ARenewedLogForgetsContentsThatNoAssetNames) {
  MakeSite();
  AddContent("of nobody");
  Publish({{"a", "one"}});
  ASSERT_TRUE(metadata_->RenewLog());
  EXPECT_EQ(*metadata_->FindBlob(IdOf("of nobody")), std::nullopt);
  EXPECT_EQ(*metadata_->FindBlob(IdOf("one")), 3u);
}

TEST_P(MetadataLogTest, ACopyIsOfOneMomentAndAWholeStore) {
  MakeSite();
  const ReleaseId release = Publish({{"index.html", "one"}, {"a.txt", "two"}});
  const std::string copy = dir_.In("copy.db");
  const LogPosition then = metadata_->Log()->last;
  ASSERT_TRUE(metadata_->BackUp(copy));
  Append({"later"});
  auto opened = Metadata::Open(engine_->UrlOfCopy(copy), {});
  ASSERT_TRUE(opened) << opened.error().ToString();
  EXPECT_EQ((*opened)->Log()->last, then);
  EXPECT_EQ((*opened)->FindSite("demo")->active, release);
  EXPECT_EQ((*opened)->FindAsset(release, "a.txt")->value().blob, IdOf("two"));
  const Status again = metadata_->BackUp(copy);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, "cannot_write");
}

TEST_P(MetadataLogTest, NamedBlobsAreThoseOfAssetsAndStored) {
  MakeSite();
  AddContent("of nobody");
  Publish({{"a", "one"}, {"b", "one"}, {"c", "two"}, {"d", "three"}});
  // Of an open release whose contents are still to come.
  const Asset missing[] = {AssetOf("e", "missing")};
  ASSERT_TRUE(metadata_->CreateRelease("demo", missing));
  std::vector<StoredBlob> expected = {{IdOf("one"), 3}, {IdOf("two"), 3}, {IdOf("three"), 5}};
  std::ranges::sort(expected, {}, [](const StoredBlob& blob) { return BlobName(blob.id); });
  EXPECT_EQ(*metadata_->NamedBlobs("", 10), expected);
  EXPECT_THAT(*metadata_->NamedBlobs("", 2), ElementsAre(expected[0], expected[1]));
  EXPECT_THAT(*metadata_->NamedBlobs(BlobName(expected[1].id), 10), ElementsAre(expected[2]));
  EXPECT_THAT(*metadata_->NamedBlobs(BlobName(expected[2].id), 10), IsEmpty());
}

TEST_P(MetadataLogTest, EventsAreNumberedWithoutGapsAndReadInOrder) {
  EXPECT_EQ(Append({"a"}).sequence, 1u);
  EXPECT_EQ(Append({"b", "c"}).sequence, 3u);
  EXPECT_THAT(Bodies(0), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Bodies(1), ElementsAre("b", "c"));
  EXPECT_THAT(Bodies(0, 2), ElementsAre("a", "b"));
  EXPECT_THAT(Bodies(3), IsEmpty());
  const Event event = metadata_->Events(2, 1).value().front();
  EXPECT_EQ(event.position, (LogPosition{metadata_->Log()->last.epoch, 3}));
  EXPECT_EQ(event.type, "purge");
  EXPECT_EQ(event.site, "demo");
  EXPECT_EQ(event.time, now_);
}

TEST_P(MetadataLogTest, NothingToAppendIsTheLastPosition) {
  Append({"a"});
  EXPECT_EQ(Append({}).sequence, 1u);
}

TEST_P(MetadataLogTest, OldEventsGoWhenMoreThanATenthAboveWhatIsKept) {
  metadata_ = OpenStore(/*keep_events=*/10);
  for (int i = 1; i <= 11; ++i) Append({std::to_string(i)});
  EXPECT_EQ(metadata_->Log()->first, 1u);
  Append({"12"});
  EXPECT_EQ(metadata_->Log()->first, 3u);
  EXPECT_EQ(metadata_->Log()->last.sequence, 12u);
  EXPECT_THAT(Bodies(0), SizeIs(10));
  EXPECT_THAT(Bodies(0, 1), ElementsAre("3"));
}

TEST_P(MetadataLogTest, AppendsOfTwoProcessesInterleaveWithoutLoss) {
  constexpr int kEach = 50;
  auto other = OpenStore();
  const auto append = [&](Metadata& store, const std::string& who) {
    for (int i = 0; i < kEach; ++i) {
      const NewEvent event{"purge", "demo", who + std::to_string(i)};
      ASSERT_TRUE(store.Append({&event, 1}));
    }
  };
  std::thread first([&] { append(*metadata_, "a"); });
  std::thread second([&] { append(*other, "b"); });
  first.join();
  second.join();
  const auto events = metadata_->Events(0, 1000).value();
  ASSERT_THAT(events, SizeIs(2 * kEach));
  int next_a = 0;
  int next_b = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].position.sequence, i + 1);
    int& next = events[i].body[0] == 'a' ? next_a : next_b;
    EXPECT_EQ(events[i].body.substr(1), std::to_string(next++));
  }
}

TEST_P(MetadataLogTest, WhatWasAcknowledgedSurvivesAKillAndWhatWasNotLeavesNoGap) {
  int acknowledged[2];
  ASSERT_EQ(::pipe(acknowledged), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = Metadata::Open(engine_->Url("killed"), {});
    for (;;) {
      const NewEvent event{"purge", "demo", "x"};
      auto position = (*store)->Append({&event, 1});
      const uint64_t sequence = position->sequence;
      if (::write(acknowledged[1], &sequence, sizeof sequence) < 0) ::_exit(1);
    }
  }
  uint64_t last = 0;
  while (last < 20) ASSERT_EQ(::read(acknowledged[0], &last, sizeof last), ssize_t{sizeof last});
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(acknowledged[1]);
  uint64_t more = 0;
  while (::read(acknowledged[0], &more, sizeof more) == ssize_t{sizeof more}) last = more;
  ::close(acknowledged[0]);
  auto store = Metadata::Open(engine_->Url("killed"), {});
  ASSERT_TRUE(store);
  const LogState log = (*store)->Log().value();
  EXPECT_GE(log.last.sequence, last);
  EXPECT_THAT((*store)->Events(0, 100'000).value(), SizeIs(log.last.sequence));
}

TEST_P(MetadataLogTest, ReportsOfEdgesAreKeptUnderTheirNames) {
  EdgeReport report{"tokyo", {7, 3}, FromUnixMillis(5), FromUnixMillis(6), "{\"load\":0.5}"};
  ASSERT_TRUE(metadata_->ReportEdge(report));
  report.name = "frankfurt";
  ASSERT_TRUE(metadata_->ReportEdge(report));
  report.applied.sequence = 4;
  report.report = "{}";
  ASSERT_TRUE(metadata_->ReportEdge(report));
  auto edges = OpenStore()->Edges().value();  // as another process sees it
  ASSERT_THAT(edges, SizeIs(2));
  EXPECT_EQ(edges[0].name, "frankfurt");
  EXPECT_EQ(edges[0].applied, (LogPosition{7, 4}));
  EXPECT_EQ(edges[0].report, "{}");
  EXPECT_EQ(edges[1].name, "tokyo");
  EXPECT_EQ(edges[1].applied, (LogPosition{7, 3}));
  EXPECT_EQ(ToUnixMillis(edges[1].applied_at), 5);
  EXPECT_EQ(ToUnixMillis(edges[1].seen_at), 6);
  ASSERT_TRUE(metadata_->RemoveEdge("tokyo"));
  ASSERT_TRUE(metadata_->RemoveEdge("tokyo"));
  EXPECT_THAT(metadata_->Edges().value(), SizeIs(1));
}

}  // namespace
}  // namespace nearside::storage::test
