// Writes to a store for ever, says what is durable, and waits to be killed: store_kill_child FOLDER
// DISK_MIB SEED

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tests/storage/cache_fixture.h"
#include "tests/storage/kill_script.h"

namespace nearside::storage {
namespace {

void Say(uint64_t number) {
  const std::string line = std::to_string(number) + "\n";
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(1);
}

void Do(CacheStore& store, uint64_t seed, uint64_t number) {
  const KillOperation operation = KillOperationAt(seed, number);
  switch (operation.kind) {
    case KillOperation::Kind::kPut: {
      const std::string version = KillVersion(seed, number);
      auto writer = store.Begin(std::nullopt);
      for (ChunkRef& chunk : ChunksOf(BodyOf(version, operation.bytes))) {
        writer->Append(std::move(chunk));
      }
      Head head = HeadOf(operation.name, store, {operation.scope});
      head.meta = version;
      // What could not be stored leaves what was there: not what the test expects.
      if (writer->Commit(std::move(head)) == nullptr) store.Remove(KeyOf(operation.name));
      break;
    }
    case KillOperation::Kind::kRemove:
      store.Remove(KeyOf(operation.name));
      break;
    case KillOperation::Kind::kHardPurge:
    case KillOperation::Kind::kSoftPurge:
      store.Purge({operation.scope}, operation.kind == KillOperation::Kind::kSoftPurge,
                  std::nullopt, nullptr, nullptr);
      break;
  }
}

int Main(const std::string& folder, uint64_t disk_mib, uint64_t seed) {
  CacheOptions options;
  options.path = folder;
  options.disk = ByteSize{disk_mib << 20};
  options.memory = 2_MiB;
  auto store = CacheStore::Open(options, DecodeTestPayload);
  if (!store) return 1;
  Say(0);
  for (uint64_t number = 1;; ++number) {
    Do(**store, seed, number);
    if (number % kOperationsPerFlush != 0) continue;
    (*store)->Flush();
    Say(number);
  }
}

}  // namespace
}  // namespace nearside::storage

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return nearside::storage::Main(argv[1], std::strtoull(argv[2], nullptr, 10),
                                 std::strtoull(argv[3], nullptr, 10));
}
