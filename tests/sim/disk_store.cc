#include "tests/sim/disk_store.h"

#include <algorithm>
#include <utility>

namespace nearside::sim {

using storage::Head;
using storage::HeadRef;
using storage::LogPosition;
using storage::ScopeHash;
using storage::Validity;

class DiskStore::Writer final : public storage::ObjectWriter {
 public:
  explicit Writer(DiskStore& store) : store_(store) {}
  void Append(ChunkRef chunk) override {
    given_up_ = given_up_ || body_ || chunk->size() > storage::kInlineBody;
    body_ = std::move(chunk);
  }
  bool WaitsForRoom(Executor&, std::function<void()>) override { return false; }
  bool given_up() const override { return given_up_; }
  HeadRef Commit(Head head) override {
    if (given_up_) return nullptr;
    if (store_.bug_ == Bug::kForgetsFills) head.purge_sequence = store_.purges_.sequence();
    if (!store_.purges_.MayStore(head)) return nullptr;
    head.object_id = store_.disk_.next_id++;
    head.body_bytes = body_ ? body_->size() : 0;
    HeadRef made = store_.Make(std::move(head), std::move(body_));
    if (made) store_.Put(made);
    return made;
  }

 private:
  DiskStore& store_;
  ChunkRef body_;
  bool given_up_ = false;
};

DiskStore::DiskStore(Disk& disk, storage::PayloadDecoder decoder, Bug bug,
                     std::function<void()> changed)
    : disk_(disk), decoder_(std::move(decoder)), bug_(bug), changed_(std::move(changed)) {
  if (bug_ != Bug::kLosesPurgesAtStart) {
    purges_.Load(disk_.horizon, {disk_.marks.begin(), disk_.marks.end()});
  }
}

HeadRef DiskStore::Make(Head head, ChunkRef body) const {
  auto made = std::make_shared<storage::CachedHead>();
  made->head = std::move(head);
  made->payload = decoder_(made->head);
  made->inline_body = std::move(body);
  return made->payload ? made : nullptr;
}

void DiskStore::Put(HeadRef head) {
  const Key256 key = head->head.key;
  ram_[key] = head;
  operations_.push_back({key, std::move(head)});
  changed_();
}

bool DiskStore::IsPending(const Key256& key) const {
  return std::any_of(operations_.begin(), operations_.end(),
                     [&](const Operation& operation) { return operation.key == key; });
}

/// As the writer thread does: what a purge covers by now is not stored, and what the key had before
/// goes as well.
void DiskStore::Apply(const Operation& operation) {
  const bool put = operation.head && purges_.MayStore(operation.head->head);
  if (put) {
    disk_.objects[operation.key] = {operation.head->head, operation.head->inline_body};
  } else {
    disk_.objects.erase(operation.key);
  }
}

void DiskStore::Write() {
  for (const Operation& operation : operations_) Apply(operation);
  operations_.clear();
  for (Request& request : requests_) {
    if (!request.position) continue;
    disk_.position = *request.position;
    uint64_t& reached = disk_.reached[request.position->epoch];
    reached = std::max(reached, request.position->sequence);
  }
  // After the operations were taken: a head that knows a purge is never on disk without it.
  const bool late = bug_ == Bug::kPositionBeforePurges && !requests_.empty();
  if (!late && purges_.HasUnsaved()) {
    const storage::PurgeTable::Changes changes = purges_.TakeUnsaved();
    if (changes.all_marks) disk_.marks.clear();
    for (const auto& [scope, mark] : changes.marks) {
      if (mark == storage::PurgeMark{}) {
        disk_.marks.erase(scope);
      } else {
        disk_.marks[scope] = mark;
      }
    }
    disk_.horizon = changes.horizon;
  }
  std::move(requests_.begin(), requests_.end(), std::back_inserter(written_));
  requests_.clear();
  if (late) changed_();
}

void DiskStore::TellWritten() {
  for (Request& request : std::exchange(written_, {})) {
    if (request.executor != nullptr && request.done) {
      request.executor->Post(std::move(request.done));
    }
  }
}

void DiskStore::Evict(uint64_t draw) {
  if (ram_.empty()) return;
  const auto which = std::next(ram_.begin(), static_cast<ptrdiff_t>(draw % ram_.size()));
  if (!IsPending(which->first)) ram_.erase(which);
}

bool DiskStore::IsAllStale() const {
  return std::all_of(ram_.begin(), ram_.end(), [&](const auto& entry) {
    return purges_.Judge(entry.second->head) != Validity::kValid;
  });
}

HeadRef DiskStore::Find(const Key256& key) {
  const auto found = ram_.find(key);
  if (found == ram_.end()) return nullptr;
  if (purges_.Check(*found->second) != Validity::kGone) return found->second;
  Remove(key);
  return nullptr;
}

bool DiskStore::MayBeOnDisk(const Key256& key) const {
  return !ram_.contains(key) && !IsPending(key) && disk_.objects.contains(key);
}

bool DiskStore::MayHold(const Key256& key) const { return ram_.contains(key) || MayBeOnDisk(key); }

/// Read now, seen later: whatever has happened to the key meanwhile.
void DiskStore::Load(const Key256& key, Executor& executor, std::function<void(HeadRef)> done) {
  HeadRef read;
  const auto found = disk_.objects.find(key);
  if (MayBeOnDisk(key) && purges_.Judge(found->second.head) != Validity::kGone) {
    read = Make(found->second.head, found->second.body);
  }
  executor.Post([this, key, read, done = std::move(done)] {
    const auto newer = ram_.find(key);
    if (newer != ram_.end()) return done(newer->second);
    if (read && !IsPending(key)) ram_[key] = read;
    done(read);
  });
}

ChunkRef DiskStore::FindChunk(const storage::CachedHead& head, uint32_t index) {
  return index == 0 ? head.inline_body : ChunkRef();
}

void DiskStore::LoadChunk(HeadRef head, uint32_t index, Executor& executor,
                          std::function<void(Result<ChunkRef>)> done) {
  executor.Post([this, head = std::move(head), index, done = std::move(done)] {
    done(FindChunk(*head, index));
  });
}

std::unique_ptr<storage::ObjectWriter> DiskStore::Begin(std::optional<uint64_t>) {
  return std::make_unique<Writer>(*this);
}

HeadRef DiskStore::Refresh(const HeadRef& old, Head head) {
  head.key = old->head.key;
  head.object_id = old->head.object_id;
  head.body_bytes = old->head.body_bytes;
  if (!purges_.MayStore(head)) return nullptr;
  const auto found = ram_.find(head.key);
  if (found == ram_.end() || found->second != old) return nullptr;
  HeadRef made = Make(std::move(head), old->inline_body);
  if (made) Put(made);
  return made;
}

void DiskStore::Remove(const Key256& key) {
  ram_.erase(key);
  operations_.push_back({key, nullptr});
  changed_();
}

void DiskStore::Pin(const Key256&, Executor& executor,
                    std::function<void(storage::PinOutcome)> done) {
  executor.Post([done = std::move(done)] { done(storage::PinOutcome::kNoRoom); });
}

void DiskStore::Unpin(const Key256&) {}

void DiskStore::ListPinned(Executor& executor, std::function<void(std::vector<Key256>)> done) {
  executor.Post([done = std::move(done)] { done({}); });
}

void DiskStore::Ask(Request request) {
  if (bug_ == Bug::kReportBeforeDurable && request.executor != nullptr && request.done) {
    request.executor->Post(std::exchange(request.done, nullptr));
  }
  requests_.push_back(std::move(request));
  changed_();
}

uint64_t DiskStore::Purge(const std::vector<ScopeHash>& scopes, bool soft,
                          std::optional<LogPosition> position, Executor* executor,
                          std::function<void()> on_durable) {
  const uint64_t sequence = purges_.Apply(scopes, soft);
  Ask({position, executor, std::move(on_durable)});
  return sequence;
}

void DiskStore::Advance(LogPosition position, Executor* executor,
                        std::function<void()> on_durable) {
  Ask({position, executor, std::move(on_durable)});
}

uint64_t DiskStore::PurgeAll(Validity left) {
  if (bug_ == Bug::kNotStaleOnLogCut) return purges_.sequence();
  const uint64_t sequence = purges_.ApplyToAll(left);
  changed_();
  return sequence;
}

Validity DiskStore::Check(const storage::CachedHead& head) const { return purges_.Check(head); }

Validity DiskStore::CheckFetch(uint64_t purge_sequence,
                               const std::vector<ScopeHash>& scopes) const {
  if (bug_ == Bug::kForgetsFills) return Validity::kValid;
  return purges_.JudgeFetch(purge_sequence, scopes);
}

}  // namespace nearside::sim
