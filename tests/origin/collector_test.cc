#include "origin/collector.h"

#include <thread>

#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class CollectorTest : public OriginTest {
 protected:
  void SetUp() override {
    Start("[releases]\nkeep = 2\nkeep_for = \"0s\"\nblob_grace = \"1h\"\n");
    MakeSite();
  }
  /// Steps to the end of a pass, at a time ahead of the clock.
  static int RunPass(Collector& collector, milliseconds ahead = std::chrono::hours(3)) {
    int steps = 1;
    while (collector.Step(WallNow() + ahead)) ++steps;
    return steps;
  }
  size_t Files() const { return node_->blobs->List(std::nullopt, 1000).value().size(); }
  size_t Releases() { return Json(Admin("GET /v1/sites/demo/releases"))["releases"].size(); }
  void PublishMany(int count) {
    for (int i = 1; i <= count; ++i) {
      const std::string n = std::to_string(i);
      Publish({{"index.html", "page" + n}, {"logo.png", "same"}, {"app.1a2b3c4" + n + ".js", n}});
    }
  }
};

TEST_F(CollectorTest, WhatIsNotKeptGoesAndItsSpaceComesBack) {
  PublishMany(5);
  EXPECT_EQ(Files(), 11u);
  Collector collector(*node_);
  RunPass(collector);
  EXPECT_EQ(Releases(), 3u);
  EXPECT_EQ(Files(), 7u);
  EXPECT_EQ(Visit("/").body, "page5");
  EXPECT_EQ(Visit("/logo.png").body, "same");
  EXPECT_EQ(Visit("/app.1a2b3c43.js").body, "3");
  EXPECT_EQ(Visit("/app.1a2b3c42.js").status, 404);
  EXPECT_EQ(collector.counters().passes.load(), 1u);
  EXPECT_EQ(collector.counters().dropped_releases.load(), 2u);
  EXPECT_EQ(collector.counters().collected_blobs.load(), 4u);
  EXPECT_EQ(collector.counters().collected_bytes.load(), 2 * 5u + 2 * 1u);
  RunPass(collector);
  EXPECT_EQ(Files(), 7u);
  EXPECT_EQ(collector.counters().dropped_releases.load(), 2u);
}

TEST_F(CollectorTest, AContentIsSparedForATimeAfterItsUpload) {
  (void)Admin("PUT /v1/blobs/" + DigitsOf("early"), "early");
  Collector collector(*node_);
  RunPass(collector, std::chrono::minutes(30));
  EXPECT_EQ(collector.counters().condemned_blobs.load(), 0u);
  EXPECT_EQ(Admin("GET /v1/blobs/" + DigitsOf("early")).status, 200);
  RunPass(collector, std::chrono::minutes(60) + std::chrono::seconds(30));
  EXPECT_EQ(collector.counters().condemned_blobs.load(), 1u);
  EXPECT_EQ(Files(), 0u);
  EXPECT_EQ(Admin("GET /v1/blobs/" + DigitsOf("early")).status, 404);
  // Who names it now is told to upload it, and nobody takes it away.
  const std::string id = Prepare({{"index.html", "early"}});
  RunPass(collector);
  EXPECT_EQ(Admin("POST /v1/sites/demo/releases/" + id + "/activate").status, 200);
  EXPECT_EQ(Visit("/").body, "early");
}

TEST_F(CollectorTest, AClockThatIsSetForwardMakesNothingOldAtOnce) {
  (void)Admin("PUT /v1/blobs/" + DigitsOf("early"), "early");
  Collector collector(*node_);
  MonoTime now = MonoNow();
  WallTime wall = WallNow() + std::chrono::hours(24 * 30);
  const auto pass = [&] {
    while (collector.Step(now, wall)) {
    }
  };
  pass();
  pass();
  EXPECT_EQ(collector.counters().condemned_blobs.load(), 0u);
  EXPECT_EQ(Admin("GET /v1/blobs/" + DigitsOf("early")).status, 200);
  // As time passes it becomes as old as anything.
  now += std::chrono::hours(2);
  wall += std::chrono::hours(2);
  pass();
  EXPECT_EQ(collector.counters().condemned_blobs.load(), 1u);
}

TEST_F(CollectorTest, FilesOfAProcessThatDiedAreSwept) {
  PublishMany(1);
  {
    auto writer = node_->blobs->Begin().value();
    const std::string text = "nobody named me";
    ASSERT_TRUE(writer->Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    ASSERT_TRUE(writer->Commit({}));
  }
  EXPECT_EQ(Files(), 4u);
  Collector collector(*node_);
  RunPass(collector);
  EXPECT_EQ(Files(), 3u);
  EXPECT_EQ(collector.counters().swept_files.load(), 1u);
}

TEST_F(CollectorTest, APassIsMadeOfManySmallStepsAndCanBeLeftAnywhere) {
  PublishMany(25);
  const size_t all = Files();
  for (int steps = 1; steps < 8; ++steps) {
    Collector left(*node_);  // a process that ends in mid-pass
    for (int i = 0; i < steps; ++i) (void)left.Step(WallNow() + std::chrono::hours(3));
    EXPECT_EQ(Visit("/").body, "page25");
  }
  Collector collector(*node_);
  EXPECT_GE(RunPass(collector), 5);
  EXPECT_LT(Files(), all);
  EXPECT_EQ(Files(), 7u);
}

TEST_F(CollectorTest, ItsThreadWorksByItselfAndStopsAtOnce) {
  Restart("[releases]\nkeep = 0\nkeep_for = \"0s\"\ncollect_every = \"1s\"\nblob_grace = \"1s\"\n");
  PublishMany(2);
  Collector collector(*node_);
  collector.Start();
  while (collector.counters().collected_blobs.load() < 2) std::this_thread::yield();
  collector.Stop();
  EXPECT_EQ(Visit("/").body, "page2");
  EXPECT_EQ(Files(), 3u);
}

TEST_F(CollectorTest, MetricsTellWhatWasGivenBack) {
  PublishMany(5);
  Collector collector(*node_);
  collector.ExportMetrics(node_->registry);
  RunPass(collector);
  const std::string text = node_->registry.Expose();
  EXPECT_THAT(text, HasSubstr("nearside_origin_dropped_releases_total 2\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_collected_blobs_total 4\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_collected_bytes_total 12\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_collections_total 1\n"));
}

}  // namespace
}  // namespace nearside::origin::test
