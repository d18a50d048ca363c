#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace nearside::http {

/// What nghttp2 allocates from, for all sessions of a loop. One thread; the sessions keep it alive.
///
/// Two things about nghttp2 make it worth the while (docs/performance.md). It takes some twenty
/// small blocks for a stream, more at a time than the C library keeps at hand for one size. And
/// each session holds a buffer for one whole frame, of which small frames touch the first page
/// alone: laid on pages of its own, the rest of it takes no memory.
class SessionMemory {
 public:
  /// Free small blocks that are kept, in bytes.
  static constexpr size_t kMostKept = size_t{1} << 20;
  /// Larger blocks are the C library's.
  static constexpr size_t kMostSmall = 1024;
  /// A frame buffer: 16 KiB and a frame's head, in whole pages.
  static constexpr size_t kFrameBytes = 5 * 4096;
  /// So many free frame buffers keep their pages for ever, what is over them until Trim.
  static constexpr size_t kKeptWarm = 16;
  /// Of so many Trim gives back the pages at a time: the loop serves others between.
  static constexpr size_t kMostTrimmed = 128;

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

  /// The frame buffer that was allocated since the last call: of the session that has just been
  /// made. Null if there is none.
  void* TakeLatestFrame() { return std::exchange(latest_frame_, nullptr); }
  /// Nobody needs what is in the frame buffer `frame`: it takes no memory until it is written to.
  static void GiveBackPages(void* frame);

  /// Begins to count anew how many free frame buffers nobody wants: those that stay free from one
  /// call to the next are surplus, and Trim may give back their pages.
  void BeginTrim();
  /// Gives back pages of surplus frame buffers. Whether there are more.
  bool Trim();
  /// Whether BeginTrim is to be called again, a while from now.
  bool HasSurplus() const { return warm_ > kKeptWarm; }

  size_t kept_bytes() const { return kept_bytes_; }

 private:
  /// A free block: its own memory holds the list.
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr size_t kStep = 16;       ///< between the C library's block sizes
  static constexpr size_t kLeastClass = 2;  ///< the C library has no smaller blocks
  static constexpr size_t kClasses = kMostSmall * 2 / kStep;
  static constexpr size_t kFramesASlab = 64;

  /// The class of a block of which `usable` bytes may be used.
  static size_t ClassOf(size_t usable) { return (usable + kStep / 2) / kStep; }
  /// What is asked for where a block of `place` is wanted.
  static size_t BytesOf(size_t place) { return place * kStep - kStep / 2; }
  void* AllocateFrame();
  void FreeFrame(void* block);
  bool AddSlab();
  bool IsFrame(const void* block) const;
  size_t CapacityOf(void* block) const;

  /// The class that the allocator's block for a class has: jemalloc's are further apart.
  std::array<uint8_t, kMostSmall / kStep + 2> class_of_{};
  std::array<FreeBlock*, kClasses> free_{};
  size_t kept_bytes_ = 0;
  void* latest_frame_ = nullptr;
  std::vector<uint8_t*> slabs_;
  std::vector<void*> free_frames_;  ///< the last at its end is the next to be used
  size_t warm_ = 0;                 ///< so many at its end may have pages
  size_t least_warm_ = 0;           ///< since BeginTrim
  size_t surplus_ = 0;
  nghttp2_mem functions_;
};

}  // namespace nearside::http
