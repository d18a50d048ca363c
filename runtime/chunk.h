#pragma once

// Bodies travel as lists of reference-counted chunks, never as one string: from the origin's socket
// into the RAM tier and LMDB, and from there to any number of clients at once, without a copy
// between.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace nearside {

/// The payload of a full chunk. 65,520 = 4096·16 − 16 fills whole LMDB overflow pages (16 is their
/// header), so that a store of chunks does not fragment (docs/decisions/storage-layout.md).
inline constexpr size_t kChunkBytes = 65'520;

class ChunkRef;

/// One block of bytes with an intrusive reference count. While one party fills it, only that party
/// may hold a reference that writes; once shared across threads, the first `size()` bytes never
/// change.
class alignas(16) Chunk {  // and so the payload after it
 public:
  /// An empty chunk that can take `capacity` bytes (at most kChunkBytes). Aborts on exhausted
  /// memory, as operator new does.
  static ChunkRef Make(size_t capacity);
  /// A full chunk with a copy of `bytes` (at most kChunkBytes).
  static ChunkRef Copy(std::span<const uint8_t> bytes);

  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(this + 1); }
  uint8_t* mutable_data() { return reinterpret_cast<uint8_t*>(this + 1); }
  uint32_t size() const { return size_; }
  uint32_t capacity() const { return capacity_; }
  uint32_t room() const { return capacity_ - size_; }
  std::span<const uint8_t> bytes() const { return {data(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data()), size_}; }
  /// What the chunk takes in memory.
  size_t charge() const;

  /// Takes as many of `bytes` as there is room for and returns how many. Only before it is shared.
  size_t Append(std::span<const uint8_t> bytes);
  /// Says that `n` bytes were written at data()+size(). Only before it is shared.
  void Extend(size_t n) { size_ += static_cast<uint32_t>(n); }

  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

 private:
  friend class ChunkRef;
  explicit Chunk(uint32_t capacity) : capacity_(capacity) {}
  ~Chunk() = default;
  static void Destroy(Chunk* chunk);

  std::atomic<uint32_t> references_{0};
  uint32_t capacity_;
  uint32_t size_ = 0;
};

/// A counted reference to a Chunk. Copies are one relaxed atomic add; any thread.
class ChunkRef {
 public:
  ChunkRef() = default;
  explicit ChunkRef(Chunk* chunk) : chunk_(chunk) { Hold(); }
  ChunkRef(const ChunkRef& other) : chunk_(other.chunk_) { Hold(); }
  ChunkRef(ChunkRef&& other) noexcept : chunk_(std::exchange(other.chunk_, nullptr)) {}
  ChunkRef& operator=(ChunkRef other) noexcept {
    std::swap(chunk_, other.chunk_);
    return *this;
  }
  ~ChunkRef() { Drop(); }

  explicit operator bool() const { return chunk_ != nullptr; }
  Chunk* operator->() const { return chunk_; }
  Chunk& operator*() const { return *chunk_; }
  Chunk* get() const { return chunk_; }

 private:
  void Hold() {
    if (chunk_ != nullptr) chunk_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  void Drop() {
    if (chunk_ != nullptr && chunk_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      Chunk::Destroy(chunk_);
    }
  }
  Chunk* chunk_ = nullptr;
};

}  // namespace nearside
