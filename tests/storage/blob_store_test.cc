#include "storage/blob_store.h"

#include <signal.h>
#include <sys/resource.h>

#include <filesystem>

#include "tests/storage/blob_store_contract.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Every file below a folder, relative to it.
std::vector<std::string> FilesBelow(const std::filesystem::path& root) {
  std::vector<std::string> files;
  if (!std::filesystem::exists(root)) return files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_regular_file()) {
      files.push_back(std::filesystem::relative(entry.path(), root).string());
    }
  }
  return files;
}

std::unique_ptr<BlobStore> OpenIn(const std::string& folder) {
  auto store = BlobStore::Open("file:" + folder);
  EXPECT_TRUE(store) << store.error().ToString();
  return store ? std::move(*store) : nullptr;
}

class FileEngine final : public BlobEngine {
 public:
  std::unique_ptr<BlobStore> Open() override { return OpenIn(dir_.In("blobs")); }
  size_t Things() const override { return FilesBelow(dir_.In("blobs")).size(); }

 private:
  nearside::test::TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(File, BlobStoreContract, testing::Values([] {
                           return std::unique_ptr<BlobEngine>(new FileEngine);
                         }));

class FileBlobStoreTest : public testing::Test {
 protected:
  std::unique_ptr<BlobStore> OpenStore() { return OpenIn(dir_.In("blobs")); }
  std::vector<std::string> Files() const { return FilesBelow(dir_.In("blobs")); }
  nearside::test::TempDir dir_;
};

TEST_F(FileBlobStoreTest, AContentIsAFileByItsDigestAndNothingElseIs) {
  auto store = OpenStore();
  const StoredBlob stored = PutContent(*store, "hello");
  EXPECT_THAT(Files(), ElementsAre("2c/f2/" + BlobName(stored.id)));
  dir_.Write("blobs/ab/cd/notes.txt", "none of ours");
  EXPECT_THAT(store->List(std::nullopt, 10).value(), ElementsAre(stored.id));
}

TEST_F(FileBlobStoreTest, WhatIsBeingWrittenIsAFileThatEndsWithItsWriter) {
  auto store = OpenStore();
  {
    auto writer = store->Begin();
    ASSERT_TRUE((*writer)->Append(AsBytes("half of i")));
    EXPECT_EQ(Files().size(), 1u);
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(FileBlobStoreTest, AFullDiskIsAnErrorAndGivesTheSpaceBack) {
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

TEST_F(FileBlobStoreTest, AFileCutShortIsAnErrorAndNotAnEnd) {
  auto store = OpenStore();
  const StoredBlob stored = PutContent(*store, "0123456789");
  auto reader = store->Read(stored.id);
  std::filesystem::resize_file(dir_.In("blobs/" + Files().front()), 4);
  std::string out(10, '.');
  auto n = (*reader)->ReadAt(0, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().reason, "blob_truncated");
}

TEST_F(FileBlobStoreTest, AFolderThatCannotBeIsTheOperatorsFault) {
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

}  // namespace
}  // namespace nearside::storage::test
