#include "storage/head_codec.h"

#include <cstring>

#include "storage/stored_integer.h"

namespace nearside::storage {

namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kInlineFlag = 1;

// Offsets of the fixed part; all integers little-endian.
constexpr size_t kChecksumAt = 0;
constexpr size_t kVersionAt = 16;
constexpr size_t kFlagsAt = 17;
constexpr size_t kSegmentAt = 18;
constexpr size_t kScopeCountAt = 20;
constexpr size_t kPositionAt = 24;
constexpr size_t kObjectIdAt = 32;
constexpr size_t kBodyBytesAt = 40;
constexpr size_t kStoredAtAt = 48;
constexpr size_t kDropAtAt = 56;
constexpr size_t kPurgeSequenceAt = 64;
constexpr size_t kMetaBytesAt = 72;
constexpr size_t kInlineBytesAt = 76;
constexpr size_t kFixedBytes = 80;

/// The checksum covers everything after it and, by its seed, the key: a record under another's key
/// is wrong.
Hash128 ChecksumOf(const Key256& key, Bytes record) {
  return Xxh128(record.subspan(kVersionAt), Xxh64(key.bytes));
}

Head DecodeFixed(const Key256& key, const uint8_t* at) {
  Head head;
  head.key = key;
  head.object_id = GetLittle<uint64_t>(at + kObjectIdAt);
  head.body_bytes = GetLittle<uint64_t>(at + kBodyBytesAt);
  head.stored_at = FromUnixMillis(GetLittle<int64_t>(at + kStoredAtAt));
  head.drop_at = FromUnixMillis(GetLittle<int64_t>(at + kDropAtAt));
  head.purge_sequence = GetLittle<uint64_t>(at + kPurgeSequenceAt);
  return head;
}

}  // namespace

size_t EncodedBytes(const Head& head, size_t inline_bytes) {
  return kFixedBytes + head.scopes.size() * sizeof(ScopeHash) + head.meta.size() + inline_bytes;
}

std::string EncodeHead(const HeadRecord& record) {
  const Head& head = record.head;
  const Bytes body = record.inline_body.value_or(Bytes{});
  std::string text(EncodedBytes(head, body.size()), '\0');
  auto* at = reinterpret_cast<uint8_t*>(text.data());
  at[kVersionAt] = kVersion;
  at[kFlagsAt] = record.inline_body ? kInlineFlag : 0;
  at[kSegmentAt] = static_cast<uint8_t>(record.place.segment);
  PutLittle<uint32_t>(at + kScopeCountAt, static_cast<uint32_t>(head.scopes.size()));
  PutLittle<uint64_t>(at + kPositionAt, record.place.position);
  PutLittle<uint64_t>(at + kObjectIdAt, head.object_id);
  PutLittle<uint64_t>(at + kBodyBytesAt, head.body_bytes);
  PutLittle<int64_t>(at + kStoredAtAt, ToUnixMillis(head.stored_at));
  PutLittle<int64_t>(at + kDropAtAt, ToUnixMillis(head.drop_at));
  PutLittle<uint64_t>(at + kPurgeSequenceAt, head.purge_sequence);
  PutLittle<uint32_t>(at + kMetaBytesAt, static_cast<uint32_t>(head.meta.size()));
  PutLittle<uint32_t>(at + kInlineBytesAt, static_cast<uint32_t>(body.size()));

  uint8_t* next = at + kFixedBytes;
  for (const ScopeHash scope : head.scopes) {
    PutLittle(next, scope);
    next += sizeof scope;
  }
  if (!head.meta.empty()) std::memcpy(next, head.meta.data(), head.meta.size());
  if (!body.empty()) std::memcpy(next + head.meta.size(), body.data(), body.size());

  const Hash128 checksum = ChecksumOf(head.key, {at, text.size()});
  PutLittle(at + kChecksumAt, checksum.low);
  PutLittle(at + kChecksumAt + sizeof checksum.low, checksum.high);
  return text;
}

Result<HeadRecord> DecodeHead(const Key256& key, Bytes bytes) {
  if (bytes.size() < kFixedBytes) {
    return Fail(Fault::kSelf, "bad_length", "a stored head is shorter than its fixed part");
  }
  const uint8_t* at = bytes.data();
  const Hash128 stored{.low = GetLittle<uint64_t>(at + kChecksumAt),
                       .high = GetLittle<uint64_t>(at + kChecksumAt + sizeof(uint64_t))};
  if (stored != ChecksumOf(key, bytes)) {
    return Fail(Fault::kSelf, "bad_checksum", "a stored head does not match its checksum");
  }
  if (at[kVersionAt] != kVersion || at[kSegmentAt] > static_cast<uint8_t>(Segment::kPinned)) {
    return Fail(Fault::kSelf, "unknown_version", "a stored head is of an unknown version");
  }
  const uint64_t scopes = GetLittle<uint32_t>(at + kScopeCountAt);
  const uint64_t meta_bytes = GetLittle<uint32_t>(at + kMetaBytesAt);
  const uint64_t inline_bytes = GetLittle<uint32_t>(at + kInlineBytesAt);
  if (bytes.size() != kFixedBytes + scopes * sizeof(ScopeHash) + meta_bytes + inline_bytes) {
    return Fail(Fault::kSelf, "bad_length", "a stored head's parts do not add up to its length");
  }

  HeadRecord record{.head = DecodeFixed(key, at),
                    .place = {.segment = static_cast<Segment>(at[kSegmentAt]),
                              .position = GetLittle<uint64_t>(at + kPositionAt)}};
  const uint8_t* next = at + kFixedBytes;
  record.head.scopes.resize(scopes);
  if (scopes > 0) std::memcpy(record.head.scopes.data(), next, scopes * sizeof(ScopeHash));
  next += scopes * sizeof(ScopeHash);
  record.head.meta.assign(reinterpret_cast<const char*>(next), meta_bytes);
  if ((at[kFlagsAt] & kInlineFlag) != 0) {
    record.inline_body = Bytes{next + meta_bytes, static_cast<size_t>(inline_bytes)};
    if (inline_bytes != record.head.body_bytes) {
      return Fail(Fault::kSelf, "bad_length", "a stored body's length is not the head's");
    }
  }
  return record;
}

}  // namespace nearside::storage
