#include "tests/edge/fake_store.h"

#include <algorithm>
#include <utility>

#include "runtime/fatal.h"
#include "tests/edge/patterns.h"

namespace nearside::edge {
namespace {

std::string PositionText(storage::LogPosition position) {
  return std::to_string(position.epoch) + ":" + std::to_string(position.sequence);
}

}  // namespace

storage::HeadRef FakeStore::MakeHead(std::string body) {
  auto head = std::make_shared<storage::CachedHead>();
  head->head.body_bytes = body.size();
  chunks_.clear();
  for (uint32_t index = 0; uint64_t{index} * kChunkBytes < body.size(); ++index) {
    chunks_[index] = Chunk::Copy(AsBytes(body.substr(index * kChunkBytes, kChunkBytes)));
  }
  return head;
}

std::vector<uint32_t> FakeStore::loads() const {
  std::vector<uint32_t> indices;
  for (const LoadUnderWay& load : loads_) indices.push_back(load.index);
  return indices;
}

void FakeStore::AnswerLoad(bool well) {
  if (loads_.empty()) Fatal("no load is under way");
  LoadUnderWay load = std::move(loads_.front());
  loads_.pop_front();
  if (well) {
    load.done(chunks_.at(load.index));
  } else {
    load.done(Fail(Fault::kSelf, "read_failed", "the disk says no"));
  }
}

void FakeStore::MakeDurable(size_t n) {
  for (; n > 0 && !undurable_.empty(); --n) {
    Undurable oldest = std::move(undurable_.front());
    undurable_.pop_front();
    position = oldest.position;
    if (oldest.executor != nullptr && oldest.done) oldest.executor->Post(std::move(oldest.done));
  }
}

void FakeStore::Load(const Key256&, Executor&, std::function<void(storage::HeadRef)>) {
  Fatal("nothing is on disk");
}

ChunkRef FakeStore::FindChunk(const storage::CachedHead&, uint32_t index) {
  return warm_[index] ? chunks_.at(index) : ChunkRef();
}

void FakeStore::LoadChunk(storage::HeadRef, uint32_t index, Executor&,
                          std::function<void(Result<ChunkRef>)> done) {
  loads_.push_back({index, std::move(done)});
}

void FakeStore::Queue(storage::LogPosition at, Executor* executor, std::function<void()> done) {
  undurable_.push_back({at, executor, std::move(done)});
}

uint64_t FakeStore::Purge(const std::vector<storage::ScopeHash>& scopes, bool soft,
                          std::optional<storage::LogPosition> at, Executor* executor,
                          std::function<void()> on_durable) {
  log.push_back("purge " + std::to_string(scopes.size()) + (soft ? " soft" : " hard") +
                (at ? " " + PositionText(*at) : ""));
  if (at) Queue(*at, executor, std::move(on_durable));
  return 0;
}

storage::Validity FakeStore::CheckFetch(uint64_t purge_sequence,
                                        const std::vector<storage::ScopeHash>& scopes) const {
  const bool concerned = std::any_of(scopes.begin(), scopes.end(),
                                     [](storage::ScopeHash scope) { return scope <= 2; });
  return concerned && purge_sequence < sequence ? storage::Validity::kGone
                                                : storage::Validity::kValid;
}

void FakeStore::Advance(storage::LogPosition at, Executor* executor,
                        std::function<void()> on_durable) {
  log.push_back("advance " + PositionText(at));
  Queue(at, executor, std::move(on_durable));
}

uint64_t FakeStore::PurgeAll(storage::Validity left) {
  using storage::Validity;
  log.push_back(left == Validity::kStale    ? "all soft"
                : left == Validity::kUnsure ? "all unsure"
                                            : "all hard");
  return 0;
}

}  // namespace nearside::edge
