#include "http/uri.h"
#include "runtime/crypto.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class ApiReceiptsTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    MakeSite();
  }
  /// "/a 200 one" of each URL, contents by their first known name; pages of `limit` paths.
  std::string Content(const std::string& release, const std::string& query = "",
                      const std::string& limit = "1000") {
    std::string text, after;
    while (true) {
      const Reply reply = Fleet("GET /v1/sites/demo/releases/" + release +
                                "/content?limit=" + limit + "&after=" + after + query);
      EXPECT_EQ(reply.status, 200) << reply.body;
      if (reply.status != 200) return Reason(reply);
      const nlohmann::json page = Json(reply);
      for (const nlohmann::json& row : page["urls"]) {
        text += (text.empty() ? "" : ", ") + row["url"].get<std::string>() + " " +
                std::to_string(row["status"].get<int>());
        if (!row.contains("sha256")) continue;
        for (const char* known : {"one", "two", "three", "gone"}) {
          if (row["sha256"] == DigitsOf(known)) text += " " + std::string(known);
        }
      }
      if (page["next"].is_null()) return text;
      after = http::PercentEncode(page["next"].get<std::string>());
    }
  }
  std::string Activated(const std::string& release) {
    const Reply reply = Admin("POST /v1/sites/demo/releases/" + release + "/activate");
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Json(reply).value("receipt", "none");
  }
  nlohmann::json Receipt(const std::string& id) { return Json(Admin("GET /v1/receipts/" + id)); }
  void Report(const std::string& edge, const nlohmann::json& sites) {
    const nlohmann::json log = {{"epoch", node_->metadata->Log()->last.epoch},
                                {"seq", node_->metadata->Log()->last.sequence},
                                {"sites", sites}};
    const Reply reply = Fleet("POST /v1/edges/" + edge, log.dump());
    EXPECT_EQ(reply.status, 200) << reply.body;
  }
  nlohmann::json Told(const std::string& state, uint64_t same, const std::string& digest) {
    const storage::LogPosition last = node_->metadata->Log()->last;
    return {{"site", "demo"}, {"epoch", last.epoch}, {"seq", last.sequence}, {"state", state},
            {"urls", 2},      {"same", same},        {"digest", digest}};
  }
  static std::string DigestOf(const std::string& lines) { return HexEncode(Sha256Of(lines)); }
};

TEST_F(ApiReceiptsTest, ContentIsWhatVisitorsGetUrlByUrl) {
  const std::string id = Publish({{"index.html", "one"},
                                  {"docs/index.html", "two"},
                                  {"a b.txt", "three"},
                                  {"old.html", "gone"},
                                  {"_redirects", "/old.html /docs/ 301!\n"}});
  const std::string all =
      "/a%20b.txt 200 three, /docs/index.html 200 two, /docs/ 200 two, "
      "/docs 301, /index.html 200 one, / 200 one, /old.html 301";
  EXPECT_EQ(Content(id), all);
  EXPECT_EQ(Content("active"), all);
  for (const char* limit : {"1", "2", "3", "4", "5"}) EXPECT_EQ(Content(id, "", limit), all);
  EXPECT_EQ(Visit("/docs").status, 301);
  const nlohmann::json page = Json(Fleet("GET /v1/sites/demo/releases/active/content"));
  EXPECT_EQ(page["release"], id);
  EXPECT_EQ(page["active"], id);
  EXPECT_EQ(page["since"], "0");
  EXPECT_EQ(page["urls"][0]["bytes"], 5);
}

TEST_F(ApiReceiptsTest, ContentSinceAnotherReleaseIsWhatDiffers) {
  const std::string first =
      Publish({{"a", "one"}, {"b", "gone"}, {"c", "three"}, {"m.5f3c1b2e.js", "gone"}});
  const std::string second = Publish({{"a", "two"}, {"c", "three"}, {"d", "one"}});
  const std::string change = "/a 200 two, /b 404, /d 200 one, /m.5f3c1b2e.js 200 gone";
  for (const char* limit : {"1", "2", "3", "4", "1000"}) {
    EXPECT_EQ(Content(second, "&since=" + first, limit), change) << limit;
  }
  EXPECT_EQ(Content("active", "&since=previous"), change)
      << "hashed names of earlier releases stay";
  EXPECT_EQ(Content(first, "&since=" + first), "");
  EXPECT_EQ(Content(second, "&since=0"), "/a 200 two, /c 200 three, /d 200 one");
}

TEST_F(ApiReceiptsTest, WhenRulesChangeAnyAnswerMay) {
  Publish({{"a", "one"}, {"b", "two"}});
  Publish({{"a", "one"}, {"b", "two"}, {"_redirects", "/a /b 301!\n"}});
  EXPECT_EQ(Content("active", "&since=previous"), "/a 301, /b 200 two");
}

TEST_F(ApiReceiptsTest, ContentIsForTheFleetAndForThoseWhoMayRead) {
  EXPECT_EQ(Reason(Fleet("GET /v1/sites/demo/releases/active/content")), "no_such_release");
  Publish({{"a", "one"}});
  EXPECT_EQ(Admin("GET /v1/sites/demo/releases/active/content").status, 200);
  EXPECT_EQ(Request("GET /v1/sites/demo/releases/active/content", "").status, 401);
  EXPECT_EQ(Reason(Fleet("GET /v1/sites/demo/releases/7777/content")), "no_such_release");
  EXPECT_EQ(Reason(Fleet("GET /v1/sites/none/releases/active/content")), "no_such_site");
  EXPECT_EQ(Reason(Fleet("GET /v1/sites/demo/releases/active/content?since=x")), "bad_query");
  EXPECT_EQ(Reason(Fleet("GET /v1/sites/demo/releases/active/content?since=7777")),
            "no_such_release");
  EXPECT_EQ(Reason(Fleet("GET /v1/sites/demo/releases/active/content?limit=1001")), "bad_query");
}

TEST_F(ApiReceiptsTest, ASwitchHasAReceiptThatFillsAsEdgesProveIt) {
  Report("frankfurt", nlohmann::json::array());
  Report("tokyo", nlohmann::json::array());
  const std::string id = Activated(Prepare({{"index.html", "one"}}));
  nlohmann::json receipt = Receipt(id);
  EXPECT_EQ(receipt["site"], "demo");
  EXPECT_EQ(receipt["previous"], "0");
  EXPECT_EQ(receipt["changed"], 1);
  EXPECT_EQ(receipt["seq"], node_->metadata->Log()->last.sequence);
  EXPECT_EQ(receipt["complete"], false);
  EXPECT_EQ(receipt["superseded"], false);
  ASSERT_EQ(receipt["edges"].size(), 2u);
  EXPECT_EQ(receipt["edges"][0]["name"], "frankfurt");
  EXPECT_EQ(receipt["edges"][0]["state"], "waiting");
  EXPECT_EQ(receipt["edges"][0]["applied"], false);

  const std::string one = DigitsOf("one");
  const std::string digest = DigestOf("/index.html " + one + "\n/ " + one + "\n");
  Report("frankfurt", nlohmann::json::array({Told("proving", 1, "")}));
  EXPECT_EQ(Receipt(id)["edges"][0]["state"], "proving");
  EXPECT_TRUE(Receipt(id)["edges"][0].contains("ms"));
  Report("frankfurt", nlohmann::json::array({Told("proved", 2, digest)}));
  receipt = Receipt(id);
  EXPECT_EQ(receipt["digest"], digest);
  EXPECT_EQ(receipt["edges"][0]["state"], "proved");
  EXPECT_EQ(receipt["edges"][0]["digest_is_ours"], true);
  EXPECT_EQ(receipt["edges"][0]["same"], 2);
  EXPECT_TRUE(receipt["edges"][0].contains("proof_ms"));
  EXPECT_EQ(receipt["complete"], false);
  Report("tokyo", nlohmann::json::array({Told("unserved", 0, "")}));
  receipt = Receipt(id);
  EXPECT_EQ(receipt["edges"][1]["state"], "unserved");
  EXPECT_EQ(receipt["complete"], true);
  Restart();
  EXPECT_EQ(Receipt(id)["complete"], true) << "it is kept";
}

TEST_F(ApiReceiptsTest, AnEdgeIsToldWhetherItHasProvedTheNewestSwitch) {
  const auto told = [&](const std::string& query) {
    const nlohmann::json page = Json(Fleet("GET /v1/sites/demo/releases/active/content" + query));
    return page.value("switch", nlohmann::json()).dump() + " " +
           page.value("proved", nlohmann::json()).dump();
  };
  Report("frankfurt", nlohmann::json::array());
  (void)Activated(Prepare({{"a", "one"}}));
  const storage::LogPosition last = node_->metadata->Log()->last;
  const std::string position = R"({"epoch":)" + std::to_string(last.epoch) + R"(,"seq":)" +
                               std::to_string(last.sequence) + "}";
  EXPECT_EQ(told(""), position + " null");
  EXPECT_EQ(told("?edge=frankfurt"), position + " false");
  EXPECT_EQ(told("?edge=unknown"), position + " false");
  Report("frankfurt", nlohmann::json::array({Told("proved", 2, "x")}));
  EXPECT_EQ(told("?edge=frankfurt&since=previous&limit=1"), position + " true");
  (void)Admin("PUT /v1/sites/demo/assets/a", "edited");
  EXPECT_EQ(told("?edge=frankfurt"), "null null") << "the active one was not switched to";
}

TEST_F(ApiReceiptsTest, AnotherDigestIsNoProof) {
  Report("frankfurt", nlohmann::json::array());
  const std::string id = Activated(Prepare({{"index.html", "one"}}));
  Report("frankfurt",
         nlohmann::json::array({Told("proved", 2, DigestOf("what it served was something else"))}));
  const nlohmann::json receipt = Receipt(id);
  EXPECT_EQ(receipt["edges"][0]["digest_is_ours"], false);
  EXPECT_FALSE(receipt["edges"][0].contains("proof_ms"));
  EXPECT_EQ(receipt["complete"], false);
}

TEST_F(ApiReceiptsTest, WhatIsToldOfAnotherSwitchIsNotOfThisOne) {
  Report("frankfurt", nlohmann::json::array());
  const std::string first = Activated(Prepare({{"a", "one"}}));
  nlohmann::json told = Told("proved", 2, "x");
  told["seq"] = 1;
  Report("frankfurt", nlohmann::json::array({told, 7, nlohmann::json::object(), {{"site", 7}}}));
  EXPECT_EQ(Receipt(first)["edges"][0]["state"], "waiting");
  const std::string second = Activated(Prepare({{"a", "two"}}));
  EXPECT_NE(first, second);
  EXPECT_EQ(Receipt(first)["superseded"], true);
  EXPECT_EQ(Receipt(second)["superseded"], false);
}

TEST_F(ApiReceiptsTest, WhatIsToldBeforeTheReceiptIsThereIsNotedWhenItIsToldAgain) {
  Report("frankfurt", nlohmann::json::array());
  const std::string release = Prepare({{"a", "one"}});
  nlohmann::json told = Told("unserved", 0, "");
  told["seq"] = node_->metadata->Log()->last.sequence + 1;
  Report("frankfurt", nlohmann::json::array({told}));
  const std::string id = Activated(release);
  EXPECT_EQ(Receipt(id)["edges"][0]["state"], "waiting");
  Report("frankfurt", nlohmann::json::array({told}));
  EXPECT_EQ(Receipt(id)["edges"][0]["state"], "unserved");
}

TEST_F(ApiReceiptsTest, AForgottenEdgeIsNotWaitedFor) {
  Report("frankfurt", nlohmann::json::array());
  const std::string id = Activated(Prepare({{"a", "one"}}));
  EXPECT_EQ(Receipt(id)["complete"], false);
  EXPECT_EQ(Admin("DELETE /v1/edges/frankfurt").status, 204);
  EXPECT_EQ(Receipt(id)["complete"], true);
}

TEST_F(ApiReceiptsTest, ASwitchToWhatIsActiveIsNone) {
  const std::string release = Publish({{"a", "one"}});
  EXPECT_EQ(Activated(release), "none");
}

TEST_F(ApiReceiptsTest, ReceiptsAreListedAndSeenByThoseWhoMayReadTheSite) {
  const std::string first = Activated(Prepare({{"a", "one"}}));
  const std::string second = Activated(Prepare({{"a", "two"}}));
  const nlohmann::json list = Json(Admin("GET /v1/receipts?site=demo"))["receipts"];
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["id"], second);
  EXPECT_EQ(list[1]["id"], first);
  const auto token = [&](const std::string& site) {
    return "authorization: Bearer " +
           Json(Admin("POST /v1/tokens", R"({"name":"t-)" + site + R"(","site":")" + site +
                                             R"(","scopes":["read"]})"))["token"]
               .get<std::string>() +
           "\r\n";
  };
  MakeSite("other", "other.test");
  const std::string own = token("demo"), others = token("other");
  EXPECT_EQ(Request("GET /v1/receipts/" + first, own).status, 200);
  EXPECT_EQ(Request("GET /v1/receipts/" + first, others).status, 403);
  EXPECT_EQ(Request("GET /v1/receipts/7777", own).status, 403) << "nothing is told of what is not";
  EXPECT_EQ(Request("GET /v1/receipts", own).status, 200);
  EXPECT_EQ(Request("GET /v1/receipts?site=demo", others).status, 403);
  EXPECT_EQ(Reason(Admin("GET /v1/receipts/7777")), "no_such_receipt");
  EXPECT_EQ(Admin("GET /v1/receipts/7777").status, 404);
}

}  // namespace
}  // namespace nearside::origin::test
