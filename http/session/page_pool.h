#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nearside::http {

/// Blocks of whole pages, all of one size, cut from slabs of their own. A page takes no memory
/// until it is written to, and again once it was given back. One thread.
class PagePool {
 public:
  static constexpr size_t kPageBytes = 4096;
  /// So many free blocks keep their pages for ever, what is over them until Trim.
  static constexpr size_t kKeptWarm = 16;
  /// Of so many Trim gives back the pages at a time: the loop serves others between.
  static constexpr size_t kMostTrimmed = 128;

  explicit PagePool(size_t pages) : block_bytes_(pages * kPageBytes) {}
  ~PagePool();  ///< whatever is still taken goes with it
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// Its bytes are those of whoever had it last, or zero. Null: the system has no memory.
  void* Take();
  void Free(void* block);
  /// Whether `block` is one of this pool's. At once for most others: they begin inside a page.
  bool Has(const void* block) const {
    return reinterpret_cast<uintptr_t>(block) % kPageBytes == 0 && IsInSlab(block);
  }
  size_t block_bytes() const { return block_bytes_; }

  /// Begins to count anew how many free blocks nobody wants: those that stay free from one call to
  /// the next are surplus, and Trim may give back their pages.
  void BeginTrim();
  /// Gives back pages of surplus blocks. Whether there are more.
  bool Trim();
  /// Whether BeginTrim is to be called again, a while from now.
  bool HasSurplus() const { return warm_ > kKeptWarm; }

  /// Nobody needs what is in these whole pages: they take no memory, and are zero when next read.
  static void GiveBackPages(void* begin, size_t bytes);

 private:
  static constexpr size_t kBlocksASlab = 64;

  size_t slab_bytes() const { return kBlocksASlab * block_bytes_; }
  bool IsInSlab(const void* block) const;
  bool AddSlab();

  const size_t block_bytes_;
  std::vector<uint8_t*> slabs_;  ///< by address
  std::vector<void*> free_;      ///< the last at its end is the next to be used
  size_t warm_ = 0;              ///< so many at its end may have pages
  size_t least_warm_ = 0;        ///< since BeginTrim
  size_t surplus_ = 0;
};

}  // namespace nearside::http
