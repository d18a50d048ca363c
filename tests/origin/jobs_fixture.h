#pragma once

#include <map>

#include "http/accept_encoding.h"
#include "origin/compress_job.h"
#include "origin/job_worker.h"
#include "tests/http/decoded.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {

/// An origin with a queue, and a worker that does a job when it is told to.
class JobsTest : public OriginTest {
 protected:
  void SetUp() override { StartWith(""); }
  /// `jobs`: lines of [jobs].
  void StartWith(const std::string& jobs) {
    storage_ = "queue = \"lmdb:" + dir_.In("queue") + "\"\n";
    Start("[jobs]\nbackoff = \"10ms\"\nbackoff_most = \"10ms\"\nattempts = 2\n" + jobs);
    MakeSite();
    worker_ = std::make_unique<JobWorker>(*node_);
  }
  void TearDown() override {
    worker_.reset();
    OriginTest::TearDown();
  }
  /// About 6 KB that shrink.
  static std::string Text(const std::string& about) {
    std::string text;
    for (int i = 0; i < 200; ++i)
      text += "a line about " + about + ", number " + std::to_string(i) + "\n";
    return text;
  }
  /// 4 KiB that do not.
  static std::string Noise() {
    std::string noise(4096, '\0');
    uint32_t state = 7;
    for (char& c : noise) {
      state = state * 1'664'525 + 1'013'904'223;
      c = static_cast<char>(state >> 24);
    }
    return noise;
  }
  int DoAll() {
    int jobs = 0;
    while (worker_->WorkOnce()) ++jobs;
    return jobs;
  }
  /// By coding; of those that are kept.
  std::map<std::string, storage::BlobVariant> VariantsOf(const std::string& text) {
    std::map<std::string, storage::BlobVariant> found;
    const auto variants = node_->metadata->Variants(*storage::ParseBlobName(DigitsOf(text)));
    for (const storage::BlobVariant& variant : variants.value()) found[variant.coding] = variant;
    return found;
  }
  size_t Files() const { return node_->blobs->List(std::nullopt, 1000).value().size(); }
  /// "waiting running dead" of the kind.
  std::string Counted() {
    const auto listed = node_->jobs->Counts().value();
    for (const storage::JobCount& count : listed) {
      if (count.kind != kCompressKind) continue;
      return std::to_string(count.waiting) + " " + std::to_string(count.running) + " " +
             std::to_string(count.dead);
    }
    return "none";
  }
  std::string FileOf(const std::string& text) const {
    const std::string digits = DigitsOf(text);
    return dir_.In("blobs/" + digits.substr(0, 2) + "/" + digits.substr(2, 2) + "/" + digits);
  }

  std::unique_ptr<JobWorker> worker_;
};

}  // namespace nearside::origin::test
