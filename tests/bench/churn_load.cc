#include "tests/bench/churn_load.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "storage/chunk_codec.h"
#include "storage/lmdb_env.h"
#include "tests/bench/bench_store.h"

namespace nearside::bench {

namespace {

using storage::CacheStore;
using storage::ChunkCount;
using storage::ChunkLength;
using storage::HeadRef;

/// Objects that are written side by side, as an edge's fills are.
constexpr size_t kSlots = 8;
constexpr double kRemovedShare = 0.05;
constexpr double kShortLivedShare = 0.1;
constexpr uint32_t kShortLife = 60;  // seconds, at most
/// A reader of a large body is content with so many chunks, as one of a range is.
constexpr uint32_t kMostChunksRead = 32;
constexpr size_t kMostWanted = 4096;
constexpr size_t kMetaBytes = 350;

/// 64 KiB of noise, made once: a chunk is a copy of it with its own first and last word.
const std::vector<uint8_t>& Noise() {
  static const std::vector<uint8_t> kNoise = [] {
    Random random(1);
    std::vector<uint8_t> noise(kChunkBytes);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random.Next());
    return noise;
  }();
  return kNoise;
}

/// What Staller's child is told, once.
struct StallOrder {
  char file[512] = {};
  uint64_t map_bytes = 0;
  int64_t period_ms = 0, hold_ms = 0;
};

uint64_t WordOf(uint32_t number, uint32_t index) {
  return Random((uint64_t{number} << 32) | index).Next();
}

}  // namespace

// ---- Catalogue

Catalogue::Catalogue(uint64_t total_bytes, uint64_t seed) {
  Random random(seed);
  const SizeLaw law{.sigma = 2};
  while (total_bytes_ < total_bytes) {
    bytes_.push_back(static_cast<uint64_t>(law.Draw(random)));
    total_bytes_ += bytes_.back();
  }
}

Key256 Catalogue::KeyOf(uint32_t number) {
  Key256 key;
  Random random(number);
  for (size_t at = 0; at < key.bytes.size(); at += sizeof(uint64_t)) {
    const uint64_t word = random.Next();
    std::memcpy(key.bytes.data() + at, &word, sizeof word);
  }
  return key;
}

ChunkRef Catalogue::MakeChunk(uint32_t number, uint32_t index) const {
  const uint32_t bytes = ChunkLength(bytes_of(number), index);
  ChunkRef chunk = Chunk::Copy({Noise().data(), bytes});
  const uint64_t word = WordOf(number, index);
  const size_t marked = std::min<size_t>(bytes, sizeof word);
  std::memcpy(chunk->mutable_data(), &word, marked);
  std::memcpy(chunk->mutable_data() + bytes - marked, &word, marked);
  return chunk;
}

bool Catalogue::IsChunk(uint32_t number, uint32_t index, const Chunk& chunk) const {
  const uint64_t word = WordOf(number, index);
  const uint32_t bytes = ChunkLength(bytes_of(number), index);
  const size_t marked = std::min<size_t>(bytes, sizeof word);
  if (chunk.size() != bytes || std::memcmp(chunk.data() + bytes - marked, &word, marked) != 0)
    return false;
  return bytes < 2 * sizeof word || std::memcmp(chunk.data(), &word, sizeof word) == 0;
}

storage::Head Catalogue::HeadFor(uint32_t number, const CacheStore& store) const {
  Random random(number);
  storage::Head head;
  head.key = KeyOf(number);
  head.stored_at = WallNow();
  head.drop_at =
      WallNow() + (random.Share() < kShortLivedShare ? seconds(1 + random.Below(kShortLife))
                                                     : seconds(24 * 3600));
  head.purge_sequence = store.purge_sequence();
  head.scopes = {1, number % 100, number};
  head.meta.assign(kMetaBytes, 'm');
  return head;
}

// ---- Popularity

Popularity::Popularity(uint32_t objects, double alpha, uint64_t seed)
    : zipf_(objects, alpha), object_of_rank_(objects) {
  // A permutation, so that popular objects are not those that were put first.
  Random random(seed);
  std::vector<uint32_t> order(objects);
  std::iota(order.begin(), order.end(), 0u);
  for (uint32_t i = objects; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  for (uint32_t i = 0; i < objects; ++i)
    object_of_rank_[i].store(order[i], std::memory_order_relaxed);
}

uint32_t Popularity::Draw(Random& random) const {
  return object_of_rank_[zipf_.Draw(random)].load(std::memory_order_relaxed);
}

void Popularity::Drift(Random& random) {
  auto& hot = object_of_rank_[zipf_.Draw(random)];
  auto& other = object_of_rank_[random.Below(static_cast<uint32_t>(object_of_rank_.size()))];
  other.store(hot.exchange(other.load(std::memory_order_relaxed), std::memory_order_relaxed),
              std::memory_order_relaxed);
}

// ---- ChurnLoad

/// One object on its way into the store.
struct ChurnLoad::Slot {
  uint32_t number = 0;
  uint32_t next_chunk = 0;
  std::unique_ptr<storage::ObjectWriter> writer;
  uint64_t chunk_bytes = 0;  ///< that the last step gave to the store
};

ChurnLoad::ChurnLoad(CacheStore& store, const Catalogue& catalogue, Rates rates, uint64_t seed)
    : store_(store),
      catalogue_(catalogue),
      rates_(rates),
      random_(seed),
      popularity_(catalogue.size(), 0.9, seed) {}

ChurnLoad::~ChurnLoad() { Stop(); }

/// Gives one chunk to the slot's object, or begins or finishes it.
void ChurnLoad::Step(Slot& slot) {
  slot.chunk_bytes = 0;
  if (slot.writer == nullptr) return;
  Waiter waiter;
  if (slot.writer->WaitsForRoom(waiter, [] {})) waiter.RunOne();
  ChunkRef chunk = catalogue_.MakeChunk(slot.number, slot.next_chunk++);
  slot.chunk_bytes = chunk->size();
  slot.writer->Append(std::move(chunk));
  if (slot.next_chunk == ChunkCount(catalogue_.bytes_of(slot.number))) Finish(slot);
}

void ChurnLoad::Finish(Slot& slot) {
  const MonoTime begun = MonoNow();
  const HeadRef stored = slot.writer->Commit(catalogue_.HeadFor(slot.number, store_));
  commits_.Record(MonoNow() - begun);
  slot.writer.reset();
  if (stored == nullptr) {
    ++counts_.refused;
    return;
  }
  ++counts_.stored;
  counts_.stored_bytes += stored->head.body_bytes;
}

void ChurnLoad::Fill(uint64_t bytes) {
  Slot slot;
  for (uint32_t number = 0; counts_.stored_bytes < bytes && number < catalogue_.size(); ++number) {
    slot = {.number = number, .writer = store_.Begin(catalogue_.bytes_of(number))};
    while (slot.writer != nullptr) Step(slot);
  }
}

uint32_t ChurnLoad::NextObject() {
  const std::lock_guard lock(wanted_mutex_);
  if (wanted_.empty()) return random_.Below(catalogue_.size());
  const uint32_t number = wanted_.back();
  wanted_.pop_back();
  return number;
}

/// Sleeps until so many units are due at this rate. What was missed by more than a second is
/// forgiven.
void ChurnLoad::Pace(double units, double rate, MonoTime& due) {
  if (rate <= 0) return;
  due +=
      std::chrono::duration_cast<MonoTime::duration>(std::chrono::duration<double>(units / rate));
  const MonoTime now = MonoNow();
  due = std::max(due, now - seconds(1));
  if (due > now + milliseconds(1)) std::this_thread::sleep_until(due);
}

void ChurnLoad::Write() {
  std::vector<Slot> slots(kSlots);
  MonoTime due = MonoNow();
  while (!stop_.load()) {
    Slot& slot = slots[random_.Below(kSlots)];
    if (slot.writer == nullptr) {
      const uint32_t number = NextObject();
      slot = {.number = number, .writer = store_.Begin(catalogue_.bytes_of(number))};
      if (slot.writer == nullptr) {
        ++counts_.refused;  // it is fetched all the same, and passed on
        Pace(static_cast<double>(catalogue_.bytes_of(number)), rates_.ingest_bytes, due);
      }
      if (random_.Share() < kRemovedShare) {
        store_.Remove(Catalogue::KeyOf(random_.Below(catalogue_.size())));
        ++counts_.removed;
      }
    }
    Step(slot);
    Pace(static_cast<double>(std::max<uint64_t>(slot.chunk_bytes, 1)), rates_.ingest_bytes, due);
  }
}

/// Whether the body was right; nothing when it went away in between. Counts the time to its first
/// chunk.
std::optional<bool> ChurnLoad::AskBody(uint32_t number, const HeadRef& head, MonoTime since,
                                       bool cold) {
  const auto chunks =
      static_cast<uint32_t>(std::min<uint64_t>(ChunkCount(head->head.body_bytes), kMostChunksRead));
  for (uint32_t i = 0; i < chunks; ++i) {
    ChunkRef chunk = store_.FindChunk(*head, i);
    if (!chunk) {
      Waiter waiter;
      Result<ChunkRef> loaded = Fail(Fault::kSelf, "no_answer", "");
      store_.LoadChunk(head, i, waiter,
                       [&](Result<ChunkRef> result) { loaded = std::move(result); });
      waiter.RunOne();
      if (!loaded) return std::nullopt;
      chunk = std::move(*loaded);
      cold = cold || i == 0;
    }
    if (i == 0) (cold ? cold_reads_ : warm_reads_).Record(MonoNow() - since);
    if (!catalogue_.IsChunk(number, i, *chunk)) return false;
  }
  return true;
}

void ChurnLoad::Ask(uint32_t number) {
  const Key256 key = Catalogue::KeyOf(number);
  const MonoTime since = MonoNow();
  ++counts_.asked;
  HeadRef head = store_.Find(key);
  const bool cold = head == nullptr && store_.MayBeOnDisk(key);
  if (cold) {
    Waiter waiter;
    store_.Load(key, waiter, [&](HeadRef loaded) { head = std::move(loaded); });
    waiter.RunOne();
  }
  if (head == nullptr) {
    ++counts_.misses;
    const std::lock_guard lock(wanted_mutex_);
    if (wanted_.size() < kMostWanted) wanted_.push_back(number);
    return;
  }
  const std::optional<bool> right = AskBody(number, head, since, cold);
  if (!right) {
    ++counts_.vanished;
  } else {
    ++(*right ? counts_.hits : counts_.wrong);
  }
}

void ChurnLoad::Read(uint64_t seed, double rate) {
  Random random(seed);
  MonoTime due = MonoNow();
  while (!stop_.load()) {
    Ask(popularity_.Draw(random));
    Pace(1, rate, due);
  }
}

void ChurnLoad::Drift() {
  Random random(random_.Next());
  MonoTime due = MonoNow();
  while (!stop_.load()) {
    popularity_.Drift(random);
    Pace(1, rates_.swaps, due);
  }
}

void ChurnLoad::Start(unsigned readers) {
  const uint64_t seed = random_.Next();
  threads_.emplace_back([this] { Write(); });
  threads_.emplace_back([this] { Drift(); });
  for (unsigned i = 0; i < readers; ++i) {
    threads_.emplace_back([this, seed, i, readers] { Read(seed + i, rates_.reads / readers); });
  }
}

void ChurnLoad::Stop() {
  stop_.store(true);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

// ---- Staller

Staller::Staller() {
  int ends[2];
  if (pipe(ends) != 0) return;
  pid_ = fork();
  if (pid_ != 0) {
    close(ends[0]);
    order_ = ends[1];
    return;
  }
  close(ends[1]);
  StallOrder order;
  // Ends with its parent: the pipe is closed then.
  if (read(ends[0], &order, sizeof order) != sizeof order) _exit(0);
  auto env = storage::LmdbEnv::Open({.file = order.file, .map_bytes = order.map_bytes});
  while (env && getppid() != 1) {
    std::this_thread::sleep_for(milliseconds(order.period_ms - order.hold_ms));
    const auto snapshot = (*env)->BeginRead();
    std::this_thread::sleep_for(milliseconds(order.hold_ms));
  }
  _exit(0);
}

Staller::~Staller() {
  if (order_ >= 0) close(order_);
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Staller::Begin(const std::string& folder, uint64_t map_bytes, seconds period,
                    milliseconds hold) {
  StallOrder order;
  const std::string file = folder + "/chunks.mdb";
  std::memcpy(order.file, file.data(), std::min(file.size(), sizeof order.file - 1));
  order.map_bytes = map_bytes;
  order.period_ms = milliseconds(period).count();
  order.hold_ms = hold.count();
  if (write(order_, &order, sizeof order) != sizeof order) close(std::exchange(order_, -1));
}

}  // namespace nearside::bench
