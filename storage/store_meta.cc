#include "storage/store_meta.h"

#include <cstring>
#include <vector>

#include "runtime/hash.h"
#include "storage/stored_integer.h"

namespace nearside::storage {

namespace {

constexpr size_t kIdAt = 8;
constexpr size_t kNumbersAt = 24;
constexpr size_t kNumbers = 15;
/// Rows of programs before `unsure` lack it: it is 0.
constexpr size_t kFewestNumbers = 14;
constexpr size_t ChecksumAt(size_t numbers) { return kNumbersAt + numbers * sizeof(uint64_t); }
constexpr size_t MetaBytes(size_t numbers) { return ChecksumAt(numbers) + sizeof(uint64_t); }
constexpr size_t kMarkRowBytes = 24;

Bytes Span(const std::string& text, size_t length) {
  return {reinterpret_cast<const uint8_t*>(text.data()), length};
}

/// The members in the order in which they lie on disk.
std::array<uint64_t, kNumbers> NumbersOf(const StoreMeta& meta) {
  return {meta.next_id,
          meta.purges.sequence,
          meta.purges.all.soft,
          meta.purges.all.hard,
          meta.purges.refused,
          meta.position.epoch,
          meta.position.sequence,
          meta.totals[0].probation_bytes,
          meta.totals[0].main_bytes,
          meta.totals[1].probation_bytes,
          meta.totals[1].main_bytes,
          meta.pinned.objects,
          meta.pinned.head_bytes,
          meta.pinned.chunk_bytes,
          meta.purges.unsure};
}

}  // namespace

std::string EncodeMeta(const StoreMeta& meta) {
  std::string text(MetaBytes(kNumbers), '\0');
  auto* at = reinterpret_cast<uint8_t*>(text.data());
  PutLittle<uint32_t>(at, kSchemaVersion);
  std::memcpy(at + kIdAt, meta.store_id.data(), meta.store_id.size());
  uint8_t* next = at + kNumbersAt;
  for (const uint64_t number : NumbersOf(meta)) {
    PutLittle(next, number);
    next += sizeof number;
  }
  PutLittle(at + ChecksumAt(kNumbers), Xxh64(Span(text, ChecksumAt(kNumbers))));
  return text;
}

Result<StoreMeta> DecodeMeta(Bytes bytes) {
  if (bytes.size() >= sizeof(uint32_t) && GetLittle<uint32_t>(bytes.data()) != kSchemaVersion) {
    return Fail(Fault::kSelf, "unknown_version",
                "the store is of schema version " +
                    std::to_string(GetLittle<uint32_t>(bytes.data())) + ", this program's is " +
                    std::to_string(kSchemaVersion));
  }
  const size_t numbers = bytes.size() == MetaBytes(kFewestNumbers) ? kFewestNumbers : kNumbers;
  if (bytes.size() != MetaBytes(numbers) ||
      GetLittle<uint64_t>(bytes.data() + ChecksumAt(numbers)) !=
          Xxh64(bytes.first(ChecksumAt(numbers)))) {
    return Fail(Fault::kSelf, "damaged", "the store's row of facts is damaged");
  }
  StoreMeta meta;
  std::memcpy(meta.store_id.data(), bytes.data() + kIdAt, meta.store_id.size());
  const auto number = [&bytes](size_t i) {
    return GetLittle<uint64_t>(bytes.data() + kNumbersAt + i * sizeof(uint64_t));
  };
  meta.next_id = number(0);
  meta.purges = {
      .sequence = number(1), .all = {.soft = number(2), .hard = number(3)}, .refused = number(4)};
  meta.position = {.epoch = number(5), .sequence = number(6)};
  meta.totals = {QueueTotals{.probation_bytes = number(7), .main_bytes = number(8)},
                 QueueTotals{.probation_bytes = number(9), .main_bytes = number(10)}};
  if (numbers == kNumbers) meta.purges.unsure = number(14);
  meta.pinned = {.objects = number(11), .head_bytes = number(12), .chunk_bytes = number(13)};
  return meta;
}

std::string EncodeMark(ScopeHash scope, PurgeMark mark) {
  std::string text(kMarkRowBytes, '\0');
  auto* at = reinterpret_cast<uint8_t*>(text.data());
  PutLittle(at, mark.soft);
  PutLittle(at + 8, mark.hard);
  PutLittle(at + 16, Xxh64(Span(text, 16), scope));
  return text;
}

Result<PurgeMark> DecodeMark(ScopeHash scope, Bytes bytes) {
  if (bytes.size() != kMarkRowBytes ||
      GetLittle<uint64_t>(bytes.data() + 16) != Xxh64(bytes.first(16), scope)) {
    return Fail(Fault::kSelf, "damaged", "a stored purge is damaged");
  }
  return PurgeMark{.soft = GetLittle<uint64_t>(bytes.data()),
                   .hard = GetLittle<uint64_t>(bytes.data() + 8)};
}

}  // namespace nearside::storage
