// A process that publishes, and collects what is no longer kept, killed at random points: metadata
// and blobs agree afterwards, and nothing that was acknowledged is lost.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include "tests/storage/collection_fixture.h"

namespace nearside::storage::test {
namespace {

constexpr Retention kLast{.earlier = 1};

class MetadataCollectionKillTest : public CollectionTest {
 protected:
  std::vector<std::pair<std::string, std::string>> FilesOf(int i) const {
    // One content is in every release, one comes back after three, one is new.
    return {{"always", "same"},
            {"sometimes", "back " + std::to_string(i % 3)},
            {"now", "new " + std::to_string(i)}};
  }

  /// The child: publishes from `i` on, says each number that is acknowledged, collects.
  [[noreturn]] void PublishUntilKilled(int i, int acknowledged) {
    MetadataOptions options;
    auto metadata = Metadata::Open(engine_->Url(), options);
    auto store = BlobStore::Open("file:" + dir_.In("blobs"));
    if (!metadata || !store) ::_exit(1);
    for (;; ++i) {
      std::vector<Asset> assets;
      for (const auto& [path, text] : FilesOf(i)) assets.push_back(AssetOf(path, text));
      auto release = (*metadata)->CreateRelease("demo", assets);
      if (!release) ::_exit(2);
      const auto missing = (*metadata)->MissingBlobs(release->id).value();
      for (const auto& [path, text] : FilesOf(i)) {
        for (const StoredBlob& blob : missing) {
          if (blob.id != IdOf(text)) continue;
          if (!(*metadata)->AddBlob(Land(**store, text), **store)) ::_exit(3);
        }
      }
      if (!(*metadata)->ActivateRelease("demo", release->id, Tell)) ::_exit(4);
      if (::write(acknowledged, &i, sizeof i) < 0) ::_exit(5);
      const WallTime later = WallNow() + std::chrono::hours(1);
      (void)CollectAll(**metadata, **store, kLast, later, later, later);
    }
  }

  /// Runs the child until it has acknowledged `count` more, and then for `more`. The last number.
  int RunAndKill(int from, int count, std::chrono::microseconds more) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) PublishUntilKilled(from, ends[1]);
    ::close(ends[1]);
    int last = from - 1;
    int number = 0;
    while (last < from + count - 1 &&
           ::read(ends[0], &number, sizeof number) == ssize_t{sizeof number}) {
      last = number;
    }
    EXPECT_EQ(last, from + count - 1) << "the child ended by itself";
    ::usleep(static_cast<useconds_t>(more.count()));
    ::kill(child, SIGKILL);
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    while (::read(ends[0], &number, sizeof number) == ssize_t{sizeof number}) last = number;
    ::close(ends[0]);
    return last;
  }

  /// What is active was acknowledged, or was about to be; its contents are there, byte for byte.
  void CheckActive(int last) {
    const auto assets = metadata_->ListAssets(Active(), {}).value();
    ASSERT_EQ(assets.size(), 3u);
    const bool as_told = assets[1].blob == IdOf(FilesOf(last)[2].second);
    EXPECT_TRUE(as_told || assets[1].blob == IdOf(FilesOf(last + 1)[2].second));
    for (const Asset& asset : assets) {
      auto reader = store_->Read(asset.blob);
      ASSERT_TRUE(reader) << asset.path << " of " << last << ": " << reader.error().ToString();
      std::string text((*reader)->size(), '\0');
      ASSERT_TRUE((*reader)->ReadAt(0, {reinterpret_cast<uint8_t*>(text.data()), text.size()}));
      EXPECT_EQ(IdOf(text), asset.blob);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataCollectionKillTest, MetadataEngines());

TEST_P(MetadataCollectionKillTest, NothingAcknowledgedIsLostAndAllSpaceComesBack) {
  MakeSite();
  metadata_.reset();  // a child must not inherit an open database
  store_.reset();
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const int rounds = std::getenv("NEARSIDE_LONG") != nullptr ? 100 : 20;
  int next = 0;
  for (int round = 0; round < rounds; ++round) {
    const int count = 1 + static_cast<int>(random() % 4);
    const int last = RunAndKill(next, count, std::chrono::microseconds(random() % 20'000));
    next = last + 1;
    now_ = WallNow();
    metadata_ = OpenStore();
    store_ = OpenBlobs();
    CheckActive(last);
    metadata_.reset();
    store_.reset();
    if (HasFailure()) return;
  }
  metadata_ = OpenStore();
  store_ = OpenBlobs();
  now_ = WallNow() + std::chrono::hours(48);
  const WallTime later = now_ + std::chrono::hours(48);
  const Retention none{.earlier = 0, .open_for = seconds(1)};
  while (CollectAll(*metadata_, *store_, none, later, later, later) > 0) {
  }
  const auto files = store_->List(std::nullopt, 1000).value();
  ASSERT_TRUE(metadata_->SweepFiles(*store_, files, later));
  EXPECT_EQ(store_->List(std::nullopt, 1000)->size(), 3u) << "of the active release alone";
  CheckActive(next - 1);
}

}  // namespace
}  // namespace nearside::storage::test
