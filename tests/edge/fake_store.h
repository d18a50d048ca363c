#pragma once

// A cache store whose disk is the test: what is cold comes when the test says so, and so does
// durability.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/cache_store.h"

namespace nearside::edge {

class FakeStore final : public storage::CacheStore {
 public:
  /// A head with a body of `body`, whose chunks are cold until Warm.
  storage::HeadRef MakeHead(std::string body);
  /// Chunk `index` of every body is in RAM now.
  void Warm(uint32_t index) { warm_[index] = true; }
  /// The load asked for first ends: with the chunk, or as an error.
  void FinishLoad() { AnswerLoad(true); }
  void FailLoad() { AnswerLoad(false); }
  /// Indices of chunks asked for and not answered, in order.
  std::vector<uint32_t> loads() const;
  /// What the last FindChunk or load of that index handed out, to compare where bytes lie.
  ChunkRef chunk(uint32_t index) const { return chunks_.at(index); }

  /// Purge, Advance and PurgeAll as they were called: "purge 2 hard 7:3", "advance 7:4", "all
  /// unsure".
  std::vector<std::string> log;
  /// Makes the oldest `n` calls of the log durable, each on its executor.
  void MakeDurable(size_t n = SIZE_MAX);
  storage::LogPosition position;  ///< durable

  storage::HeadRef Find(const Key256&) override { return nullptr; }
  bool MayBeOnDisk(const Key256&) const override { return false; }
  bool MayHold(const Key256&) const override { return false; }
  void Load(const Key256&, Executor&, std::function<void(storage::HeadRef)>) override;
  ChunkRef FindChunk(const storage::CachedHead& head, uint32_t index) override;
  void LoadChunk(storage::HeadRef head, uint32_t index, Executor& executor,
                 std::function<void(Result<ChunkRef>)> done) override;
  std::unique_ptr<storage::ObjectWriter> Begin(std::optional<uint64_t>) override { return nullptr; }
  storage::HeadRef Refresh(const storage::HeadRef&, storage::Head) override { return nullptr; }
  void Remove(const Key256&) override {}
  void Pin(const Key256&, Executor&, std::function<void(storage::PinOutcome)>) override {}
  void Unpin(const Key256&) override {}
  void ListPinned(Executor&, std::function<void(std::vector<Key256>)>) override {}
  uint64_t Purge(const std::vector<storage::ScopeHash>& scopes, bool soft,
                 std::optional<storage::LogPosition> position, Executor* executor,
                 std::function<void()> on_durable) override;
  void Advance(storage::LogPosition position, Executor* executor,
               std::function<void()> on_durable) override;
  uint64_t PurgeAll(storage::Validity left) override;
  storage::Validity Check(const storage::CachedHead&) const override {
    return storage::Validity::kValid;
  }
  /// As if each purge concerned the scopes 1 and 2.
  storage::Validity CheckFetch(uint64_t purge_sequence,
                               const std::vector<storage::ScopeHash>& scopes) const override;
  uint64_t purge_sequence() const override { return sequence; }
  uint64_t sequence = 0;
  storage::LogPosition log_position() const override { return position; }
  storage::CacheStats Stats() const override { return {}; }
  storage::CacheTimes Times() const override { return {}; }
  void ExportMetrics(metrics::Registry&) override {}
  void Flush() override {}

 private:
  struct LoadUnderWay {
    uint32_t index;
    std::function<void(Result<ChunkRef>)> done;
  };
  struct Undurable {
    storage::LogPosition position;
    Executor* executor;
    std::function<void()> done;
  };
  void AnswerLoad(bool well);
  void Queue(storage::LogPosition at, Executor* executor, std::function<void()> done);

  std::map<uint32_t, ChunkRef> chunks_;
  std::map<uint32_t, bool> warm_;
  std::deque<LoadUnderWay> loads_;
  std::deque<Undurable> undurable_;
};

}  // namespace nearside::edge
