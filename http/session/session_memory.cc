#include "http/session/session_memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

namespace nearside::http {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPlain = true;
#else
constexpr bool kPlain = false;
#endif

constexpr size_t kPageBytes = 4096;
/// What nghttp2 1.52 takes for a session's frame buffer: the largest payload, a head and a pad
/// length.
constexpr size_t kLeastFrame = 16'384;

SessionMemory& MemoryOf(void* user_data) { return *static_cast<SessionMemory*>(user_data); }

}  // namespace

SessionMemory::SessionMemory()
    : functions_{.mem_user_data = this,
                 .malloc = [](size_t bytes, void* self) { return MemoryOf(self).Allocate(bytes); },
                 .free = [](void* block, void* self) { MemoryOf(self).Free(block); },
                 .calloc = [](size_t count, size_t bytes,
                              void* self) { return MemoryOf(self).AllocateZeroed(count, bytes); },
                 .realloc = [](void* block, size_t bytes,
                               void* self) { return MemoryOf(self).Reallocate(block, bytes); }} {
  for (size_t place = kLeastClass; place < class_of_.size(); ++place) {
    void* block = std::malloc(BytesOf(place));
    const size_t actual = ClassOf(malloc_usable_size(block));
    class_of_[place] = static_cast<uint8_t>(std::clamp(actual, place, kClasses - 1));
    std::free(block);
  }
}

SessionMemory::~SessionMemory() {
  for (FreeBlock* block : free_) {
    while (block != nullptr) std::free(std::exchange(block, block->next));
  }
  for (uint8_t* slab : slabs_) munmap(slab, kFramesASlab * kFrameBytes);
}

nghttp2_mem* SessionMemory::functions() { return kPlain ? nullptr : &functions_; }

void* SessionMemory::Allocate(size_t bytes) {
  if (bytes <= kMostSmall) {
    const size_t wanted = std::max(kLeastClass, ClassOf(bytes + kStep - 1));
    const size_t place = class_of_[wanted];
    if (FreeBlock* block = free_[place]) {
      free_[place] = block->next;
      kept_bytes_ -= place * kStep;
      return block;
    }
    return std::malloc(BytesOf(wanted));
  }
  if (bytes >= kLeastFrame && bytes <= kFrameBytes) return AllocateFrame();
  return std::malloc(bytes);
}

void* SessionMemory::AllocateZeroed(size_t count, size_t bytes) {
  if (bytes != 0 && count > std::numeric_limits<size_t>::max() / bytes) return nullptr;
  void* block = Allocate(count * bytes);
  if (block != nullptr) std::memset(block, 0, count * bytes);
  return block;
}

void* SessionMemory::Reallocate(void* block, size_t bytes) {
  if (block == nullptr) return Allocate(bytes);
  const size_t capacity = CapacityOf(block);
  if (bytes <= capacity) return block;
  void* larger = Allocate(bytes);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, capacity);
  Free(block);
  return larger;
}

void SessionMemory::Free(void* block) {
  if (block == nullptr) return;
  if (IsFrame(block)) return FreeFrame(block);
  // Rounded down: a block may be used for less than it has, never for more.
  const size_t place = ClassOf(malloc_usable_size(block));
  if (place >= kClasses || kept_bytes_ + place * kStep > kMostKept) return std::free(block);
  auto* freed = static_cast<FreeBlock*>(block);
  freed->next = free_[place];
  free_[place] = freed;
  kept_bytes_ += place * kStep;
}

size_t SessionMemory::CapacityOf(void* block) const {
  return IsFrame(block) ? kFrameBytes : malloc_usable_size(block);
}

void* SessionMemory::AllocateFrame() {
  if (free_frames_.empty() && !AddSlab()) return nullptr;
  latest_frame_ = free_frames_.back();
  free_frames_.pop_back();
  if (warm_ > 0) --warm_;
  least_warm_ = std::min(least_warm_, warm_);
  return latest_frame_;
}

void SessionMemory::FreeFrame(void* block) {
  free_frames_.push_back(block);
  ++warm_;
}

void SessionMemory::BeginTrim() {
  surplus_ = least_warm_ - std::min(least_warm_, kKeptWarm);
  least_warm_ = warm_;
}

bool SessionMemory::Trim() {
  surplus_ = std::min(surplus_, least_warm_);  // the others have been wanted meanwhile
  const size_t count = std::min(surplus_, kMostTrimmed);
  // Those that have been free for longest.
  const size_t first = free_frames_.size() - warm_;
  for (size_t i = first; i < first + count; ++i) GiveBackPages(free_frames_[i]);
  warm_ -= count;
  least_warm_ -= count;
  surplus_ -= count;
  return surplus_ > 0;
}

void SessionMemory::GiveBackPages(void* frame) { madvise(frame, kFrameBytes, MADV_DONTNEED); }

bool SessionMemory::AddSlab() {
  constexpr size_t kSlabBytes = kFramesASlab * kFrameBytes;
  void* mapped = mmap(nullptr, kSlabBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  madvise(mapped, kSlabBytes, MADV_NOHUGEPAGE);  // one large page would be all of it
  auto* slab = static_cast<uint8_t*>(mapped);
  slabs_.push_back(slab);
  // Room for all that may come back, so that FreeFrame never allocates.
  free_frames_.reserve(slabs_.size() * kFramesASlab);
  for (size_t i = kFramesASlab; i > 0; --i) free_frames_.push_back(slab + (i - 1) * kFrameBytes);
  return true;
}

bool SessionMemory::IsFrame(const void* block) const {
  if (reinterpret_cast<uintptr_t>(block) % kPageBytes != 0) return false;
  const auto* at = static_cast<const uint8_t*>(block);
  return std::any_of(slabs_.begin(), slabs_.end(), [at](const uint8_t* slab) {
    return at >= slab && at < slab + kFramesASlab * kFrameBytes;
  });
}

}  // namespace nearside::http
