#include "origin/compress_job.h"

#include <cstdio>

#include "tests/origin/jobs_fixture.h"

namespace nearside::origin::test {
namespace {

storage::Asset TextAsset(std::vector<std::pair<std::string, std::string>> headers = {}) {
  storage::Asset asset;
  asset.path = "a.css";
  asset.content_type = "text/css";
  asset.headers = std::move(headers);
  return asset;
}

TEST(CompressJobTest, TextWithoutACodingOfItsOwnIsPrecompressible) {
  EXPECT_TRUE(IsPrecompressible(TextAsset()));
  EXPECT_TRUE(IsPrecompressible(TextAsset({{"cache-control", "public, max-age=1"}})));
  EXPECT_FALSE(IsPrecompressible(TextAsset({{"cache-control", "public, no-transform"}})));
  EXPECT_FALSE(IsPrecompressible(TextAsset({{"content-encoding", "gzip"}})));
  for (const char* digest : {"content-md5", "digest", "content-digest", "repr-digest"}) {
    EXPECT_FALSE(IsPrecompressible(TextAsset({{digest, "x"}}))) << digest;
  }
  storage::Asset picture = TextAsset();
  picture.content_type = "image/png";
  EXPECT_FALSE(IsPrecompressible(picture));
}

TEST(CompressJobTest, OneContentIsOneJobWhateverItsName) {
  storage::Asset asset = TextAsset();
  const storage::NewJob job = CompressJob("demo", asset);
  asset.path = std::string(1000, '\x01') + "\xFF";
  const storage::NewJob same = CompressJob("other", asset);
  EXPECT_EQ(job.key, same.key);
  EXPECT_TRUE(storage::CheckJob(job));
  EXPECT_TRUE(storage::CheckJob(same)) << same.payload.size();
  EXPECT_EQ(nlohmann::json::parse(job.payload)["path"], "a.css");
}

class DoCompressJobTest : public JobsTest {
 protected:
  Result<Compressed> Do(const std::string& text) {
    storage::Job job;
    job.kind = kCompressKind;
    job.payload = "{\"sha256\":\"" + DigitsOf(text) + "\"}";
    return DoCompressJob(job, *node_->metadata, *node_->blobs, keep_going_);
  }
  KeepGoing keep_going_ = [] { return Status(); };
};

TEST_F(DoCompressJobTest, EachCodingDecodesToTheContent) {
  const std::string text = Text("codings");
  Publish({{"a.txt", text}});
  const Compressed done = Do(text).value();
  EXPECT_EQ(done.variants, 3u);
  EXPECT_EQ(done.in_bytes, 3 * text.size());
  const auto variants = VariantsOf(text);
  ASSERT_EQ(variants.size(), 3u);
  uint64_t bytes = 0;
  for (const http::Coding coding : kPrecompressed) {
    const storage::BlobVariant& variant = variants.at(std::string(http::CodingName(coding)));
    const auto reader = node_->blobs->Read(variant.blob).value();
    std::string encoded(variant.bytes, '\0');
    ASSERT_EQ(reader->size(), variant.bytes);
    ASSERT_TRUE(reader->ReadAt(0, {reinterpret_cast<uint8_t*>(encoded.data()), encoded.size()}));
    bool whole = false;
    EXPECT_EQ(http::Decoded(coding, encoded, &whole), text) << variant.coding;
    EXPECT_TRUE(whole);
    EXPECT_LT(variant.bytes, text.size() / 4);
    bytes += variant.bytes;
  }
  EXPECT_EQ(done.out_bytes, bytes);
  EXPECT_EQ(Files(), 4u);
}

TEST_F(DoCompressJobTest, DoingItAgainChangesNothing) {
  const std::string text = Text("again");
  Publish({{"a.txt", text}});
  ASSERT_TRUE(Do(text));
  const auto first = VariantsOf(text);
  EXPECT_EQ(Do(text)->variants, 0u);
  for (const auto& [coding, variant] : VariantsOf(text)) {
    EXPECT_EQ(variant.blob, first.at(coding).blob);
  }
  EXPECT_EQ(Files(), 4u);
}

TEST_F(DoCompressJobTest, WhatDoesNotShrinkIsNotedAndNotKept) {
  Publish({{"a.txt", Noise()}});
  EXPECT_EQ(Do(Noise())->variants, 3u);
  for (const auto& [coding, variant] : VariantsOf(Noise())) EXPECT_EQ(variant.bytes, 0u) << coding;
  EXPECT_EQ(Files(), 1u);
  EXPECT_EQ(Visit("/a.txt", "accept-encoding: br, gzip\r\n").body, Noise());
}

TEST_F(DoCompressJobTest, WhatIsBegunAndStoppedIsGoneOnWith) {
  const std::string text = Text("stops");
  Publish({{"a.txt", text}});
  int looks = 0;
  keep_going_ = [&looks]() -> Status {
    if (++looks == 2) return Fail(Fault::kSelf, "stopping", "enough");
    return {};
  };
  EXPECT_EQ(Do(text).error().reason, "stopping");
  EXPECT_EQ(VariantsOf(text).size(), 1u);
  EXPECT_EQ(Files(), 2u);
  EXPECT_EQ(Do(text)->variants, 2u);
  EXPECT_EQ(VariantsOf(text).size(), 3u);
}

TEST_F(DoCompressJobTest, AContentThatIsGoneNeedsNothing) {
  EXPECT_EQ(Do("never stored")->variants, 0u);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(DoCompressJobTest, AFileThatIsLostOrCutFails) {
  const std::string text = Text("lost");
  Publish({{"a.txt", text}});
  const std::string file = FileOf(text);
  ASSERT_EQ(std::rename(file.c_str(), (file + ".away").c_str()), 0);
  EXPECT_EQ(Do(text).error().reason, "no_such_blob");
  dir_.Write(file.substr(dir_.In("").size()), "short");
  EXPECT_EQ(Do(text).error().reason, "blob_truncated");
  EXPECT_TRUE(VariantsOf(text).empty());
}

TEST_F(DoCompressJobTest, AJobThatNamesNothingFails) {
  for (const char* payload : {"", "{", "{}", "{\"sha256\":7}", "{\"sha256\":\"abc\"}", "[]"}) {
    storage::Job job;
    job.payload = payload;
    const auto done = DoCompressJob(job, *node_->metadata, *node_->blobs, keep_going_);
    ASSERT_FALSE(done) << payload;
    EXPECT_EQ(done.error().reason, "bad_job") << payload;
  }
}

}  // namespace
}  // namespace nearside::origin::test
