#include "storage/store_metrics.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

namespace nearside::storage {

namespace {

using Field = double (*)(const CacheStats&);

struct Series {
  std::string_view name;
  std::string_view help;
  std::string_view labels;  ///< "name=value,name=value", or empty
  Field read;
};

double D(uint64_t n) { return static_cast<double>(n); }

double NotStoredBy(const CacheStats& stats, NotStored reason) {
  return D(stats.not_stored_by[static_cast<size_t>(reason)]);
}

double RemovedBy(const CacheStats& stats, Removal reason) {
  return D(stats.removed_by[static_cast<size_t>(reason)]);
}

constexpr std::string_view kBytes = "Bytes held by the cache, by tier.";
constexpr std::string_view kHeld =
    "1 while a snapshot that somebody keeps leaves no room for new objects.";
constexpr std::string_view kObjects = "Objects (heads) held by the cache, by tier.";

const Series kGauges[] = {
    {"nearside_cache_bytes", kBytes, "tier=memory",
     [](const CacheStats& s) { return D(s.memory_bytes); }},
    {"nearside_cache_bytes", kBytes, "tier=disk",
     [](const CacheStats& s) { return D(s.disk_bytes); }},
    {"nearside_cache_disk_limit_bytes", "Bytes that the cache may hold on disk.", "",
     [](const CacheStats& s) { return D(s.disk_limit_bytes); }},
    {"nearside_cache_objects", kObjects, "tier=memory",
     [](const CacheStats& s) { return D(s.memory_heads); }},
    {"nearside_cache_objects", kObjects, "tier=disk",
     [](const CacheStats& s) { return D(s.disk_objects); }},
    {"nearside_cache_memory_chunks", "Body chunks held in memory.", "",
     [](const CacheStats& s) { return D(s.memory_chunks); }},
    {"nearside_cache_presence_bytes", "Memory of the table of keys on disk.", "",
     [](const CacheStats& s) { return D(s.presence_bytes); }},
    {"nearside_cache_chunk_memory_bytes",
     "Memory that bodies have of the system: those in the cache, those on their way, and what is "
     "free between them.",
     "", [](const CacheStats& s) { return D(s.chunk_memory_bytes); }},
    {"nearside_cache_purge_marks", "Scopes that have a purge on record.", "",
     [](const CacheStats& s) { return D(s.purge_marks); }},
    {"nearside_cache_retired_bytes", "Replaced bodies kept for clients in the middle of them.", "",
     [](const CacheStats& s) { return D(s.retired_bytes); }},
    {"nearside_cache_slab_dead_bytes",
     "Bytes of slabs that erased bodies have left; given back as the store fills up.", "",
     [](const CacheStats& s) { return D(s.slab_dead_bytes); }},
    {"nearside_cache_pinned_objects", "Objects that are neither evicted nor expired.", "",
     [](const CacheStats& s) { return D(s.pinned_objects); }},
    {"nearside_cache_pinned_bytes", "Bytes of these on disk.", "",
     [](const CacheStats& s) { return D(s.pinned_bytes); }},
    {"nearside_cache_free_list_pages", "Pages on the free list of the chunks' map.", "",
     [](const CacheStats& s) { return D(s.free_list_pages); }},
    {"nearside_cache_pinned_pages", "Free pages that a reader or the last commit still needs.", "",
     [](const CacheStats& s) { return D(s.pinned_pages); }},
    {"nearside_cache_write_queue_bytes", "Bytes that wait for the writer.", "",
     [](const CacheStats& s) { return D(s.write_queue_bytes); }},
    {"nearside_cache_read_queue_length", "Cold reads that wait for a reader.", "",
     [](const CacheStats& s) { return D(s.read_queue_length); }},
    {"nearside_cache_oldest_read_seconds", "Age of the oldest snapshot a reader holds.", "",
     [](const CacheStats& s) { return std::chrono::duration<double>(s.oldest_read).count(); }},
    {"nearside_cache_pass_through", "1 while the disk fails or is full and nothing is stored.", "",
     [](const CacheStats& s) { return s.pass_through ? 1.0 : 0.0; }},
    {"nearside_cache_held", kHeld, "map=bodies",
     [](const CacheStats& s) { return s.bodies_held ? 1.0 : 0.0; }},
    {"nearside_cache_held", kHeld, "map=heads",
     [](const CacheStats& s) { return s.heads_held ? 1.0 : 0.0; }},
    {"nearside_cache_walked", "1 once the walk over the disk at start has ended.", "",
     [](const CacheStats& s) { return s.walked ? 1.0 : 0.0; }},
};

constexpr std::string_view kHeads = "Lookups of heads by what they found.";
constexpr std::string_view kChunks = "Chunks found in memory and read from disk.";
constexpr std::string_view kRefused = "Objects that were to be stored and were not, by reason.";
constexpr std::string_view kEvicted =
    "Evicted for space: from disk objects, by the map that was short of it; from memory heads and "
    "chunks.";
constexpr std::string_view kFailed = "Cold reads that were given up, by reason.";
constexpr std::string_view kRemoved = "Objects that left the disk for another reason than space.";

const Series kCounters[] = {
    {"nearside_cache_heads_total", kHeads, "found=memory",
     [](const CacheStats& s) { return D(s.head_hits); }},
    {"nearside_cache_heads_total", kHeads, "found=disk",
     [](const CacheStats& s) { return D(s.head_loads); }},
    {"nearside_cache_heads_total", kHeads, "found=none",
     [](const CacheStats& s) { return D(s.head_misses); }},
    {"nearside_cache_chunks_total", kChunks, "found=memory",
     [](const CacheStats& s) { return D(s.chunk_hits); }},
    {"nearside_cache_chunks_total", kChunks, "found=disk",
     [](const CacheStats& s) { return D(s.chunk_loads); }},
    {"nearside_cache_stored_total", "Objects stored.", "",
     [](const CacheStats& s) { return D(s.stored); }},
    {"nearside_cache_unwritten_total",
     "Of these, objects that were stored in memory alone, as they had been asked for once.", "",
     [](const CacheStats& s) { return D(s.unwritten); }},
    {"nearside_cache_written_later_total",
     "Of these, objects that went to disk when they were asked for again.", "",
     [](const CacheStats& s) { return D(s.written_later); }},
    {"nearside_cache_not_stored_total", kRefused, "reason=too_large",
     [](const CacheStats& s) { return NotStoredBy(s, NotStored::kTooLarge); }},
    {"nearside_cache_not_stored_total", kRefused, "reason=queue_full",
     [](const CacheStats& s) { return NotStoredBy(s, NotStored::kQueueFull); }},
    {"nearside_cache_not_stored_total", kRefused, "reason=disk_full",
     [](const CacheStats& s) { return NotStoredBy(s, NotStored::kDiskFull); }},
    {"nearside_cache_not_stored_total", kRefused, "reason=purged",
     [](const CacheStats& s) { return NotStoredBy(s, NotStored::kPurged); }},
    {"nearside_cache_not_stored_total", kRefused, "reason=refused",
     [](const CacheStats& s) { return NotStoredBy(s, NotStored::kRefused); }},
    {"nearside_cache_evicted_total", kEvicted, "tier=memory",
     [](const CacheStats& s) { return D(s.evicted_memory); }},
    {"nearside_cache_evicted_total", kEvicted, "tier=disk,short_of=bodies",
     [](const CacheStats& s) { return RemovedBy(s, Removal::kEvictedForBodies); }},
    {"nearside_cache_evicted_total", kEvicted, "tier=disk,short_of=heads",
     [](const CacheStats& s) { return RemovedBy(s, Removal::kEvictedForHeads); }},
    {"nearside_cache_removed_total", kRemoved, "reason=expired",
     [](const CacheStats& s) { return RemovedBy(s, Removal::kExpired); }},
    {"nearside_cache_removed_total", kRemoved, "reason=purged",
     [](const CacheStats& s) { return RemovedBy(s, Removal::kPurged); }},
    {"nearside_cache_removed_total", kRemoved, "reason=replaced",
     [](const CacheStats& s) { return RemovedBy(s, Removal::kReplaced); }},
    {"nearside_cache_removed_total", kRemoved, "reason=removed",
     [](const CacheStats& s) { return RemovedBy(s, Removal::kRemoved); }},
    {"nearside_cache_removed_total", kRemoved, "reason=broken",
     [](const CacheStats& s) { return RemovedBy(s, Removal::kBroken); }},
    {"nearside_cache_checksum_failures_total", "Stored bytes that did not match their checksum.",
     "", [](const CacheStats& s) { return D(s.checksum_failures); }},
    {"nearside_cache_write_errors_total", "Objects and batches that the disk did not take.", "",
     [](const CacheStats& s) { return D(s.write_errors); }},
    {"nearside_cache_orphans_swept_total", "Bodies without a head, left by a kill and removed.", "",
     [](const CacheStats& s) { return D(s.orphans_swept); }},
    {"nearside_cache_reads_failed_total", kFailed, "reason=queue_full",
     [](const CacheStats& s) { return D(s.reads_refused); }},
    {"nearside_cache_reads_failed_total", kFailed, "reason=timeout",
     [](const CacheStats& s) { return D(s.reads_timed_out); }},
};

metrics::Labels LabelsOf(const Series& series) {
  metrics::Labels labels;
  for (std::string_view rest = series.labels; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const size_t equals = one.find('=');
    labels.emplace_back(one.substr(0, equals), one.substr(equals + 1));
  }
  return labels;
}

}  // namespace

MetricsSource::MetricsSource(const CacheStore* store) : link_(std::make_shared<Link>()) {
  link_->store = store;
}

void MetricsSource::Detach() {
  const std::lock_guard lock(link_->mutex);
  link_->store = nullptr;
}

void MetricsSource::Declare(metrics::Registry& registry, const CacheTimes& times) {
  for (const Series& series : kGauges) {
    registry.Gauge(series.name, series.help, LabelsOf(series),
                   [link = link_, read = series.read] { return read(link->Read()); });
  }
  for (const Series& series : kCounters) {
    registry.CounterFrom(series.name, series.help, LabelsOf(series),
                         [link = link_, read = series.read] { return read(link->Read()); });
  }
  registry.HistogramFrom("nearside_cache_batch_seconds",
                         "Time that the writer took for a batch, with its syncs.", {},
                         times.batches);
  registry.HistogramFrom("nearside_cache_cold_read_seconds",
                         "Time of a read from disk, with the wait for a reader.", {},
                         times.cold_reads);
}

}  // namespace nearside::storage
