#include "runtime/metrics.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace nearside::metrics {
namespace {

TEST(MetricsTest, CountersAreSummedOverBlocksAndExposedAsText) {
  Registry registry;
  const Id hits =
      registry.Counter("edge_requests_total", "Requests by result.", {{"result", "hit"}});
  const Id misses =
      registry.Counter("edge_requests_total", "Requests by result.", {{"result", "miss"}});
  const Id bytes = registry.Counter("edge_sent_bytes_total", "Bytes sent.");
  Cells* const first = registry.MakeCells();
  Cells* const second = registry.MakeCells();
  first->Add(hits);
  second->Add(hits, 41);
  second->Add(misses);
  first->Add(bytes, uint64_t{1} << 60);
  EXPECT_EQ(registry.Sum(hits), 42u);
  EXPECT_EQ(first->Read(hits), 1u);
  EXPECT_EQ(registry.Expose(),
            "# HELP edge_requests_total Requests by result.\n"
            "# TYPE edge_requests_total counter\n"
            "edge_requests_total{result=\"hit\"} 42\n"
            "edge_requests_total{result=\"miss\"} 1\n"
            "# HELP edge_sent_bytes_total Bytes sent.\n"
            "# TYPE edge_sent_bytes_total counter\n"
            "edge_sent_bytes_total 1152921504606846976\n");
}

TEST(MetricsTest, AHistogramHasCumulativeBucketsSumAndCount) {
  Registry registry;
  const HistogramId time =
      registry.Histogram("fetch_seconds", "Time of a fetch.", {0.005, 0.1, 1}, {{"site", "demo"}});
  Cells* const first = registry.MakeCells();
  Cells* const second = registry.MakeCells();
  for (const double value : {0.001, 0.005, 0.0051, 1.0}) first->Observe(time, value);
  second->Observe(time, 7.5);
  EXPECT_EQ(registry.Expose(),
            "# HELP fetch_seconds Time of a fetch.\n"
            "# TYPE fetch_seconds histogram\n"
            "fetch_seconds_bucket{site=\"demo\",le=\"0.005\"} 2\n"
            "fetch_seconds_bucket{site=\"demo\",le=\"0.1\"} 3\n"
            "fetch_seconds_bucket{site=\"demo\",le=\"1\"} 4\n"
            "fetch_seconds_bucket{site=\"demo\",le=\"+Inf\"} 5\n"
            "fetch_seconds_sum{site=\"demo\"} 8.5111\n"
            "fetch_seconds_count{site=\"demo\"} 5\n");
}

TEST(MetricsTest, OneValueOfManyIsObservedAtOnce) {
  Registry registry;
  const HistogramId time = registry.Histogram("fetch_seconds", "Time of a fetch.", {0.5, 1});
  Cells* const cells = registry.MakeCells();
  cells->Observe(time, 0.25, 64);
  cells->Observe(time, 0.75);
  EXPECT_EQ(registry.Expose(),
            "# HELP fetch_seconds Time of a fetch.\n"
            "# TYPE fetch_seconds histogram\n"
            "fetch_seconds_bucket{le=\"0.5\"} 64\n"
            "fetch_seconds_bucket{le=\"1\"} 65\n"
            "fetch_seconds_bucket{le=\"+Inf\"} 65\n"
            "fetch_seconds_sum 16.75\n"
            "fetch_seconds_count 65\n");
}

TEST(MetricsTest, AHistogramThatSomebodyElseKeepsIsReadAtTheScrape) {
  Registry registry;
  const auto durations = std::make_shared<DurationHistogram>();
  registry.HistogramFrom("batch_seconds", "Time of a batch.", {{"kind", "heads"}}, durations);
  for (const int milliseconds : {1, 2, 500})
    durations->Record(std::chrono::milliseconds(milliseconds));
  const std::string text = registry.Expose();
  for (const std::string line :
       {"# TYPE batch_seconds histogram", "batch_seconds_bucket{kind=\"heads\",le=\"0.001024\"} 1",
        "batch_seconds_bucket{kind=\"heads\",le=\"0.262144\"} 2",
        "batch_seconds_bucket{kind=\"heads\",le=\"0.524288\"} 3",
        "batch_seconds_bucket{kind=\"heads\",le=\"+Inf\"} 3",
        "batch_seconds_sum{kind=\"heads\"} 0.503", "batch_seconds_count{kind=\"heads\"} 3"}) {
    EXPECT_NE(text.find(line + "\n"), std::string::npos) << line << " is not in\n" << text;
  }
}

TEST(MetricsTest, AHistogramWithoutLabelsOrBoundsIsACountAndASum) {
  Registry registry;
  const HistogramId size = registry.Histogram("size_bytes", "Sizes.", {});
  registry.MakeCells()->Observe(size, 3);
  EXPECT_EQ(registry.Expose(),
            "# HELP size_bytes Sizes.\n"
            "# TYPE size_bytes histogram\n"
            "size_bytes_bucket{le=\"+Inf\"} 1\n"
            "size_bytes_sum 3\n"
            "size_bytes_count 1\n");
}

TEST(MetricsTest, GaugesAndForeignCountersAreAskedAtEachScrape) {
  Registry registry;
  double load = 0.25;
  registry.Gauge("load", "Load.", {}, [&] { return load; });
  registry.CounterFrom("evicted_total", "Evicted.", {{"tier", "ram"}}, [] { return 12345678.0; });
  EXPECT_EQ(registry.Expose(),
            "# HELP load Load.\n"
            "# TYPE load gauge\n"
            "load 0.25\n"
            "# HELP evicted_total Evicted.\n"
            "# TYPE evicted_total counter\n"
            "evicted_total{tier=\"ram\"} 12345678\n");
  load = std::numeric_limits<double>::infinity();
  EXPECT_NE(registry.Expose().find("\nload +Inf\n"), std::string::npos);
  load = -load;
  EXPECT_NE(registry.Expose().find("\nload -Inf\n"), std::string::npos);
  load = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(registry.Expose().find("\nload NaN\n"), std::string::npos);
}

TEST(MetricsTest, AFamilyThatComesAndGoesIsAskedForItsSeriesAtEachScrape) {
  Registry registry;
  std::vector<Registry::Sample> samples;
  registry.MakeCells();  // may be declared later
  registry.GaugesFrom("up", "Whether it is up.", [&] { return samples; });
  registry.CountersFrom("asked_total", "Requests.", [&] { return samples; });
  EXPECT_EQ(registry.Expose(),
            "# HELP up Whether it is up.\n# TYPE up gauge\n"
            "# HELP asked_total Requests.\n# TYPE asked_total counter\n");
  samples = {{{{"origin", "a\"b"}}, 1}, {{{"origin", "c"}}, 0.5}};
  EXPECT_EQ(registry.Expose(),
            "# HELP up Whether it is up.\n# TYPE up gauge\n"
            "up{origin=\"a\\\"b\"} 1\nup{origin=\"c\"} 0.5\n"
            "# HELP asked_total Requests.\n# TYPE asked_total counter\n"
            "asked_total{origin=\"a\\\"b\"} 1\nasked_total{origin=\"c\"} 0.5\n");
}

TEST(MetricsTest, HelpAndLabelValuesAreEscaped) {
  Registry registry;
  registry.Counter("c", "A \\ and\na \"line\".", {{"path", "a\\b\"c\nd"}});
  EXPECT_EQ(registry.Expose(),
            "# HELP c A \\\\ and\\na \"line\".\n"
            "# TYPE c counter\n"
            "c{path=\"a\\\\b\\\"c\\nd\"} 0\n");
}

TEST(MetricsTest, AGaugeMayAskForASum) {
  Registry registry;
  const Id hits = registry.Counter("hits_total", "Hits.");
  registry.Gauge("hits_gauge", "The same.", {}, [&] { return double(registry.Sum(hits)); });
  registry.MakeCells()->Add(hits, 3);
  EXPECT_NE(registry.Expose().find("\nhits_gauge 3\n"), std::string::npos);
}

TEST(MetricsTest, TheSameDeclarationGivesTheSameCellsEvenLater) {
  Registry registry;
  const Id id = registry.Counter("c", "C.", {{"a", "1"}});
  const HistogramId histogram = registry.Histogram("h", "H.", {1, 2});
  registry.MakeCells();
  EXPECT_EQ(registry.Counter("c", "C.", {{"a", "1"}}).cell, id.cell);
  EXPECT_EQ(registry.Histogram("h", "H.", {1, 2}).first_cell, histogram.first_cell);
}

TEST(MetricsDeathTest, DeclarationsThatCannotBeServedAreBugs) {
  Registry registry;
  registry.Counter("c", "C.");
  registry.Histogram("h", "H.", {1, 2});
  registry.Gauge("g", "G.", {}, [] { return 0.0; });
  EXPECT_DEATH(registry.Counter("1st", "X."), "bug: \"1st\" is no metric name");
  EXPECT_DEATH(registry.Counter("a-b", "X."), "bug: \"a-b\" is no metric name");
  EXPECT_DEATH(registry.Counter("x", "X.", {{"a:b", ""}}), "metric x: \"a:b\" is no label name");
  EXPECT_DEATH(registry.Counter("x", "X.", {{"__a", ""}}), "metric x: \"__a\" is no label name");
  EXPECT_DEATH(registry.Counter("g", "G."), "metric g is declared with two types");
  EXPECT_DEATH(registry.Gauge("g", "G.", {}, [] { return 1.0; }), "metric g is declared twice");
  EXPECT_DEATH(registry.Histogram("h", "H.", {1, 3}),
               "metric h is declared with two sets of bounds");
  EXPECT_DEATH(registry.Histogram("i", "I.", {2, 1}), "metric i: its bounds do not ascend");
  EXPECT_DEATH(registry.Histogram("i", "I.", {1, 1}), "metric i: its bounds do not ascend");
  registry.MakeCells();
  EXPECT_DEATH(registry.Counter("late", "L."), "metric late is declared after MakeCells");
}

TEST(MetricsTest, ScrapesRunWhileWritersWrite) {
  constexpr int kWriters = 3;
  constexpr int kRounds = 20'000;
  Registry registry;
  const Id count = registry.Counter("count_total", "Count.");
  const HistogramId sizes = registry.Histogram("sizes", "Sizes.", {1, 10});
  std::vector<std::thread> writers;
  writers.reserve(kWriters);
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, cells = registry.MakeCells()] {
      for (int n = 0; n < kRounds; ++n) {
        cells->Add(count);
        cells->Observe(sizes, n % 20);
      }
    });
  }
  uint64_t last = 0;
  for (int n = 0; n < 50; ++n) {
    EXPECT_GT(registry.Expose().size(), 0u);
    const uint64_t now = registry.Sum(count);
    EXPECT_GE(now, last);
    last = now;
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(registry.Sum(count), uint64_t{kWriters} * kRounds);
  EXPECT_NE(registry.Expose().find("sizes_count 60000\n"), std::string::npos);
  EXPECT_NE(registry.Expose().find("sizes_sum 570000\n"), std::string::npos);
}

}  // namespace
}  // namespace nearside::metrics
