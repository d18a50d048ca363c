#include "runtime/chunk.h"

#include <algorithm>
#include <new>

#include "runtime/fatal.h"

namespace nearside {

static_assert(sizeof(Chunk) == 16, "a full chunk and its head are 64 KiB together");

ChunkRef Chunk::Make(size_t capacity) {
  if (capacity > kChunkBytes) Fatal("a chunk larger than kChunkBytes was asked for");
  void* memory = ::operator new(sizeof(Chunk) + capacity);
  return ChunkRef(new (memory) Chunk(static_cast<uint32_t>(capacity)));
}

ChunkRef Chunk::Copy(std::span<const uint8_t> bytes) {
  ChunkRef chunk = Make(bytes.size());
  chunk->Append(bytes);
  return chunk;
}

size_t Chunk::Append(std::span<const uint8_t> bytes) {
  const size_t taken = std::min<size_t>(bytes.size(), room());
  if (taken == 0) return 0;  // memcpy must not see an empty span's null
  std::memcpy(mutable_data() + size_, bytes.data(), taken);
  size_ += static_cast<uint32_t>(taken);
  return taken;
}

void Chunk::Destroy(Chunk* chunk) {
  chunk->~Chunk();
  ::operator delete(static_cast<void*>(chunk));
}

}  // namespace nearside
