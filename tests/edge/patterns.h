#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "edge/fill.h"
#include "runtime/chunk.h"
#include "runtime/text_bytes.h"

namespace nearside::edge {

/// Bytes that tell their place, so that a hole or a swap shows.
inline std::string Pattern(uint64_t size, uint64_t from = 0) {
  std::string text(size, '\0');
  for (uint64_t i = 0; i < size; ++i) {
    text[i] = static_cast<char>((from + i) * 2'654'435'761u >> 16);
  }
  return text;
}

inline std::string_view TextOf(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What a reader at `position` can read of a fill now.
inline std::string ReadAll(const Fill& fill, uint64_t position = 0) {
  std::string text;
  while (true) {
    const Fill::Piece piece = fill.Look(position);
    if (piece.state != Fill::Piece::State::kReady) return text;
    const uint64_t offset = position % kChunkBytes;
    text.append(reinterpret_cast<const char*>(piece.chunk->data()) + offset, piece.valid - offset);
    position += piece.valid - offset;
  }
}

}  // namespace nearside::edge
