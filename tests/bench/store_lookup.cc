// What a lookup costs in a hot set of 10,000 objects, on one thread, and how long a start takes.
// Prints; asserts nothing.
//
//   store_lookup [FOLDER [OBJECTS BODY_BYTES DISK_MIB]]     with a folder: also writes, reopens and
//   reads cold
//
// Run it alone on the machine; the figures in docs/ are of the release preset.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/crypto.h"
#include "storage/cache_store.h"

namespace nearside::storage {
namespace {

constexpr size_t kHotObjects = 10'000;
constexpr size_t kRounds = 500;

struct Payload final : HeadPayload {
  size_t charge() const override { return 400; }
};

std::unique_ptr<const HeadPayload> Decode(const Head&) { return std::make_unique<Payload>(); }

Key256 KeyOf(size_t number) { return {.bytes = Sha256Of("object " + std::to_string(number))}; }

/// The thread's own time, so that what else the machine does counts less.
double ThreadNanoseconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double NanosecondsPer(size_t count, const std::function<void()>& run) {
  const double start = ThreadNanoseconds();
  run();
  return (ThreadNanoseconds() - start) / static_cast<double>(count);
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

/// Waits for tasks and runs them.
class Queue final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    posted_.notify_one();
  }
  void RunOne() {
    std::unique_lock lock(mutex_);
    posted_.wait(lock, [this] { return !tasks_.empty(); });
    const auto task = std::move(tasks_.front());
    tasks_.erase(tasks_.begin());
    lock.unlock();
    task();
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::vector<std::function<void()>> tasks_;
};

double Milliseconds(MonoTime since) {
  return std::chrono::duration<double, std::milli>(MonoNow() - since).count();
}

void MeasureDisk(const CacheOptions& options, size_t objects, size_t body_bytes) {
  MonoTime start = MonoNow();
  {
    auto store = std::move(*CacheStore::Open(options, Decode));
    for (size_t i = 0; i < objects; ++i) {
      while (Put(*store, i, body_bytes) == nullptr) store->Flush();
    }
    store->Flush();
    const CacheStats stats = store->Stats();
    std::printf("wrote %zu objects of %zu bytes in %.0f ms; %llu on disk, %.1f MiB, %llu errors\n",
                objects, body_bytes, Milliseconds(start),
                static_cast<unsigned long long>(stats.disk_objects),
                static_cast<double>(stats.disk_bytes) / (1 << 20),
                static_cast<unsigned long long>(stats.write_errors));
  }
  start = MonoNow();
  auto store = std::move(*CacheStore::Open(options, Decode));
  std::printf("opened in %.1f ms\n", Milliseconds(start));
  Queue queue;
  HeadRef head;
  store->Load(KeyOf(objects - 1), queue, [&](HeadRef loaded) { head = std::move(loaded); });
  queue.RunOne();
  std::printf("first head %s after %.1f ms\n", head != nullptr ? "found" : "missing",
              Milliseconds(start));
  while (!store->Stats().walked) store->Flush();
  std::printf("walked after %.0f ms; %.1f bytes of RAM a key\n", Milliseconds(start),
              static_cast<double>(store->Stats().presence_bytes) /
                  static_cast<double>(std::max<uint64_t>(store->Stats().disk_objects, 1)));
}

}  // namespace
}  // namespace nearside::storage

int main(int argc, char** argv) {
  using namespace nearside::storage;
  CacheOptions memory;
  memory.memory = nearside::ByteSize{256 << 20};
  auto store = std::move(*CacheStore::Open(memory, Decode));
  std::printf("in memory, %zu objects of 1000 bytes:\n", kHotObjects);
  for (size_t i = 0; i < kHotObjects; ++i) Put(*store, i, 1000);
  MeasureLookups(*store);
  if (argc < 2) return 0;

  CacheOptions disk = memory;
  disk.path = argv[1];
  {
    auto on_disk = std::move(*CacheStore::Open(disk, Decode));
    for (size_t i = 0; i < kHotObjects; ++i) {
      while (Put(*on_disk, i, 3000) == nullptr) on_disk->Flush();
    }
    while (!on_disk->Stats().walked) on_disk->Flush();
    std::printf("with a disk, %zu objects of 3000 bytes:\n", kHotObjects);
    MeasureLookups(*on_disk);
  }
  if (argc < 5) return 0;
  disk.path = std::string(argv[1]) + "/large";
  disk.disk = nearside::ByteSize{std::strtoull(argv[4], nullptr, 10) << 20};
  disk.memory = nearside::ByteSize{16 << 20};
  MeasureDisk(disk, std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10));
  return 0;
}
