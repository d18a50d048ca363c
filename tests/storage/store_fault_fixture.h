#pragma once

// A store in a folder of its own, and another process that reads its files, for the tests of what a
// store does when its disk fails or has no room.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/storage/cache_fixture.h"
#include "tests/storage/child_process.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// Holds a snapshot of one of the store's files from its making to its End.
class ForeignReader {
 public:
  explicit ForeignReader(const std::string& file) {
    std::array<int, 2> said{};
    EXPECT_EQ(pipe2(said.data(), O_CLOEXEC), 0);
    process_.emplace(std::vector<std::string>{NEARSIDE_FOREIGN_READER, file,
                                              std::to_string(std::filesystem::file_size(file))},
                     said[1]);
    close(said[1]);
    char byte = 0;
    EXPECT_EQ(read(said[0], &byte, 1), 1) << "it could not read " << file;
    close(said[0]);
  }
  void End() { process_.reset(); }

 private:
  std::optional<ChildProcess> process_;
};

class StoreInTrouble : public testing::Test {
 protected:
  explicit StoreInTrouble(ByteSize disk = 64_MiB) {
    options_.path = folder_.In("cache");
    options_.disk = disk;
    options_.memory = 4_MiB;
    options_.read_timeout = seconds(20);
  }
  void Open() {
    store_ = OpenStore(options_);
    ASSERT_NE(store_, nullptr);
  }
  void Reopen() {
    store_.reset();
    Open();
  }
  HeadRef PutOne(const std::string& name, size_t bytes) {
    return Put(*store_, name, BodyOf(name, bytes));
  }
  HeadRef PutUntil(const std::string& name, size_t bytes, WallTime drop_at) {
    const std::unique_ptr<ObjectWriter> writer = store_->Begin(bytes);
    if (writer == nullptr) return nullptr;
    for (ChunkRef& chunk : ChunksOf(BodyOf(name, bytes))) writer->Append(std::move(chunk));
    Head head = HeadOf(name, *store_);
    head.drop_at = drop_at;
    return writer->Commit(std::move(head));
  }
  /// Names PREFIX0 to PREFIX(COUNT - 1), flushed every now and then. How many were refused.
  int PutMany(const std::string& prefix, int count, size_t bytes) {
    int refused = 0;
    for (int i = 0; i < count; ++i) {
      if (PutOne(prefix + std::to_string(i), bytes) == nullptr) ++refused;
      if (i % kPutsPerFlush == kPutsPerFlush - 1) store_->Flush();
    }
    store_->Flush();
    return refused;
  }
  std::string Asked(const std::string& name, size_t bytes) {
    return Ask(*store_, name, BodyOf(name, bytes));
  }
  int CountOf(const std::string& answer, const std::string& prefix, int count, size_t bytes) {
    int found = 0;
    for (int i = 0; i < count; ++i) {
      found += Asked(prefix + std::to_string(i), bytes) == answer ? 1 : 0;
    }
    return found;
  }
  bool WaitUntil(const std::function<bool(const CacheStats&)>& done) {
    return FlushUntil(*store_, [&] { return done(store_->Stats()); });
  }
  bool WaitUntilItStores() {
    return WaitUntil([](const CacheStats& stats) { return !stats.pass_through; });
  }
  uint64_t NotStoredFor(NotStored reason) const {
    return store_->Stats().not_stored_by[static_cast<size_t>(reason)];
  }
  std::string In(const std::string& file) const { return options_.path + "/" + file; }
  /// Zeroes over the first pages but the two meta pages: LMDB finds pages that are none.
  void Damage(const std::string& file) const {
    std::fstream stream(In(file), std::ios::in | std::ios::out);
    stream.seekp(2 * kPageBytes);
    stream << std::string(1000 * kPageBytes, '\0');
  }
  std::vector<std::string> FilesMovedAside() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(options_.path)) {
      const std::string name = entry.path().filename();
      if (name.find(".broken-") != std::string::npos) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  /// Memory of the process that no file is behind.
  static uint64_t AnonymousBytes() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
      uint64_t kib = 0;
      if (word == "RssAnon:" && status >> kib) return kib << 10;
    }
    return 0;
  }

  static constexpr int kPutsPerFlush = 20;
  static constexpr int kPageBytes = 4096;
  test::TempDir folder_;
  CacheOptions options_;
  std::unique_ptr<CacheStore> store_;
};

}  // namespace nearside::storage
