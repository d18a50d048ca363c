// A cache store under churn: filled, then written to at a steady rate while objects are read by
// Zipf with a popularity that drifts, removed, expired and evicted, and while another process holds
// snapshots for too long. Prints a row for each tenth of the run and what it all came to.
//
// Exits with 1 when something was wrong whatever the machine's speed: a byte, growth past the
// limit, a store that passes through, a commit that failed. Times are printed beside their bars,
// and judged by people.

#include <sys/resource.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/units.h"
#include "storage/store_disk.h"
#include "tests/bench/bench_store.h"
#include "tests/bench/churn_load.h"
#include "tests/bench/disk_probe.h"

namespace nearside::bench {
namespace {

using storage::CacheStats;
using storage::CacheStore;
using Reading = DurationHistogram::Reading;

constexpr int kRows = 10;
constexpr double kMebi = 1 << 20;

struct Settings {
  std::string folder;
  uint64_t disk_mib = 10'240;
  uint64_t memory_mib = 256;
  int run_seconds = 3600;
  double fill = 0.95;
  double catalogue = 3;  ///< bytes of all objects, in sizes of the disk
  unsigned readers = 2;
  int stall_period_s = 60;
  int stall_hold_ms = 3000;
  uint64_t seed = 1;
  bool json = false;
  bool probe = false;
  bool fresh = false;
  ChurnLoad::Rates rates;
};

struct Process {
  double cpu_seconds = 0;
  uint64_t written_bytes = 0;  ///< by system calls: LMDB writes each page so
  double anonymous_bytes = AnonymousBytes();

  static Process Now() {
    Process now;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      now.cpu_seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
    std::string word;
    for (std::ifstream io("/proc/self/io"); io >> word;) {
      if (word == "wchar:") io >> now.written_bytes;
    }
    return now;
  }
};

uint64_t FileBytes(const std::string& folder) {
  uint64_t bytes = 0;
  for (const char* name : {"/heads.mdb", "/chunks.mdb"}) {
    struct stat file {};
    if (stat((folder + name).c_str(), &file) == 0) bytes += static_cast<uint64_t>(file.st_size);
  }
  return bytes;
}

/// All that is read at the ends of a row.
struct Sample {
  MonoTime at = MonoNow();
  Process process = Process::Now();
  CacheStats stats;
  Reading batches, commits, warm, cold;
  uint64_t stored = 0, stored_bytes = 0, refused = 0, asked = 0, hits = 0;

  Sample(const CacheStore& store, const ChurnLoad& load)
      : stats(store.Stats()),
        batches(store.Times().batches->Read()),
        commits(load.commits().Read()),
        warm(load.warm_reads().Read()),
        cold(load.cold_reads().Read()),
        stored(load.counts().stored),
        stored_bytes(load.counts().stored_bytes),
        refused(load.counts().refused),
        asked(load.counts().asked),
        hits(load.counts().hits) {}
};

/// What happened between two samples.
nlohmann::ordered_json Row(const Sample& from, const Sample& to) {
  const double elapsed = std::chrono::duration<double>(to.at - from.at).count();
  const auto bytes = static_cast<double>(to.stored_bytes - from.stored_bytes);
  const Reading batches = to.batches.Since(from.batches);
  const Reading cold = to.cold.Since(from.cold);
  const Reading warm = to.warm.Since(from.warm);
  const auto written = static_cast<double>(to.process.written_bytes - from.process.written_bytes);
  return {{"seconds", elapsed},
          {"mb_per_s", bytes / 1e6 / elapsed},
          {"puts_per_s", static_cast<double>(to.stored - from.stored) / elapsed},
          {"refused", to.refused - from.refused},
          {"batches", batches.count()},
          {"batch_ms_mean", batches.count() == 0 ? 0
                                                 : InMilliseconds(batches.sum()) /
                                                       static_cast<double>(batches.count())},
          {"batch_ms_p50", InMilliseconds(batches.Quantile(0.5))},
          {"batch_ms_p99", InMilliseconds(batches.Quantile(0.99))},
          {"batch_ms_max", InMilliseconds(batches.max())},
          {"cold_ms_p50", InMilliseconds(cold.Quantile(0.5))},
          {"cold_ms_p99", InMilliseconds(cold.Quantile(0.99))},
          {"cold_reads", cold.count()},
          {"warm_us_p50", InMilliseconds(warm.Quantile(0.5)) * 1000},
          {"warm_us_p99", InMilliseconds(warm.Quantile(0.99)) * 1000},
          {"hit_ratio", static_cast<double>(to.hits - from.hits) /
                            static_cast<double>(std::max<uint64_t>(to.asked - from.asked, 1))},
          {"disk_mib", static_cast<double>(to.stats.disk_bytes) / kMebi},
          {"objects", to.stats.disk_objects},
          {"free_list_pages", to.stats.free_list_pages},
          {"pinned_pages", to.stats.pinned_pages},
          {"evicted", to.stats.evicted_disk - from.stats.evicted_disk},
          {"expired", to.stats.expired - from.stats.expired},
          {"write_errors", to.stats.write_errors - from.stats.write_errors},
          {"write_amplification", bytes > 0 ? written / bytes : 0},
          {"cpu_share", (to.process.cpu_seconds - from.process.cpu_seconds) / elapsed},
          {"anonymous_mib", to.process.anonymous_bytes / kMebi}};
}

void PrintHeading() {
  std::printf("%7s %7s %6s %6s | %7s %7s %7s | %7s %7s | %7s %5s | %8s %7s %7s %6s %5s %5s\n",
              "seconds", "MB/s", "puts/s", "refuse", "batch50", "99", "max ms", "cold50", "99 ms",
              "warm99", "hits", "disk MiB", "free pg", "pinned", "errors", "amp", "CPU");
}

void Print(const nlohmann::ordered_json& row) {
  const auto d = [&row](const char* name) { return row.at(name).get<double>(); };
  std::printf(
      "%7.0f %7.1f %6.0f %6.0f | %7.2f %7.2f %7.2f | %7.3f %7.3f | %6.0fu %5.3f | %8.0f %7.0f "
      "%7.0f %6.0f %5.2f %5.2f\n",
      d("seconds"), d("mb_per_s"), d("puts_per_s"), d("refused"), d("batch_ms_p50"),
      d("batch_ms_p99"), d("batch_ms_max"), d("cold_ms_p50"), d("cold_ms_p99"), d("warm_us_p99"),
      d("hit_ratio"), d("disk_mib"), d("free_list_pages"), d("pinned_pages"), d("write_errors"),
      d("write_amplification"), d("cpu_share"));
  std::fflush(stdout);
}

class Run {
 public:
  explicit Run(const Settings& settings)
      : settings_(settings),
        catalogue_(static_cast<uint64_t>(settings.catalogue *
                                         static_cast<double>(settings.disk_mib) * kMebi),
                   settings.seed) {}

  int Do(Staller& staller) {
    if (settings_.probe && !Probe()) return 2;
    storage::CacheOptions options;
    options.path = settings_.folder;
    options.disk = ByteSize{settings_.disk_mib << 20};
    options.memory = ByteSize{settings_.memory_mib << 20};
    auto store = CacheStore::Open(options, DecodePayload);
    if (!store) {
      std::fprintf(stderr, "store_churn: %s\n", store.error().ToString().c_str());
      return 2;
    }
    ChurnLoad load(**store, catalogue_, settings_.rates, settings_.seed);
    std::printf("catalogue: %u objects, %.1f GiB\n", catalogue_.size(),
                static_cast<double>(catalogue_.total_bytes()) / kMebi / 1024);
    PrintHeading();
    Fill(**store, load);
    if (settings_.stall_hold_ms > 0) {
      staller.Begin(settings_.folder, storage::PlanStore(options.disk)->chunks_map_bytes,
                    seconds(settings_.stall_period_s), milliseconds(settings_.stall_hold_ms));
    }
    Churn(**store, load);
    const bool sound = Judge(**store, load);
    return sound ? 0 : 1;
  }

 private:
  bool Probe() {
    DiskProbe probe;
    if (const Status probed = ProbeDisk(settings_.folder, &probe); !probed) {
      std::fprintf(stderr, "store_churn: %s\n", probed.error().ToString().c_str());
      return false;
    }
    std::printf("%s\n", probe.ToText().c_str());
    return true;
  }

  void Fill(CacheStore& store, ChurnLoad& load) {
    const Sample begun(store, load);
    load.Fill(
        static_cast<uint64_t>(settings_.fill * static_cast<double>(settings_.disk_mib) * kMebi));
    store.Flush();
    std::printf("filled:\n");
    Print(Row(begun, Sample(store, load)));
  }

  void Churn(CacheStore& store, ChurnLoad& load) {
    std::printf("churn:\n");
    load.Start(settings_.readers);
    first_ = std::make_unique<Sample>(store, load);
    Sample from = *first_;
    for (int row = 1; row <= kRows; ++row) {
      const MonoTime end = first_->at + seconds(settings_.run_seconds) * row / kRows;
      while (MonoNow() < end) {
        std::this_thread::sleep_until(std::min(end, MonoNow() + seconds(1)));
        Watch(store);
      }
      const Sample to(store, load);
      rows_.push_back(Row(from, to));
      Print(rows_.back());
      from = to;
    }
    load.Stop();
    store.Flush();
  }

  /// Whether what is freed during a stall fits above the mark at which eviction begins, with what
  /// fragments and batches take of that.
  bool StallsFit() const {
    const auto layout = *storage::PlanStore(ByteSize{settings_.disk_mib << 20});
    const double headroom = 0.06 * static_cast<double>(layout.chunks_map_bytes) -
                            3.0 * static_cast<double>(layout.batch_bytes);
    return settings_.rates.ingest_bytes * settings_.stall_hold_ms / 1000 < headroom;
  }

  void Watch(CacheStore& store) {
    least_disk_bytes_ = std::min(least_disk_bytes_, store.Stats().disk_bytes);
    most_bytes_ = std::max(most_bytes_, FileBytes(settings_.folder));
    passed_through_ = passed_through_ || store.Stats().pass_through;
  }

  bool Judge(CacheStore& store, const ChurnLoad& load);

  const Settings& settings_;
  const Catalogue catalogue_;
  std::unique_ptr<Sample> first_;
  std::vector<nlohmann::ordered_json> rows_;
  uint64_t most_bytes_ = 0;
  uint64_t least_disk_bytes_ = UINT64_MAX;
  bool passed_through_ = false;
};

/// The bars of time are told, the rest is demanded.
bool Run::Judge(CacheStore& store, const ChurnLoad& load) {
  const nlohmann::ordered_json whole = Row(*first_, Sample(store, load));
  std::printf("whole:\n");
  Print(whole);
  const auto ratio = [this](const char* name) {
    return rows_.back().at(name).get<double>() /
           std::max(rows_.front().at(name).get<double>(), 1e-9);
  };
  const auto bar = [](const char* what, double value, double most, const char* unit) {
    std::printf("  %-52s %9.2f %-3s  bar %7.2f  %s\n", what, value, unit, most,
                value <= most ? "met" : "MISSED");
  };
  bar("batch p99, a sync each", whole.at("batch_ms_p99"), 50, "ms");
  bar("longest batch", whole.at("batch_ms_max"), 250, "ms");
  bar("batch p50, last tenth to first", ratio("batch_ms_p50"), 1.5, "");
  bar("batch mean, last tenth to first", ratio("batch_ms_mean"), 1.5, "");
  bar("cold read p50, last tenth to first", ratio("cold_ms_p50"), 1.5, "");
  const double limit = static_cast<double>(settings_.disk_mib);
  bar("largest the files were", static_cast<double>(most_bytes_) / kMebi, limit, "MiB");
  if (settings_.json)
    std::printf("%s\n", nlohmann::ordered_json{{"whole", whole}, {"rows", rows_}}.dump().c_str());

  const CacheStats stats = store.Stats();
  const ChurnCounts& counts = load.counts();
  bool sound = true;
  const auto demand = [&sound](bool holds, const char* what, uint64_t found) {
    if (!holds) std::printf("WRONG: %s (%llu)\n", what, static_cast<unsigned long long>(found));
    sound = sound && holds;
  };
  demand(counts.wrong == 0, "bodies with wrong bytes", counts.wrong);
  demand(stats.checksum_failures == 0, "checksum failures", stats.checksum_failures);
  demand(most_bytes_ <= settings_.disk_mib << 20, "the files grew past the limit", most_bytes_);
  demand(!passed_through_, "the store passed through", 1);
  demand(stats.write_errors == 0, "objects or batches that the disk did not take",
         stats.write_errors);
  demand(counts.stored > 0 && counts.hits > 0 && stats.evicted_disk > 0 && stats.expired > 0 &&
             counts.removed > 0,
         "the run did not put, read, evict, expire and remove", counts.stored);
  return sound;
}

}  // namespace
}  // namespace nearside::bench

int main(int argc, char** argv) {
  using namespace nearside::bench;
  Settings settings;
  CLI::App app("Puts a cache store under churn and prints what its batches and reads took.",
               "store_churn");
  app.add_option("FOLDER", settings.folder, "Where the store is made; it stays there")->required();
  app.add_option("--disk", settings.disk_mib, "MiB of the store")->capture_default_str();
  app.add_option("--memory", settings.memory_mib, "MiB of the RAM tier")->capture_default_str();
  app.add_option("--seconds", settings.run_seconds, "Length of the churn")->capture_default_str();
  app.add_option("--fill", settings.fill, "Share of the disk that is put before")
      ->capture_default_str();
  app.add_option("--catalogue", settings.catalogue, "Bytes of all objects, in sizes of the disk")
      ->capture_default_str();
  app.add_option("--ingest", settings.rates.ingest_bytes,
                 "Bytes put a second; 0: what the store takes")
      ->capture_default_str();
  app.add_option("--reads", settings.rates.reads, "Objects read a second")->capture_default_str();
  app.add_option("--swaps", settings.rates.swaps, "Steps of drift a second")->capture_default_str();
  app.add_option("--readers", settings.readers, "Threads that read")->capture_default_str();
  app.add_option("--stall-period", settings.stall_period_s, "Seconds between stalls of a reader")
      ->capture_default_str();
  app.add_option("--stall", settings.stall_hold_ms, "Milliseconds that each lasts; 0: none")
      ->capture_default_str();
  app.add_option("--seed", settings.seed, "Of all draws")->capture_default_str();
  app.add_flag("--fresh", settings.fresh, "Delete FOLDER before, and after a run that was sound");
  app.add_flag("--probe", settings.probe,
               "First tell what the disk takes without the store: batches cannot be faster");
  app.add_flag("--json", settings.json, "Print the rows as JSON too");
  CLI11_PARSE(app, argc, argv);
  if (settings.fresh) std::filesystem::remove_all(settings.folder);
  Staller staller;  // forks: before any thread
  const int code = Run(settings).Do(staller);
  if (settings.fresh && code == 0) std::filesystem::remove_all(settings.folder);
  return code;
}
