#include "runtime/chunk.h"
#include "runtime/text_bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace nearside {
namespace {

TEST(ChunkTest, AFullChunkAndItsHeadAre64KiB) {
  const ChunkRef chunk = Chunk::Make(kChunkBytes);
  EXPECT_EQ(chunk->capacity(), 65'520u);
  EXPECT_EQ(chunk->charge(), 65'536u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(chunk->data()) % 16, 0u);
}

TEST(ChunkTest, AChunkTakesItsBytesAndLittleMore) {
  EXPECT_EQ(Chunk::Make(4080)->charge(), 4096u);
  EXPECT_GE(Chunk::Make(16'384)->charge(), 16'400u);
  EXPECT_LE(Chunk::Make(16'384)->charge(), 17u << 10);
}

TEST(ChunkTest, AppendTakesWhatThereIsRoomFor) {
  const ChunkRef chunk = Chunk::Make(8);
  EXPECT_EQ(chunk->size(), 0u);
  EXPECT_EQ(chunk->Append(AsBytes("hello")), 5u);
  EXPECT_EQ(chunk->room(), 3u);
  EXPECT_EQ(chunk->Append(AsBytes("world")), 3u);
  EXPECT_EQ(chunk->Append(AsBytes("!")), 0u);
  EXPECT_EQ(chunk->Append({}), 0u);
  EXPECT_EQ(chunk->text(), "hellowor");
  EXPECT_EQ(chunk->bytes().size(), 8u);
}

TEST(ChunkTest, BytesWrittenInPlaceCountOnceExtended) {
  const ChunkRef chunk = Chunk::Make(16);
  std::memcpy(chunk->mutable_data(), "in place", 8);
  EXPECT_EQ(chunk->text(), "");
  chunk->Extend(8);
  EXPECT_EQ(chunk->text(), "in place");
}

TEST(ChunkTest, CopyHoldsItsOwnBytesAndIsFull) {
  std::string source = "bytes";
  const ChunkRef chunk = Chunk::Copy(AsBytes(source));
  source.assign("other");
  EXPECT_EQ(chunk->text(), "bytes");
  EXPECT_EQ(chunk->room(), 0u);
  EXPECT_EQ(Chunk::Copy({})->size(), 0u);
}

TEST(ChunkTest, ReferencesMoveCopyAndReassign) {
  ChunkRef empty;
  EXPECT_FALSE(empty);
  ChunkRef first = Chunk::Copy(AsBytes("first"));
  Chunk* const address = first.get();
  ChunkRef copy = first;
  EXPECT_EQ(copy.get(), address);
  const ChunkRef moved = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what a move leaves is promised
  EXPECT_EQ(moved.get(), address);
  ChunkRef& itself = copy;
  copy = itself;
  EXPECT_EQ(copy->text(), "first");
  copy = Chunk::Copy(AsBytes("second"));
  EXPECT_EQ(copy->text(), "second");
  EXPECT_EQ((*moved).text(), "first");
}

TEST(ChunkDeathTest, MoreThanAChunkIsABug) {
  EXPECT_DEATH(Chunk::Make(kChunkBytes + 1), "larger than kChunkBytes");
}

// Under ThreadSanitizer this also shows that the bytes are seen and that the last one destroys.
TEST(ChunkTest, ManyThreadsShareOneChunk) {
  constexpr int kThreads = 4;
  ChunkRef chunk = Chunk::Copy(AsBytes("shared"));
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([mine = chunk, &good] {
      for (int round = 0; round < 1000; ++round) {
        const ChunkRef copy = mine;
        std::vector<ChunkRef> queue(8, copy);
        if (queue.back()->text() == "shared") ++good;
      }
    });
  }
  chunk = ChunkRef();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * 1000);
}

}  // namespace
}  // namespace nearside
