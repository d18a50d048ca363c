// The contract of CacheStore, for the store with a disk, one that writes what is asked for again,
// and the one without.

#include "storage/cache_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/storage/cache_fixture.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

enum class Kind : uint8_t { kMemory, kDisk, kSecondUse };

class CacheStoreTest : public testing::TestWithParam<Kind> {
 protected:
  CacheStoreTest() {
    options_.path = on_disk() ? folder_.In("cache") : "";
    options_.disk_min_uses = GetParam() == Kind::kSecondUse ? 2 : 1;
    options_.disk = 64_MiB;
    options_.memory = 32_MiB;
    options_.read_timeout = seconds(20);
    Open();
  }
  static bool on_disk() { return GetParam() != Kind::kMemory; }
  /// What is to outlive a reopening may have to be asked for once more.
  void UseAgain(std::string_view name) { EXPECT_NE(store_->Find(KeyOf(name)), nullptr) << name; }
  /// Closes and opens again: what is in RAM alone is gone.
  void Reopen() {
    store_.reset();
    Open();
  }
  std::string Asked(std::string_view name, std::string_view expected) {
    return Ask(*store_, name, expected);
  }
  static std::string ToText(Validity validity) {
    return validity == Validity::kValid ? "valid" : validity == Validity::kStale ? "stale" : "gone";
  }

  test::TempDir folder_;
  CacheOptions options_;
  std::unique_ptr<CacheStore> store_;

 private:
  /// Until the walk at start has ended everything goes to disk at its first use.
  void Open() {
    store_ = OpenStore(options_);
    EXPECT_TRUE(FlushUntil(*store_, [this] { return store_->Stats().walked; }));
  }
};

INSTANTIATE_TEST_SUITE_P(All, CacheStoreTest,
                         testing::Values(Kind::kMemory, Kind::kDisk, Kind::kSecondUse),
                         [](const auto& row) {
                           return row.param == Kind::kDisk     ? "Disk"
                                  : row.param == Kind::kMemory ? "Memory"
                                                               : "SecondUse";
                         });

constexpr size_t kSizes[] = {0,     1,     2047,  2048,   2049,   4095,
                             65519, 65520, 65521, 131040, 131041, (1 << 20) + 3};

TEST_P(CacheStoreTest, KeepsBodiesOfEverySize) {
  for (const size_t size : kSizes) {
    const std::string name = std::to_string(size);
    const HeadRef head = Put(*store_, name, BodyOf(name, size));
    ASSERT_NE(head, nullptr) << size;
    EXPECT_EQ(head->head.body_bytes, size);
    const size_t most_inline = GetParam() == Kind::kSecondUse ? kChunkBytes : kInlineBody;
    EXPECT_EQ(head->inline_body ? head->inline_body->size() : 0, size <= most_inline ? size : 0);
    ASSERT_NE(head->payload, nullptr);
    EXPECT_EQ(Asked(name, BodyOf(name, size)), "body") << size;
  }
  store_->Flush();
  for (const size_t size : kSizes) {
    const std::string name = std::to_string(size);
    EXPECT_EQ(Asked(name, BodyOf(name, size)), "body") << size << " after a flush";
  }
  EXPECT_EQ(store_->Stats().stored, std::size(kSizes));
  EXPECT_EQ(store_->Stats().not_stored, 0u);
}

TEST_P(CacheStoreTest, KeepsBodiesOfEverySizeOverAReopening) {
  for (const size_t size : kSizes) {
    const std::string name = std::to_string(size);
    Put(*store_, name, BodyOf(name, size), {size});
    UseAgain(name);
  }
  Reopen();
  for (const size_t size : kSizes) {
    const std::string name = std::to_string(size);
    EXPECT_EQ(Asked(name, BodyOf(name, size)), on_disk() ? "body" : "miss") << size;
    if (on_disk()) {
      const HeadRef head = store_->Find(KeyOf(name));
      ASSERT_NE(head, nullptr);
      EXPECT_EQ(head->head.scopes, std::vector<ScopeHash>{size});
    }
  }
  EXPECT_EQ(store_->Stats().checksum_failures, 0u);
}

TEST_P(CacheStoreTest, WhatWasNeverPutIsAMiss) {
  EXPECT_EQ(store_->Find(KeyOf("absent")), nullptr);
  EXPECT_FALSE(store_->MayBeOnDisk(KeyOf("absent")));
  EXPECT_FALSE(store_->MayHold(KeyOf("absent")));
  TestExecutor executor;
  bool answered = false;
  store_->Load(KeyOf("absent"), executor, [&](HeadRef head) { answered = head == nullptr; });
  ASSERT_TRUE(executor.RunOne());
  EXPECT_TRUE(answered);
  EXPECT_GE(store_->Stats().head_misses, 1u);
}

TEST_P(CacheStoreTest, ANewObjectReplacesTheOldUnderAnIdOfItsOwn) {
  const HeadRef first = Put(*store_, "a", BodyOf("old", 100'000));
  store_->Flush();
  const HeadRef second = Put(*store_, "a", BodyOf("new", 50'000));
  EXPECT_GT(second->head.object_id, first->head.object_id);
  EXPECT_EQ(Asked("a", BodyOf("new", 50'000)), "body");
  store_->Flush();
  EXPECT_EQ(Asked("a", BodyOf("new", 50'000)), "body");
  Reopen();
  EXPECT_EQ(Asked("a", BodyOf("new", 50'000)), on_disk() ? "body" : "miss");
}

TEST_P(CacheStoreTest, WhoeverHasAHeadGetsItsWholeBodyWhateverHappensToTheObject) {
  const std::string body = BodyOf("a", 300'000);
  const HeadRef held = Put(*store_, "a", body);
  store_->Flush();
  Put(*store_, "a", BodyOf("other", 300'000));
  store_->Flush();
  store_->Remove(KeyOf("a"));
  store_->Flush();
  // Push its chunks out of RAM.
  for (int i = 0; i < 40; ++i) {
    const std::string name = "filler" + std::to_string(i);
    ASSERT_NE(Put(*store_, name, BodyOf(name, 1 << 20)), nullptr);
    store_->Flush();
  }
  EXPECT_EQ(ReadBody(*store_, held).value_or("cut off"), body);
  EXPECT_EQ(Asked("a", body), "miss");
}

TEST_P(CacheStoreTest, AnAbandonedWriterLeavesNothing) {
  const uint64_t empty = store_->Stats().memory_bytes;
  {
    auto writer = store_->Begin(std::nullopt);
    for (ChunkRef& chunk : ChunksOf(BodyOf("a", 200'000))) writer->Append(std::move(chunk));
  }
  store_->Flush();
  EXPECT_EQ(Asked("a", ""), "miss");
  EXPECT_EQ(store_->Stats().stored, 0u);
  EXPECT_EQ(store_->Stats().memory_bytes, empty);
  EXPECT_EQ(store_->Stats().disk_objects, 0u);
}

TEST_P(CacheStoreTest, ChunksBeforeTheLastHaveToBeFull) {
  auto writer = store_->Begin(std::nullopt);
  for (int i = 0; i < 2; ++i) writer->Append(ChunksOf(BodyOf("a", 100)).front());
  EXPECT_EQ(writer->Commit(HeadOf("a", *store_)), nullptr);
  EXPECT_EQ(store_->Stats().not_stored_by[static_cast<size_t>(NotStored::kRefused)], 1u);
  EXPECT_EQ(Asked("a", ""), "miss");
}

TEST_P(CacheStoreTest, ObjectsBeyondTheLargestAreRefusedEarlyAndLate) {
  store_.reset();
  options_.largest_object = ByteSize{100'000};
  store_ = OpenStore(options_);
  EXPECT_EQ(store_->Begin(100'001), nullptr);
  EXPECT_NE(Put(*store_, "fits", BodyOf("fits", 100'000)), nullptr);
  auto writer = store_->Begin(std::nullopt);
  for (ChunkRef& chunk : ChunksOf(BodyOf("a", 100'001))) writer->Append(std::move(chunk));
  EXPECT_EQ(writer->Commit(HeadOf("a", *store_)), nullptr);
  Head long_head = HeadOf("long", *store_);
  long_head.meta.assign(100'000, 'm');
  EXPECT_EQ(store_->Begin(0)->Commit(std::move(long_head)), nullptr);
  EXPECT_EQ(store_->Stats().not_stored_by[static_cast<size_t>(NotStored::kTooLarge)], 3u);
  EXPECT_EQ(store_->Stats().not_stored, 3u);
}

TEST_P(CacheStoreTest, AHeadThatTheEdgeCannotDecodeIsNotStored) {
  auto writer = store_->Begin(0);
  Head head = HeadOf("a", *store_);
  head.meta = "unknown format";
  EXPECT_EQ(writer->Commit(std::move(head)), nullptr);
  EXPECT_EQ(store_->Stats().not_stored_by[static_cast<size_t>(NotStored::kRefused)], 1u);
}

TEST_P(CacheStoreTest, RefreshReplacesTheHeadAndKeepsTheBody) {
  for (const size_t size : {size_t{0}, size_t{100}, size_t{100'000}}) {
    const std::string name = std::to_string(size);
    const std::string body = BodyOf(name, size);
    const HeadRef old = Put(*store_, name, body);
    store_->Flush();
    Head head = HeadOf(name, *store_);
    head.meta = "meta of " + name;
    head.stored_at = FromUnixMillis(1234);
    const HeadRef fresh = store_->Refresh(old, std::move(head));
    ASSERT_NE(fresh, nullptr) << size;
    EXPECT_EQ(fresh->head.object_id, old->head.object_id);
    EXPECT_EQ(fresh->head.body_bytes, size);
    EXPECT_EQ(store_->Find(KeyOf(name)), fresh);
    EXPECT_EQ(Asked(name, body), "body");
    EXPECT_EQ(store_->Refresh(old, HeadOf(name, *store_)), nullptr) << "it is not the stored one";
  }
  store_->Flush();
  if (!on_disk()) return;
  Reopen();
  for (const size_t size : {size_t{0}, size_t{100}, size_t{100'000}}) {
    const std::string name = std::to_string(size);
    EXPECT_EQ(Asked(name, BodyOf(name, size)), "body") << size;
    EXPECT_EQ(store_->Find(KeyOf(name))->head.stored_at, FromUnixMillis(1234)) << size;
  }
}

TEST_P(CacheStoreTest, RefreshOfWhatWasReplacedOrRemovedIsRefused) {
  const HeadRef replaced = Put(*store_, "a", "old");
  Put(*store_, "a", "new");
  EXPECT_EQ(store_->Refresh(replaced, HeadOf("a", *store_)), nullptr);
  EXPECT_EQ(Asked("a", "new"), "body");
  const HeadRef removed = Put(*store_, "b", "body");
  store_->Remove(KeyOf("b"));
  EXPECT_EQ(store_->Refresh(removed, HeadOf("b", *store_)), nullptr);
  EXPECT_EQ(Asked("b", "body"), "miss");
}

TEST_P(CacheStoreTest, RemoveForgetsAtOnceAndForGood) {
  Put(*store_, "flushed", BodyOf("flushed", 100'000));
  store_->Flush();
  Put(*store_, "queued", BodyOf("queued", 100'000));
  store_->Remove(KeyOf("flushed"));
  store_->Remove(KeyOf("queued"));
  store_->Remove(KeyOf("absent"));
  EXPECT_EQ(Asked("flushed", ""), "miss");
  EXPECT_EQ(Asked("queued", ""), "miss");
  store_->Flush();
  EXPECT_EQ(Asked("flushed", ""), "miss");
  EXPECT_EQ(Asked("queued", ""), "miss");
  Reopen();
  EXPECT_EQ(Asked("flushed", ""), "miss");
  EXPECT_EQ(Asked("queued", ""), "miss");
}

TEST_P(CacheStoreTest, WhatIsPutAfterARemovalStays) {
  Put(*store_, "a", "first");
  store_->Remove(KeyOf("a"));
  Put(*store_, "a", "second");
  EXPECT_EQ(Asked("a", "second"), "body");
  store_->Flush();
  EXPECT_EQ(Asked("a", "second"), "body");
  Reopen();
  EXPECT_EQ(Asked("a", "second"), on_disk() ? "body" : "miss");
}

TEST_P(CacheStoreTest, PurgesByEveryKindOfScope) {
  for (const bool soft : {true, false}) {
    for (const ScopeKind kind :
         {ScopeKind::kSite, ScopeKind::kUrl, ScopeKind::kPrefix, ScopeKind::kTag}) {
      const ScopeHash scope = ScopeOf(kind, "demo", soft ? "soft" : "hard");
      const std::vector<ScopeHash> scopes = {1, scope, 2};
      Put(*store_, "in", BodyOf("in", 70'000), scopes);
      Put(*store_, "out", BodyOf("out", 70'000), {1, 2});
      const uint64_t sequence = store_->Purge({scope}, soft, std::nullopt, nullptr, nullptr);
      EXPECT_EQ(store_->purge_sequence(), sequence);
      const std::string expected = soft ? "stale body" : "miss";
      EXPECT_EQ(Asked("in", BodyOf("in", 70'000)), expected);
      EXPECT_EQ(Asked("out", BodyOf("out", 70'000)), "body");
      Put(*store_, "in", BodyOf("in", 70'000), scopes);
      EXPECT_EQ(Asked("in", BodyOf("in", 70'000)), "body") << "fetched after the purge";
    }
  }
}

TEST_P(CacheStoreTest, ScopesOfDifferentKindSiteOrNameDiffer) {
  const std::vector<ScopeHash> all = {
      ScopeOf(ScopeKind::kSite, "a", "b"),   ScopeOf(ScopeKind::kUrl, "a", "b"),
      ScopeOf(ScopeKind::kPrefix, "a", "b"), ScopeOf(ScopeKind::kTag, "a", "b"),
      ScopeOf(ScopeKind::kTag, "ab", ""),    ScopeOf(ScopeKind::kTag, "", "ab"),
      ScopeOf(ScopeKind::kTag, "b", "a")};
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(all[i], all[j]) << i << " " << j;
  }
}

TEST_P(CacheStoreTest, AHeldHeadOfAHardPurgedObjectChecksAsGone) {
  const HeadRef held = Put(*store_, "a", "body", {5});
  EXPECT_EQ(ToText(store_->Check(*held)), "valid");
  store_->Purge({5}, /*soft=*/true, std::nullopt, nullptr, nullptr);
  EXPECT_EQ(ToText(store_->Check(*held)), "stale");
  store_->Purge({5}, /*soft=*/false, std::nullopt, nullptr, nullptr);
  EXPECT_EQ(ToText(store_->Check(*held)), "gone");
}

TEST_P(CacheStoreTest, AFillInFlightDuringAPurgeDoesNotComeBackAsFresh) {
  for (const bool soft : {true, false}) {
    auto writer = store_->Begin(std::nullopt);
    Head head = HeadOf("a", *store_, {5});  // the fetch starts
    writer->Append(ChunksOf(BodyOf("a", 1000)).front());
    store_->Purge({5}, soft, std::nullopt, nullptr, nullptr);
    const HeadRef stored = writer->Commit(std::move(head));
    if (soft) {
      ASSERT_NE(stored, nullptr);
      EXPECT_EQ(ToText(store_->Check(*stored)), "stale");
      EXPECT_EQ(Asked("a", BodyOf("a", 1000)), "stale body");
    } else {
      EXPECT_EQ(stored, nullptr);
      EXPECT_EQ(store_->Stats().not_stored_by[static_cast<size_t>(NotStored::kPurged)], 1u);
    }
  }
}

TEST_P(CacheStoreTest, ARefreshOfASoftPurgedHeadIsFreshAgain) {
  const HeadRef old = Put(*store_, "a", "body", {5});
  store_->Purge({5}, /*soft=*/true, std::nullopt, nullptr, nullptr);
  const HeadRef fresh = store_->Refresh(old, HeadOf("a", *store_, {5}));
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(Asked("a", "body"), "body");
}

TEST_P(CacheStoreTest, PurgeAllCoversEverything) {
  Put(*store_, "a", "body");
  store_->PurgeAll(Validity::kStale);
  EXPECT_EQ(Asked("a", "body"), "stale body");
  store_->PurgeAll(Validity::kUnsure);
  EXPECT_EQ(Asked("a", "body"), "unsure body");
  store_->PurgeAll(Validity::kGone);
  EXPECT_EQ(Asked("a", "body"), "miss");
  Put(*store_, "a", "again");
  EXPECT_EQ(Asked("a", "again"), "body");
}

TEST_P(CacheStoreTest, PurgesAndTheirPositionSurviveAReopening) {
  Put(*store_, "hard", "body", {1});
  Put(*store_, "soft", "body", {2});
  Put(*store_, "other", "body", {3});
  for (const char* name : {"hard", "soft", "other"}) UseAgain(name);
  store_->Flush();
  TestExecutor executor;
  bool durable = false;
  store_->Purge({1}, false, LogPosition{7, 100}, &executor, [&] { durable = true; });
  store_->Purge({2}, true, LogPosition{7, 101}, nullptr, nullptr);
  ASSERT_TRUE(executor.RunOne());
  EXPECT_TRUE(durable);
  EXPECT_GE(store_->log_position(), (LogPosition{7, 100}));
  const uint64_t sequence = store_->purge_sequence();
  if (!on_disk()) return;
  Reopen();
  EXPECT_EQ(store_->purge_sequence(), sequence);
  EXPECT_EQ(store_->log_position(), (LogPosition{7, 101}));
  EXPECT_EQ(Asked("hard", "body"), "miss");
  EXPECT_EQ(Asked("soft", "body"), "stale body");
  EXPECT_EQ(Asked("other", "body"), "body");
}

TEST_P(CacheStoreTest, AdvanceMovesThePositionAlone) {
  EXPECT_EQ(store_->log_position(), LogPosition{});
  TestExecutor executor;
  store_->Advance({3, 4}, &executor, [] {});
  ASSERT_TRUE(executor.RunOne());
  EXPECT_EQ(store_->log_position(), (LogPosition{3, 4}));
  EXPECT_EQ(store_->purge_sequence(), 0u);
  store_->Advance({4, 1}, nullptr, nullptr);
  store_->Flush();
  EXPECT_EQ(store_->log_position(), (LogPosition{4, 1}));
}

TEST_P(CacheStoreTest, WhatHasToBeDroppedGoesWithoutBeingAskedFor) {
  for (int i = 0; i < 20; ++i) {
    auto writer = store_->Begin(std::nullopt);
    const std::string name = std::to_string(i);
    writer->WriteAtOnce();  // what is in RAM alone is dropped when it is asked for, or evicted
    writer->Append(ChunksOf(BodyOf(name, 3000)).front());
    Head head = HeadOf(name, *store_);
    if (i % 2 == 0) head.drop_at = WallNow() - seconds(1);
    ASSERT_NE(writer->Commit(std::move(head)), nullptr);
  }
  ASSERT_TRUE(FlushUntil(*store_, [&] { return store_->Stats().expired == 10; }));
  EXPECT_EQ(store_->Stats().memory_heads, 10u);
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i);
    EXPECT_EQ(Asked(name, BodyOf(name, 3000)), i % 2 == 0 ? "miss" : "body") << i;
  }
}

TEST_P(CacheStoreTest, ARefreshedObjectExpiresByItsNewTime) {
  auto writer = store_->Begin(0);
  Head head = HeadOf("a", *store_);
  head.drop_at = WallNow() + seconds(3600);
  const HeadRef old = writer->Commit(std::move(head));
  store_->Flush();
  Head sooner = HeadOf("a", *store_);
  sooner.drop_at = WallNow() - seconds(1);
  ASSERT_NE(store_->Refresh(old, std::move(sooner)), nullptr);
  ASSERT_TRUE(FlushUntil(*store_, [&] { return store_->Stats().expired == 1; }));
  EXPECT_EQ(Asked("a", ""), "miss");
}

TEST_P(CacheStoreTest, MemoryStaysBelowItsLimit) {
  for (int i = 0; i < 100; ++i) {
    const std::string name = std::to_string(i);
    ASSERT_NE(Put(*store_, name, BodyOf(name, 600'000)), nullptr);
    ASSERT_LE(store_->Stats().memory_bytes, options_.memory.bytes);
    if (i % 10 == 9) store_->Flush();
  }
  EXPECT_GT(store_->Stats().evicted_memory, 0u);
  EXPECT_EQ(Asked("99", BodyOf("99", 600'000)), "body");
}

TEST_P(CacheStoreTest, MetricsTellWhatStatsTell) {
  metrics::Registry registry;
  store_->ExportMetrics(registry);
  Put(*store_, "a", "body");
  store_->Find(KeyOf("a"));
  const std::string text = registry.Expose();
  EXPECT_THAT(text, testing::HasSubstr("nearside_cache_stored_total 1"));
  EXPECT_THAT(text, testing::HasSubstr("nearside_cache_heads_total{found=\"memory\"} 1"));
  EXPECT_THAT(text, testing::HasSubstr("nearside_cache_objects{tier=\"memory\"} 1"));
  store_.reset();
  EXPECT_THAT(registry.Expose(), testing::HasSubstr("nearside_cache_stored_total 0"))
      << "a scrape after the store's end is harmless";
}

TEST_P(CacheStoreTest, ManyThreadsPutFindPurgeAndRemove) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 300;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string name = std::to_string((i * 7 + t) % 40);
        const size_t size = KeyOf(name).word() % 150'000;
        switch ((i + t) % 6) {
          case 0:
          case 1:
            Put(*store_, name, BodyOf(name, size), {KeyOf(name).word()});
            break;
          case 2:
            store_->Purge({KeyOf(name).word()}, i % 2 == 0, std::nullopt, nullptr, nullptr);
            break;
          case 3:
            store_->Remove(KeyOf(name));
            break;
          default: {
            const std::string answer = Ask(*store_, name, BodyOf(name, size));
            // "gone": hard-purged between Find and Check; "error gone": removed between head and
            // body.
            if (answer == "wrong body" || answer == "wrong meta") ++wrong;
          }
        }
        if (i % 50 == 0) store_->Flush();
        (void)store_->Stats();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store_->Stats().checksum_failures, 0u);
}

}  // namespace
}  // namespace nearside::storage
