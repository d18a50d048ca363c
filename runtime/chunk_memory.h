#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace nearside {

/// Memory of chunks larger than a page: nearly all that a cache holds in RAM. An allocator for all
/// purposes rounds such sizes up to classes and begins each on a page of its own: 16 KiB and a head
/// of 16 bytes took 24 KiB of jemalloc. Here they lie in regions of 2 MiB, to the nearest KiB.
///
/// Best fit: among the regions the one whose longest free run is the shortest that does, in it the
/// shortest run that does. A region of which all is free is kept for the next chunks if few others
/// are, else its pages go back to the system and its addresses stay. Any thread; one lock, held for
/// a look at 2,048 bits.
class ChunkMemory {
 public:
  static constexpr size_t kUnitBytes = 1024;
  static constexpr size_t kRegionBytes = size_t{2} << 20;
  static constexpr size_t kMostBytes = size_t{64} << 10;  ///< of one block
  static constexpr size_t kMostKeptFree = 4;              ///< regions

  struct Usage {
    uint64_t taken_bytes = 0;   ///< of blocks, in whole units
    uint64_t region_bytes = 0;  ///< of regions whose pages are not given back
  };

  /// That of the process. Never destroyed: chunks may outlive anything.
  static ChunkMemory& Get();

  /// What a block of so many bytes takes.
  static constexpr size_t CostOf(size_t bytes) {
    return (bytes + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
  }

  ChunkMemory() = default;
  /// All blocks are given back by then.
  ~ChunkMemory();
  ChunkMemory(const ChunkMemory&) = delete;
  ChunkMemory& operator=(const ChunkMemory&) = delete;

  /// A block of at least so many bytes (1 to kMostBytes), at a multiple of kUnitBytes. Throws
  /// std::bad_alloc where the system has none left.
  void* Take(size_t bytes);
  /// `bytes`: as it was taken with.
  void GiveBack(void* memory, size_t bytes) noexcept;

  Usage usage() const;

 private:
  struct Region;
  static constexpr size_t kMostUnits = kMostBytes / kUnitBytes;

  Region* Choose(size_t units);
  Region* Map();
  void Enlist(Region* region);
  void Unlist(Region* region);
  Region*& ListOf(const Region& region);

  mutable std::mutex mutex_;
  /// Lists, the last region put in first. By the longest free run in units, of regions that are
  /// taken in part: [0] has runs of one unit, the last one all that can take any block. Those
  /// without a free unit are in none.
  std::array<Region*, kMostUnits> by_longest_{};
  uint64_t not_empty_ = 0;  ///< a bit for each list of by_longest_
  Region* free_ = nullptr;  ///< nothing in them is taken
  size_t free_regions_ = 0;
  /// Addresses of regions without a page: one that stayed would have the kernel make a large one of
  /// it, where it does so by itself.
  std::vector<void*> given_back_;
  size_t regions_ = 0;  ///< these included
  size_t taken_units_ = 0;
};

}  // namespace nearside
