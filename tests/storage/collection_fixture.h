#pragma once

#include "runtime/text_bytes.h"
#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {

/// Metadata with a blob store beside it.
class CollectionTest : public MetadataTest {
 protected:
  /// A file's age is of the machine's clock; by this one every file is old.
  const WallTime kAnyFile = WallNow() + std::chrono::hours(24);

  void SetUp() override {
    MetadataTest::SetUp();
    store_ = OpenBlobs();
  }
  std::unique_ptr<BlobStore> OpenBlobs() {
    auto store = BlobStore::Open("file:" + dir_.In("blobs"));
    EXPECT_TRUE(store) << store.error().ToString();
    return store ? std::move(*store) : nullptr;
  }

  /// The file alone.
  static StoredBlob Land(BlobStore& store, std::string_view text) {
    auto writer = store.Begin();
    EXPECT_TRUE(writer && (*writer)->Append(AsBytes(text)));
    auto stored = (*writer)->Commit({});
    EXPECT_TRUE(stored) << stored.error().ToString();
    return stored.value_or(StoredBlob{});
  }
  void Upload(std::string_view text) {
    const Status added = metadata_->AddBlob(Land(*store_, text), *store_);
    ASSERT_TRUE(added) << added.error().ToString();
  }
  ReleaseId PublishFiles(const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [path, text] : files) Upload(text);
    return Publish(files);
  }

  /// All steps to their end, for what was uploaded before `added_before`. Contents collected.
  static uint64_t CollectAll(Metadata& metadata, BlobStore& store, const Retention& kept,
                             WallTime added_before, WallTime condemned_before,
                             WallTime landed_before) {
    EXPECT_TRUE(metadata.DropReleases(kept, 100));
    EXPECT_TRUE(metadata.TrimDropped(10'000));
    EXPECT_TRUE(metadata.CondemnBlobs({.after = std::nullopt, .added_before = added_before}));
    const auto collected = metadata.CollectBlobs(
        store, {.condemned_before = condemned_before, .landed_before = landed_before});
    EXPECT_TRUE(collected) << collected.error().ToString();
    return collected ? collected->blobs : 0;
  }
  uint64_t Collect(const Retention& kept) {
    const WallTime later = now_ + std::chrono::hours(1);
    return CollectAll(*metadata_, *store_, kept, later, later, kAnyFile);
  }
  bool Holds(std::string_view text) const { return store_->Find(IdOf(text)).value().has_value(); }
  bool Knows(std::string_view text) { return metadata_->FindBlob(IdOf(text)).value().has_value(); }

  std::unique_ptr<BlobStore> store_;
};

}  // namespace nearside::storage::test
