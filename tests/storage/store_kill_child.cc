// Writes to a store and reads from it with several threads, notes what it has done where the test
// can see it, and waits to be killed:
//
//   store_kill_child FOLDER PROGRESS DISK_MIB SEED MODE DISK_MIN_USES
//
// MODE "flush": each lane flushes now and then, and goes on for ever. MODE a number: no lane
// flushes, each ends after about so many operations.
//
// Without flushes, time is also counted in pulses: a thread writes to a file of its own beside the
// store and syncs it, again and again. A machine that is too busy for the store's writer is too
// busy for the pulse as well, so a test that demands a number of pulses beside a second demands
// nothing of a writer that got no turn. The lanes go by the pulse too: they put no more than the
// writer can take.

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/storage/kill_progress.h"
#include "tests/storage/kill_script.h"

namespace nearside::storage {
namespace {

constexpr milliseconds kPulsePause{5};
constexpr uint64_t kOperationsPerPulse = 2;
constexpr uint64_t kBytesPerPulse = 32 << 10;
constexpr unsigned kReaders = 2;

struct Run {
  CacheStore& store;
  KillProgress& progress;
  uint64_t seed = 0;
  uint64_t operations = 0;  ///< 0: for ever, with flushes
};

void Pulse(const Run& run, const std::string& file) {
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) std::abort();
  while (true) {
    std::this_thread::sleep_for(kPulsePause);
    const std::string page(4096, static_cast<char>(run.progress.pulses.load()));
    if (pwrite(descriptor, page.data(), page.size(), 0) < 0 || fdatasync(descriptor) != 0) {
      std::abort();
    }
    ++run.progress.pulses;
  }
}

void Write(const Run& run, uint64_t lane) {
  const KillScript script{.seed = run.seed, .lane = lane};
  KillProgress::Lane& progress = run.progress.lanes[lane];
  uint64_t bytes = 0;
  for (uint64_t number = 1; number < kMostKillOperations; ++number) {
    while (run.operations > 0 && (run.progress.pulses.load() * kOperationsPerPulse < number ||
                                  run.progress.pulses.load() * kBytesPerPulse < bytes)) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    const size_t body_bytes = KillOperationAt(script, number).bytes;
    bytes += body_bytes;
    progress.begun.store(number);
    DoKillOperation(run.store, script, number);
    KillProgress::Done& done = progress.operations[number];
    const CacheStats stats = run.store.Stats();
    run.progress.evicted.store(stats.evicted_disk);
    done.queued_bytes.store(stats.write_queue_bytes);
    done.pulse.store(run.progress.pulses.load());
    done.at.store(KillClock());
    progress.done.store(number);
    // With chunks at last: their head waits for the batch after theirs, though nothing else comes.
    if (run.operations > 0 && number >= run.operations && body_bytes > kInlineBody) break;
    if (run.operations > 0 || number % kOperationsPerFlush != 0) continue;
    run.store.Flush();
    progress.flushed.store(number);
  }
  progress.ended.store(1);
}

/// What is wrong with an object as it was found, or nothing. It may be of a run before.
std::string WrongWith(CacheStore& store, const std::string& name, const HeadRef& head) {
  const std::string& version = head->head.meta;
  unsigned long long seed = 0, lane = 0, number = 0;
  if (sscanf(version.c_str(), "%llu.%llu.%llu", &seed, &lane, &number) != 3) return "no version";
  const KillOperation put = KillOperationAt({.seed = seed, .lane = lane}, number);
  if (put.kind != KillOperation::Kind::kPut || put.name != name) return "of another name";
  if (put.bytes != head->head.body_bytes) return "of another length";
  const Result<std::string> body = ReadBody(store, head);
  // Replaced, removed or evicted meanwhile: no answer, so no wrong one.
  if (!body) return body.error().reason == "gone" ? "" : "error " + body.error().reason;
  return *body == BodyOf(version, put.bytes) ? "" : "wrong body";
}

void Read(const Run& run, unsigned reader) {
  std::mt19937_64 random(run.seed * kReaders + reader);
  while (true) {
    const std::string name = KillName(random() % kKillLanes, random() % kKillNames);
    const HeadRef head = FindOrLoad(run.store, name);
    if (head == nullptr) {
      std::this_thread::yield();
      continue;
    }
    const std::string wrong = WrongWith(run.store, name, head);
    ++run.progress.reads;
    if (!wrong.empty() && run.progress.wrong++ == 0) {
      snprintf(run.progress.first_wrong.data(), run.progress.first_wrong.size(), "%s, %s: %s",
               name.c_str(), head->head.meta.c_str(), wrong.c_str());
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
}

int Main(const std::vector<std::string>& arguments) {
  CacheOptions options;
  options.path = arguments[0];
  options.disk = ByteSize{std::strtoull(arguments[2].c_str(), nullptr, 10) << 20};
  options.memory = 2_MiB;
  options.read_timeout = seconds(20);
  options.disk_min_uses = static_cast<unsigned>(std::stoul(arguments[5]));
  SharedKillProgress progress(arguments[1]);
  auto store = CacheStore::Open(options, DecodeTestPayload);
  if (!store) return 1;
  progress->opened.store(1);
  const bool flush = arguments[4] == "flush";
  const Run run{.store = **store,
                .progress = *progress,
                .seed = std::strtoull(arguments[3].c_str(), nullptr, 10),
                .operations = flush ? 0 : std::strtoull(arguments[4].c_str(), nullptr, 10)};
  std::vector<std::thread> threads;
  for (uint64_t lane = 0; lane < kKillLanes; ++lane) {
    threads.emplace_back([&run, lane] { Write(run, lane); });
  }
  for (unsigned reader = 0; reader < kReaders; ++reader) {
    threads.emplace_back([&run, reader] { Read(run, reader); });
  }
  if (!flush) threads.emplace_back([&] { Pulse(run, arguments[1] + ".pulse"); });
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace nearside::storage

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  return nearside::storage::Main({argv + 1, argv + argc});
}
