#include "storage/partial_blob_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "runtime/crypto.h"
#include "runtime/text_bytes.h"
#include "storage/blob_store.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

BlobId IdOf(std::string_view text) { return BlobId{Sha256Of(text)}; }

class PartialBlobFilesTest : public testing::Test {
 protected:
  void SetUp() override { store_ = OpenStore(); }
  std::unique_ptr<BlobStore> OpenStore() {
    auto store = BlobStore::Open("file:" + dir_.In("blobs"));
    EXPECT_TRUE(store) << store.error().ToString();
    return store ? std::move(*store) : nullptr;
  }
  std::unique_ptr<PartialBlob> Open(const std::string& name, bool make = true) {
    auto partial = store_->OpenPartial(name, make);
    EXPECT_TRUE(partial) << partial.error().ToString();
    return partial ? std::move(*partial) : nullptr;
  }
  std::string WhyNot(const std::string& name, bool make = false) {
    const auto partial = store_->OpenPartial(name, make);
    return partial ? "none" : partial.error().reason;
  }
  std::string Get(const BlobId& id) const {
    auto reader = store_->Read(id);
    if (!reader) return reader.error().reason;
    std::string text((*reader)->size(), '\0');
    (void)(*reader)->ReadAt(0, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
    return text;
  }

  nearside::test::TempDir dir_;
  std::unique_ptr<BlobStore> store_;
};

TEST_F(PartialBlobFilesTest, GrowsInSeveralGoesAndBecomesABlob) {
  {
    auto partial = Open("u1");
    EXPECT_EQ(partial->bytes(), 0u);
    EXPECT_TRUE(partial->Append(AsBytes("hello")));
    EXPECT_TRUE(partial->Append(AsBytes(" wor")));
    EXPECT_EQ(partial->bytes(), 9u);
    EXPECT_TRUE(partial->Sync());
  }
  EXPECT_THAT(*store_->Partials(), ElementsAre("u1"));
  EXPECT_THAT(*store_->List(std::nullopt, 10), IsEmpty());
  store_ = OpenStore();  // what starts anew sweeps no partial content
  auto partial = Open("u1", /*make=*/false);
  EXPECT_EQ(partial->bytes(), 9u);
  EXPECT_TRUE(partial->Truncate(6));
  EXPECT_EQ(partial->bytes(), 6u);
  EXPECT_TRUE(partial->Append(AsBytes("you")));
  EXPECT_TRUE(partial->Land(IdOf("hello you")));
  EXPECT_EQ(Get(IdOf("hello you")), "hello you");
  EXPECT_THAT(*store_->Partials(), IsEmpty());
  EXPECT_EQ(WhyNot("u1"), "no_such_partial");
}

TEST_F(PartialBlobFilesTest, OneAtATimeHasIt) {
  auto first = Open("u1");
  EXPECT_EQ(WhyNot("u1"), "upload_locked");
  EXPECT_EQ(WhyNot("u1", /*make=*/true), "upload_locked");
  const auto other = OpenStore();
  EXPECT_EQ(other->OpenPartial("u1", true).error().reason, "upload_locked");
  EXPECT_TRUE(Open("u2"));
  first.reset();
  EXPECT_EQ(WhyNot("u1"), "none");
}

TEST_F(PartialBlobFilesTest, AKilledProcessHoldsNothing) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = BlobStore::Open("file:" + dir_.In("blobs"));
    auto partial = (*store)->OpenPartial("u1", true);
    (void)(*partial)->Append(AsBytes("hello"));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(Open("u1", /*make=*/false)->bytes(), 5u);
}

TEST_F(PartialBlobFilesTest, ABlobIsNeverOpenedAgainAsWhatItWas) {
  // The loser of a race has the file open when the winner renames it, and gets its lock after that:
  // made certain by a second name of the same file.
  Open("u1")->Append(AsBytes("whole"));
  std::filesystem::create_hard_link(dir_.In("blobs/partial/u1"), dir_.In("blobs/partial/u2"));
  EXPECT_TRUE(Open("u1", false)->Land(IdOf("whole")));
  EXPECT_EQ(WhyNot("u1"), "no_such_partial");
  auto again = Open("u1", /*make=*/true);
  EXPECT_EQ(again->bytes(), 0u);
  EXPECT_TRUE(again->Append(AsBytes("other")));
  EXPECT_EQ(Get(IdOf("whole")), "whole");
}

TEST_F(PartialBlobFilesTest, RemovingGivesTheSpaceBack) {
  {
    auto partial = Open("u1");
    EXPECT_TRUE(partial->Append(AsBytes("hello")));
    EXPECT_TRUE(partial->Remove());
    EXPECT_TRUE(partial->Remove());
  }
  EXPECT_THAT(*store_->Partials(), IsEmpty());
  EXPECT_EQ(WhyNot("u1"), "no_such_partial");
}

}  // namespace
}  // namespace nearside::storage
