#include "storage/memory_cache_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "tests/storage/cache_fixture.h"

namespace nearside::storage {
namespace {

using std::chrono::minutes;

CacheOptions OptionsOf(ByteSize memory) {
  CacheOptions options;
  options.memory = memory;
  return options;
}

class MemoryCacheStoreTest : public testing::Test {
 protected:
  void Purge(ScopeHash scope, bool soft = false) {
    store_.Purge({scope}, soft, std::nullopt, nullptr, nullptr);
  }
  /// A pass now that notes the purges so far, and one when no fill is older than them.
  void LetAnHourPass() {
    store_.Reclaim(now_);
    now_ += minutes(61);
    store_.Reclaim(now_);
    now_ += minutes(6);
  }

  MemoryCacheStore store_{OptionsOf(8_MiB), DecodeTestPayload};
  MonoTime now_ = MonoNow() + minutes(10);  // its own sweeper has had its turn then
};

TEST_F(MemoryCacheStoreTest, MarksThatConcernNothingAreForgotten) {
  Put(store_, "valid", "body", {1});
  for (ScopeHash scope = 100; scope < 300; ++scope) Purge(scope, scope % 2 == 0);
  Put(store_, "newer", "body", {100});
  store_.Reclaim(now_);
  EXPECT_EQ(store_.Stats().purge_marks, 200u) << "a fill may still be under way";
  now_ += minutes(61);
  store_.Reclaim(now_);
  EXPECT_EQ(store_.Stats().purge_marks, 0u);
  EXPECT_EQ(Ask(store_, "valid", "body"), "body");
  EXPECT_EQ(Ask(store_, "newer", "body"), "body");
}

TEST_F(MemoryCacheStoreTest, WhatIsPurgedGivesItsMemoryBack) {
  Put(store_, "gone", BodyOf("gone", 3 * kChunkBytes), {1});
  Put(store_, "kept", "body", {2});
  const uint64_t before = store_.Stats().memory_bytes;
  Purge(1);
  store_.Reclaim(now_);
  const CacheStats stats = store_.Stats();
  EXPECT_EQ(stats.memory_heads, 1u);
  EXPECT_LE(stats.memory_bytes + 3 * kChunkBytes, before);
  EXPECT_EQ(stats.removed_by[static_cast<size_t>(Removal::kPurged)], 1u);
  EXPECT_EQ(Ask(store_, "kept", "body"), "body");
}

TEST_F(MemoryCacheStoreTest, WhatIsStaleByAPurgeStaysSo) {
  Put(store_, "stale", "body", {1});
  Purge(1, /*soft=*/true);
  Purge(2);
  LetAnHourPass();
  EXPECT_EQ(Ask(store_, "stale", "body"), "stale body");
  EXPECT_EQ(store_.Stats().purge_marks, 2u);
  store_.Remove(KeyOf("stale"));
  Purge(3);
  LetAnHourPass();
  EXPECT_EQ(store_.Stats().purge_marks, 0u);
}

TEST_F(MemoryCacheStoreTest, AFillThatIsOlderThanWhatIsRememberedIsNotStored) {
  const Head old_head = HeadOf("old", store_, {1});
  Purge(1);
  LetAnHourPass();
  ASSERT_EQ(store_.Stats().purge_marks, 0u);
  EXPECT_EQ(store_.CheckFetch(old_head.purge_sequence, old_head.scopes), Validity::kGone);
  EXPECT_EQ(store_.Begin(0)->Commit(old_head), nullptr);
  EXPECT_EQ(store_.Stats().not_stored_by[static_cast<size_t>(NotStored::kPurged)], 1u);
  EXPECT_NE(Put(store_, "new", "body", {1}), nullptr);
}

TEST_F(MemoryCacheStoreTest, MoreObjectsThanASliceAreAllLookedAt) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_NE(Put(store_, std::to_string(i), "body", {static_cast<ScopeHash>(i % 2)}), nullptr);
  }
  Purge(1);
  store_.Reclaim(now_);
  EXPECT_EQ(store_.Stats().memory_heads, 500u);
}

// What is stored while marks are forgotten is under those that are left.
TEST_F(MemoryCacheStoreTest, ObjectsComeWhilePurgesAreForgotten) {
  constexpr ScopeHash kScopes = 8;
  std::atomic<bool> done{false};
  std::thread purger([&] {
    for (ScopeHash scope = 0; !done; scope = (scope + 1) % kScopes) Purge(scope, scope % 2 == 0);
  });
  std::thread sweeper([&] {
    while (!done) LetAnHourPass();
  });
  int stored = 0;
  for (int i = 0; i < 3000; ++i) {
    Head head = HeadOf(std::to_string(i % 500), store_, {static_cast<ScopeHash>(i) % kScopes});
    auto writer = store_.Begin(4);
    writer->Append(ChunksOf("body").front());
    const HeadRef kept = writer->Commit(std::move(head));
    if (kept == nullptr) continue;
    ++stored;
    Head again = HeadOf(std::to_string(i % 500), store_, kept->head.scopes);
    store_.Refresh(kept, std::move(again));
  }
  done = true;
  purger.join();
  sweeper.join();
  EXPECT_GT(stored, 0);
  for (ScopeHash scope = 0; scope < kScopes; ++scope) Purge(scope);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(Ask(store_, std::to_string(i), "body"), "miss") << i;
}

TEST_F(MemoryCacheStoreTest, MarksHaveAShareOfTheMemory) {
  for (ScopeHash scope = 1; scope <= 20'000; ++scope) Purge(scope);
  EXPECT_LE(store_.Stats().purge_marks, (8u << 20) / 1024);
  Put(store_, "newest", "body", {20'000});
  EXPECT_EQ(Ask(store_, "newest", "body"), "body");
  Head oldest = HeadOf("oldest", store_, {1});
  oldest.purge_sequence = 0;
  EXPECT_EQ(store_.Begin(0)->Commit(oldest), nullptr) << "no purge is lost";
}

}  // namespace
}  // namespace nearside::storage
