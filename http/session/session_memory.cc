#include "http/session/session_memory.h"

#include <malloc.h>

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
  if (bytes >= kLeastFrame && bytes <= kFrameBytes) return latest_frame_ = frames_.Take();
  return std::malloc(bytes);
}

void* SessionMemory::AllocateZeroed(size_t count, size_t bytes) {
  if (bytes != 0 && count > std::numeric_limits<size_t>::max() / bytes) return nullptr;
  const size_t all = count * bytes;
  void* block = all == kTableBytes ? latest_table_ = tables_.Take() : Allocate(all);
  if (block != nullptr) std::memset(block, 0, all);
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
  if (frames_.Has(block)) return frames_.Free(block);
  if (tables_.Has(block)) return tables_.Free(block);
  // Rounded down: a block may be used for less than it has, never for more.
  const size_t place = ClassOf(malloc_usable_size(block));
  if (place >= kClasses || kept_bytes_ + place * kStep > kMostKept) return std::free(block);
  auto* freed = static_cast<FreeBlock*>(block);
  freed->next = free_[place];
  free_[place] = freed;
  kept_bytes_ += place * kStep;
}

size_t SessionMemory::CapacityOf(void* block) const {
  if (frames_.Has(block)) return kFrameBytes;
  return tables_.Has(block) ? kTableBytes : malloc_usable_size(block);
}

void SessionMemory::GiveBackEmptyTable(void* table) {
  static constexpr std::array<uint8_t, kTableBytes> kEmpty{};
  if (std::memcmp(table, kEmpty.data(), kTableBytes) == 0) {
    PagePool::GiveBackPages(table, kTableBytes);
  }
}

void SessionMemory::BeginTrim() {
  frames_.BeginTrim();
  tables_.BeginTrim();
}

bool SessionMemory::Trim() {
  const bool more = frames_.Trim();
  return tables_.Trim() || more;
}

}  // namespace nearside::http
