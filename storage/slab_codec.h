#pragma once

// What is shorter than a whole chunk lies beside others in a slab, a value of the same 16 pages: so
// all that the chunks' map takes and gives back are single pages and runs of one length, and its
// free list does not fill with runs that nothing fits (docs/decisions/storage-layout.md). Pure.
//
// A slab is filled with bytes from its front; from its end with one entry for each part: whose it
// is, so that what still lives can be found again when the slab is to be emptied.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/chunk_codec.h"

namespace nearside::storage {

inline constexpr size_t kSlabBytes = kChunkBytes;
/// What a part costs beside its bytes.
inline constexpr size_t kSlabEntryBytes = 24;
/// At the end of a slab: how many entries it has.
inline constexpr size_t kSlabTrailerBytes = 8;
inline constexpr size_t kMostPartBytes = kSlabBytes - kSlabTrailerBytes - kSlabEntryBytes;
/// A tail is cut at the end of a slab rather than leave more than this unused.
inline constexpr size_t kLeastPartBytes = 1024;
/// So many pieces a tail may have: it is longer than what a slab holds, or cut at the end of one.
inline constexpr size_t kMostParts = 2;

/// Where bytes of a tail lie.
struct SlabPart {
  uint64_t slab_id = 0;
  uint32_t offset = 0;  ///< in the slab
  uint32_t bytes = 0;
  bool operator==(const SlabPart&) const = default;
  /// What it takes of its slab.
  uint64_t cost() const { return uint64_t{bytes} + kSlabEntryBytes; }
};

/// The value of a tail's row: its parts in order, 16 bytes each.
std::string EncodeParts(std::span<const SlabPart> parts);
/// Nothing when the bytes are no such row.
std::optional<std::vector<SlabPart>> DecodeParts(Bytes bytes);

/// Slab id, big-endian, then the checksum of all its bytes.
inline constexpr size_t kSlabPrefixBytes = 8;
inline constexpr size_t kSlabKeyBytes = kSlabPrefixBytes + 16;
std::array<uint8_t, kSlabPrefixBytes> EncodeSlabPrefix(uint64_t slab_id);
std::array<uint8_t, kSlabKeyBytes> EncodeSlabKey(uint64_t slab_id, Hash128 checksum);
struct DecodedSlabKey {
  uint64_t slab_id = 0;
  Hash128 checksum;
};
/// Nothing when the key has another length.
std::optional<DecodedSlabKey> DecodeSlabKey(Bytes key);
Hash128 SlabChecksum(uint64_t slab_id, Bytes bytes);

/// Slabs are found by how little of them lives: eighths of their bytes, rounded up.
inline constexpr uint8_t kFullSlab = 8;
constexpr uint8_t SlabEighths(uint64_t live_bytes) {
  const uint64_t eighths = (live_bytes * kFullSlab + kSlabBytes - 1) / kSlabBytes;
  return static_cast<uint8_t>(eighths < kFullSlab ? eighths : kFullSlab);
}
inline constexpr size_t kSlabOrderBytes = 1 + kSlabPrefixBytes;
/// Eighths, then the slab's id, big-endian.
std::array<uint8_t, kSlabOrderBytes> EncodeSlabOrder(uint8_t eighths, uint64_t slab_id);
/// The slab's id and its eighths; nothing when the key has another length.
struct DecodedSlabOrder {
  uint8_t eighths = 0;
  uint64_t slab_id = 0;
};
std::optional<DecodedSlabOrder> DecodeSlabOrder(Bytes key);

struct SlabEntry {
  ChunkName tail;
  uint32_t offset = 0;
  uint32_t bytes = 0;
  bool operator==(const SlabEntry&) const = default;
};

/// A slab while it is filled. Copies as a value.
class SlabBuilder {
 public:
  /// The longest part that still fits, 0 when none does.
  size_t room() const;
  /// Appends one part. `bytes` are at most room(). Its offset.
  uint32_t Add(ChunkName tail, Bytes bytes);
  bool empty() const { return entries_ == 0; }
  /// The slab as it is to be stored: kSlabBytes, zero where it is not filled. Valid until Add or
  /// Clear; parts may still be added.
  Bytes Finish();
  /// Empty again, in the same memory.
  void Clear() { end_ = entries_ = 0; }

 private:
  /// Between the parts and the entries lies anything until Finish: the next slab is filled in
  /// memory that is in the processor's caches, and not cleared first.
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kSlabBytes);
  size_t end_ = 0;  ///< of the parts' bytes
  size_t entries_ = 0;
};

/// The entries of a slab; nothing when the bytes are none.
std::optional<std::vector<SlabEntry>> DecodeSlab(Bytes bytes);

}  // namespace nearside::storage
