#include "origin/job_worker.h"

#include <thread>

#include "origin/collector.h"
#include "tests/origin/jobs_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class JobWorkerTest : public JobsTest {
 protected:
  const JobCounters& counters() const { return worker_->counters(kCompressKind); }
  /// Until it is so, or for a minute.
  template <typename Predicate>
  static bool Within(Predicate predicate) {
    const MonoTime deadline = MonoNow() + seconds(60);
    while (!predicate()) {
      if (MonoNow() > deadline) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }
};

TEST_F(JobWorkerTest, WhatIsPublishedIsServedEncoded) {
  const std::string text = Text("pages");
  Publish({{"index.html", text}});
  EXPECT_EQ(Visit("/", "accept-encoding: br\r\n").Field("content-encoding"), "");
  EXPECT_TRUE(worker_->PlanOnce());
  EXPECT_EQ(DoAll(), 1);
  EXPECT_EQ(counters().done.load(), 1u);
  EXPECT_EQ(Counted(), "0 0 0");
  for (const http::Coding coding : kPrecompressed) {
    const std::string name(http::CodingName(coding));
    const Reply reply = Visit("/", "accept-encoding: " + name + "\r\n");
    EXPECT_EQ(reply.Field("content-encoding"), name);
    EXPECT_EQ(reply.Field("vary"), "Accept-Encoding");
    EXPECT_EQ(http::Decoded(coding, reply.body), text);
  }
  const Reply plain = Visit("/");
  EXPECT_EQ(plain.body, text);
  EXPECT_EQ(plain.Field("vary"), "Accept-Encoding");
  const Reply part = Visit("/", "accept-encoding: br\r\nrange: bytes=0-6\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "a line ");
  // The API and what edges prove by are the identity's.
  EXPECT_EQ(Admin("GET /v1/sites/demo/assets/index.html", "", "accept-encoding: br\r\n").body,
            text);
  EXPECT_EQ(Json(Admin("GET /v1/sites/demo/releases/active/content"))["urls"][0]["sha256"],
            DigitsOf(text));
}

TEST_F(JobWorkerTest, APoisonousJobIsDeadInTheEndAndStopsNoOther) {
  Publish({{"a.css", Text("bad")}, {"b.css", Text("good")}});
  const std::string file = FileOf(Text("bad"));
  ASSERT_EQ(std::rename(file.c_str(), (file + ".away").c_str()), 0);
  worker_->PlanOnce();
  EXPECT_TRUE(Within([&] {
    DoAll();
    return Counted() == "0 0 1";
  }));
  EXPECT_EQ(VariantsOf(Text("good")).size(), 3u);
  EXPECT_EQ(counters().done.load(), 1u);
  EXPECT_EQ(counters().failed.load(), 2u);
  EXPECT_EQ(counters().dead.load(), 1u);
  const storage::Job dead = node_->jobs->List(true, 0, 10).value().front();
  EXPECT_THAT(dead.error, HasSubstr("no_such_blob"));
  ASSERT_EQ(std::rename((file + ".away").c_str(), file.c_str()), 0);
  ASSERT_TRUE(node_->jobs->Retry(dead.id));
  EXPECT_EQ(DoAll(), 1);
  EXPECT_EQ(VariantsOf(Text("bad")).size(), 3u);
  EXPECT_EQ(Counted(), "0 0 0");
}

TEST_F(JobWorkerTest, AKindOfANewerVersionIsLeftToIt) {
  const storage::NewJob jobs[] = {{"tomorrow", "key", "", {}}};
  ASSERT_TRUE(node_->jobs->Put(jobs));
  EXPECT_TRUE(worker_->WorkOnce());
  const storage::Job job = node_->jobs->List(false, 0, 10).value().front();
  EXPECT_THAT(job.error, HasSubstr("unknown_job"));
  EXPECT_EQ(worker_->counters("tomorrow").failed.load(), 1u);
  EXPECT_EQ(counters().failed.load(), 0u);
}

TEST_F(JobWorkerTest, ThreadsPlanAndWorkUntilTheyAreStopped) {
  worker_.reset();
  Restart("[jobs]\npoll = \"10ms\"\nconcurrency = 3\n");
  worker_ = std::make_unique<JobWorker>(*node_);
  worker_->Start();
  EXPECT_FALSE(worker_->idle());
  std::vector<std::pair<std::string, std::string>> files;
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(i);
    files.emplace_back("page-" + n + ".html", Text(n));
  }
  Publish(files);
  EXPECT_TRUE(Within([&] { return counters().done.load() == files.size(); }));
  EXPECT_EQ(Files(), 4 * files.size());
  worker_->RequestStop();
  EXPECT_TRUE(Within([&] { return worker_->idle(); }));
  EXPECT_EQ(counters().lost.load() + counters().failed.load(), 0u);
}

TEST_F(JobWorkerTest, WhatIsUnderWayIsGivenBackWhenItStops) {
  // Seconds of work in many pieces.
  std::string text;
  while (text.size() < (2 << 20)) text += Text(std::to_string(text.size()));
  Publish({{"big.txt", text}});
  worker_->PlanOnce();
  std::thread work([this] { worker_->WorkOnce(); });
  EXPECT_TRUE(Within([&] { return Counted() == "0 1 0"; }));
  worker_->RequestStop();
  work.join();
  EXPECT_EQ(Counted(), "1 0 0");
  EXPECT_EQ(counters().given_back.load(), 1u);
  EXPECT_EQ(node_->jobs->List(false, 0, 1).value().front().attempts, 0);
}

TEST_F(JobWorkerTest, CountsAreMetrics) {
  Publish({{"a.css", Text("a")}, {"b.css", Text("b")}});
  worker_->PlanOnce();
  EXPECT_TRUE(worker_->WorkOnce());
  worker_->ExportMetrics(node_->registry);
  ExportJobCounts(*node_->jobs, node_->registry);
  const std::string text = node_->registry.Expose();
  EXPECT_THAT(text, HasSubstr("nearside_origin_jobs{kind=\"compress\",state=\"waiting\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_jobs{kind=\"compress\",state=\"dead\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_jobs_done_total{kind=\"compress\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_precompressed_total 3\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_precompressed_in_bytes_total " +
                              std::to_string(3 * Text("a").size()) + "\n"));
}

TEST_F(JobWorkerTest, WhatIsPublishedNoMoreIsCollectedWithWhatWasMadeOfIt) {
  worker_.reset();
  Restart("[releases]\nkeep = 0\nkeep_for = \"0s\"\nblob_grace = \"1s\"\n");
  worker_ = std::make_unique<JobWorker>(*node_);
  Publish({{"a.css", Text("old")}});
  worker_->PlanOnce();
  EXPECT_EQ(DoAll(), 1);
  Publish({{"a.css", Text("new")}});
  worker_->PlanOnce();
  EXPECT_EQ(DoAll(), 1);
  EXPECT_EQ(Files(), 8u);
  Collector collector(*node_);
  for (int pass = 0; pass < 3; ++pass) {
    while (collector.Step(WallNow() + std::chrono::hours(3))) {
    }
  }
  EXPECT_EQ(Files(), 4u);
  EXPECT_EQ(VariantsOf(Text("new")).size(), 3u);
  EXPECT_TRUE(VariantsOf(Text("old")).empty());
}

}  // namespace
}  // namespace nearside::origin::test
