#include "storage/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "runtime/crypto.h"
#include "runtime/text_bytes.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

BlobId IdOf(std::string_view text) { return BlobId{Sha256Of(text)}; }

class BlobStoreTest : public testing::Test {
 protected:
  std::unique_ptr<BlobStore> OpenStore() {
    auto store = BlobStore::Open("file:" + dir_.In("blobs"));
    EXPECT_TRUE(store) << store.error().ToString();
    return store ? std::move(*store) : nullptr;
  }

  /// Every file below the store, relative to it.
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    const std::filesystem::path root = dir_.In("blobs");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (entry.is_regular_file()) {
        files.push_back(std::filesystem::relative(entry.path(), root).string());
      }
    }
    return files;
  }

  static StoredBlob Put(BlobStore& store, std::string_view text) {
    auto writer = store.Begin();
    EXPECT_TRUE(writer && (*writer)->Append(AsBytes(text)));
    auto stored = (*writer)->Commit({});
    EXPECT_TRUE(stored) << stored.error().ToString();
    return stored.value_or(StoredBlob{});
  }

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
      auto store = BlobStore::Open("file:" + dir_.In("blobs"));
      if (store) work(**store);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }

  test::TempDir dir_;
};

TEST_F(BlobStoreTest, StoresUnderTheDigestAndReadsBack) {
  auto store = OpenStore();
  const StoredBlob stored = Put(*store, "hello");
  EXPECT_EQ(BlobName(stored.id),
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(stored.bytes, 5u);
  EXPECT_EQ(Get(*store, stored.id), "hello");
  EXPECT_THAT(Files(), ElementsAre("2c/f2/" + BlobName(stored.id)));
}

TEST_F(BlobStoreTest, EmptyContentIsABlobToo) {
  auto store = OpenStore();
  const StoredBlob stored = Put(*store, "");
  EXPECT_EQ(stored.id, IdOf(""));
  EXPECT_EQ(store->Find(stored.id).value(), 0u);
  EXPECT_EQ(Get(*store, stored.id), "");
}

TEST_F(BlobStoreTest, ReadsAnyRange) {
  auto store = OpenStore();
  const StoredBlob stored = Put(*store, "0123456789");
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

TEST_F(BlobStoreTest, ExpectationsThatHoldAreAccepted) {
  auto store = OpenStore();
  auto writer = store->Begin();
  ASSERT_TRUE((*writer)->Append(AsBytes("hel")));
  ASSERT_TRUE((*writer)->Append(AsBytes("lo")));
  EXPECT_EQ((*writer)->bytes(), 5u);
  EXPECT_EQ((*writer)->Commit({.id = IdOf("hello"), .bytes = 5}).value(),
            (StoredBlob{IdOf("hello"), 5}));
}

TEST_F(BlobStoreTest, AWrongDigestStoresNothing) {
  auto store = OpenStore();
  {
    auto writer = store->Begin();
    ASSERT_TRUE((*writer)->Append(AsBytes("hello")));
    auto stored = (*writer)->Commit({.id = IdOf("other")});
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().reason, "digest_mismatch");
    EXPECT_EQ(stored.error().fault, Fault::kClient);
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobStoreTest, AWrongLengthStoresNothing) {
  auto store = OpenStore();
  {
    auto writer = store->Begin();
    ASSERT_TRUE((*writer)->Append(AsBytes("hello")));
    auto stored = (*writer)->Commit({.bytes = 6});
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().reason, "length_mismatch");
    EXPECT_THAT(stored.error().message, HasSubstr("5 bytes, but 6"));
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobStoreTest, AnAbandonedWriterGivesItsSpaceBackAtOnce) {
  auto store = OpenStore();
  {
    auto writer = store->Begin();
    ASSERT_TRUE((*writer)->Append(AsBytes("half of i")));
    EXPECT_EQ(Files().size(), 1u);
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobStoreTest, AProcessKilledAtAnyStageLeavesNothingVisibleAndTheNextStartSweeps) {
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
    EXPECT_EQ(Files().size(), 1u) << "the child left its temporary file";
    auto store = OpenStore();
    EXPECT_FALSE(store->Find(IdOf(text)).value());
    EXPECT_THAT(Files(), IsEmpty());
  }
}

TEST_F(BlobStoreTest, WhatWasCommittedSurvivesAKill) {
  InKilledChild([](BlobStore& store) {
    auto writer = store.Begin();
    (void)(*writer)->Append(AsBytes("kept"));
    (void)(*writer)->Commit({});
  });
  auto store = OpenStore();
  EXPECT_EQ(Get(*store, IdOf("kept")), "kept");
}

TEST_F(BlobStoreTest, AnotherProcessThatStartsSparesUploadsUnderWay) {
  auto store = OpenStore();
  auto writer = store->Begin();
  ASSERT_TRUE((*writer)->Append(AsBytes("hel")));
  auto other = OpenStore();
  ASSERT_TRUE((*writer)->Append(AsBytes("lo")));
  ASSERT_TRUE((*writer)->Commit({}));
  EXPECT_EQ(Get(*other, IdOf("hello")), "hello");
}

TEST_F(BlobStoreTest, AFullDiskIsAnErrorAndGivesTheSpaceBack) {
  ASSERT_TRUE(OpenStore());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A file-size limit fails the write where it would fail on a full disk.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10'000, 10'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto store = BlobStore::Open("file:" + dir_.In("blobs"));
    auto writer = (*store)->Begin();
    const Status appended = (*writer)->Append(AsBytes(std::string(20'000, 'x')));
    const bool right =
        !appended && appended.error().fault == Fault::kSelf && appended.error().reason == "EFBIG";
    writer->reset();
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobStoreTest, TheSameContentTwiceIsOneFile) {
  auto store = OpenStore();
  auto first = store->Begin();
  auto second = store->Begin();
  ASSERT_TRUE((*first)->Append(AsBytes("same")));
  ASSERT_TRUE((*second)->Append(AsBytes("same")));
  ASSERT_TRUE((*first)->Commit({}));
  ASSERT_TRUE((*second)->Commit({}));
  EXPECT_EQ(Files().size(), 1u);
  EXPECT_EQ(Get(*store, IdOf("same")), "same");
}

TEST_F(BlobStoreTest, ARemovedBlobIsReadableToItsEndWhileOpen) {
  auto store = OpenStore();
  const StoredBlob stored = Put(*store, "still here");
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

TEST_F(BlobStoreTest, OnlyWhatWasStoredBeforeATimeIsRemovedByIt) {
  auto store = OpenStore();
  const WallTime before = WallNow() - seconds(60);
  const StoredBlob stored = Put(*store, "x");
  EXPECT_FALSE(store->RemoveStoredBefore(stored.id, before).value());
  EXPECT_EQ(Get(*store, stored.id), "x");
  EXPECT_TRUE(store->RemoveStoredBefore(stored.id, WallNow() + seconds(60)).value());
  EXPECT_EQ(Get(*store, stored.id), "no_such_blob");
  EXPECT_TRUE(store->RemoveStoredBefore(stored.id, before).value()) << "gone already";
}

TEST_F(BlobStoreTest, ListsEveryBlobOnceInTheOrderOfNames) {
  auto store = OpenStore();
  EXPECT_THAT(store->List(std::nullopt, 10).value(), IsEmpty());
  std::vector<BlobId> all;
  for (int i = 0; i < 300; ++i) all.push_back(Put(*store, std::to_string(i)).id);
  std::sort(all.begin(), all.end());
  dir_.Write("blobs/ab/cd/notes.txt", "none of ours");
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

TEST_F(BlobStoreTest, AFileCutShortIsAnErrorAndNotAnEnd) {
  auto store = OpenStore();
  const StoredBlob stored = Put(*store, "0123456789");
  auto reader = store->Read(stored.id);
  std::filesystem::resize_file(dir_.In("blobs/" + Files().front()), 4);
  std::string out(10, '.');
  auto n = (*reader)->ReadAt(0, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().reason, "blob_truncated");
}

TEST_F(BlobStoreTest, AFolderThatCannotBeIsTheOperatorsFault) {
  dir_.Write("blobs", "a file where the folder should be");
  auto store = BlobStore::Open("file:" + dir_.In("blobs"));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().fault, Fault::kOperator);
  EXPECT_EQ(store.error().reason, "folder_unwritable");
  EXPECT_THAT(store.error().message, HasSubstr("blobs"));
}

TEST(BlobStoreUrlTest, OtherSchemesAreRefusedWithWhatWasExpected) {
  for (const char* url : {"s3://bucket", "file:", "var/blobs", "", "FILE:x"}) {
    SCOPED_TRACE(url);
    auto store = BlobStore::Open(url);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().reason, "bad_url");
    EXPECT_EQ(store.error().fault, Fault::kOperator);
    EXPECT_THAT(store.error().message, HasSubstr("expected"));
  }
  EXPECT_THAT(BlobStore::Open("s3://bucket").error().message, HasSubstr("not supported"));
}

TEST(BlobNameTest, ReadsSixtyFourDigitsOfEitherCaseAndNothingElse) {
  const std::string name = BlobName(IdOf("hello"));
  EXPECT_EQ(ParseBlobName(name).value(), IdOf("hello"));
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(ParseBlobName(upper).value(), IdOf("hello"));
  for (size_t size = 0; size < name.size(); ++size) {
    EXPECT_FALSE(ParseBlobName(name.substr(0, size))) << size;
  }
  EXPECT_FALSE(ParseBlobName(name + "0"));
  EXPECT_FALSE(ParseBlobName("g" + name.substr(1)));
  EXPECT_FALSE(ParseBlobName("../" + name.substr(3)));
}

}  // namespace
}  // namespace nearside::storage
