#include "storage/write_queue.h"

#include <gtest/gtest.h>

#include <thread>

#include "runtime/text_bytes.h"
#include "storage/head_index.h"
#include "tests/storage/cache_fixture.h"

namespace nearside::storage {
namespace {

constexpr WriteQueue::Limits kLimits{
    .chunk_bytes = 1000, .chunks = 4, .heads = 3, .window = milliseconds(0)};

ChunkWrite MakeWrite(const std::shared_ptr<Fill>& fill, uint32_t index, size_t bytes) {
  const std::string text(bytes, 'w');
  return {.fill = fill, .index = index, .chunk = Chunk::Copy(AsBytes(text))};
}

HeadRef MakeBareHead(const std::string& name, uint64_t id) {
  auto head = std::make_shared<CachedHead>();
  head->head.key = KeyOf(name);
  head->head.object_id = id;
  return head;
}

MonoTime Soon() { return MonoNow() + seconds(30); }

TEST(WriteQueueTest, GivesBatchesWithinTheirLimitsInOrder) {
  WriteQueue queue(1_MiB, kLimits);
  const auto fill = std::make_shared<Fill>(1, 0);
  for (uint32_t i = 0; i < 6; ++i) ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, i, 10)));
  ASSERT_TRUE(queue.PushHead({.head = MakeBareHead("a", 1), .fill = fill}));
  WriteBatch first = queue.Take(Soon());
  EXPECT_EQ(first.chunks.size(), 4u);
  EXPECT_TRUE(first.heads.empty()) << "a head never comes before its chunks";
  WriteBatch second = queue.Take(Soon());
  EXPECT_EQ(second.chunks.size(), 2u);
  EXPECT_EQ(second.chunks[1].index, 5u);
  EXPECT_EQ(second.heads.size(), 1u);
  ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, 6, 999)));
  ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, 7, 999)));
  ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, 8, 999)));
  EXPECT_EQ(queue.Take(Soon()).chunks.size(), 2u) << "the bytes reach the limit with the second";
}

TEST(WriteQueueTest, TakesAnObjectWholeOrNotAtAll) {
  const auto fill = std::make_shared<Fill>(1, 0);
  const uint64_t charge = MakeWrite(fill, 0, 100).chunk->charge();
  WriteQueue queue(ByteSize{charge + 50}, kLimits);
  EXPECT_FALSE(queue.PushObject(MakeWrite(fill, 0, 100),
                                {.head = MakeBareHead("a", 1), .fill = fill, .charge = 51}));
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.length(), 0u);
  EXPECT_FALSE(queue.FindChunk({.object_id = 1, .index = 0}));
  const auto ticket = queue.PushObject(MakeWrite(fill, 0, 100),
                                       {.head = MakeBareHead("a", 1), .fill = fill, .charge = 50});
  ASSERT_TRUE(ticket);
  EXPECT_EQ(*ticket, queue.last_ticket());
  EXPECT_EQ(queue.bytes(), charge + 50);
  const WriteBatch batch = queue.Take(Soon());
  EXPECT_EQ(batch.chunks.size(), 1u);
  ASSERT_EQ(batch.heads.size(), 1u);
  EXPECT_EQ(std::get<HeadWrite>(batch.heads[0]).ticket, *ticket);
}

TEST(WriteQueueTest, TellsWhoWaitsForRoomWhenThreeQuartersAreFree) {
  const auto fill = std::make_shared<Fill>(1, 0);
  WriteQueue queue(ByteSize{10 * MakeWrite(fill, 0, 100).chunk->charge()}, kLimits);
  TestExecutor executor;
  int told = 0;
  const auto tell = [&told] { ++told; };
  for (uint32_t i = 0; i < 5; ++i) ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, i, 100)));
  EXPECT_FALSE(queue.WaitsForRoom(executor, tell)) << "half full";
  ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, 5, 100)));
  EXPECT_TRUE(queue.WaitsForRoom(executor, tell));
  EXPECT_TRUE(queue.WaitsForRoom(executor, tell));
  queue.FinishChunks(queue.Take(Soon()).chunks);  // four: two of ten are left
  ASSERT_EQ(executor.waiting(), 2u);
  ASSERT_TRUE(executor.RunOne() && executor.RunOne());
  EXPECT_EQ(told, 2);
  queue.FinishChunks(queue.Take(Soon()).chunks);
  EXPECT_EQ(executor.waiting(), 0u) << "once";

  for (uint32_t i = 6; i < 12; ++i) ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, i, 100)));
  EXPECT_TRUE(queue.WaitsForRoom(executor, tell));
  queue.Stop();
  EXPECT_EQ(executor.waiting(), 1u) << "nobody waits for a queue that has ended";
  EXPECT_FALSE(queue.WaitsForRoom(executor, tell));
}

TEST(WriteQueueTest, RefusesBeyondItsBytesUntilTheChunksAreFinished) {
  WriteQueue queue(ByteSize{1000}, kLimits);
  const auto fill = std::make_shared<Fill>(1, 0);
  ASSERT_TRUE(queue.PushChunk(MakeWrite(fill, 0, 900)));
  EXPECT_FALSE(queue.PushChunk(MakeWrite(fill, 1, 900)));
  EXPECT_FALSE(queue.PushHead({.head = MakeBareHead("a", 1), .charge = 900}));
  queue.PushRemoval({.key = KeyOf("a")});  // corrects the store: never refused
  const WriteBatch batch = queue.Take(Soon());
  EXPECT_EQ(batch.heads.size(), 1u);
  EXPECT_TRUE(queue.FindChunk({1, 0})) << "taken, but not yet on disk";
  EXPECT_FALSE(queue.PushChunk(MakeWrite(fill, 1, 900)));
  queue.FinishChunks(batch.chunks);
  EXPECT_FALSE(queue.FindChunk({1, 0}));
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_TRUE(queue.PushChunk(MakeWrite(fill, 1, 900)));
}

TEST(WriteQueueTest, FlushWaitsForAllThatWasPushedBeforeIt) {
  WriteQueue queue(1_MiB, kLimits);
  for (int i = 0; i < 5; ++i) queue.PushRemoval({.key = KeyOf(std::to_string(i))});
  std::atomic<bool> flushed{false};
  std::thread waiter([&] {
    queue.Flush();
    flushed = true;
  });
  WriteBatch batch = queue.Take(Soon());
  EXPECT_EQ(batch.heads.size(), 3u);
  EXPECT_EQ(batch.flushes, 0u) << "two removals are still to come";
  while (batch.flushes == 0) batch = queue.Take(Soon());
  EXPECT_FALSE(flushed);
  queue.FinishFlushes(batch.flushes);
  waiter.join();
  EXPECT_TRUE(flushed);
}

TEST(WriteQueueTest, TakeReturnsAtItsDeadlineAndWhenWoken) {
  WriteQueue queue(1_MiB, kLimits);
  EXPECT_TRUE(queue.Take(MonoNow()).empty());
  queue.Wake();
  EXPECT_TRUE(queue.Take(Soon()).empty());
  queue.PushDurable({.position = LogPosition{1, 2}});
  const WriteBatch batch = queue.Take(Soon());
  ASSERT_EQ(batch.durable.size(), 1u);
  EXPECT_EQ(batch.durable[0].position, (LogPosition{1, 2}));
  queue.Stop();
  EXPECT_TRUE(queue.Take(Soon()).stop);
  const auto fill = std::make_shared<Fill>(1, 0);
  EXPECT_FALSE(queue.PushChunk(MakeWrite(fill, 0, 1)));
  queue.Flush();  // returns: nobody will come
}

TEST(HeadIndexTest, TheNewestOperationIsWhatWaits) {
  HeadIndex index;
  const Key256 key = KeyOf("a");
  const HeadRef head = MakeBareHead("a", 1);
  {
    HeadIndex::Slot slot = index.Lock(key);
    EXPECT_EQ(slot.pending(), std::nullopt);
    slot.SetPending(1, head);
    EXPECT_EQ(slot.pending(), std::optional(head));
    slot.SetPending(2, nullptr);
    slot.FinishPending(1);
    EXPECT_EQ(slot.pending(), std::optional(HeadRef())) << "the removal came later";
    slot.FinishPending(2);
    EXPECT_EQ(slot.pending(), std::nullopt);
    slot.SetPending(3, head);
    slot.TurnToRemoval(2);
    EXPECT_EQ(slot.pending(), std::optional(head));
    slot.TurnToRemoval(3);
    EXPECT_EQ(slot.pending(), std::optional(HeadRef()));
    slot.FinishPending(3);
  }
  EXPECT_EQ(index.pending(), 0u);
}

TEST(HeadIndexTest, ALoadIsSharedAndLearnsThatItWasOvertaken) {
  HeadIndex index;
  const Key256 key = KeyOf("a");
  HeadIndex::Slot slot = index.Lock(key);
  EXPECT_TRUE(slot.JoinLoad({}));
  EXPECT_FALSE(slot.JoinLoad({}));
  EXPECT_FALSE(slot.overtaken());
  slot.SetPending(1, nullptr);
  EXPECT_TRUE(slot.overtaken());
  slot.RestartLoad();
  EXPECT_FALSE(slot.overtaken());
  slot.Overtake();
  EXPECT_TRUE(slot.overtaken());
  EXPECT_EQ(slot.FinishLoad().size(), 2u);
  EXPECT_TRUE(slot.FinishLoad().empty());
  EXPECT_TRUE(slot.JoinLoad({}));
}

}  // namespace
}  // namespace nearside::storage
