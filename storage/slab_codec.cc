#include "storage/slab_codec.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "storage/stored_integer.h"

namespace nearside::storage {

namespace {

constexpr size_t kPartBytes = 16;
constexpr size_t kPartOffsetAt = 8;
constexpr size_t kPartLengthAt = 12;
constexpr size_t kEntryIndexAt = 8;
constexpr size_t kEntryOffsetAt = 12;
constexpr size_t kEntryLengthAt = 16;
constexpr size_t kEntryZeroAt = 20;
constexpr size_t kCountAt = kSlabBytes - kSlabTrailerBytes;

/// Where entry `number` begins: they grow from the end of the slab to its front.
constexpr size_t EntryAt(size_t number) { return kCountAt - (number + 1) * kSlabEntryBytes; }

}  // namespace

std::string EncodeParts(std::span<const SlabPart> parts) {
  std::string text(parts.size() * kPartBytes, '\0');
  auto* at = reinterpret_cast<uint8_t*>(text.data());
  for (const SlabPart& part : parts) {
    PutLittle(at, part.slab_id);
    PutLittle(at + kPartOffsetAt, part.offset);
    PutLittle(at + kPartLengthAt, part.bytes);
    at += kPartBytes;
  }
  return text;
}

std::optional<std::vector<SlabPart>> DecodeParts(Bytes bytes) {
  const size_t count = bytes.size() / kPartBytes;
  if (bytes.size() % kPartBytes != 0 || count == 0 || count > kMostParts) return std::nullopt;
  std::vector<SlabPart> parts;
  for (const uint8_t* at = bytes.data(); at != bytes.data() + bytes.size(); at += kPartBytes) {
    const SlabPart part{.slab_id = GetLittle<uint64_t>(at),
                        .offset = GetLittle<uint32_t>(at + kPartOffsetAt),
                        .bytes = GetLittle<uint32_t>(at + kPartLengthAt)};
    if (part.bytes == 0 || uint64_t{part.offset} + part.bytes > kCountAt) return std::nullopt;
    parts.push_back(part);
  }
  return parts;
}

std::array<uint8_t, kSlabPrefixBytes> EncodeSlabPrefix(uint64_t slab_id) {
  std::array<uint8_t, kSlabPrefixBytes> prefix;
  PutBig(prefix.data(), slab_id);
  return prefix;
}

std::array<uint8_t, kSlabKeyBytes> EncodeSlabKey(uint64_t slab_id, Hash128 checksum) {
  std::array<uint8_t, kSlabKeyBytes> key;
  PutBig(key.data(), slab_id);
  PutLittle(key.data() + kSlabPrefixBytes, checksum.low);
  PutLittle(key.data() + kSlabPrefixBytes + 8, checksum.high);
  return key;
}

std::optional<DecodedSlabKey> DecodeSlabKey(Bytes key) {
  if (key.size() != kSlabKeyBytes) return std::nullopt;
  return DecodedSlabKey{
      .slab_id = GetBig<uint64_t>(key.data()),
      .checksum = {.low = GetLittle<uint64_t>(key.data() + kSlabPrefixBytes),
                   .high = GetLittle<uint64_t>(key.data() + kSlabPrefixBytes + 8)}};
}

Hash128 SlabChecksum(uint64_t slab_id, Bytes bytes) {
  return ChunkChecksum({.object_id = slab_id, .index = 0}, bytes);
}

std::array<uint8_t, kSlabOrderBytes> EncodeSlabOrder(uint8_t eighths, uint64_t slab_id) {
  std::array<uint8_t, kSlabOrderBytes> key;
  key[0] = eighths;
  PutBig(key.data() + 1, slab_id);
  return key;
}

std::optional<DecodedSlabOrder> DecodeSlabOrder(Bytes key) {
  if (key.size() != kSlabOrderBytes) return std::nullopt;
  return DecodedSlabOrder{.eighths = key[0], .slab_id = GetBig<uint64_t>(key.data() + 1)};
}

size_t SlabBuilder::room() const {
  const size_t entry_end = EntryAt(entries_);
  return entry_end > end_ && entry_end <= kCountAt ? entry_end - end_ : 0;
}

uint32_t SlabBuilder::Add(ChunkName tail, Bytes bytes) {
  assert(!bytes.empty() && bytes.size() <= room());
  const auto offset = static_cast<uint32_t>(end_);
  std::memcpy(bytes_.data() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
  uint8_t* entry = bytes_.data() + EntryAt(entries_++);
  PutLittle(entry, tail.object_id);
  PutLittle(entry + kEntryIndexAt, tail.index);
  PutLittle(entry + kEntryOffsetAt, offset);
  PutLittle(entry + kEntryLengthAt, static_cast<uint32_t>(bytes.size()));
  PutLittle(entry + kEntryZeroAt, uint32_t{0});
  return offset;
}

Bytes SlabBuilder::Finish() {
  const auto entries =
      bytes_.begin() + static_cast<ptrdiff_t>(kCountAt - entries_ * kSlabEntryBytes);
  std::fill(bytes_.begin() + static_cast<ptrdiff_t>(end_), entries, uint8_t{0});
  PutLittle(bytes_.data() + kCountAt, uint64_t{entries_});
  return bytes_;
}

std::optional<std::vector<SlabEntry>> DecodeSlab(Bytes bytes) {
  if (bytes.size() != kSlabBytes) return std::nullopt;
  const auto count = GetLittle<uint64_t>(bytes.data() + kCountAt);
  // An entry has at least one byte of its own.
  if (count > kCountAt / (kSlabEntryBytes + 1)) return std::nullopt;
  std::vector<SlabEntry> entries;
  entries.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* at = bytes.data() + EntryAt(i);
    const SlabEntry entry{.tail = {.object_id = GetLittle<uint64_t>(at),
                                   .index = GetLittle<uint32_t>(at + kEntryIndexAt)},
                          .offset = GetLittle<uint32_t>(at + kEntryOffsetAt),
                          .bytes = GetLittle<uint32_t>(at + kEntryLengthAt)};
    if (entry.bytes == 0 || uint64_t{entry.offset} + entry.bytes > EntryAt(count - 1)) {
      return std::nullopt;
    }
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace nearside::storage
