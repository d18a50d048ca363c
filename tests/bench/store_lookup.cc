// What a lookup costs in a hot set of 10,000 objects, on one thread, and how long a start takes.
// Prints; asserts nothing.
//
//   store_lookup [FOLDER [--objects N --body BYTES --disk MIB]]   with a folder: on disk too; with
//   objects: writes them, opens anew, reads cold, purges
//
// Run it alone on the machine; the figures in docs/ are of the release preset.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/cpu_time.h"
#include "runtime/crypto.h"
#include "storage/cache_store.h"
#include "tests/bench/bench_store.h"

namespace nearside::storage {
namespace {

using bench::AnonymousBytes;
using bench::DecodePayload;
using bench::InMilliseconds;
using bench::Waiter;

constexpr size_t kHotObjects = 10'000;
constexpr size_t kRounds = 500;

Key256 KeyOf(size_t number) { return {.bytes = Sha256Of("object " + std::to_string(number))}; }

double NanosecondsPer(size_t count, const std::function<void()>& run) {
  const std::chrono::nanoseconds start = ThreadCpuTime();
  run();
  return static_cast<double>((ThreadCpuTime() - start).count()) / static_cast<double>(count);
}

HeadRef Put(CacheStore& store, size_t number, size_t body_bytes) {
  auto writer = store.Begin(body_bytes);
  if (writer == nullptr) return nullptr;
  for (size_t left = body_bytes; left > 0;) {
    const size_t bytes = std::min(left, kChunkBytes);
    ChunkRef chunk = Chunk::Make(bytes);
    std::fill_n(chunk->mutable_data(), bytes, static_cast<uint8_t>(number));
    chunk->Extend(bytes);
    writer->Append(std::move(chunk));
    left -= bytes;
  }
  Head head;
  head.key = KeyOf(number);
  head.drop_at = WallNow() + std::chrono::hours(24);
  head.purge_sequence = store.purge_sequence();
  head.scopes = {1, 2, 3, number};
  head.meta.assign(350, 'm');
  return writer->Commit(std::move(head));
}

/// Keys in an order that no prefetcher guesses, the same each time.
std::vector<Key256> ShuffledKeys(size_t first, size_t count) {
  std::vector<Key256> keys;
  for (size_t i = 0; i < count; ++i) keys.push_back(KeyOf(first + i * 7919 % count));
  return keys;
}

void MeasureLookups(CacheStore& store) {
  const std::vector<Key256> hot = ShuffledKeys(0, kHotObjects);
  const std::vector<Key256> absent = ShuffledKeys(1'000'000, kHotObjects);
  std::vector<HeadRef> heads;
  for (const Key256& key : hot) heads.push_back(store.Find(key));
  size_t found = 0;
  const auto each = [&](const char* what, auto ask) {
    std::vector<double> rounds;
    for (size_t round = 0; round < kRounds; ++round) {
      found = 0;
      rounds.push_back(NanosecondsPer(kHotObjects, [&] {
        for (size_t i = 0; i < kHotObjects; ++i) found += ask(i) ? 1 : 0;
      }));
    }
    std::sort(rounds.begin(), rounds.end());
    std::printf("%-28s least %7.1f  median %7.1f ns   (%.0f %% found)\n", what, rounds.front(),
                rounds[kRounds / 2],
                100.0 * static_cast<double>(found) / static_cast<double>(kHotObjects));
  };
  each("Find, hot", [&](size_t i) { return store.Find(hot[i]) != nullptr; });
  each("Find, absent", [&](size_t i) { return store.Find(absent[i]) != nullptr; });
  each("MayBeOnDisk, absent", [&](size_t i) { return store.MayBeOnDisk(absent[i]); });
  each("FindChunk, hot",
       [&](size_t i) { return static_cast<bool>(store.FindChunk(*heads[i], 0)); });
  each("Check, nothing new", [&](size_t i) { return store.Check(*heads[i]) == Validity::kValid; });
  each("Check, first after a purge", [&](size_t i) {
    if (i == 0) store.Purge({77}, false, std::nullopt, nullptr, nullptr);
    return store.Check(*heads[i]) == Validity::kValid;
  });
}

double Milliseconds(MonoTime since) {
  return std::chrono::duration<double, std::milli>(MonoNow() - since).count();
}

void Fill(const CacheOptions& options, size_t objects, size_t body_bytes) {
  const MonoTime start = MonoNow();
  auto store = std::move(*CacheStore::Open(options, DecodePayload));
  MonoTime told = start;
  for (size_t i = 0; i < objects; ++i) {
    while (Put(*store, i, body_bytes) == nullptr) store->Flush();
    if (MonoNow() - told < seconds(10)) continue;
    told = MonoNow();
    std::fprintf(stderr, "%zu of %zu objects\n", i, objects);
  }
  store->Flush();
  const CacheStats stats = store->Stats();
  const DurationHistogram::Reading batches = store->Times().batches->Read();
  std::printf(
      "wrote %zu objects of %zu bytes in %.1f s; %llu on disk, %.1f MiB, %llu errors; batches p50 "
      "%.1f, p99 "
      "%.1f, max %.1f ms\n",
      objects, body_bytes, Milliseconds(start) / 1000,
      static_cast<unsigned long long>(stats.disk_objects),
      static_cast<double>(stats.disk_bytes) / (1 << 20),
      static_cast<unsigned long long>(stats.write_errors), InMilliseconds(batches.Quantile(0.5)),
      InMilliseconds(batches.Quantile(0.99)), InMilliseconds(batches.max()));
}

/// How long Purge takes to return, and to be durable, whatever the number of objects it covers.
void MeasurePurges(CacheStore& store) {
  Waiter queue;
  std::vector<double> returned, durable;
  for (int i = 0; i < 101; ++i) {
    const MonoTime start = MonoNow();
    store.Purge({1}, /*soft=*/true, LogPosition{1, static_cast<uint64_t>(i) + 1}, &queue, [] {});
    returned.push_back(Milliseconds(start) * 1000);
    queue.RunOne();
    durable.push_back(Milliseconds(start));
  }
  std::sort(returned.begin(), returned.end());
  std::sort(durable.begin(), durable.end());
  std::printf(
      "purge of a scope that all %llu objects are in: %.1f us, durable after %.1f ms (medians of "
      "%zu)\n",
      static_cast<unsigned long long>(store.Stats().disk_objects), returned[returned.size() / 2],
      durable[durable.size() / 2], durable.size());
}

void MeasureColdLoads(CacheStore& store, size_t objects) {
  Waiter queue;
  DurationHistogram times;
  for (size_t i = 0; i < 2000; ++i) {
    const MonoTime start = MonoNow();
    store.Load(KeyOf(i * 7919 % objects), queue, [](const HeadRef&) {});
    queue.RunOne();
    times.Record(MonoNow() - start);
  }
  const DurationHistogram::Reading read = times.Read();
  std::printf("load of a head: p50 %.3f, p99 %.3f ms\n", InMilliseconds(read.Quantile(0.5)),
              InMilliseconds(read.Quantile(0.99)));
}

void MeasureDisk(const CacheOptions& options, size_t objects, size_t body_bytes) {
  Fill(options, objects, body_bytes);
  const MonoTime start = MonoNow();
  auto store = std::move(*CacheStore::Open(options, DecodePayload));
  std::printf("opened in %.1f ms\n", Milliseconds(start));
  Waiter queue;
  HeadRef head;
  store->Load(KeyOf(objects - 1), queue, [&](HeadRef loaded) { head = std::move(loaded); });
  queue.RunOne();
  std::printf("first head %s after %.1f ms\n", head != nullptr ? "found" : "missing",
              Milliseconds(start));
  while (!store->Stats().walked) store->Flush();
  const auto count = static_cast<double>(std::max<uint64_t>(store->Stats().disk_objects, 1));
  std::printf(
      "walked after %.1f s; RAM by the key: %.1f bytes in the table, %.1f in all of the process\n",
      Milliseconds(start) / 1000, static_cast<double>(store->Stats().presence_bytes) / count,
      AnonymousBytes() / count);
  MeasureColdLoads(*store, objects);
  MeasurePurges(*store);
}

}  // namespace
}  // namespace nearside::storage

int main(int argc, char** argv) {
  using namespace nearside::storage;
  std::string folder;
  size_t objects = 0;
  size_t body_bytes = 16'000;
  uint64_t disk_mib = 10'240;
  bool sparse = false;
  CLI::App app("Prints what a lookup in the cache costs, and what many objects on disk do.",
               "store_lookup");
  app.add_option("FOLDER", folder, "Where stores are made; without one all is in memory");
  app.add_option("--objects", objects, "So many are written, opened anew, read and purged; 0: none")
      ->capture_default_str();
  app.add_option("--body", body_bytes, "Bytes of each")->capture_default_str();
  app.add_option("--disk", disk_mib, "MiB of that store")->capture_default_str();
  app.add_flag("--sparse", sparse, "Let its files grow instead of reserving their blocks");
  CLI11_PARSE(app, argc, argv);

  CacheOptions options;
  options.memory = nearside::ByteSize{256 << 20};
  {
    auto store = std::move(*CacheStore::Open(options, DecodePayload));
    std::printf("in memory, %zu objects of 1000 bytes:\n", kHotObjects);
    for (size_t i = 0; i < kHotObjects; ++i) Put(*store, i, 1000);
    MeasureLookups(*store);
  }
  if (folder.empty()) return 0;
  options.path = folder + "/small";
  {
    auto store = std::move(*CacheStore::Open(options, DecodePayload));
    for (size_t i = 0; i < kHotObjects; ++i) {
      while (Put(*store, i, 3000) == nullptr) store->Flush();
    }
    while (!store->Stats().walked) store->Flush();
    std::printf("with a disk, %zu objects of 3000 bytes:\n", kHotObjects);
    MeasureLookups(*store);
  }
  if (objects == 0) return 0;
  options.path = folder + "/large";
  options.disk = nearside::ByteSize{disk_mib << 20};
  options.memory = nearside::ByteSize{16 << 20};
  options.reserve_disk = !sparse;
  MeasureDisk(options, objects, body_bytes);
  return 0;
}
