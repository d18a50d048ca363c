#include "origin/collector.h"

#include <algorithm>

#include "runtime/log.h"

namespace nearside::origin {
namespace {

// What one step does at most.
constexpr size_t kReleasesAtOnce = 16;
constexpr size_t kRowsAtOnce = 2000;
constexpr size_t kBlobsLookedAt = 1000;
constexpr size_t kBlobsAtOnce = 64;
constexpr size_t kFilesLookedAt = 256;

constexpr milliseconds kBetweenSteps{20};
constexpr milliseconds kFirstPass = seconds(60);
/// An answer that has found its content in the tables opens the file within this.
constexpr milliseconds kCondemnedFor = seconds(60);

struct CollectorRow {
  std::string_view name;
  std::string_view help;
  std::atomic<uint64_t> CollectorCounters::*counter;
};
constexpr CollectorRow kCollectorCounters[] = {
    {"nearside_origin_collections_total", "Passes of the collector that came to their end.",
     &CollectorCounters::passes},
    {"nearside_origin_collect_failures_total", "Steps of the collector that failed.",
     &CollectorCounters::failures},
    {"nearside_origin_dropped_releases_total", "Releases dropped: no longer kept.",
     &CollectorCounters::dropped_releases},
    {"nearside_origin_condemned_blobs_total", "Contents found that nothing names.",
     &CollectorCounters::condemned_blobs},
    {"nearside_origin_collected_blobs_total", "Contents removed from the blob store.",
     &CollectorCounters::collected_blobs},
    {"nearside_origin_swept_files_total", "Files removed that were no content's.",
     &CollectorCounters::swept_files},
    {"nearside_origin_collected_bytes_total", "Bytes given back by the collector.",
     &CollectorCounters::collected_bytes},
};

}  // namespace

storage::Retention RetentionOf(const ReleaseSettings& settings) {
  return {.earlier = static_cast<size_t>(settings.keep),
          .earlier_for = settings.keep_for,
          .open_for = settings.open_expiry};
}

Collector::Collector(Node& node)
    : node_(node),
      clock_("contents",
             std::max(node.settings.releases.blob_grace, node.settings.releases.open_expiry)) {
  (void)clock_.Read(MonoNow(), WallNow());
}

void Collector::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Collector::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Collector::Run() {
  const milliseconds every = node_.settings.releases.collect_every;
  milliseconds pause = std::min(every, kFirstPass);
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, pause, [this] { return stopping_; })) {
    lock.unlock();
    pause = Step(MonoNow(), WallNow()) ? kBetweenSteps : every;
    lock.lock();
  }
}

bool Collector::Step(WallTime now) {
  Result<bool> more = StepOf(stage_, now);
  if (!more) {
    ++counters_.failures;
    Log(Level::kWarning, "collect_failed", {{"error", more.error().ToString()}});
    stage_ = Stage::kDrop;
    place_.reset();
    return false;
  }
  if (*more) return true;
  place_.reset();
  if (stage_ == Stage::kSweep) {
    EndPass();
    return false;
  }
  stage_ = static_cast<Stage>(static_cast<int>(stage_) + 1);
  return true;
}

Result<bool> Collector::StepOf(Stage stage, WallTime now) {
  switch (stage) {
    case Stage::kDrop:
      return Drop();
    case Stage::kTrim:
      return Trim();
    case Stage::kCondemn:
      return Condemn(now);
    case Stage::kCollect:
      return Collect(now);
    case Stage::kSweep:
      return Sweep(now);
  }
  return false;
}

/// By the metadata's clock, of which nobody knows whether it is right when it has just jumped.
Result<bool> Collector::Drop() {
  if (clock_.holds()) return false;
  Result<std::vector<storage::DroppedRelease>> dropped =
      node_.metadata->DropReleases(RetentionOf(node_.settings.releases), kReleasesAtOnce);
  if (!dropped) return unexpected(std::move(dropped.error()));
  for (const storage::DroppedRelease& release : *dropped) {
    Log(Level::kInfo, "release_dropped", {{"site", release.site}, {"release", release.id}});
  }
  counters_.dropped_releases += dropped->size();
  pass_.releases += dropped->size();
  return dropped->size() == kReleasesAtOnce;
}

Result<bool> Collector::Trim() {
  Result<size_t> trimmed = node_.metadata->TrimDropped(kRowsAtOnce);
  if (!trimmed) return unexpected(std::move(trimmed.error()));
  return *trimmed >= kRowsAtOnce;
}

Result<bool> Collector::Condemn(WallTime now) {
  Result<storage::CondemnedBlobs> condemned =
      node_.metadata->CondemnBlobs({.after = place_,
                                    .added_before = now - node_.settings.releases.blob_grace,
                                    .limit = kBlobsLookedAt});
  if (!condemned) return unexpected(std::move(condemned.error()));
  counters_.condemned_blobs += condemned->blobs;
  place_ = condemned->last;
  return place_.has_value();
}

Result<bool> Collector::Collect(WallTime now) {
  const milliseconds grace = node_.settings.releases.blob_grace;
  Result<storage::CollectedBlobs> collected = node_.metadata->CollectBlobs(
      *node_.blobs, {.condemned_before = now - std::min(grace, kCondemnedFor),
                     .landed_before = now - grace,
                     .limit = kBlobsAtOnce});
  if (!collected) return unexpected(std::move(collected.error()));
  counters_.collected_blobs += collected->blobs;
  pass_.blobs += collected->blobs;
  Note(*collected);
  return collected->more;
}

Result<bool> Collector::Sweep(WallTime now) {
  Result<std::vector<storage::BlobId>> files = node_.blobs->List(place_, kFilesLookedAt);
  if (!files) return unexpected(std::move(files.error()));
  Result<storage::CollectedBlobs> swept =
      node_.metadata->SweepFiles(*node_.blobs, *files, now - node_.settings.releases.blob_grace);
  if (!swept) return unexpected(std::move(swept.error()));
  counters_.swept_files += swept->blobs;
  pass_.files += swept->blobs;
  Note(*swept);
  if (files->size() < kFilesLookedAt) return false;
  place_ = files->back();
  return true;
}

void Collector::Note(const storage::CollectedBlobs& gone) {
  counters_.collected_bytes += gone.bytes;
  pass_.bytes += gone.bytes;
  if (gone.failed == 0) return;
  counters_.failures += gone.failed;
  Log(Level::kWarning, "collect_failed",
      {{"error", "files of the blob store cannot be removed"}, {"files", gone.failed}});
}

void Collector::EndPass() {
  ++counters_.passes;
  if (pass_.releases + pass_.blobs + pass_.files > 0) {
    Log(Level::kInfo, "collected",
        {{"releases", pass_.releases},
         {"blobs", pass_.blobs},
         {"files", pass_.files},
         {"bytes", pass_.bytes}});
  }
  pass_ = {};
  stage_ = Stage::kDrop;
}

void Collector::ExportMetrics(metrics::Registry& registry) const {
  for (const CollectorRow& row : kCollectorCounters) {
    registry.CounterFrom(row.name, row.help, {}, [this, counter = row.counter] {
      return static_cast<double>((counters_.*counter).load(std::memory_order_relaxed));
    });
  }
}

}  // namespace nearside::origin
