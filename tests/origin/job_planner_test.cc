#include "origin/job_planner.h"

#include <cstdio>

#include "tests/origin/jobs_fixture.h"

namespace nearside::origin::test {
namespace {

class JobPlannerTest : public JobsTest {
 protected:
  JobPlanner MakePlanner() { return {*node_->metadata, *node_->jobs, node_->settings.jobs}; }
  /// The paths that the jobs tell of.
  std::string Planned() {
    std::string paths;
    const auto listed = node_->jobs->List(false, 0, 1000).value();
    for (const storage::Job& job : listed) {
      paths += nlohmann::json::parse(job.payload)["path"].get<std::string>() + " ";
    }
    return paths;
  }
};

TEST_F(JobPlannerTest, TextOfTheActiveReleaseIsPlannedOnce) {
  Publish({{"a.css", Text("a")},
           {"b.js", Text("b")},
           {"c.png", Text("c")},
           {"copy.css", Text("a")},
           {"tiny.css", "tiny"}});
  JobPlanner planner = MakePlanner();
  EXPECT_EQ(planner.Look().value(), 2u);
  EXPECT_EQ(Planned(), "a.css b.js ");
  EXPECT_EQ(planner.Look().value(), 0u);
  EXPECT_EQ(MakePlanner().Look().value(), 0u);  // another process
  EXPECT_EQ(DoAll(), 2);
  EXPECT_EQ(MakePlanner().Look().value(), 0u);  // a restart
}

TEST_F(JobPlannerTest, AChangeIsSeenByItsEvent) {
  JobPlanner planner = MakePlanner();
  EXPECT_EQ(planner.Look().value(), 0u);
  Publish({{"a.css", Text("a")}});
  EXPECT_EQ(planner.Look().value(), 1u);
  // A single asset.
  EXPECT_EQ(Admin("PUT /v1/sites/demo/assets/b.css", Text("b")).status, 201);
  EXPECT_EQ(planner.Look().value(), 1u);
  // A release that is not active makes none.
  Prepare({{"c.css", Text("c")}});
  EXPECT_EQ(planner.Look().value(), 0u);
  EXPECT_EQ(Planned(), "a.css b.css ");
}

TEST_F(JobPlannerTest, TheLossOfTheQueueLosesNoJob) {
  Publish({{"a.css", Text("a")}, {"b.css", Text("b")}});
  EXPECT_EQ(MakePlanner().Look().value(), 2u);
  EXPECT_TRUE(worker_->WorkOnce());
  worker_.reset();
  Stop();
  ASSERT_EQ(std::remove(dir_.In("queue/jobs.lmdb").c_str()), 0);
  std::remove(dir_.In("queue/jobs.lmdb-lock").c_str());
  Start("[jobs]\n");
  EXPECT_EQ(MakePlanner().Look().value(), 1u);
  EXPECT_EQ(Planned(), "b.css ");
}

TEST_F(JobPlannerTest, WhatAFullQueueRefusesIsPlannedLater) {
  storage::JobQueueOptions options;
  options.most = 1;
  const auto queue = storage::JobQueue::Open("lmdb:" + dir_.In("small"), options).value();
  JobPlanner planner(*node_->metadata, *queue, node_->settings.jobs);
  Publish({{"a.css", Text("a")}});
  EXPECT_EQ(planner.Look().value(), 1u);
  EXPECT_EQ(Admin("PUT /v1/sites/demo/assets/b.css", Text("b")).status, 201);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(planner.Look().error().reason, "job_queue_full");
  const storage::LeasedJob leased = **queue->Lease(seconds(60));
  ASSERT_TRUE(DoCompressJob(leased.job, *node_->metadata, *node_->blobs, [] { return Status(); }));
  ASSERT_TRUE(queue->Done(leased.lease));
  EXPECT_EQ(planner.Look().value(), 1u);
}

TEST_F(JobPlannerTest, DeadJobsStayDead) {
  Publish({{"a.css", Text("a")}});
  EXPECT_EQ(MakePlanner().Look().value(), 1u);
  const std::string file = FileOf(Text("a"));
  ASSERT_EQ(std::rename(file.c_str(), (file + ".away").c_str()), 0);
  const MonoTime deadline = MonoNow() + seconds(60);
  while (Counted() != "0 0 1" && MonoNow() < deadline) DoAll();
  EXPECT_EQ(MakePlanner().Look().value(), 0u);
  EXPECT_EQ(Counted(), "0 0 1");
}

TEST_F(JobPlannerTest, NothingIsPlannedWhereCompressIsOff) {
  worker_.reset();
  Restart("[jobs]\ncompress = false\n");
  Publish({{"a.css", Text("a")}});
  EXPECT_EQ(MakePlanner().Look().value(), 0u);
  EXPECT_EQ(Counted(), "none");
}

}  // namespace
}  // namespace nearside::origin::test
