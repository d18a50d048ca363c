#include "storage/ram_tier.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>

#include "runtime/text_bytes.h"
#include "storage/ghost_table.h"
#include "tests/storage/cache_fixture.h"

namespace nearside::storage {
namespace {

HeadRef MakeHead(const std::string& name, uint64_t object_id = 1, size_t payload_bytes = 1000) {
  auto head = std::make_shared<CachedHead>();
  head->head.key = KeyOf(name);
  head->head.object_id = object_id;
  head->payload = std::make_unique<TestPayload>(payload_bytes);
  return head;
}

void Insert(RamTier& tier, const HeadRef& head) { tier.InsertHead(head, ChargeOf(*head)); }

ChunkRef MakeChunk(size_t bytes) {
  const std::string text(bytes, 'c');
  return Chunk::Copy(AsBytes(text));
}

TEST(RamTierTest, FindsWhatWasInsertedAndNothingElse) {
  RamTier tier(1_MiB);
  const HeadRef head = MakeHead("a");
  Insert(tier, head);
  tier.InsertChunk({.object_id = 1, .index = 0}, MakeChunk(100));
  EXPECT_EQ(tier.FindHead(KeyOf("a")), head);
  EXPECT_EQ(tier.FindHead(KeyOf("b")), nullptr);
  EXPECT_TRUE(tier.FindChunk({.object_id = 1, .index = 0}));
  EXPECT_FALSE(tier.FindChunk({.object_id = 1, .index = 1}));
  EXPECT_FALSE(tier.FindChunk({.object_id = 2, .index = 0}));
  const RamTier::Figures figures = tier.Read();
  EXPECT_EQ(figures.heads, 1u);
  EXPECT_EQ(figures.chunks, 1u);
  EXPECT_EQ(figures.head_hits, 1u);
  EXPECT_EQ(figures.head_misses, 1u);
  EXPECT_EQ(figures.chunk_hits, 1u);
  EXPECT_EQ(figures.chunk_misses, 2u);
}

TEST(RamTierTest, ChargesHeadPayloadScopesMetaAndInlineBody) {
  auto head = std::make_shared<CachedHead>();
  const uint64_t bare = ChargeOf(*head);
  EXPECT_GE(bare, sizeof(CachedHead));
  head->payload = std::make_unique<TestPayload>(777);
  EXPECT_EQ(ChargeOf(*head), bare + 777);
  head->head.scopes.reserve(10);
  EXPECT_EQ(ChargeOf(*head), bare + 777 + 80);
  head->inline_body = MakeChunk(500);
  EXPECT_EQ(ChargeOf(*head), bare + 777 + 80 + 516);
}

TEST(RamTierTest, BytesNeverExceedTheLimitAndReturnToZero) {
  RamTier tier(ByteSize{1'000'003});
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 3 == 0) {
      Insert(tier, MakeHead(std::to_string(random() % 5000), 1, random() % 3000));
    } else {
      tier.InsertChunk({.object_id = random() % 1000, .index = 0}, MakeChunk(random() % 9000 + 1));
    }
    ASSERT_LE(tier.bytes(), 1'000'003u);
  }
  EXPECT_GT(tier.bytes(), 900'000u) << "the limit is used, not only kept";
  tier.Clear();
  EXPECT_EQ(tier.bytes(), 0u);
  EXPECT_EQ(tier.Read().heads + tier.Read().chunks, 0u);
}

TEST(RamTierTest, TheLimitIsExactToTheByte) {
  uint64_t charge = 0;
  {
    RamTier probe(1_MiB);
    Insert(probe, MakeHead("a"));
    charge = probe.bytes();
  }
  RamTier exact(ByteSize{2 * charge});
  Insert(exact, MakeHead("a"));
  Insert(exact, MakeHead("b"));
  EXPECT_EQ(exact.Read().heads, 2u);
  EXPECT_EQ(exact.bytes(), 2 * charge);
  RamTier short_by_one(ByteSize{2 * charge - 1});
  Insert(short_by_one, MakeHead("a"));
  Insert(short_by_one, MakeHead("b"));
  EXPECT_EQ(short_by_one.Read().heads, 1u);
}

TEST(RamTierTest, WhatIsLargerThanTheLimitIsNotTaken) {
  RamTier tier(ByteSize{10'000});
  Insert(tier, MakeHead("small"));
  Insert(tier, MakeHead("large", 1, 20'000));
  EXPECT_EQ(tier.FindHead(KeyOf("large")), nullptr);
  EXPECT_NE(tier.FindHead(KeyOf("small")), nullptr);
  // In the place of a smaller one of the same key, it leaves none: the old head would be wrong.
  Insert(tier, MakeHead("small", 2, 20'000));
  EXPECT_EQ(tier.FindHead(KeyOf("small")), nullptr);
}

TEST(RamTierTest, AScanOfOneHitObjectsLeavesTheHotSet) {
  RamTier tier(4_MiB);
  constexpr int kHot = 1000;
  for (int i = 0; i < kHot; ++i) Insert(tier, MakeHead("hot" + std::to_string(i)));
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kHot; ++i) tier.FindHead(KeyOf("hot" + std::to_string(i)));
  }
  for (int i = 0; i < 20'000; ++i) Insert(tier, MakeHead("scan" + std::to_string(i)));
  int kept = 0;
  for (int i = 0; i < kHot; ++i) {
    kept += tier.PeekHead(KeyOf("hot" + std::to_string(i))) != nullptr ? 1 : 0;
  }
  EXPECT_EQ(kept, kHot);
  EXPECT_GT(tier.Read().evicted, 10'000u);
}

TEST(RamTierTest, WhatReturnsSoonAfterItsEvictionSurvivesTheNextScan) {
  RamTier tier(1_MiB);
  Insert(tier, MakeHead("again"));
  int scanned = 0;
  while (tier.PeekHead(KeyOf("again")) != nullptr) {
    Insert(tier, MakeHead("first" + std::to_string(scanned++)));
    ASSERT_LT(scanned, 10'000);
  }
  Insert(tier, MakeHead("again"));  // the ghost table knows it: it goes to the main queue
  for (int i = 0; i < 2 * scanned; ++i) Insert(tier, MakeHead("second" + std::to_string(i)));
  EXPECT_NE(tier.PeekHead(KeyOf("again")), nullptr);
}

TEST(RamTierTest, OneMoreRequestIsEnoughToSurviveAScan) {
  RamTier tier(1_MiB);
  Insert(tier, MakeHead("twice"));
  Insert(tier, MakeHead("once"));
  EXPECT_NE(tier.FindHead(KeyOf("twice")), nullptr);
  for (int i = 0; i < 5000; ++i) Insert(tier, MakeHead("scan" + std::to_string(i)));
  EXPECT_NE(tier.PeekHead(KeyOf("twice")), nullptr);
  EXPECT_EQ(tier.PeekHead(KeyOf("once")), nullptr);
}

TEST(RamTierTest, ShardsKeepTheSameRoomHoweverLongItRuns) {
  RamTier tier(256_MiB);  // 32 shards, of charges alone
  constexpr uint64_t kCharge = 64 << 10;
  constexpr int kInserted = 100'000, kNewest = 3000;  // 4,000 fit
  for (int i = 0; i < kInserted; ++i) {
    tier.InsertHead(MakeHead("scan" + std::to_string(i)), kCharge);
  }
  int kept = 0;
  for (int i = kInserted - kNewest; i < kInserted; ++i) {
    kept += tier.PeekHead(KeyOf("scan" + std::to_string(i))) != nullptr ? 1 : 0;
  }
  EXPECT_GT(kept, kNewest * 99 / 100);
}

TEST(RamTierTest, RemembersSmallHeadsThatItPushedOut) {
  RamTier tier(1_MiB);
  const auto name_of = [](int i) { return "small" + std::to_string(i); };
  int inserted = 0;
  while (tier.Read().evicted == 0) Insert(tier, MakeHead(name_of(inserted++), 1, 500));
  const int fit = inserted - 1;
  const int returning = fit * 9 / 20;  // that many are pushed out, and known when they come back
  while (inserted < fit + returning) Insert(tier, MakeHead(name_of(inserted++), 1, 500));
  for (int i = 0; i < returning; ++i) Insert(tier, MakeHead(name_of(i), 1, 500));
  for (int i = 0; i < 2 * fit; ++i) Insert(tier, MakeHead("scan" + std::to_string(i), 1, 500));
  int kept = 0;
  for (int i = 0; i < returning; ++i) kept += tier.PeekHead(KeyOf(name_of(i))) != nullptr ? 1 : 0;
  EXPECT_GT(kept, returning * 2 / 3) << "of " << returning;
}

TEST(RamTierTest, ALargeObjectIsKnownForAShorterTimeButStaysWhenHot) {
  RamTier tier(4_MiB);
  constexpr uint64_t kSmall = 1000, kLarge = 50'000;
  int others = 0;
  const auto push_out = [&](int count) {
    for (int i = 0; i < count; ++i) {
      tier.InsertHead(MakeHead("other" + std::to_string(others++)), kSmall);
    }
  };
  tier.InsertHead(MakeHead("large"), kLarge);
  tier.InsertHead(MakeHead("small"), kSmall);
  tier.InsertHead(MakeHead("hot"), kLarge);
  EXPECT_NE(tier.FindHead(KeyOf("hot")), nullptr);
  while (tier.PeekHead(KeyOf("small")) != nullptr) push_out(1);
  push_out(500);
  tier.InsertHead(MakeHead("large"), kLarge);
  tier.InsertHead(MakeHead("small"), kSmall);
  push_out(10'000);
  EXPECT_EQ(tier.PeekHead(KeyOf("large")), nullptr);
  EXPECT_NE(tier.PeekHead(KeyOf("small")), nullptr);
  EXPECT_NE(tier.PeekHead(KeyOf("hot")), nullptr);
}

TEST(RamTierTest, ErasesByObjectAndByIdentity) {
  RamTier tier(1_MiB);
  const HeadRef old_head = MakeHead("a", 1);
  const HeadRef new_head = MakeHead("a", 2);
  Insert(tier, old_head);
  Insert(tier, new_head);
  EXPECT_FALSE(tier.EraseHead(KeyOf("a"), 1));
  EXPECT_FALSE(tier.EraseThisHead(*old_head));
  EXPECT_EQ(tier.FindHead(KeyOf("a")), new_head);
  EXPECT_FALSE(tier.ReplaceHead(*old_head, MakeHead("a", 3), 100));
  EXPECT_EQ(tier.FindHead(KeyOf("a")), new_head);
  const HeadRef third = MakeHead("a", 3);
  EXPECT_TRUE(tier.ReplaceHead(*new_head, third, 100));
  EXPECT_TRUE(tier.EraseThisHead(*third));
  EXPECT_FALSE(tier.ReplaceHead(*third, MakeHead("a", 4), 100)) << "nothing is there to replace";
  EXPECT_EQ(tier.bytes(), 0u);
}

TEST(RamTierTest, ReservedBytesPushOthersOut) {
  RamTier tier(1_MiB);
  for (int i = 0; i < 2000; ++i) Insert(tier, MakeHead(std::to_string(i)));
  ASSERT_TRUE(tier.Reserve((1_MiB).bytes));
  EXPECT_EQ(tier.Read().heads, 0u);
  EXPECT_FALSE(tier.Reserve(1));
  Insert(tier, MakeHead("a"));
  EXPECT_EQ(tier.FindHead(KeyOf("a")), nullptr);
  tier.Release((1_MiB).bytes);
  Insert(tier, MakeHead("a"));
  EXPECT_NE(tier.FindHead(KeyOf("a")), nullptr);
}

TEST(RamTierTest, TellsOfAccessesOnce) {
  RamTier tier(1_MiB);
  Insert(tier, MakeHead("a"));
  EXPECT_FALSE(tier.TakeAccess(KeyOf("a")));
  tier.FindHead(KeyOf("a"));
  tier.FindHead(KeyOf("a"));
  std::vector<Key256> touched;
  tier.DrainTouched(touched);
  EXPECT_EQ(touched, std::vector<Key256>{KeyOf("a")});
  EXPECT_TRUE(tier.TakeAccess(KeyOf("a")));
  EXPECT_TRUE(tier.TakeAccess(KeyOf("a")));
  EXPECT_FALSE(tier.TakeAccess(KeyOf("a")));
  EXPECT_FALSE(tier.TakeAccess(KeyOf("absent")));
}

TEST(RamTierTest, ThreadsMayDoAllOfItAtOnce) {
  RamTier tier(32_MiB);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&tier, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < 5000; ++i) {
        const std::string name = std::to_string(random() % 500);
        Insert(tier, MakeHead(name, random() % 3, 20'000));
        tier.FindHead(KeyOf(name));
        tier.InsertChunk({.object_id = random() % 100, .index = 0}, MakeChunk(30'000));
        tier.FindChunk({.object_id = random() % 100, .index = 0});
        if (i % 16 == 0) tier.EraseHead(KeyOf(name), std::nullopt);
        if (i % 64 == 0) tier.EraseChunks(random() % 100, 1);
        ASSERT_LE(tier.bytes(), 32u << 20);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  tier.Clear();
  EXPECT_EQ(tier.bytes(), 0u);
}

TEST(GhostTableTest, RemembersWithinItsWindowAndForgetsWhatItTold) {
  GhostTable ghosts(1024);
  ghosts.Add(0x1111'0000'0000'0001);
  EXPECT_FALSE(ghosts.Take(0x2222'0000'0000'0001, 100));
  EXPECT_TRUE(ghosts.Take(0x1111'0000'0000'0001, 100));
  EXPECT_FALSE(ghosts.Take(0x1111'0000'0000'0001, 100));
  ghosts.Add(0x1111'0000'0000'0001);
  for (uint64_t i = 0; i < 10; ++i) ghosts.Add((i + 1) << 40 | (i + 2));
  EXPECT_FALSE(ghosts.Take(0x1111'0000'0000'0001, 10)) << "ten came after it";
}

TEST(GhostTableTest, NeverGrows) {
  GhostTable ghosts(1024);
  const size_t bytes = ghosts.memory_bytes();
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) ghosts.Add(random());
  EXPECT_EQ(ghosts.memory_bytes(), bytes);
}

}  // namespace
}  // namespace nearside::storage
