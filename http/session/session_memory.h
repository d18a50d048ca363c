#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "http/session/page_pool.h"

namespace nearside::http {

/// What nghttp2 allocates from, for all sessions of a loop. One thread; the sessions keep it alive.
///
/// Three things about nghttp2 make it worth the while (docs/performance.md). It takes some twenty
/// small blocks for a stream, more at a time than the C library keeps at hand for one size. Each
/// session holds a buffer for one whole frame, of which small frames touch the first page alone.
/// And each holds a hash table of its streams, a page that is zero while there are none. Both lie
/// on pages of their own, so that what is not in use of them takes no memory.
class SessionMemory {
 public:
  /// Free small blocks that are kept, in bytes.
  static constexpr size_t kMostKept = size_t{1} << 20;
  /// Larger blocks are the C library's.
  static constexpr size_t kMostSmall = 1024;
  /// A frame buffer: 16 KiB and a frame's head, in whole pages.
  static constexpr size_t kFrameBytes = 5 * PagePool::kPageBytes;
  /// A new session's table of streams in nghttp2 1.52: 256 places of 16 bytes.
  static constexpr size_t kTableBytes = PagePool::kPageBytes;

  SessionMemory();
  ~SessionMemory();
  SessionMemory(const SessionMemory&) = delete;
  SessionMemory& operator=(const SessionMemory&) = delete;

  /// For nghttp2_session_*_new3. Null (nghttp2's own way) where AddressSanitizer is to see every
  /// block.
  nghttp2_mem* functions();

  /// As malloc, calloc, realloc and free.
  void* Allocate(size_t bytes);
  void* AllocateZeroed(size_t count, size_t bytes);
  void* Reallocate(void* block, size_t bytes);
  void Free(void* block);

  /// The frame buffer and the table that were allocated since the last call: of the session that
  /// has just been made. Null if there is none.
  void* TakeLatestFrame() { return std::exchange(latest_frame_, nullptr); }
  void* TakeLatestTable() { return std::exchange(latest_table_, nullptr); }
  /// Nobody needs what is in the frame buffer `frame`: it takes no memory until it is written to.
  static void GiveBackFrame(void* frame) { PagePool::GiveBackPages(frame, kFrameBytes); }
  /// The same for a table that is all zeros; another one is left alone. Nobody can tell: even where
  /// the session has a larger table by now, and this one is another's.
  static void GiveBackEmptyTable(void* table);

  /// PagePool's, of frame buffers and tables.
  void BeginTrim();
  bool Trim();
  bool HasSurplus() const { return frames_.HasSurplus() || tables_.HasSurplus(); }

  size_t kept_bytes() const { return kept_bytes_; }

 private:
  /// A free block: its own memory holds the list.
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr size_t kStep = 16;       ///< between the C library's block sizes
  static constexpr size_t kLeastClass = 2;  ///< the C library has no smaller blocks
  static constexpr size_t kClasses = kMostSmall * 2 / kStep;

  /// The class of a block of which `usable` bytes may be used.
  static size_t ClassOf(size_t usable) { return (usable + kStep / 2) / kStep; }
  /// What is asked for where a block of `place` is wanted.
  static size_t BytesOf(size_t place) { return place * kStep - kStep / 2; }
  size_t CapacityOf(void* block) const;

  /// The class that the allocator's block for a class has: jemalloc's are further apart.
  std::array<uint8_t, kMostSmall / kStep + 2> class_of_{};
  std::array<FreeBlock*, kClasses> free_{};
  size_t kept_bytes_ = 0;
  PagePool frames_{kFrameBytes / PagePool::kPageBytes};
  PagePool tables_{kTableBytes / PagePool::kPageBytes};
  void* latest_frame_ = nullptr;
  void* latest_table_ = nullptr;
  nghttp2_mem functions_;
};

}  // namespace nearside::http
