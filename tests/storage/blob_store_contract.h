#pragma once

// What every engine of BlobStore keeps to. An engine's test includes this and says how it is
// opened:
//
//   INSTANTIATE_TEST_SUITE_P(File, BlobStoreContract, testing::Values(MakeFileEngine));

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/crypto.h"
#include "runtime/text_bytes.h"
#include "storage/blob_store.h"

namespace nearside::storage::test {

/// One store, which several processes may have open.
class BlobEngine {
 public:
  virtual ~BlobEngine() = default;
  /// The same store each time.
  virtual std::unique_ptr<BlobStore> Open() = 0;
  /// How many things take its space: contents, and what is left of those that were begun.
  virtual size_t Things() const = 0;
};

inline BlobId ContentId(std::string_view text) { return BlobId{Sha256Of(text)}; }

inline StoredBlob PutContent(BlobStore& store, std::string_view text) {
  auto writer = store.Begin();
  EXPECT_TRUE(writer && (*writer)->Append(AsBytes(text)));
  auto stored = (*writer)->Commit({});
  EXPECT_TRUE(stored) << stored.error().ToString();
  return stored.value_or(StoredBlob{});
}

class BlobStoreContract
    : public testing::TestWithParam<std::function<std::unique_ptr<BlobEngine>()>> {
 protected:
  void SetUp() override { engine_ = GetParam()(); }

  static std::string Get(const BlobStore& store, const BlobId& id) {
    auto reader = store.Read(id);
    if (!reader) return reader.error().reason;
    std::string text((*reader)->size(), '\0');
    auto n = (*reader)->ReadAt(0, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
    return n && *n == text.size() ? text : "short";
  }

  /// Runs `work` in a child that then dies like one that is killed: no destructor runs.
  void InKilledChild(const std::function<void(BlobStore&)>& work) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = engine_->Open();
      if (store) work(*store);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }

  std::unique_ptr<BlobEngine> engine_;
};

TEST_P(BlobStoreContract, StoresUnderTheDigestAndReadsBack) {
  auto store = engine_->Open();
  const StoredBlob stored = PutContent(*store, "hello");
  EXPECT_EQ(BlobName(stored.id),
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(stored.bytes, 5u);
  EXPECT_EQ(Get(*store, stored.id), "hello");
  EXPECT_EQ(engine_->Things(), 1u);
}

TEST_P(BlobStoreContract, EmptyContentIsABlobToo) {
  auto store = engine_->Open();
  const StoredBlob stored = PutContent(*store, "");
  EXPECT_EQ(stored.id, ContentId(""));
  EXPECT_EQ(store->Find(stored.id).value(), 0u);
  EXPECT_EQ(Get(*store, stored.id), "");
}

TEST_P(BlobStoreContract, ReadsAnyRange) {
  auto store = engine_->Open();
  const StoredBlob stored = PutContent(*store, "0123456789");
  auto reader = store->Read(stored.id);
  ASSERT_TRUE(reader);
  const auto read = [&](uint64_t offset, size_t size) {
    std::string out(size, '.');
    auto n = (*reader)->ReadAt(offset, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
    return n ? out.substr(0, *n) : n.error().reason;
  };
  EXPECT_EQ(read(0, 3), "012");
  EXPECT_EQ(read(8, 5), "89");
  EXPECT_EQ(read(10, 5), "");
  EXPECT_EQ(read(1000, 5), "");
  EXPECT_EQ(read(3, 0), "");
}

TEST_P(BlobStoreContract, ExpectationsThatHoldAreAccepted) {
  auto store = engine_->Open();
  auto writer = store->Begin();
  ASSERT_TRUE((*writer)->Append(AsBytes("hel")));
  ASSERT_TRUE((*writer)->Append(AsBytes("lo")));
  EXPECT_EQ((*writer)->bytes(), 5u);
  EXPECT_EQ((*writer)->Commit({.id = ContentId("hello"), .bytes = 5}).value(),
            (StoredBlob{ContentId("hello"), 5}));
}

TEST_P(BlobStoreContract, AWrongDigestStoresNothing) {
  auto store = engine_->Open();
  {
    auto writer = store->Begin();
    ASSERT_TRUE((*writer)->Append(AsBytes("hello")));
    auto stored = (*writer)->Commit({.id = ContentId("other")});
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().reason, "digest_mismatch");
    EXPECT_EQ(stored.error().fault, Fault::kClient);
  }
  EXPECT_EQ(engine_->Things(), 0u);
}

TEST_P(BlobStoreContract, AWrongLengthStoresNothing) {
  auto store = engine_->Open();
  {
    auto writer = store->Begin();
    ASSERT_TRUE((*writer)->Append(AsBytes("hello")));
    auto stored = (*writer)->Commit({.bytes = 6});
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().reason, "length_mismatch");
    EXPECT_THAT(stored.error().message, testing::HasSubstr("5 bytes, but 6"));
  }
  EXPECT_EQ(engine_->Things(), 0u);
}

TEST_P(BlobStoreContract, AnAbandonedWriterGivesItsSpaceBackAtOnce) {
  auto store = engine_->Open();
  {
    auto writer = store->Begin();
    ASSERT_TRUE((*writer)->Append(AsBytes("half of i")));
  }
  EXPECT_EQ(engine_->Things(), 0u);
}

TEST_P(BlobStoreContract, AProcessKilledAtAnyStageLeavesNothingVisibleAndTheNextStartSweeps) {
  const std::string text(100'000, 'x');
  const std::vector<std::function<void(BlobStore&)>> stages = {
      [](BlobStore& store) { (void)store.Begin().value().release(); },
      [&](BlobStore& store) {
        auto* writer = store.Begin().value().release();
        (void)writer->Append(AsBytes(text.substr(0, 1)));
      },
      [&](BlobStore& store) {
        auto* writer = store.Begin().value().release();
        (void)writer->Append(AsBytes(text));
      },
      [&](BlobStore& store) {  // whole, but refused
        auto* writer = store.Begin().value().release();
        (void)writer->Append(AsBytes(text));
        (void)writer->Commit({.bytes = 1});
      },
  };
  for (size_t i = 0; i < stages.size(); ++i) {
    SCOPED_TRACE("stage " + std::to_string(i));
    InKilledChild(stages[i]);
    auto store = engine_->Open();
    EXPECT_FALSE(store->Find(ContentId(text)).value());
    EXPECT_EQ(engine_->Things(), 0u);
  }
}

TEST_P(BlobStoreContract, WhatWasCommittedSurvivesAKill) {
  InKilledChild([](BlobStore& store) {
    auto writer = store.Begin();
    (void)(*writer)->Append(AsBytes("kept"));
    (void)(*writer)->Commit({});
  });
  auto store = engine_->Open();
  EXPECT_EQ(Get(*store, ContentId("kept")), "kept");
}

TEST_P(BlobStoreContract, AnotherProcessThatStartsSparesUploadsUnderWay) {
  auto store = engine_->Open();
  auto writer = store->Begin();
  ASSERT_TRUE((*writer)->Append(AsBytes("hel")));
  auto other = engine_->Open();
  ASSERT_TRUE((*writer)->Append(AsBytes("lo")));
  ASSERT_TRUE((*writer)->Commit({}));
  EXPECT_EQ(Get(*other, ContentId("hello")), "hello");
}

TEST_P(BlobStoreContract, TheSameContentTwiceIsOneFile) {
  auto store = engine_->Open();
  auto first = store->Begin();
  auto second = store->Begin();
  ASSERT_TRUE((*first)->Append(AsBytes("same")));
  ASSERT_TRUE((*second)->Append(AsBytes("same")));
  ASSERT_TRUE((*first)->Commit({}));
  ASSERT_TRUE((*second)->Commit({}));
  EXPECT_EQ(engine_->Things(), 1u);
  EXPECT_EQ(Get(*store, ContentId("same")), "same");
}

TEST_P(BlobStoreContract, ARemovedBlobIsReadableToItsEndWhileOpen) {
  auto store = engine_->Open();
  const StoredBlob stored = PutContent(*store, "still here");
  auto reader = store->Read(stored.id);
  ASSERT_TRUE(store->Remove(stored.id));
  ASSERT_TRUE(store->Remove(stored.id));
  std::string out(10, '.');
  EXPECT_EQ((*reader)->ReadAt(0, {reinterpret_cast<uint8_t*>(out.data()), out.size()}).value(),
            10u);
  EXPECT_EQ(out, "still here");
  EXPECT_EQ(Get(*store, stored.id), "no_such_blob");
  EXPECT_FALSE(store->Find(stored.id).value());
}

TEST_P(BlobStoreContract, OnlyWhatWasStoredBeforeATimeIsRemovedByIt) {
  auto store = engine_->Open();
  const WallTime before = WallNow() - seconds(60);
  const StoredBlob stored = PutContent(*store, "x");
  EXPECT_FALSE(store->RemoveStoredBefore(stored.id, before).value());
  EXPECT_EQ(Get(*store, stored.id), "x");
  EXPECT_TRUE(store->RemoveStoredBefore(stored.id, WallNow() + seconds(60)).value());
  EXPECT_EQ(Get(*store, stored.id), "no_such_blob");
  EXPECT_TRUE(store->RemoveStoredBefore(stored.id, before).value()) << "gone already";
}

TEST_P(BlobStoreContract, ListsEveryBlobOnceInTheOrderOfNames) {
  auto store = engine_->Open();
  EXPECT_THAT(store->List(std::nullopt, 10).value(), testing::IsEmpty());
  std::vector<BlobId> all;
  for (int i = 0; i < 300; ++i) all.push_back(PutContent(*store, std::to_string(i)).id);
  std::sort(all.begin(), all.end());
  auto half_written = store->Begin();
  std::vector<BlobId> listed;
  std::optional<BlobId> after;
  while (true) {
    const std::vector<BlobId> page = store->List(after, 7).value();
    listed.insert(listed.end(), page.begin(), page.end());
    if (page.size() < 7) break;
    after = page.back();
  }
  EXPECT_EQ(listed, all);
}

TEST(BlobNameTest, ReadsSixtyFourDigitsOfEitherCaseAndNothingElse) {
  const std::string name = BlobName(ContentId("hello"));
  EXPECT_EQ(ParseBlobName(name).value(), ContentId("hello"));
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(ParseBlobName(upper).value(), ContentId("hello"));
  for (size_t size = 0; size < name.size(); ++size) {
    EXPECT_FALSE(ParseBlobName(name.substr(0, size))) << size;
  }
  EXPECT_FALSE(ParseBlobName(name + "0"));
  EXPECT_FALSE(ParseBlobName("g" + name.substr(1)));
  EXPECT_FALSE(ParseBlobName("../" + name.substr(3)));
}

}  // namespace nearside::storage::test
