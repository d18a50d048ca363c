#include "edge/fill.h"

#include <algorithm>

namespace nearside::edge {

namespace {

/// What a fill may be ahead when all of them hold too much; a body up to this stays in its fill
/// when it is stored.
constexpr uint64_t kLeastWindow = 4 * kChunkBytes;

auto IsOf(const Key256& key) {
  return [&key](const std::pair<Key256, FetchEra>& entry) { return entry.first == key; };
}

/// The least that is certain of what two responses have brought, if they have brought the same.
FetchEra LaterOf(const FetchEra& one, const FetchEra& other) {
  const bool noted = one.came != 0 && other.came != 0;
  return {.asked = std::max(one.asked, other.asked),
          .came = noted ? std::max(one.came, other.came) : 0};
}

}  // namespace

FillReader::FillReader(std::shared_ptr<Fill> fill, Executor& executor, std::function<void()> wake)
    : fill_(std::move(fill)), executor_(executor), wake_(std::make_shared<Wake>()) {
  wake_->wake = std::move(wake);
  fill_->Join(this);
}

FillReader::~FillReader() {
  wake_->left = true;
  fill_->Leave(this);
}

void FillReader::Advance(uint64_t position) { fill_->Moved(this, position); }

Fill::~Fill() { DropChunks(chunks_.size()); }

Fill::Phase Fill::phase() const {
  std::lock_guard lock(mutex_);
  return phase_;
}

storage::HeadRef Fill::stored() const {
  std::lock_guard lock(mutex_);
  return stored_;
}

Error Fill::error() const {
  std::lock_guard lock(mutex_);
  return error_;
}

Reason Fill::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

Fill::Advice Fill::advice() const {
  std::lock_guard lock(mutex_);
  return advice_;
}

uint64_t Fill::published() const {
  std::lock_guard lock(mutex_);
  return published_;
}

Fill::Piece Fill::Look(uint64_t position) const {
  using State = Piece::State;
  std::lock_guard lock(mutex_);
  if (position >= published_) {
    if (phase_ == Phase::kWhole) return {.state = State::kEnd};
    return {.state = phase_ == Phase::kFailed ? State::kFailed : State::kNotYet};
  }
  const uint64_t index = position / kChunkBytes;
  if (index < first_chunk_) {
    const bool stored = phase_ == Phase::kWhole ? stored_ != nullptr : storing_;
    return {.state = stored ? State::kBehind : State::kFailed};
  }
  return {.state = State::kReady,
          .chunk = chunks_[index - first_chunk_],
          .valid = static_cast<uint32_t>(
              std::min<uint64_t>(kChunkBytes, published_ - index * kChunkBytes))};
}

bool Fill::joinable() const {
  std::lock_guard lock(mutex_);
  const bool whole_in_store = phase_ == Phase::kWhole && stored_ != nullptr;
  if (first_chunk_ > 0 && !whole_in_store) return false;
  return phase_ == Phase::kPending || phase_ == Phase::kStored ||
         ((phase_ == Phase::kStreaming || phase_ == Phase::kWhole) && head_.shared);
}

size_t Fill::readers() const {
  std::lock_guard lock(mutex_);
  return readers_.size();
}

void Fill::SetResume(std::function<void()> resume) {
  std::lock_guard lock(mutex_);
  resume_ = std::move(resume);
}

void Fill::SetAbandoned(std::function<void()> abandoned) {
  std::lock_guard lock(mutex_);
  abandoned_ = std::move(abandoned);
}

std::vector<Interim> Fill::TakeInterims() {
  std::lock_guard lock(mutex_);
  return std::exchange(interims_, {});
}

bool Fill::AddInterim(Interim interim) {
  std::lock_guard lock(mutex_);
  if (interims_.size() == kMostInterims || readers_.empty()) return false;
  interims_.push_back(std::move(interim));
  WakeAll();
  return true;
}

void Fill::SetHead(FillHead head) {
  std::lock_guard lock(mutex_);
  head_ = std::move(head);
  storing_ = head_.storing;
  phase_ = Phase::kStreaming;
  WakeAll();
}

std::vector<ChunkRef> Fill::Append(std::span<const uint8_t> bytes) {
  std::vector<ChunkRef> full;
  std::lock_guard lock(mutex_);
  while (!bytes.empty()) {
    if (chunks_.empty() || published_ % kChunkBytes == 0) {
      // A body of known length ends in a chunk of just its size.
      const uint64_t left = head_.body_bytes && *head_.body_bytes > published_
                                ? *head_.body_bytes - published_
                                : kChunkBytes;
      chunks_.push_back(Chunk::Make(std::min<uint64_t>(left, kChunkBytes)));
      if (budget_ != nullptr) budget_->held += chunks_.back()->capacity();
    }
    const size_t taken = chunks_.back()->Append(bytes);
    if (taken == 0) break;  // longer than announced, which the client session refuses before us
    bytes = bytes.subspan(taken);
    published_ += taken;
    if (published_ % kChunkBytes == 0) full.push_back(chunks_.back());
  }
  WakeAll();
  return full;
}

bool Fill::ShouldPause() {
  std::lock_guard lock(mutex_);
  const uint64_t ahead = DropPassed();
  paused_ = !readers_.empty() && ahead >= WindowNow();
  return paused_;
}

ChunkRef Fill::TakeTail() {
  std::lock_guard lock(mutex_);
  if (chunks_.empty() || published_ % kChunkBytes == 0) return {};
  // A body of unknown length ends in a chunk that is mostly empty: the cache gets one of its size.
  const Chunk& tail = *chunks_.back();
  return tail.room() > tail.capacity() / 8 ? Chunk::Copy(tail.bytes()) : chunks_.back();
}

void Fill::StopStoring() {
  std::lock_guard lock(mutex_);
  storing_ = false;
  WakeAll();
}

void Fill::Finish(storage::HeadRef stored, http::Fields trailers) {
  std::lock_guard lock(mutex_);
  stored_ = std::move(stored);
  trailers_ = std::move(trailers);
  phase_ = Phase::kWhole;
  if (stored_ && published_ > kLeastWindow) DropChunks(chunks_.size());
  WakeAll();
}

void Fill::FinishStored(storage::HeadRef head, Reason reason, bool shared, http::Fields selecting,
                        bool aged) {
  std::lock_guard lock(mutex_);
  head_.shared = shared;
  head_.aged = aged;
  head_.selecting = std::move(selecting);
  reason_ = reason;
  stored_ = std::move(head);
  phase_ = Phase::kStored;
  WakeAll();
}

void Fill::FinishValidated(storage::HeadRef head, FillHead told) {
  std::lock_guard lock(mutex_);
  head_ = std::move(told);
  reason_ = Reason::kValidated;
  stored_ = std::move(head);
  phase_ = Phase::kStored;
  WakeAll();
}

void Fill::Fail(Reason reason, Error error, Advice advice) {
  std::lock_guard lock(mutex_);
  reason_ = reason;
  advice_ = advice;
  error_ = std::move(error);
  storing_ = false;
  phase_ = Phase::kFailed;
  WakeAll();
}

void Fill::Join(FillReader* reader) {
  std::lock_guard lock(mutex_);
  readers_.push_back(reader);
}

void Fill::Leave(FillReader* reader) {
  std::function<void()> call;
  {
    std::lock_guard lock(mutex_);
    std::erase(readers_, reader);
    if (readers_.empty()) {
      call = abandoned_;
    }
    const uint64_t ahead = DropPassed();
    if (paused_ && ahead < WindowNow()) {
      paused_ = false;
      if (!call) call = resume_;
    }
  }
  if (call) call();
}

void Fill::Moved(FillReader* reader, uint64_t position) {
  std::function<void()> resume;
  {
    std::lock_guard lock(mutex_);
    reader->position_ = position;
    reader->begun_ = true;
    if (!paused_ && published_ < window_) return;
    // Going on at half a window, so that a fetch is not paused and resumed for each record.
    if (DropPassed() <= WindowNow() / 2 && paused_) {
      paused_ = false;
      resume = resume_;
    }
  }
  if (resume) resume();
}

void Fill::WakeAll() {
  for (FillReader* reader : readers_) {
    if (reader->wake_->posted.exchange(true)) continue;
    reader->executor_.Post([wake = reader->wake_] {
      wake->posted.store(false);
      if (!wake->left) wake->wake();
    });
  }
}

uint64_t Fill::WindowNow() const {
  const bool tight = budget_ != nullptr && budget_->held > budget_->limit;
  return tight ? std::min(window_, kLeastWindow) : window_;
}

uint64_t Fill::DropPassed() {
  uint64_t slowest = published_;
  std::optional<uint64_t> pacing;
  bool all_begun = true;
  for (const FillReader* reader : readers_) {
    slowest = std::min(slowest, reader->position_);
    all_begun &= reader->begun_;
    // Who was left behind waits for the whole, and must not be waited for.
    if (storing_ && reader->position_ < first_chunk_ * kChunkBytes) continue;
    // Who reads a range waits beyond what has come.
    pacing = std::max(pacing.value_or(0), std::min(published_, reader->position_));
  }
  const bool by_fastest = storing_ && all_begun;
  const uint64_t fastest = pacing.value_or(published_);
  const uint64_t window = WindowNow();
  uint64_t needed = slowest;
  if (by_fastest && fastest > window) needed = std::max(needed, fastest - window);
  // Within the first window everything is kept, so that late requests can join.
  if (published_ > window) {
    while (chunks_.size() > 1 && (first_chunk_ + 1) * kChunkBytes <= needed) DropChunks(1);
  }
  return published_ - (by_fastest ? fastest : slowest);
}

void Fill::DropChunks(size_t count) {
  for (; count > 0; --count) {
    if (budget_ != nullptr) budget_->held -= chunks_.front()->capacity();
    chunks_.pop_front();
    ++first_chunk_;
  }
}

FillTable::Claim FillTable::ClaimFill(const Key256& key, uint64_t window,
                                      const storage::CacheStore& store, FetchBeginning beginning) {
  Shard& shard = ShardOf(key);
  std::lock_guard lock(shard.mutex);
  auto& slot = shard.fills[key];
  if (slot && slot->joinable() && slot->IsUnpurged(store)) return {.fill = slot, .lead = false};
  slot = MakeFill(key, window, std::move(beginning));
  return {.fill = slot, .lead = true};
}

std::shared_ptr<Fill> FillTable::MakeFill(const Key256& key, uint64_t window,
                                          FetchBeginning beginning) {
  return std::make_shared<Fill>(key, window, beginning.purge_sequence, &budget_,
                                std::move(beginning.scopes));
}

void FillTable::Remove(const std::shared_ptr<Fill>& fill) {
  Shard& shard = ShardOf(fill->key());
  std::lock_guard lock(shard.mutex);
  auto found = shard.fills.find(fill->key());
  if (found != shard.fills.end() && found->second == fill) shard.fills.erase(found);
}

void FillTable::MarkNotShared(const Key256& key, MonoTime until, bool by_size) {
  Shard& shard = ShardOf(key);
  std::lock_guard lock(shard.mutex);
  shard.not_shared[key.word() % kNotSharedSlots] = {key, until, by_size};
}

void FillTable::MarkShared(const Key256& key) {
  Shard& shard = ShardOf(key);
  std::lock_guard lock(shard.mutex);
  NotShared& mark = shard.not_shared[key.word() % kNotSharedSlots];
  if (mark.key == key && !mark.by_size) mark = {};
}

bool FillTable::IsNotShared(const Key256& key, MonoTime now) const {
  const Shard& shard = ShardOf(key);
  std::lock_guard lock(shard.mutex);
  const NotShared& mark = shard.not_shared[key.word() % kNotSharedSlots];
  return mark.key == key && now < mark.until;
}

uint64_t FillTable::BeginStoring(const Key256& primary) {
  Shard& shard = ShardOf(primary);
  std::lock_guard lock(shard.mutex);
  Storing& storing = shard.storing[primary];
  ++storing.fetches;
  return ++storing.time;
}

void FillTable::EndStoring(const Key256& primary) {
  Shard& shard = ShardOf(primary);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.storing.find(primary);
  if (--found->second.fetches == 0) shard.storing.erase(found);
}

uint64_t FillTable::TellTime(const Key256& primary) {
  Shard& shard = ShardOf(primary);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.storing.find(primary);
  return found == shard.storing.end() ? 0 : ++found->second.time;
}

void FillTable::NoteBrought(const Key256& primary, const Key256& key, const FetchEra& era) {
  Shard& shard = ShardOf(primary);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.storing.find(primary);
  if (found == shard.storing.end() || found->second.fetches < 2) return;  // nobody will ask
  auto& last = found->second.last;
  FetchEra newest = era;
  const auto known = std::find_if(last.begin(), last.end(), IsOf(key));
  if (known != last.end()) {
    newest = LaterOf(known->second, era);
    last.erase(known);
  }
  if (last.size() == kMaxVariants) last.erase(last.begin());
  last.emplace_back(key, newest);
}

bool FillTable::HasBrought(const Key256& primary, const Key256& key) const {
  const Shard& shard = ShardOf(primary);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.storing.find(primary);
  if (found == shard.storing.end()) return false;
  const auto& last = found->second.last;
  return std::any_of(last.begin(), last.end(), IsOf(key));
}

/// A response without Vary takes the place of all variants, and any of them its.
StoringOrder FillTable::OrderOf(const Key256& primary, const Key256& key,
                                const FetchEra& era) const {
  const Shard& shard = ShardOf(primary);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.storing.find(primary);
  StoringOrder order = StoringOrder::kNewer;
  if (found == shard.storing.end()) return order;
  for (const auto& [stored, theirs] : found->second.last) {
    if (stored != key && stored != primary && key != primary) continue;
    if (theirs.came != 0 && theirs.came < era.asked) continue;
    if (era.came == 0 || era.came > theirs.asked) return StoringOrder::kUnknown;
    order = StoringOrder::kOlder;
  }
  return order;
}

bool FillTable::IsStoring(const Key256& primary) const {
  const Shard& shard = ShardOf(primary);
  std::lock_guard lock(shard.mutex);
  return shard.storing.contains(primary);
}

bool FillTable::IsFilling(const Key256& key) const {
  const Shard& shard = ShardOf(key);
  std::lock_guard lock(shard.mutex);
  return shard.fills.contains(key);
}

size_t FillTable::size() const {
  size_t sum = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    sum += shard.fills.size();
  }
  return sum;
}

}  // namespace nearside::edge
