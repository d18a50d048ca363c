// Several variants of one resource at once: run under tsan.

#include "edge/variant_index.h"

#include <gtest/gtest.h>

#include <barrier>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "http/date.h"
#include "runtime/fatal.h"
#include "runtime/units.h"

namespace nearside::edge {
namespace {

Key256 KeyOf(uint8_t resource, uint8_t variant) {
  Key256 key;
  key.bytes.fill(resource);
  key.bytes[0] = variant;
  return key;
}

class VariantIndexTest : public testing::Test {
 protected:
  VariantIndexTest() {
    storage::CacheOptions options;
    options.memory = 64_MiB;
    auto store = storage::CacheStore::Open(
        options, [](const storage::Head& head) { return DecodeStored(head.meta); });
    if (!store) Fatal(store.error().message);
    store_ = std::move(*store);
  }
  void Commit(uint8_t resource, uint8_t variant, seconds kept = seconds(60)) {
    IndexEntry entry;
    entry.head.key = KeyOf(resource, 0);
    entry.head.drop_at = now_ + kept;
    entry.head.purge_sequence = store_->purge_sequence();
    entry.head.scopes = {resource};
    entry.newest = {.selecting = {{"x-n", std::to_string(variant)}},
                    .key = KeyOf(resource, variant),
                    .stored_at = now_,
                    .date = date_};
    entry.object_id = id_;
    entry.before = before_;
    CommitVariant(*store_, locks_, std::move(entry));
  }
  /// The variants of an index, by number.
  std::vector<int> Listed(uint8_t resource) {
    std::vector<int> numbers;
    const storage::HeadRef head = store_->Find(KeyOf(resource, 0));
    if (!head) return numbers;
    for (const Variant& variant : ResponseOf(*head).variants) {
      numbers.push_back(variant.key.bytes[0]);
    }
    return numbers;
  }

  WallTime now_ = WallNow();
  WallTime date_ = now_;  ///< of what is committed
  uint64_t id_ = 1;       ///< of the next variant, in the store
  std::unique_ptr<storage::CacheStore> store_;
  IndexLocks locks_;
  storage::HeadRef before_;
};

TEST_F(VariantIndexTest, OfOneDateTheLastIsFirstAndListedOnce) {
  for (const uint8_t variant : {1, 2, 3, 2}) Commit(7, variant);
  EXPECT_EQ(Listed(7), (std::vector<int>{2, 3, 1}));
}

// RFC 9111 §4.
TEST_F(VariantIndexTest, TheMostRecentByDateIsFirst) {
  const auto commit = [&](uint8_t variant, seconds back) {
    date_ = now_ - back;
    Commit(7, variant);
  };
  commit(1, seconds(10));
  commit(2, seconds(30));
  commit(3, seconds(20));
  EXPECT_EQ(Listed(7), (std::vector<int>{1, 3, 2}));
  commit(2, seconds(0));
  EXPECT_EQ(Listed(7), (std::vector<int>{2, 1, 3}));
  commit(1, seconds(20));
  EXPECT_EQ(Listed(7), (std::vector<int>{2, 1, 3}));
}

TEST_F(VariantIndexTest, OfTooManyTheOldestGoesAndNotTheLast) {
  for (size_t i = 1; i <= kMaxVariants; ++i) {
    date_ = now_ - seconds(i);
    Commit(7, static_cast<uint8_t>(i));
  }
  date_ = now_ - std::chrono::hours(1);
  Commit(7, 200);
  const std::vector<int> listed = Listed(7);
  ASSERT_EQ(listed.size(), kMaxVariants);
  EXPECT_EQ(listed.front(), 1);
  EXPECT_EQ(listed[kMaxVariants - 2], int{kMaxVariants} - 1);
  EXPECT_EQ(listed.back(), 200);
}

TEST_F(VariantIndexTest, AVariantIsOfTheDateOfItsResponse) {
  StoredResponse response;
  response.freshness.response_time = now_;
  response.fields = {{"date", "Tue, 01 Dec 2026 12:00:00 GMT"}, {"content-language", "DE"}};
  const Variant variant = MakeVariant(KeyOf(7, 1), {{"x-n", "1"}}, response);
  EXPECT_EQ(variant.date, *http::ParseDate("Tue, 01 Dec 2026 12:00:00 GMT", now_));
  EXPECT_EQ(variant.stored_at, now_);
  EXPECT_EQ(variant.language, "de");
  for (const std::string_view date : {"", "yesterday"}) {
    response.fields.Set("date", date);
    EXPECT_EQ(MakeVariant(KeyOf(7, 1), {}, response).date, now_) << date;
  }
}

TEST_F(VariantIndexTest, ItLivesAsLongAsTheLongestLivedOfThem) {
  Commit(7, 1, seconds(100));
  Commit(7, 2, seconds(10));
  EXPECT_EQ(store_->Find(KeyOf(7, 0))->head.drop_at, now_ + seconds(100));
}

TEST_F(VariantIndexTest, ItIsAsOldAsTheOldestThatItHasListed) {
  const auto since = [&] { return ResponseOf(*store_->Find(KeyOf(7, 0))).since; };
  id_ = 10;
  Commit(7, 1);
  EXPECT_EQ(since(), 10u);
  id_ = 20;
  now_ -= std::chrono::hours(1);  // no clock tells
  Commit(7, 2);
  EXPECT_EQ(since(), 10u);
  id_ = 9;  // begun earlier, ended later
  Commit(7, 3);
  EXPECT_EQ(since(), 9u);
  id_ = 5;  // the same as what is listed, begun long ago
  Commit(7, 1);
  EXPECT_EQ(since(), 9u);
  store_->Remove(KeyOf(7, 0));
  id_ = 30;
  Commit(7, 4);
  EXPECT_EQ(since(), 30u) << "nothing is known of what was before";
}

TEST_F(VariantIndexTest, ItTakesThePlaceOfAResponseWithoutVaryThatIsOlderThanTheVariantAlone) {
  storage::Head plain;
  plain.key = KeyOf(7, 0);
  plain.drop_at = now_ + seconds(60);
  plain.meta = EncodeStored(StoredResponse());
  const storage::HeadRef stored = store_->Begin(0)->Commit(std::move(plain));
  id_ = stored->head.object_id - 1;
  Commit(7, 1);
  EXPECT_EQ(store_->Find(KeyOf(7, 0)), stored);
  id_ = stored->head.object_id + 1;
  Commit(7, 2);
  EXPECT_EQ(Listed(7), std::vector<int>{2});
  EXPECT_EQ(ResponseOf(*store_->Find(KeyOf(7, 0))).since, id_);
}

TEST_F(VariantIndexTest, WhatIsFromBeforeIsToldByTheIndexAndByAResponseWithoutVary) {
  const auto made = [](uint64_t id, uint64_t since) {
    auto head = std::make_shared<storage::CachedHead>();
    auto response = std::make_unique<StoredResponse>();
    if (since != 0) response->variants.resize(1);
    response->since = since;
    head->head.object_id = id;
    head->payload = std::move(response);
    return head;
  };
  const auto index = made(12, 10);
  EXPECT_TRUE(IsFromBefore(*index, *made(9, 0)));
  EXPECT_FALSE(IsFromBefore(*index, *made(10, 0)));
  EXPECT_FALSE(IsFromBefore(*index, *made(13, 0)));
  EXPECT_TRUE(IsFromBefore(*made(12, 0), *made(9, 0)));
}

TEST_F(VariantIndexTest, WhatAPurgeCoversIsNotListedAgain) {
  Commit(7, 1);
  before_ = store_->Find(KeyOf(7, 0));
  store_->Purge({7}, /*soft=*/false, std::nullopt, nullptr, nullptr);
  Commit(7, 2);
  EXPECT_EQ(Listed(7), std::vector<int>{2});
}

TEST_F(VariantIndexTest, WhatWasKnownAtLookupStandsInForWhatRamHasNoMore) {
  Commit(7, 1);
  before_ = store_->Find(KeyOf(7, 0));
  store_->Remove(KeyOf(7, 0));
  Commit(7, 2);
  EXPECT_EQ(Listed(7), (std::vector<int>{2, 1}));
}

TEST_F(VariantIndexTest, NoneOfThoseThatEndAtOnceIsLost) {
  constexpr int kThreads = 4, kEach = 15, kResources = 40;  // sixty fit into an index
  std::barrier begin(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint8_t resource = 1; resource <= kResources; ++resource) {
        begin.arrive_and_wait();
        for (int i = 0; i < kEach; ++i) {
          Commit(resource, static_cast<uint8_t>(1 + thread * kEach + i));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint8_t resource = 1; resource <= kResources; ++resource) {
    const std::vector<int> listed = Listed(resource);
    EXPECT_EQ(std::set<int>(listed.begin(), listed.end()).size(), 60u) << int{resource};
  }
}

}  // namespace
}  // namespace nearside::edge
