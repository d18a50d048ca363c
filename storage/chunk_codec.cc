#include "storage/chunk_codec.h"

#include "storage/stored_integer.h"

namespace nearside::storage {

namespace {

constexpr size_t kIndexAt = 8;
constexpr size_t kLowAt = kChunkPrefixBytes;
constexpr size_t kHighAt = kChunkPrefixBytes + 8;

}  // namespace

uint64_t ChunkName::hash() const {
  // A multiplicative mix (Steele, Vigna 2021 give such constants): ids and indexes are small
  // numbers in a row.
  uint64_t mixed =
      (object_id * 0x9e3779b97f4a7c15u) ^ ((uint64_t{index} + 1) * 0xd1342543de82ef95u);
  mixed ^= mixed >> 32;
  mixed *= 0x9e3779b97f4a7c15u;
  return mixed ^ (mixed >> 29);
}

ChunkPrefix EncodeChunkPrefix(ChunkName name) {
  ChunkPrefix prefix;
  PutBig(prefix.data(), name.object_id);
  PutBig(prefix.data() + kIndexAt, name.index);
  return prefix;
}

ChunkKey EncodeChunkKey(ChunkName name, Hash128 checksum) {
  ChunkKey key;
  PutBig(key.data(), name.object_id);
  PutBig(key.data() + kIndexAt, name.index);
  PutLittle(key.data() + kLowAt, checksum.low);
  PutLittle(key.data() + kHighAt, checksum.high);
  return key;
}

std::optional<DecodedChunkKey> DecodeChunkKey(Bytes key) {
  if (key.size() != kChunkKeyBytes) return std::nullopt;
  const uint8_t* at = key.data();
  return DecodedChunkKey{
      .name = {.object_id = GetBig<uint64_t>(at), .index = GetBig<uint32_t>(at + kIndexAt)},
      .checksum = {.low = GetLittle<uint64_t>(at + kLowAt),
                   .high = GetLittle<uint64_t>(at + kHighAt)}};
}

Hash128 ChunkChecksum(ChunkName name, Bytes bytes) {
  std::array<uint8_t, 16> bound;
  PutLittle(bound.data(), name.object_id);
  PutLittle(bound.data() + 8, name.index);
  PutLittle(bound.data() + 12, static_cast<uint32_t>(bytes.size()));
  return Xxh128(bytes, Xxh64(bound));
}

}  // namespace nearside::storage
