#pragma once

// Verbs for the cache store's tests: put and read whole objects, wait for what comes by executor.

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/crypto.h"
#include "runtime/executor.h"
#include "storage/cache_store.h"

namespace nearside::storage {

/// Tasks wait until the test runs them, on its own thread.
class TestExecutor final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    posted_.notify_all();  // with the lock held: whoever it wakes may destroy this
  }
  /// Runs the next task, waiting for it; false after half a minute without one.
  bool RunOne() {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      if (!posted_.wait_for(lock, seconds(30), [this] { return !tasks_.empty(); })) return false;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
    return true;
  }
  size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return tasks_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> tasks_;
};

struct TestPayload final : HeadPayload {
  explicit TestPayload(size_t bytes) : bytes_(bytes) {}
  size_t charge() const override { return bytes_; }
  size_t bytes_;
};

/// Refuses meta bytes that begin with "unknown".
inline std::unique_ptr<const HeadPayload> DecodeTestPayload(const Head& head) {
  if (head.meta.starts_with("unknown")) return nullptr;
  return std::make_unique<TestPayload>(100);
}

inline Key256 KeyOf(std::string_view name) { return {.bytes = Sha256Of(name)}; }

/// Bytes that depend on the name and the place alone, the same on every machine.
inline std::string BodyOf(std::string_view name, size_t bytes) {
  std::string body(bytes, '\0');
  uint64_t state = KeyOf(name).word() | 1;
  for (size_t at = 0; at < bytes; at += sizeof state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(body.data() + at, &state, std::min(sizeof state, bytes - at));
  }
  return body;
}

inline std::vector<ChunkRef> ChunksOf(std::string_view body) {
  std::vector<ChunkRef> chunks;
  for (size_t at = 0; at < body.size(); at += kChunkBytes) {
    const std::string_view part = body.substr(at, kChunkBytes);
    chunks.push_back(Chunk::Copy({reinterpret_cast<const uint8_t*>(part.data()), part.size()}));
  }
  return chunks;
}

inline Head HeadOf(std::string_view name, const CacheStore& store,
                   std::vector<ScopeHash> scopes = {}) {
  Head head;
  head.key = KeyOf(name);
  head.stored_at = WallNow();
  head.drop_at = WallNow() + std::chrono::hours(1);
  head.purge_sequence = store.purge_sequence();
  head.scopes = std::move(scopes);
  head.meta = "meta of " + std::string(name);
  return head;
}

inline HeadRef Put(CacheStore& store, std::string_view name, std::string_view body,
                   std::vector<ScopeHash> scopes = {}) {
  std::unique_ptr<ObjectWriter> writer = store.Begin(body.size());
  if (writer == nullptr) return nullptr;
  for (ChunkRef& chunk : ChunksOf(body)) writer->Append(std::move(chunk));
  return writer->Commit(HeadOf(name, store, std::move(scopes)));
}

/// From RAM, else from disk.
inline HeadRef FindOrLoad(CacheStore& store, std::string_view name) {
  const Key256 key = KeyOf(name);
  if (HeadRef head = store.Find(key)) return head;
  if (!store.MayBeOnDisk(key)) return nullptr;
  TestExecutor executor;
  HeadRef loaded;
  bool done = false;
  store.Load(key, executor, [&](HeadRef head) {
    loaded = std::move(head);
    done = true;
  });
  EXPECT_TRUE(executor.RunOne()) << "Load never answered for " << name;
  EXPECT_TRUE(done);
  return loaded;
}

inline Result<ChunkRef> ReadChunkOf(CacheStore& store, const HeadRef& head, uint32_t index) {
  if (ChunkRef chunk = store.FindChunk(*head, index)) return chunk;
  TestExecutor executor;
  Result<ChunkRef> result = Fail(Fault::kSelf, "no_answer", "LoadChunk never answered");
  store.LoadChunk(head, index, executor,
                  [&](Result<ChunkRef> loaded) { result = std::move(loaded); });
  EXPECT_TRUE(executor.RunOne());
  return result;
}

/// The whole body, or the reason why not.
inline Result<std::string> ReadBody(CacheStore& store, const HeadRef& head) {
  std::string body;
  for (uint32_t i = 0; body.size() < head->head.body_bytes; ++i) {
    Result<ChunkRef> chunk = ReadChunkOf(store, head, i);
    if (!chunk) return tl::unexpected(chunk.error());
    body += (*chunk)->text();
  }
  return body;
}

/// "miss", "body" when it is `expected`, "stale body", or what is wrong.
inline std::string Ask(CacheStore& store, std::string_view name, std::string_view expected) {
  const HeadRef head = FindOrLoad(store, name);
  if (head == nullptr) return "miss";
  const Validity validity = store.Check(*head);
  if (validity == Validity::kGone) return "gone";
  if (head->head.meta != "meta of " + std::string(name)) return "wrong meta";
  const Result<std::string> body = ReadBody(store, head);
  if (!body) return "error " + body.error().reason;
  if (*body != expected) return "wrong body";
  if (validity == Validity::kUnsure) return "unsure body";
  return validity == Validity::kStale ? "stale body" : "body";
}

/// Flushes (each runs a turn of the writer) until `done`, or half a minute.
inline bool FlushUntil(CacheStore& store, const std::function<bool()>& done) {
  const MonoTime deadline = MonoNow() + seconds(30);
  while (!done()) {
    if (MonoNow() > deadline) return false;
    store.Flush();
  }
  return true;
}

inline std::unique_ptr<CacheStore> OpenStore(const CacheOptions& options,
                                             PayloadDecoder decoder = DecodeTestPayload) {
  Result<std::unique_ptr<CacheStore>> store = CacheStore::Open(options, std::move(decoder));
  EXPECT_TRUE(store) << (store ? "" : store.error().ToString());
  return store ? std::move(*store) : nullptr;
}

}  // namespace nearside::storage
