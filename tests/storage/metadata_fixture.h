#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "runtime/crypto.h"
#include "storage/metadata.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage::test {

inline BlobId IdOf(std::string_view text) { return BlobId{Sha256Of(text)}; }

/// An asset whose content is `text`.
inline Asset AssetOf(std::string path, std::string_view text) {
  Asset asset;
  asset.path = std::move(path);
  asset.blob = IdOf(text);
  asset.bytes = text.size();
  asset.content_type = "text/plain";
  return asset;
}

/// Says that it holds whatever is asked for, and keeps nothing.
class EveryBlob final : public BlobStore {
 public:
  Result<std::unique_ptr<BlobWriter>> Begin() override { return Fail(Fault::kSelf, "fake", ""); }
  Result<std::unique_ptr<PartialBlob>> OpenPartial(const std::string&, bool) override {
    return Fail(Fault::kSelf, "fake", "");
  }
  Result<std::vector<std::string>> Partials() const override { return std::vector<std::string>(); }
  Result<std::shared_ptr<const BlobReader>> Read(const BlobId&) const override {
    return Fail(Fault::kSelf, "fake", "");
  }
  Result<std::optional<uint64_t>> Find(const BlobId&) const override { return 1; }
  Status Remove(const BlobId&) override { return {}; }
  Result<bool> RemoveStoredBefore(const BlobId&, WallTime) override { return true; }
  Result<std::vector<BlobId>> List(const std::optional<BlobId>&, size_t) const override {
    return std::vector<BlobId>();
  }
};

inline Status Anything(const std::optional<Asset>&) { return {}; }

/// One event that names the paths of the change.
inline std::vector<NewEvent> Tell(const Change& change) {
  NewEvent event{"activate", change.site.name, ""};
  for (const std::string& path : change.paths) event.body += "/" + path + " ";
  return {event};
}

/// An engine under the contract that all tests of MetadataTest and what derives from it are: one
/// object for each test, with a place of its own.
class MetadataEngine {
 public:
  virtual ~MetadataEngine() = default;
  /// Of a store by a name; the same name is the same store, as it was left.
  virtual std::string Url(const std::string& name = "meta") const = 0;
  /// Of what Metadata::BackUp has written.
  virtual std::string UrlOfCopy(const std::string& path) const = 0;
  /// The file of the store "meta" where that is SQLite's, for tests of what only SQLite has; else
  /// "".
  virtual std::string SqliteFile() const { return ""; }
};
using MetadataEngineMaker = std::function<std::unique_ptr<MetadataEngine>()>;

class SqliteEngine final : public MetadataEngine {
 public:
  std::string Url(const std::string& name) const override {
    return "sqlite:" + dir_.In("state/" + name + ".db");
  }
  std::string UrlOfCopy(const std::string& path) const override { return "sqlite:" + path; }
  std::string SqliteFile() const override { return dir_.In("state/meta.db"); }

 private:
  nearside::test::TempDir dir_;
};

/// Another engine is one more here.
inline auto MetadataEngines() {
  return testing::Values(MetadataEngineMaker([] { return std::make_unique<SqliteEngine>(); }));
}

class MetadataTest : public testing::TestWithParam<MetadataEngineMaker> {
 protected:
  void SetUp() override { metadata_ = OpenStore(); }

  std::unique_ptr<Metadata> OpenStore(uint64_t keep_events = 1000) {
    MetadataOptions options;
    options.keep_events = keep_events;
    options.clock = [this] { return now_; };
    auto metadata = Metadata::Open(engine_->Url(), options);
    EXPECT_TRUE(metadata) << metadata.error().ToString();
    return metadata ? std::move(*metadata) : nullptr;
  }

  void MakeSite(const std::string& name = "demo",
                std::vector<std::string> hosts = {"www.demo.test"}) {
    auto made = metadata_->CreateSite({name, std::move(hosts), "{}"}, Tell);
    ASSERT_TRUE(made) << made.error().ToString();
  }

  void AddContent(std::string_view text) {
    ASSERT_TRUE(metadata_->AddBlob({IdOf(text), text.size()}, every_blob_));
  }

  /// A release of these paths and contents, with the contents added and the release activated.
  ReleaseId Publish(const std::vector<std::pair<std::string, std::string>>& files) {
    std::vector<Asset> assets;
    for (const auto& [path, text] : files) {
      AddContent(text);
      assets.push_back(AssetOf(path, text));
    }
    auto release = metadata_->CreateRelease("demo", assets);
    EXPECT_TRUE(release) << release.error().ToString();
    auto activation = metadata_->ActivateRelease("demo", release->id, Tell);
    EXPECT_TRUE(activation) << activation.error().ToString();
    return release->id;
  }

  ReleaseId Active() { return metadata_->FindSite("demo").value().active; }

  /// "path=first letters of the content's digest" for each asset, joined by spaces.
  std::string ContentOf(ReleaseId release) {
    std::string text;
    const auto assets = metadata_->ListAssets(release, {}).value();
    for (const Asset& asset : assets) {
      text += asset.path + "=" + BlobName(asset.blob).substr(0, 4) + " ";
    }
    return text;
  }
  static std::string Short(std::string_view text) { return BlobName(IdOf(text)).substr(0, 4); }

  std::string LastEvent() {
    const LogState log = metadata_->Log().value();
    auto events = metadata_->Events(log.last.sequence - 1, 10).value();
    return events.empty() ? "" : events.back().type + " " + events.back().body;
  }

  const std::unique_ptr<MetadataEngine> engine_ = GetParam()();
  nearside::test::TempDir dir_;
  EveryBlob every_blob_;
  WallTime now_ = FromUnixMillis(1'000'000);
  std::unique_ptr<Metadata> metadata_;
};

}  // namespace nearside::storage::test
