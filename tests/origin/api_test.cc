#include "origin/api.h"

#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

using ApiTest = OriginTest;

TEST_F(ApiTest, WithoutATokenEverythingIs401AndSaysHow) {
  for (const char* line : {"GET /v1/sites", "POST /v1/sites", "GET /v1/events", "POST /v1/purge",
                           "GET /v1/edges", "PUT /v1/sites/demo/assets/a", "GET /v1/nothing"}) {
    const Reply reply = Request(line, "");
    EXPECT_EQ(reply.status, 401) << line;
    EXPECT_EQ(reply.Field("www-authenticate"), "Bearer realm=\"nearside\"");
    EXPECT_EQ(reply.Field("content-type"), "application/problem+json");
    EXPECT_EQ(Reason(reply), "unauthorized");
    EXPECT_THAT(Json(reply)["detail"].get<std::string>(), HasSubstr("Authorization: Bearer"));
  }
  EXPECT_EQ(Request("GET /v1/sites", "authorization: Bearer wrong-token-0123456\r\n").status, 401);
  EXPECT_EQ(node_->counters.denied.load(), 8u);
}

TEST_F(ApiTest, TheFleetsTokenOpensWhatEdgesNeedAndNothingElse) {
  MakeSite();
  EXPECT_EQ(Fleet("GET /v1/sites").status, 200);
  EXPECT_EQ(Fleet("GET /v1/sites/demo").status, 200);
  EXPECT_EQ(Fleet("GET /v1/edges").status, 200);
  EXPECT_EQ(Fleet("POST /v1/edges/tokyo", R"({"epoch":0,"seq":0})").status, 200);
  for (const char* line :
       {"POST /v1/sites", "DELETE /v1/sites/demo", "POST /v1/purge", "GET /v1/sites/demo/assets",
        "PUT /v1/sites/demo/assets/a", "GET /v1/sites/demo/releases", "DELETE /v1/edges/tokyo"}) {
    const Reply reply = Fleet(line, "{}");
    EXPECT_EQ(reply.status, 403) << line;
    EXPECT_EQ(Reason(reply), "forbidden");
  }
}

TEST_F(ApiTest, UnknownRoutesAndMethodsAreProblems) {
  EXPECT_EQ(Reason(Admin("GET /v1/nothing")), "no_such_route");
  const Reply reply = Admin("DELETE /v1/purge");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.Field("allow"), "POST");
  EXPECT_EQ(Reason(reply), "method_not_allowed");
}

TEST_F(ApiTest, HealthNeedsNoTokenAndTellsOfLoadAndDrain) {
  const Reply reply = Request("GET /healthz", "");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "ok\n");
  EXPECT_EQ(reply.Field("nearside-drain"), "0");
  EXPECT_EQ(reply.Field("nearside-load"), "0.000");
  EXPECT_EQ(reply.Field("nearside-lag"), "0.0");
  EXPECT_EQ(Ask(port(), Text("GET /healthz", "", "", "origin-1")).status, 200);
  node_->draining = true;
  EXPECT_EQ(Request("GET /healthz", "").status, 503);
}

TEST_F(ApiTest, SitesAreMadeReadChangedAndDeleted) {
  const Reply made =
      Admin("POST /v1/sites", R"({"name":"demo","hosts":["www.demo.test","demo.test"]})");
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(Json(made)["hosts"], nlohmann::json({"demo.test", "www.demo.test"}));
  EXPECT_EQ(Json(made)["seq"], 1);
  EXPECT_EQ(Json(Admin("GET /v1/sites/demo"))["name"], "demo");
  EXPECT_EQ(Json(Admin("GET /v1/sites"))["sites"].size(), 1u);
  EXPECT_EQ(Admin("PUT /v1/sites/demo", R"({"hosts":["new.test"]})").status, 200);
  EXPECT_EQ(Json(Admin("GET /v1/sites/demo"))["hosts"], nlohmann::json({"new.test"}));
  EXPECT_EQ(Admin("PUT /v1/sites/second", R"({"hosts":[]})").status, 201);
  EXPECT_EQ(Admin("DELETE /v1/sites/demo").status, 200);
  EXPECT_EQ(Reason(Admin("GET /v1/sites/demo")), "no_such_site");
  EXPECT_EQ(Reason(Admin("DELETE /v1/sites/demo")), "no_such_site");
}

TEST_F(ApiTest, WrongSitesAreRefused) {
  MakeSite();
  const std::pair<std::string, std::string> rows[] = {
      {"", "bad_json"},
      {"{", "bad_json"},
      {"{}", "bad_site"},
      {R"({"name":"Demo","hosts":[]})", "bad_site"},
      {R"({"name":"x","hosts":["origin-1"]})", "bad_site"},
      {R"({"name":"x","host":["a.test"]})", "bad_site"},
      {R"({"name":"demo","hosts":[]})", "site_exists"},
      {R"({"name":"x","hosts":["www.demo.test"]})", "host_taken"},
  };
  for (const auto& [body, reason] : rows) {
    EXPECT_EQ(Reason(Admin("POST /v1/sites", body)), reason) << body;
  }
  EXPECT_THAT(Json(Admin("GET /v1/sites"))["sites"], SizeIs(1));
}

TEST_F(ApiTest, ABodyBeyondTheLimitIsRefusedBeforeItIsRead) {
  RawClient client(port());
  client.Send("POST /v1/purge HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " +
              std::string(kAdminToken) + "\r\ncontent-length: 2000000\r\n\r\n");
  const Reply reply = client.Read();
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(Reason(reply), "body_too_large");
  EXPECT_TRUE(client.Ends());
}

TEST_F(ApiTest, AProblemSaysWhatItIsAboutInEveryForm) {
  const Reply reply = Admin("GET /v1/sites/none");
  const nlohmann::json problem = Json(reply);
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(problem["type"], "urn:nearside:problem:no_such_site");
  EXPECT_EQ(problem["title"], "Not Found");
  EXPECT_EQ(problem["status"], 404);
  EXPECT_THAT(problem["detail"].get<std::string>(), HasSubstr("POST /v1/sites"));
}

TEST_F(ApiTest, HostsDecideWhoIsAsked) {
  MakeSite();
  Publish({{"index.html", "home"}});
  EXPECT_EQ(Visit("/").body, "home");
  EXPECT_EQ(Ask(port(), Text("GET /", "", "", "WWW.Demo.Test:8443")).body, "home");
  // A site's host never reaches the API, whatever token comes along.
  EXPECT_EQ(Visit("/v1/sites", "authorization: Bearer " + std::string(kAdminToken) + "\r\n").status,
            404);
  const Reply unknown = Ask(port(), Text("GET /", "", "", "other.test"));
  EXPECT_EQ(unknown.status, 421);
  EXPECT_THAT(unknown.body, HasSubstr("other.test"));
  EXPECT_EQ(Request("GET /", "").status, 404);
}

TEST_F(ApiTest, AnswersSayMetricsByKindAndStatus) {
  metrics::Registry registry;
  server_->ExportMetrics(registry);
  MakeSite();
  (void)Visit("/nothing");
  const std::string text = registry.Expose();
  EXPECT_THAT(text,
              HasSubstr("nearside_origin_requests_total{kind=\"visitor\",status=\"4xx\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_requests_total{kind=\"api\",status=\"2xx\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("nearside_origin_connections_total 2\n"));
}

}  // namespace
}  // namespace nearside::origin::test
