#include "tests/origin/jobs_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class ApiJobsTest : public JobsTest {
 protected:
  /// Two contents, of which one cannot be read.
  void MakeOneDead() {
    Publish({{"bad.css", Text("bad")}, {"good.css", Text("good")}});
    const std::string file = FileOf(Text("bad"));
    ASSERT_EQ(std::rename(file.c_str(), (file + ".away").c_str()), 0);
    worker_->PlanOnce();
    const MonoTime deadline = MonoNow() + seconds(60);
    while (Counted() != "0 0 1" && MonoNow() < deadline) DoAll();
    ASSERT_EQ(Counted(), "0 0 1");
  }
};

TEST_F(ApiJobsTest, JobsAreCountedAndListed) {
  Publish({{"a.css", Text("a")}, {"b.css", Text("b")}, {"c.css", Text("c")}});
  worker_->PlanOnce();
  const nlohmann::json all = Json(Admin("GET /v1/jobs"));
  EXPECT_EQ(all["counts"].dump(), R"([{"dead":0,"kind":"compress","running":0,"waiting":3}])");
  ASSERT_EQ(all["jobs"].size(), 3u);
  EXPECT_TRUE(all["next"].is_null());
  const nlohmann::json job = all["jobs"][0];
  EXPECT_EQ(job["kind"], "compress");
  EXPECT_EQ(job["key"], "compress:" + DigitsOf(Text("a")));
  EXPECT_EQ(job["state"], "waiting");
  EXPECT_EQ(job["attempts"], 0);
  EXPECT_TRUE(job["tried"].is_null() && job["error"].is_null());
  EXPECT_EQ(job["payload"]["path"], "a.css");
  const nlohmann::json page = Json(Admin("GET /v1/jobs?limit=2"));
  EXPECT_EQ(page["jobs"].size(), 2u);
  const std::string next = page["next"];
  EXPECT_EQ(Json(Admin("GET /v1/jobs?limit=2&after=" + next))["jobs"][0]["payload"]["path"],
            "c.css");
  EXPECT_EQ(Json(Admin("GET /v1/jobs?state=dead"))["jobs"].size(), 0u);
}

TEST_F(ApiJobsTest, ADeadJobTellsWhyAndIsRetriedOnRecord) {
  MakeOneDead();
  const nlohmann::json dead = Json(Admin("GET /v1/jobs?state=dead"))["jobs"][0];
  EXPECT_EQ(dead["state"], "dead");
  EXPECT_EQ(dead["attempts"], 2);
  EXPECT_THAT(dead["error"].get<std::string>(), HasSubstr("no_such_blob"));
  EXPECT_GT(dead["tried"].get<int64_t>(), 0);
  const std::string retry = "POST /v1/jobs/" + dead["id"].get<std::string>() + "/retry";
  const Reply retried = Admin(retry);
  EXPECT_EQ(retried.status, 200) << retried.body;
  EXPECT_EQ(Json(retried)["state"], "waiting");
  EXPECT_EQ(Counted(), "1 0 0");
  const Reply again = Admin(retry);
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(Reason(again), "job_not_dead");
  const nlohmann::json audit = Json(Admin("GET /v1/audit"));
  EXPECT_EQ(audit["audit"].back()["action"], "job_retried");
  EXPECT_EQ(audit["audit"].back()["detail"]["job"], dead["id"]);
}

TEST_F(ApiJobsTest, WhatIsWrongIsSaid) {
  const std::tuple<std::string, int, std::string> rows[] = {
      {"GET /v1/jobs?limit=0", 400, "bad_query"},
      {"GET /v1/jobs?after=x", 400, "bad_query"},
      {"GET /v1/jobs?state=waiting", 400, "bad_query"},
      {"POST /v1/jobs/7/retry", 404, "no_such_job"},
      {"POST /v1/jobs/x/retry", 404, "no_such_route"},
      {"GET /v1/jobs/7/retry", 405, "method_not_allowed"},
  };
  for (const auto& [line, status, reason] : rows) {
    const Reply reply = Admin(line);
    EXPECT_EQ(reply.status, status) << line << reply.body;
    EXPECT_EQ(Reason(reply), reason) << line;
  }
  EXPECT_EQ(Fleet("GET /v1/jobs").status, 403);
  EXPECT_EQ(Request("GET /v1/jobs", "").status, 401);
}

TEST_F(ApiJobsTest, WithoutAQueueThereAreNone) {
  worker_.reset();
  storage_.clear();
  Restart();
  for (const char* line : {"GET /v1/jobs", "POST /v1/jobs/7/retry"}) {
    const Reply reply = Admin(line);
    EXPECT_EQ(reply.status, 503) << line;
    EXPECT_EQ(Reason(reply), "no_queue");
    EXPECT_THAT(reply.body, HasSubstr("storage.queue"));
  }
}

}  // namespace
}  // namespace nearside::origin::test
