#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "runtime/text_bytes.h"
#include "storage/chunk_codec.h"
#include "storage/head_codec.h"
#include "storage/slab_codec.h"
#include "storage/store_meta.h"
#include "storage/stored_integer.h"
#include "tests/storage/cache_fixture.h"

namespace nearside::storage {
namespace {

HeadRecord SampleRecord(size_t scopes, std::string meta, std::optional<Bytes> body) {
  HeadRecord record;
  record.head.key = KeyOf("sample");
  record.head.object_id = 0x0102030405060708;
  record.head.body_bytes = body ? body->size() : 123'456'789'012;
  record.head.stored_at = FromUnixMillis(1'700'000'000'123);
  record.head.drop_at = FromUnixMillis(-5);
  record.head.purge_sequence = 42;
  for (size_t i = 0; i < scopes; ++i) record.head.scopes.push_back(~i);
  record.head.meta = std::move(meta);
  record.place = {.segment = Segment::kMain, .position = 99};
  record.inline_body = body;
  return record;
}

std::string Text(const HeadRecord& record) {
  std::string text = std::to_string(record.head.object_id) + " " +
                     std::to_string(record.head.body_bytes) + " " +
                     std::to_string(ToUnixMillis(record.head.stored_at)) + " " +
                     std::to_string(ToUnixMillis(record.head.drop_at)) + " " +
                     std::to_string(record.head.purge_sequence) + " [";
  for (const ScopeHash scope : record.head.scopes) text += std::to_string(scope) + " ";
  text += "] " + record.head.meta + " " + std::to_string(static_cast<int>(record.place.segment)) +
          "/" + std::to_string(record.place.position);
  if (record.inline_body) {
    text += " body=" + std::string(record.inline_body->begin(), record.inline_body->end());
  }
  return text;
}

TEST(HeadCodecTest, DecodesWhatItEncoded) {
  const std::string body = "the body";
  const std::string big(kInlineBody, 'b');
  const HeadRecord rows[] = {
      SampleRecord(0, "", std::nullopt),
      SampleRecord(0, "", Bytes{}),
      SampleRecord(1, "meta", std::nullopt),
      SampleRecord(2, "meta", AsBytes(body)),
      SampleRecord(kMostScopes, "m", AsBytes(big)),
      SampleRecord(3, std::string(50'000, 'm'), AsBytes(body)),
  };
  for (const HeadRecord& row : rows) {
    const std::string encoded = EncodeHead(row);
    EXPECT_EQ(encoded.size(),
              EncodedBytes(row.head, row.inline_body ? row.inline_body->size() : 0));
    const Result<HeadRecord> decoded = DecodeHead(row.head.key, AsBytes(encoded));
    ASSERT_TRUE(decoded) << decoded.error().ToString();
    EXPECT_EQ(Text(*decoded), Text(row));
  }
}

TEST(HeadCodecTest, EveryShortLengthIsRefused) {
  const std::string encoded = EncodeHead(SampleRecord(2, "meta", std::nullopt));
  for (size_t length = 0; length < encoded.size(); ++length) {
    EXPECT_FALSE(DecodeHead(KeyOf("sample"), AsBytes(encoded).first(length))) << length;
  }
  EXPECT_FALSE(DecodeHead(KeyOf("sample"), AsBytes(encoded + "x")));
}

TEST(HeadCodecTest, EveryFlippedByteIsRefused) {
  std::string encoded = EncodeHead(SampleRecord(2, "meta", std::nullopt));
  for (char& byte : encoded) {
    byte ^= 0x10;
    const Result<HeadRecord> decoded = DecodeHead(KeyOf("sample"), AsBytes(encoded));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().reason, "bad_checksum");
    byte ^= 0x10;
  }
  EXPECT_TRUE(DecodeHead(KeyOf("sample"), AsBytes(encoded)));
}

TEST(HeadCodecTest, ARecordUnderAnotherKeyIsRefused) {
  const std::string encoded = EncodeHead(SampleRecord(0, "meta", std::nullopt));
  const Result<HeadRecord> decoded = DecodeHead(KeyOf("other"), AsBytes(encoded));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().reason, "bad_checksum");
}

TEST(ChunkCodecTest, KeysSortByIdThenIndex) {
  const ChunkName rows[] = {{1, 0}, {1, 1}, {1, 256}, {2, 0}, {256, 0}, {~0ull, ~0u}};
  std::optional<ChunkKey> before;
  for (const ChunkName& name : rows) {
    const ChunkKey key = EncodeChunkKey(name, {.low = ~0ull, .high = 7});
    if (before) {
      EXPECT_LT(*before, key);
    }
    before = key;
    const auto decoded = DecodeChunkKey(key);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->name, name);
    EXPECT_EQ(decoded->checksum, (Hash128{.low = ~0ull, .high = 7}));
    EXPECT_TRUE(
        std::equal(key.begin(), key.begin() + kChunkPrefixBytes, EncodeChunkPrefix(name).begin()));
  }
  EXPECT_FALSE(DecodeChunkKey(Bytes(*before).first(kChunkKeyBytes - 1)));
}

TEST(ChunkCodecTest, ChecksumBindsIdIndexLengthAndBytes) {
  const std::string bytes = "some bytes";
  const Hash128 sum = ChunkChecksum({1, 2}, AsBytes(bytes));
  EXPECT_EQ(sum, ChunkChecksum({1, 2}, AsBytes(bytes)));
  EXPECT_NE(sum, ChunkChecksum({1, 3}, AsBytes(bytes)));
  EXPECT_NE(sum, ChunkChecksum({2, 2}, AsBytes(bytes)));
  EXPECT_NE(sum, ChunkChecksum({1, 2}, AsBytes(bytes).first(9)));
  EXPECT_NE(sum, ChunkChecksum({1, 2}, AsBytes("some bytez")));
}

TEST(ChunkCodecTest, NumbersOfABodyInChunks) {
  struct Row {
    uint64_t body_bytes, chunks;
    uint32_t last_length;
    uint64_t disk_bytes;
  };
  const Row rows[] = {{0, 0, 0, 0},
                      {1, 1, 1, 79},
                      {4081, 1, 4081, 4159},
                      {kChunkBytes - 1, 1, kChunkBytes - 1, kChunkBytes + 77},
                      {kChunkBytes, 1, kChunkBytes, 65'536},
                      {kChunkBytes + 1, 2, 1, 65'536 + 79},
                      {2ull << 30, 32'777, 128, 32'776ull * 65'536 + 206}};
  for (const Row& row : rows) {
    EXPECT_EQ(ChunkCount(row.body_bytes), row.chunks) << row.body_bytes;
    EXPECT_EQ(BodyDiskBytes(row.body_bytes, 4096), row.disk_bytes) << row.body_bytes;
    if (row.chunks > 0) {
      EXPECT_EQ(ChunkLength(row.body_bytes, static_cast<uint32_t>(row.chunks - 1)), row.last_length)
          << row.body_bytes;
    }
  }
}

TEST(SlabCodecTest, PartsAndKeysComeBack) {
  const std::vector<SlabPart> parts = {{.slab_id = ~0ull, .offset = 5, .bytes = 6},
                                       {.slab_id = 1, .offset = 0, .bytes = kMostPartBytes}};
  for (const size_t count : {1, 2}) {
    const std::vector<SlabPart> some(parts.begin(), parts.begin() + static_cast<ptrdiff_t>(count));
    EXPECT_EQ(DecodeParts(AsBytes(EncodeParts(some))), some);
  }
  const std::string encoded = EncodeParts(parts);
  for (size_t length = 0; length < encoded.size(); ++length) {
    EXPECT_EQ(DecodeParts(AsBytes(encoded).first(length)).has_value(), length == 16) << length;
  }
  EXPECT_FALSE(DecodeParts(AsBytes(encoded + encoded))) << "more parts than a tail may have";
  EXPECT_FALSE(
      DecodeParts(AsBytes(EncodeParts(std::vector<SlabPart>{{.slab_id = 1, .bytes = 0}}))));
  const SlabPart beyond{.slab_id = 1, .offset = kSlabBytes - kSlabTrailerBytes, .bytes = 1};
  EXPECT_FALSE(DecodeParts(AsBytes(EncodeParts(std::vector<SlabPart>{beyond}))));

  const auto key = DecodeSlabKey(EncodeSlabKey(258, {.low = 1, .high = ~0ull}));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->slab_id, 258u);
  EXPECT_EQ(key->checksum, (Hash128{.low = 1, .high = ~0ull}));
  const auto order = DecodeSlabOrder(EncodeSlabOrder(3, 258));
  ASSERT_TRUE(order);
  EXPECT_EQ(order->eighths, 3);
  EXPECT_EQ(order->slab_id, 258u);
  EXPECT_LT(EncodeSlabOrder(3, ~0ull), EncodeSlabOrder(4, 0)) << "the emptiest come first";
}

TEST(SlabCodecTest, EighthsRoundUp) {
  EXPECT_EQ(SlabEighths(0), 0);
  EXPECT_EQ(SlabEighths(1), 1);
  EXPECT_EQ(SlabEighths(kSlabBytes / 8), 1);
  EXPECT_EQ(SlabEighths(kSlabBytes / 8 + 1), 2);
  EXPECT_EQ(SlabEighths(kSlabBytes - 1), 8);
  EXPECT_EQ(SlabEighths(2 * kSlabBytes), 8);
}

TEST(SlabCodecTest, ASlabIsFilledToItsEndAndTellsWhatIsInIt) {
  for (const size_t bytes : {size_t{1}, size_t{100}, size_t{5000}, kMostPartBytes}) {
    const std::string body = BodyOf("part", bytes);
    SlabBuilder slab;
    std::vector<SlabEntry> entries;
    while (slab.room() >= bytes) {
      const ChunkName name{.object_id = entries.size() + 1, .index = 7};
      const uint32_t offset = slab.Add(name, AsBytes(body));
      entries.push_back({.tail = name, .offset = offset, .bytes = static_cast<uint32_t>(bytes)});
    }
    EXPECT_EQ(entries.size(), (kSlabBytes - kSlabTrailerBytes) / (bytes + kSlabEntryBytes));
    const Bytes filled = slab.Finish();
    ASSERT_EQ(filled.size(), kSlabBytes);
    EXPECT_EQ(DecodeSlab(filled), entries);
    for (const SlabEntry& entry : entries) {
      const Bytes part = filled.subspan(entry.offset, entry.bytes);
      ASSERT_TRUE(std::ranges::equal(part, AsBytes(body)));
    }
  }
}

TEST(SlabCodecTest, OfWhatWasInItsMemoryBeforeNothingIsStored) {
  SlabBuilder slab;
  EXPECT_THAT(slab.Finish(), ::testing::Each(0));
  while (slab.room() >= 500)
    slab.Add({.object_id = ~0ull, .index = ~0u}, AsBytes(BodyOf("a", 500)));
  (void)slab.Finish();
  slab.Clear();
  EXPECT_TRUE(slab.empty());
  EXPECT_EQ(slab.room(), kMostPartBytes);
  SlabBuilder fresh;
  for (SlabBuilder* builder : {&slab, &fresh}) {
    builder->Add({.object_id = 1, .index = 2}, AsBytes(BodyOf("b", 100)));
    (void)builder->Finish();
    builder->Add({.object_id = 3, .index = 4}, AsBytes(BodyOf("c", 100)));
  }
  EXPECT_TRUE(std::ranges::equal(slab.Finish(), fresh.Finish()));
  EXPECT_THAT(fresh.Finish().subspan(200, 65'000), ::testing::Each(0));
  slab.Clear();
  EXPECT_THAT(slab.Finish(), ::testing::Each(0));
}

TEST(SlabCodecTest, NoBytesAreReadBeyondASlabWhateverItsDirectorySays) {
  SlabBuilder slab;
  slab.Add({.object_id = 1, .index = 2}, AsBytes(BodyOf("a", 1000)));
  slab.Add({.object_id = 3, .index = 4}, AsBytes(BodyOf("b", 1000)));
  const std::vector<uint8_t> sound(slab.Finish().begin(), slab.Finish().end());
  ASSERT_TRUE(DecodeSlab(sound));
  EXPECT_FALSE(DecodeSlab(Bytes(sound).first(kSlabBytes - 1)));
  std::mt19937_64 random(11);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> bytes = sound;
    for (int flips = 0; flips < 4; ++flips) {
      bytes[kSlabBytes - 1 - random() % 60] = static_cast<uint8_t>(random());
    }
    const auto entries = DecodeSlab(bytes);
    refused += entries ? 0 : 1;
    for (const SlabEntry& entry : entries.value_or(std::vector<SlabEntry>{})) {
      ASSERT_GT(entry.bytes, 0u);
      ASSERT_LE(uint64_t{entry.offset} + entry.bytes, kSlabBytes);
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(StoreMetaTest, DecodesWhatItEncoded) {
  StoreMeta meta;
  meta.store_id = {1, 2, 3};
  meta.next_id = 4;
  meta.purges = {.sequence = 5, .all = {.soft = 6, .hard = 7}, .refused = 8, .unsure = 9};
  meta.position = {.epoch = 9, .sequence = 10};
  meta.totals = {QueueTotals{.probation_bytes = 11, .main_bytes = 12},
                 QueueTotals{.probation_bytes = 13, .main_bytes = 14}};
  meta.pinned = {.objects = 15, .head_bytes = 16, .chunk_bytes = 17};
  std::string encoded = EncodeMeta(meta);
  const Result<StoreMeta> decoded = DecodeMeta(AsBytes(encoded));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, meta);
  for (size_t length = 0; length < encoded.size(); ++length) {
    EXPECT_FALSE(DecodeMeta(AsBytes(encoded).first(length))) << length;
  }
  encoded[30] ^= 1;
  EXPECT_EQ(DecodeMeta(AsBytes(encoded)).error().reason, "damaged");
  encoded[0] ^= 1;
  EXPECT_EQ(DecodeMeta(AsBytes(encoded)).error().reason, "unknown_version");
}

// Stores of programs that did not know PurgeHorizon::unsure.
TEST(StoreMetaTest, ARowThatLacksTheLastNumberIsRead) {
  StoreMeta meta;
  meta.purges = {.sequence = 5, .refused = 8, .unsure = 9};
  meta.pinned = {.objects = 15, .head_bytes = 16, .chunk_bytes = 17};
  constexpr size_t kOldNumbersEnd = 136;
  std::string old = EncodeMeta(meta).substr(0, kOldNumbersEnd + sizeof(uint64_t));
  PutLittle(reinterpret_cast<uint8_t*>(old.data()) + kOldNumbersEnd,
            Xxh64(AsBytes(old).first(kOldNumbersEnd)));
  const Result<StoreMeta> decoded = DecodeMeta(AsBytes(old));
  ASSERT_TRUE(decoded);
  meta.purges.unsure = 0;
  EXPECT_EQ(*decoded, meta);
}

TEST(StoreMetaTest, AMarkIsBoundToItsScope) {
  const PurgeMark mark{.soft = 1, .hard = 2};
  const std::string encoded = EncodeMark(77, mark);
  EXPECT_EQ(DecodeMark(77, AsBytes(encoded)).value(), mark);
  EXPECT_FALSE(DecodeMark(78, AsBytes(encoded)));
  EXPECT_FALSE(DecodeMark(77, AsBytes(encoded).first(23)));
}

TEST(StoredIntegerTest, BigEndianSortsAsNumbersDo) {
  uint8_t bytes[8];
  PutBig<uint64_t>(bytes, 0x0102030405060708);
  EXPECT_THAT(bytes, testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(GetBig<uint64_t>(bytes), 0x0102030405060708u);
  PutBig<uint32_t>(bytes, 1);
  EXPECT_EQ(bytes[3], 1);
}

}  // namespace
}  // namespace nearside::storage
