#include "runtime/chunk_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "runtime/fatal.h"

namespace nearside {

namespace {

constexpr size_t kUnits = ChunkMemory::kRegionBytes / ChunkMemory::kUnitBytes;
constexpr size_t kWordBits = 64;
constexpr size_t kHeadUnits = 1;
constexpr size_t kPageUnits = 4;
/// Pages that a region has not had yet are asked for with those of a block, at least so much at a
/// time: one call instead of a fault for each.
constexpr size_t kUnitsAhead = 64;
static_assert(kUnits % kPageUnits == 0 && kUnitsAhead % kPageUnits == 0);

constexpr size_t WholePages(size_t units) {
  return (units + kPageUnits - 1) / kPageUnits * kPageUnits;
}
size_t UnitsOf(size_t bytes) { return ChunkMemory::CostOf(bytes) / ChunkMemory::kUnitBytes; }

/// Which units are free: a bit for each.
class FreeMap {
 public:
  /// The next unit from `at` on that is free (kFree) or taken; kUnits: there is none.
  template <bool kFree>
  size_t Next(size_t at) const {
    while (at < kUnits) {
      const uint64_t word = kFree ? words_[at / kWordBits] : ~words_[at / kWordBits];
      const uint64_t rest = word >> (at % kWordBits);
      if (rest != 0) return at + static_cast<size_t>(std::countr_zero(rest));
      at = (at / kWordBits + 1) * kWordBits;
    }
    return kUnits;
  }
  /// The first unit of the free run that ends before `end`.
  size_t BeginOfRun(size_t end) const {
    size_t at = end;
    while (at > 0 && IsFree(at - 1)) {
      // A word at a time where all of it is free.
      const bool whole = at % kWordBits == 0 && words_[at / kWordBits - 1] == ~uint64_t{0};
      at -= whole ? kWordBits : 1;
    }
    return at;
  }
  void Flip(size_t from, size_t units) {
    for (size_t at = from; at < from + units;) {
      const size_t shift = at % kWordBits;
      const size_t count = std::min(kWordBits - shift, from + units - at);
      const uint64_t ones = count == kWordBits ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
      words_[at / kWordBits] ^= ones << shift;
      at += count;
    }
  }
  bool IsFree(size_t unit) const {
    return (words_[unit / kWordBits] >> (unit % kWordBits) & 1) != 0;
  }

 private:
  std::array<uint64_t, kUnits / kWordBits> words_{};
};

}  // namespace

/// The head of a region, in its first unit.
struct ChunkMemory::Region {
  Region() { free.Flip(kHeadUnits, kUnits - kHeadUnits); }

  static Region* Of(void* memory) {
    return reinterpret_cast<Region*>(reinterpret_cast<uintptr_t>(memory) & ~(kRegionBytes - 1));
  }
  void* At(size_t unit) { return reinterpret_cast<uint8_t*>(this) + unit * kUnitBytes; }
  size_t UnitOf(const void* memory) const {
    return static_cast<size_t>(static_cast<const uint8_t*>(memory) -
                               reinterpret_cast<const uint8_t*>(this)) /
           kUnitBytes;
  }
  bool all_free() const { return free_units == kUnits - kHeadUnits; }

  /// The first unit of the block. There is a run that is long enough.
  size_t Take(size_t units) {
    size_t begin = 0, best = kUnits + 1;
    size_t first = 0, second = 0;  // the longest runs
    for (size_t at = free.Next<true>(0); at < kUnits;) {
      const size_t end = free.Next<false>(at);
      const size_t length = end - at;
      if (length >= units && length < best) {
        begin = at;
        best = length;
      }
      second = std::max(second, std::min(first, length));
      first = std::max(first, length);
      at = free.Next<true>(end);
    }
    longest = std::max(best == first ? second : first, best - units);
    free.Flip(begin, units);
    free_units -= units;
    return begin;
  }

  void GiveBack(size_t begin, size_t units) {
    if (free.Next<true>(begin) < begin + units) Fatal("memory of a chunk was given back twice");
    free.Flip(begin, units);
    free_units += units;
    longest = std::max(longest, free.Next<false>(begin) - free.BeginOfRun(begin));
  }

  FreeMap free;
  size_t free_units = kUnits - kHeadUnits;
  size_t longest = kUnits - kHeadUnits;  ///< free run, in units
  size_t units_with_pages = kPageUnits;  ///< from the first on
  Region* next = nullptr;
  Region* previous = nullptr;
};

ChunkMemory& ChunkMemory::Get() {
  static ChunkMemory& memory = *new ChunkMemory;
  return memory;
}

ChunkMemory::~ChunkMemory() {
  while (free_ != nullptr) munmap(std::exchange(free_, free_->next), kRegionBytes);
  for (void* region : given_back_) munmap(region, kRegionBytes);
}

void* ChunkMemory::Take(size_t bytes) {
  const size_t units = UnitsOf(bytes);
  std::unique_lock lock(mutex_);
  Region* region = Choose(units);
  const size_t begin = region->Take(units);
  const size_t had_pages = region->units_with_pages;
  const bool wants_pages = begin + units > had_pages;
  const size_t has_pages =
      wants_pages ? std::min(WholePages(begin + units) + kUnitsAhead, kUnits) : had_pages;
  region->units_with_pages = has_pages;
  taken_units_ += units;
  Enlist(region);
  lock.unlock();
  // Where the system is too old for it, pages come one by one, when they are touched.
  if (wants_pages) {
    madvise(region->At(had_pages), (has_pages - had_pages) * kUnitBytes, MADV_POPULATE_WRITE);
  }
  return region->At(begin);
}

void ChunkMemory::GiveBack(void* memory, size_t bytes) noexcept {
  Region* region = Region::Of(memory);
  {
    const std::lock_guard lock(mutex_);
    if (region->longest > 0) Unlist(region);
    region->GiveBack(region->UnitOf(memory), UnitsOf(bytes));
    taken_units_ -= UnitsOf(bytes);
    const bool is_kept = !region->all_free() || free_regions_ < kMostKeptFree;
    if (is_kept) return Enlist(region);
  }
  // Nobody knows of the region meanwhile, and the lock is free.
  madvise(region, kRegionBytes, MADV_DONTNEED);
  const std::lock_guard lock(mutex_);
  given_back_.push_back(region);  // Map has seen to the room
}

ChunkMemory::Usage ChunkMemory::usage() const {
  const std::lock_guard lock(mutex_);
  return {.taken_bytes = taken_units_ * kUnitBytes,
          .region_bytes = (regions_ - given_back_.size()) * kRegionBytes};
}

/// A region with a free run of so many units, which is in no list any more.
ChunkMemory::Region* ChunkMemory::Choose(size_t units) {
  const uint64_t lists = not_empty_ >> (units - 1);
  Region* region =
      lists != 0 ? by_longest_[units - 1 + static_cast<size_t>(std::countr_zero(lists))] : free_;
  if (region == nullptr) return Map();
  Unlist(region);
  return region;
}

/// A new one, at an address that was used before if there is any. What the system maps begins at
/// any page: twice as much, less what is too much. The last place of those possible is next to what
/// was mapped before, and one mapping with it.
ChunkMemory::Region* ChunkMemory::Map() {
  if (!given_back_.empty()) {
    void* region = given_back_.back();
    given_back_.pop_back();
    return new (region) Region;
  }
  given_back_.reserve(std::bit_ceil(regions_ + 1));
  void* mapped = mmap(nullptr, 2 * kRegionBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<uint8_t*>(mapped);
  auto* region = reinterpret_cast<uint8_t*>(Region::Of(begin + kRegionBytes));
  const auto before = static_cast<size_t>(region - begin);
  if (before > 0) munmap(begin, before);
  if (before < kRegionBytes) munmap(region + kRegionBytes, kRegionBytes - before);
  ++regions_;
  return new (region) Region;
}

ChunkMemory::Region*& ChunkMemory::ListOf(const Region& region) {
  if (region.all_free()) return free_;
  return by_longest_[std::min(region.longest, kMostUnits) - 1];
}

void ChunkMemory::Enlist(Region* region) {
  if (region->longest == 0) return;
  Region*& list = ListOf(*region);
  region->previous = nullptr;
  region->next = list;
  if (list != nullptr) list->previous = region;
  list = region;
  if (&list == &free_) {
    ++free_regions_;
  } else {
    not_empty_ |= uint64_t{1} << (&list - by_longest_.data());
  }
}

void ChunkMemory::Unlist(Region* region) {
  Region*& list = ListOf(*region);
  if (region->next != nullptr) region->next->previous = region->previous;
  (region->previous != nullptr ? region->previous->next : list) = region->next;
  if (&list == &free_) {
    --free_regions_;
  } else if (list == nullptr) {
    not_empty_ &= ~(uint64_t{1} << (&list - by_longest_.data()));
  }
}

}  // namespace nearside
