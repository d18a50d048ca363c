#include <thread>

#include "origin/api.h"
#include "origin/token_text.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ApiTokensTest : public OriginTest {
 protected:
  /// Makes a token of the admin's and returns the answer.
  nlohmann::json Made(const std::string& scopes, const std::string& site = "demo",
                      const std::string& more = "") {
    const std::string named = site.empty() ? "null" : "\"" + site + "\"";
    const Reply reply = Admin("POST /v1/tokens", R"({"name":"ci","site":)" + named +
                                                     R"(,"scopes":[)" + scopes + "]" + more + "}");
    EXPECT_EQ(reply.status, 201) << reply.body;
    return Json(reply);
  }
  std::string TokenOf(const std::string& scopes, const std::string& site = "demo") {
    return Made(scopes, site)["token"].get<std::string>();
  }
  Reply With(const std::string& token, const std::string& line, const std::string& content = "",
             const std::string& fields = "") {
    return Request(line, "authorization: Bearer " + token + "\r\n" + fields, content);
  }
  /// "action name site" of the newest records.
  std::vector<std::string> Audited(const std::string& query = "") {
    std::vector<std::string> shown;
    const nlohmann::json audit = Json(Admin("GET /v1/audit" + query));
    for (const nlohmann::json& record : audit["audit"]) {
      shown.push_back(record["action"].get<std::string>() + " " +
                      record["name"].get<std::string>() + " " +
                      (record["site"].is_null() ? "-" : record["site"].get<std::string>()));
    }
    return shown;
  }
};

TEST_F(ApiTokensTest, ATokenIsMadeShownOnceListedAndRevoked) {
  MakeSite();
  const nlohmann::json made =
      Made(R"("publish","read","publish")", "demo", R"(,"expires_in":"90d")");
  const std::string id = made["id"];
  EXPECT_EQ(made["scopes"], nlohmann::json({"read", "publish"}));
  EXPECT_EQ(made["state"], "active");
  EXPECT_EQ(made["created_by"], "auth.token_file");
  EXPECT_EQ(made["expires"].get<int64_t>() / 100'000,
            (made["created"].get<int64_t>() + 90LL * 86'400'000) / 100'000);
  EXPECT_EQ(made["s3"]["access_key_id"], id);
  EXPECT_EQ(made["s3"]["secret_access_key"], node_->access.FindS3Credential(id)->secret);
  const Reply list = Admin("GET /v1/tokens");
  ASSERT_THAT(Json(list)["tokens"], SizeIs(1));
  EXPECT_EQ(Json(list)["tokens"][0]["id"], id);
  const auto shown = ParseTokenText(made["token"].get<std::string>());
  ASSERT_TRUE(shown);
  for (const Reply& reply : {list, Admin("GET /v1/tokens/" + id)}) {
    EXPECT_EQ(reply.body.find(shown->secret), std::string::npos);
    EXPECT_EQ(reply.body.find(DigestOfSecret(shown->secret)), std::string::npos);
  }
  const std::string token = made["token"];
  EXPECT_EQ(With(token, "GET /v1/sites/demo").status, 200);
  EXPECT_EQ(Json(Admin("GET /v1/tokens/" + id))["last_used"].is_null(), false);
  EXPECT_EQ(Json(Admin("DELETE /v1/tokens/" + id))["state"], "revoked");
  const Reply refused = With(token, "GET /v1/sites/demo");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(Reason(refused), "token_revoked");
  EXPECT_EQ(refused.Field("www-authenticate"), "Bearer realm=\"nearside\"");
  EXPECT_EQ(Admin("DELETE /v1/tokens/" + id).status, 200);
  EXPECT_EQ(Reason(Admin("DELETE /v1/tokens/0000")), "no_such_token");
  EXPECT_EQ(Admin("GET /v1/tokens/0000").status, 404);
}

TEST_F(ApiTokensTest, ScopesOpenWhatTheyNameAndNothingElse) {
  MakeSite();
  const std::string release = Publish({{"index.html", "home"}});
  const std::string site = "/v1/sites/demo";
  const std::pair<std::string, std::string> requests[] = {
      {"read", "GET " + site},
      {"read", "GET " + site + "/assets"},
      {"read", "GET " + site + "/assets/index.html"},
      {"read", "GET " + site + "/releases"},
      {"read", "GET " + site + "/releases/" + release},
      {"publish", "PUT " + site + "/assets/a"},
      {"publish", "DELETE " + site + "/assets/a"},
      {"publish", "POST " + site + "/releases"},
      {"publish", "PUT /v1/blobs/" + DigitsOf("")},
      {"publish", "POST " + site + "/releases/" + release + "/activate"},
      {"purge", "POST /v1/purge"},
      {"admin", "PUT " + site},
      {"admin", "GET /v1/tokens"},
      {"admin", "GET /v1/audit"},
  };
  for (const char* scope : {"read", "publish", "purge", "admin"}) {
    const std::string token = TokenOf("\"" + std::string(scope) + "\"");
    for (const auto& [needed, line] : requests) {
      const Reply reply = With(
          token, line, line.starts_with("POST /v1/purge") ? R"({"site":"demo","all":true})" : "");
      const bool may = needed == scope || scope == std::string("admin");
      EXPECT_EQ(reply.status == 403, !may) << scope << ": " << line << " " << reply.status;
      if (may) continue;
      EXPECT_EQ(Reason(reply), "forbidden");
      EXPECT_THAT(Json(reply)["detail"].get<std::string>(), HasSubstr("\"" + needed + "\""));
    }
  }
}

TEST_F(ApiTokensTest, ATokenOfAnotherSiteIsRefusedEverywhere) {
  MakeSite();
  MakeSite("other", "www.other.test");
  const std::string token = TokenOf(R"("admin")", "other");
  const std::string site = "/v1/sites/demo";
  for (const std::string& line :
       {"GET " + site, "PUT " + site, "DELETE " + site, "GET " + site + "/assets",
        "PUT " + site + "/assets/a", "DELETE " + site + "/assets/a", "GET " + site + "/releases",
        "POST " + site + "/releases", "POST " + site + "/releases/1/activate",
        "GET /v1/sites/none" + std::string(), std::string("POST /v1/sites"),
        std::string("GET /v1/edges"), std::string("DELETE /v1/edges/tokyo"),
        std::string("GET /v1/events"), std::string("GET /v1/blobs/") + DigitsOf("x"),
        std::string("GET /v1/audit?site=demo")}) {
    const Reply reply = With(token, line);
    EXPECT_EQ(reply.status, 403) << line << reply.body;
    EXPECT_THAT(Json(reply)["detail"].get<std::string>(), HasSubstr("of site \"other\"")) << line;
  }
  for (const char* order : {R"({"site":"demo","all":true})", R"({"site":"none","all":true})",
                            R"({"urls":["https://www.demo.test/a"]})"}) {
    EXPECT_EQ(With(token, "POST /v1/purge", order).status, 403) << order;
  }
  EXPECT_EQ(With(token, "POST /v1/purge", R"({"urls":["https://www.other.test/a"]})").status, 200);
  const nlohmann::json sites = Json(With(token, "GET /v1/sites"));
  ASSERT_THAT(sites["sites"], SizeIs(1));
  EXPECT_EQ(sites["sites"][0]["name"], "other");
}

TEST_F(ApiTokensTest, AnAdminOfOneSiteMakesAndSeesTokensOfThatSiteAlone) {
  MakeSite();
  MakeSite("other", "www.other.test");
  const std::string token = TokenOf(R"("admin")", "demo");
  const nlohmann::json others = Made(R"("read")", "other");
  EXPECT_EQ(
      With(token, "POST /v1/tokens", R"({"name":"x","site":"demo","scopes":["publish"]})").status,
      201);
  for (const char* site : {"\"other\"", "null"}) {
    const Reply reply =
        With(token, "POST /v1/tokens",
             R"({"name":"x","site":)" + std::string(site) + R"(,"scopes":["read"]})");
    EXPECT_EQ(reply.status, 403) << site;
  }
  EXPECT_THAT(Json(With(token, "GET /v1/tokens"))["tokens"], SizeIs(2));
  EXPECT_THAT(Json(Admin("GET /v1/tokens"))["tokens"], SizeIs(3));
  const std::string path = "/v1/tokens/" + others["id"].get<std::string>();
  EXPECT_EQ(With(token, "GET " + path).status, 403);
  EXPECT_EQ(With(token, "DELETE " + path).status, 403);
  EXPECT_EQ(With(others["token"], "GET /v1/sites/other").status, 200);
}

TEST_F(ApiTokensTest, TokensOfADeletedSiteAreRevoked) {
  MakeSite();
  const std::string token = TokenOf(R"("admin")");
  EXPECT_EQ(Admin("DELETE /v1/sites/demo").status, 200);
  MakeSite();
  EXPECT_EQ(Reason(With(token, "GET /v1/sites/demo")), "token_revoked");
}

TEST_F(ApiTokensTest, AStreamOfEventsEndsWithItsToken) {
  const nlohmann::json made = Made(R"("read")", "");
  RawClient stream(port());
  stream.Send(Text("GET /v1/events",
                   "authorization: Bearer " + made["token"].get<std::string>() + "\r\n", ""));
  RawClient fleet(port());
  fleet.Send(
      Text("GET /v1/events", "authorization: Bearer " + std::string(kFleetToken) + "\r\n", ""));
  while (server_->followers().count() < 2) std::this_thread::yield();
  EXPECT_EQ(Admin("DELETE /v1/tokens/" + made["id"].get<std::string>()).status, 200);
  EXPECT_TRUE(stream.Ends());
  EXPECT_EQ(server_->followers().count(), 1u);
}

TEST_F(ApiTokensTest, TheFleetsTokenMakesNone) {
  for (const char* line : {"GET /v1/tokens", "POST /v1/tokens", "GET /v1/audit"}) {
    EXPECT_EQ(Fleet(line, "{}").status, 403) << line;
  }
}

TEST_F(ApiTokensTest, WrongTokensAreRefused) {
  MakeSite();
  const std::string now = std::to_string(ToUnixMillis(WallNow()));
  const std::pair<std::string, std::string> rows[] = {
      {"", "bad_json"},
      {"{}", "bad_token"},
      {R"({"name":"x","scopes":["read"]})", "bad_token"},
      {R"({"name":"x","site":"","scopes":["read"]})", "bad_token"},
      {R"({"name":"x","site":"Demo","scopes":["read"]})", "bad_token"},
      {R"({"name":"x","site":7,"scopes":["read"]})", "bad_token"},
      {R"({"name":"x","site":"none","scopes":["read"]})", "no_such_site"},
      {R"({"name":"","site":null,"scopes":["read"]})", "bad_token"},
      {R"({"name":"a\nb","site":null,"scopes":["read"]})", "bad_token"},
      {R"({"name":"x","site":null,"scopes":[]})", "bad_token"},
      {R"({"name":"x","site":null,"scopes":["root"]})", "bad_token"},
      {R"({"name":"x","site":null,"scopes":["read"],"expires":)" + now + "}", "bad_token"},
      {R"({"name":"x","site":null,"scopes":["read"],"expires_in":"11y"})", "bad_token"},
      {R"({"name":"x","site":null,"scopes":["read"],"expires_in":"0s"})", "bad_token"},
      {R"({"name":"x","site":null,"scopes":["read"],"expires_in":"soon"})", "bad_token"},
      {R"({"name":"x","site":null,"scopes":["read"],"scope":["admin"]})", "bad_token"},
  };
  for (const auto& [body, reason] : rows) {
    EXPECT_EQ(Reason(Admin("POST /v1/tokens", body)), reason) << body;
  }
  EXPECT_THAT(Json(Admin("GET /v1/tokens"))["tokens"], SizeIs(0));
}

TEST_F(ApiTokensTest, WhenAllTokensOpenSomethingNoFurtherOneIsMade) {
  Restart("tokens = 1\n[limits]\n");
  EXPECT_EQ(node_->settings.auth.tokens, 1);
  MakeSite();
  TokenOf(R"("read")");
  const Reply refused = Admin("POST /v1/tokens", R"({"name":"x","site":"demo","scopes":["read"]})");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(Reason(refused), "too_many_tokens");
}

TEST_F(ApiTokensTest, AnAdminOfOneSiteMakesNoSite) {
  MakeSite();
  const std::string token = TokenOf(R"("admin")");
  EXPECT_EQ(With(token, "PUT /v1/sites/demo", R"({"hosts":["new.demo.test"]})").status, 200);
  // Another origin of this database deletes the site; this one's table has not looked yet.
  ASSERT_TRUE(
      node_->metadata->DeleteSite("demo", [](auto&) { return std::vector<storage::NewEvent>(); }));
  const Reply refused = With(token, "PUT /v1/sites/demo", R"({"hosts":["new.demo.test"]})");
  EXPECT_TRUE(refused.status == 403 || refused.status == 401) << refused.status;
  EXPECT_FALSE(node_->metadata->FindSite("demo"));
}

TEST_F(ApiTokensTest, AnAddressThatGuessesIsAnswered429) {
  Restart("failures = 2\nlimit_loopback = true\n[limits]\n");
  MakeSite();
  const std::string token = TokenOf(R"("read")");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(With("wrong-token-0123456789", "GET /v1/sites").status, 401);
  }
  const Reply refused = With("wrong-token-0123456789", "GET /v1/sites");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(Reason(refused), "too_many_failures");
  EXPECT_EQ(refused.Field("retry-after"), "30");
  EXPECT_EQ(With(token, "GET /v1/sites").status, 200);
  EXPECT_EQ(Fleet("GET /v1/sites").status, 200);
  EXPECT_EQ(Request("GET /v1/sites", "").status, 429);
  EXPECT_EQ(Request("GET /healthz", "").status, 200);
  metrics::Registry registry;
  server_->ExportMetrics(registry);
  EXPECT_THAT(registry.Expose(), HasSubstr("nearside_origin_locked_out_total 2\n"));
}

TEST_F(ApiTokensTest, EveryChangeIsOnRecordWithWhoMadeIt) {
  MakeSite();
  const nlohmann::json made = Made(R"("publish","purge")");
  const std::string token = made["token"];
  const std::string digits = DigitsOf("x");
  EXPECT_EQ(With(token, "PUT /v1/blobs/" + digits, "x").status, 201);
  const Reply release = With(token, "POST /v1/sites/demo/releases",
                             R"({"assets":[{"path":"a","bytes":1,"sha256":")" + digits + "\"}]}");
  const std::string id = Json(release)["id"];
  EXPECT_EQ(With(token, "POST /v1/sites/demo/releases/" + id + "/activate").status, 200);
  EXPECT_EQ(With(token, "PUT /v1/sites/demo/assets/b.txt", "b").status, 201);
  EXPECT_EQ(With(token, "DELETE /v1/sites/demo/assets/b.txt").status, 200);
  EXPECT_EQ(With(token, "POST /v1/purge", R"({"site":"demo","urls":["/a"]})").status, 200);
  EXPECT_EQ(Admin("PUT /v1/sites/demo", R"({"hosts":["new.demo.test"]})").status, 200);
  EXPECT_EQ(Admin("DELETE /v1/edges/tokyo").status, 204);
  EXPECT_EQ(Admin("DELETE /v1/tokens/" + made["id"].get<std::string>()).status, 200);
  EXPECT_EQ(Admin("DELETE /v1/sites/demo").status, 200);
  EXPECT_THAT(
      Audited(),
      ElementsAre("site_created auth.token_file demo", "token_created auth.token_file demo",
                  "release_created ci demo", "release_activated ci demo", "asset_put ci demo",
                  "asset_deleted ci demo", "purged ci demo", "site_changed auth.token_file demo",
                  "edge_forgotten auth.token_file -", "token_revoked auth.token_file demo",
                  "site_deleted auth.token_file demo"));
  const nlohmann::json put = Json(Admin("GET /v1/audit?after=4&limit=1"))["audit"][0];
  EXPECT_EQ(put["seq"], 5);
  EXPECT_EQ(put["token"], made["id"]);
  EXPECT_EQ(put["client"], "127.0.0.1");
  EXPECT_EQ(put["detail"]["path"], "b.txt");
  EXPECT_EQ(put["detail"]["sha256"], DigitsOf("b"));
  const nlohmann::json purge = Json(Admin("GET /v1/audit?after=6&limit=1"))["audit"][0];
  EXPECT_EQ(purge["detail"]["urls"], nlohmann::json({"/a"}));
  const auto event = node_->metadata->Events(purge["event"].get<uint64_t>() - 1, 1).value().at(0);
  EXPECT_EQ(event.type, "purge");
}

TEST_F(ApiTokensTest, WhatIsRefusedIsNoChangeAndLeavesNoRecord) {
  MakeSite();
  const std::string token = TokenOf(R"("read")");
  EXPECT_EQ(With(token, "PUT /v1/sites/demo/assets/a", "x").status, 403);
  EXPECT_EQ(Admin("POST /v1/sites", R"({"name":"demo","hosts":[]})").status, 409);
  EXPECT_EQ(Admin("DELETE /v1/sites/demo/assets/none").status, 404);
  EXPECT_THAT(Audited(), SizeIs(2));
}

TEST_F(ApiTokensTest, TheRecordIsReadInPagesAndBySite) {
  MakeSite();
  MakeSite("other", "www.other.test");
  MakeSite("third", "www.third.test");
  const nlohmann::json first = Json(Admin("GET /v1/audit?after=0&limit=2"));
  EXPECT_THAT(first["audit"], SizeIs(2));
  EXPECT_EQ(first["next"], 2);
  const nlohmann::json rest = Json(Admin("GET /v1/audit?after=2&limit=2"));
  EXPECT_THAT(rest["audit"], SizeIs(1));
  EXPECT_EQ(Json(Admin("GET /v1/audit?after=3"))["next"], 3);
  EXPECT_THAT(Audited("?site=other"), ElementsAre("site_created auth.token_file other"));
  EXPECT_THAT(Audited("?limit=1"), ElementsAre("site_created auth.token_file third"));
  const std::string token = TokenOf(R"("admin")", "other");
  EXPECT_THAT(Json(With(token, "GET /v1/audit"))["audit"], SizeIs(2));
  for (const char* query : {"?after=x", "?after=-1", "?after=1:2", "?limit=0", "?limit=1001"}) {
    EXPECT_EQ(Reason(Admin("GET /v1/audit" + std::string(query))), "bad_query") << query;
  }
}

TEST_F(ApiTokensTest, AnotherReplicaSeesATokenAndItsEnd) {
  MakeSite();
  auto tokens = Tokens::Load(dir_.In("admin.token"), dir_.In("fleet.token"));
  auto node = Node::Open(Settings(""), *tokens).value();
  auto other = ApiServer::Open(*node, {*net::SocketAddress::Parse("127.0.0.1:0")}).value();
  other->Start();
  const nlohmann::json made = Made(R"("read")");
  const std::string text =
      Text("GET /v1/sites/demo",
           "authorization: Bearer " + made["token"].get<std::string>() + "\r\n", "");
  const uint16_t there = other->addresses().front().port();
  const auto until = [&](int status) {
    while (Ask(there, text).status != status) std::this_thread::yield();
  };
  until(200);
  EXPECT_EQ(Admin("DELETE /v1/tokens/" + made["id"].get<std::string>()).status, 200);
  until(401);
  EXPECT_EQ(Ask(there, text).status, 401);
}

}  // namespace
}  // namespace nearside::origin::test
