#pragma once

// What store_churn puts on a store: a catalogue of objects whose popularity drifts, writers at a
// given rate, readers that ask as a browser's edge would, and a process that holds snapshots for
// too long.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/duration_histogram.h"
#include "storage/cache_store.h"
#include "tests/bench/draws.h"

namespace nearside::bench {

/// Numbered objects, each with a key, a size and bytes of its own that can be told again. Any
/// thread.
class Catalogue {
 public:
  Catalogue(uint64_t total_bytes, uint64_t seed);
  uint32_t size() const { return static_cast<uint32_t>(bytes_.size()); }
  uint64_t bytes_of(uint32_t number) const { return bytes_[number]; }
  uint64_t total_bytes() const { return total_bytes_; }
  static Key256 KeyOf(uint32_t number);
  /// Chunk `index` of the object's body.
  ChunkRef MakeChunk(uint32_t number, uint32_t index) const;
  /// Whether `chunk` is that one: its first words and its last are looked at.
  bool IsChunk(uint32_t number, uint32_t index, const Chunk& chunk) const;
  storage::Head HeadFor(uint32_t number, const storage::CacheStore& store) const;

 private:
  std::vector<uint64_t> bytes_;
  uint64_t total_bytes_ = 0;
};

/// Which object is at which rank, changing all the time. Any thread.
class Popularity {
 public:
  Popularity(uint32_t objects, double alpha, uint64_t seed);
  uint32_t Draw(Random& random) const;
  /// The object of a popular rank changes places with any other: what was hot is cold.
  void Drift(Random& random);

 private:
  Zipf zipf_;
  std::vector<std::atomic<uint32_t>> object_of_rank_;
};

struct ChurnCounts {
  std::atomic<uint64_t> stored{0}, stored_bytes{0}, refused{0}, removed{0};
  std::atomic<uint64_t> asked{0}, hits{0}, misses{0}, vanished{0}, wrong{0};
};

/// The load on one store. Starts with the first thread, ends with Stop.
class ChurnLoad {
 public:
  struct Rates {
    double ingest_bytes = 100e6;  ///< a second; 0: as fast as the store takes it
    double reads = 500;           ///< objects asked for a second
    double swaps = 50;            ///< steps of drift a second
  };
  ChurnLoad(storage::CacheStore& store, const Catalogue& catalogue, Rates rates, uint64_t seed);
  ~ChurnLoad();
  /// Puts objects in the order of their numbers until `bytes` have been taken.
  void Fill(uint64_t bytes);
  void Start(unsigned readers);
  void Stop();

  const ChurnCounts& counts() const { return counts_; }
  const DurationHistogram& commits() const {
    return commits_;
  }  ///< ObjectWriter::Commit, on the caller's thread
  const DurationHistogram& warm_reads() const {
    return warm_reads_;
  }  ///< a chunk found in RAM, from Find on
  const DurationHistogram& cold_reads() const {
    return cold_reads_;
  }  ///< the first chunk, when the disk was asked

 private:
  struct Slot;
  void Write();
  void Read(uint64_t seed, double rate);
  void Drift();
  void Step(Slot& slot);
  void Finish(Slot& slot);
  uint32_t NextObject();
  void Ask(uint32_t number);
  std::optional<bool> AskBody(uint32_t number, const storage::HeadRef& head, MonoTime since,
                              bool cold);
  static void Pace(double units, double rate, MonoTime& due);

  storage::CacheStore& store_;
  const Catalogue& catalogue_;
  const Rates rates_;
  Random random_;
  Popularity popularity_;
  ChurnCounts counts_;
  DurationHistogram commits_, warm_reads_, cold_reads_;
  std::atomic<bool> stop_{false};
  std::mutex wanted_mutex_;
  std::vector<uint32_t> wanted_;  ///< missed: the writer brings these first
  std::vector<std::thread> threads_;
};

/// A process that now and then takes a snapshot of a store's bodies and sits on it, as a forgotten
/// mdb_copy would.
class Staller {
 public:
  /// Forks: before any thread is made.
  Staller();
  ~Staller();
  /// The store in `folder` is open: from now on every `period` a snapshot for `hold`.
  void Begin(const std::string& folder, uint64_t map_bytes, seconds period, milliseconds hold);

 private:
  int pid_ = 0;
  int order_ = -1;
};

}  // namespace nearside::bench
