#include "runtime/chunk.h"

#include <algorithm>
#include <new>

#include "runtime/chunk_memory.h"
#include "runtime/fatal.h"

namespace nearside {

static_assert(sizeof(Chunk) == 16, "a full chunk and its head are 64 KiB together");

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kRegions = false;  // it is to see each chunk's end
#else
constexpr bool kRegions = true;
#endif
/// Up to this size an allocator's classes are near each other, and its blocks share pages.
constexpr size_t kMostOutsideRegions = 4096;

bool LiesInRegion(size_t bytes) { return kRegions && bytes > kMostOutsideRegions; }

}  // namespace

ChunkRef Chunk::Make(size_t capacity) {
  if (capacity > kChunkBytes) Fatal("a chunk larger than kChunkBytes was asked for");
  const size_t bytes = sizeof(Chunk) + capacity;
  void* memory = LiesInRegion(bytes) ? ChunkMemory::Get().Take(bytes) : ::operator new(bytes);
  return ChunkRef(new (memory) Chunk(static_cast<uint32_t>(capacity)));
}

ChunkRef Chunk::Copy(std::span<const uint8_t> bytes) {
  ChunkRef chunk = Make(bytes.size());
  chunk->Append(bytes);
  return chunk;
}

size_t Chunk::charge() const {
  const size_t bytes = sizeof(Chunk) + capacity_;
  return LiesInRegion(bytes) ? ChunkMemory::CostOf(bytes) : bytes;
}

size_t Chunk::Append(std::span<const uint8_t> bytes) {
  const size_t taken = std::min<size_t>(bytes.size(), room());
  if (taken == 0) return 0;  // memcpy must not see an empty span's null
  std::memcpy(mutable_data() + size_, bytes.data(), taken);
  size_ += static_cast<uint32_t>(taken);
  return taken;
}

void Chunk::Destroy(Chunk* chunk) {
  const size_t bytes = sizeof(Chunk) + chunk->capacity_;
  chunk->~Chunk();
  if (LiesInRegion(bytes)) {
    ChunkMemory::Get().GiveBack(chunk, bytes);
  } else {
    ::operator delete(static_cast<void*>(chunk));
  }
}

}  // namespace nearside
