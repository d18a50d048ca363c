#pragma once

#include <cstdint>
#include <deque>
#include <span>

#include "runtime/chunk.h"

namespace nearside::edge {

/// Bytes on their way between two sessions, in chunks that small pieces share. Empty it holds no
/// memory. One thread.
class ByteQueue {
 public:
  void Push(std::span<const uint8_t> bytes);
  /// The contiguous bytes at the front, valid until Pop or Clear; empty when there are none.
  std::span<const uint8_t> Front() const;
  /// The first `n` bytes of Front() are done with.
  void Pop(size_t n);
  void Clear();
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::deque<ChunkRef> chunks_;
  size_t offset_ = 0;  ///< taken of the front chunk
  size_t size_ = 0;
};

}  // namespace nearside::edge
