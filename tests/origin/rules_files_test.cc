#include "origin/rules_files.h"

#include "origin/event.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class RulesFilesTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    MakeSite();
  }
  Reply Activate(const std::string& id) {
    return Admin("POST /v1/sites/demo/releases/" + id + "/activate");
  }
  nlohmann::json LastEvent() {
    const storage::LogState log = node_->metadata->Log().value();
    const auto events = node_->metadata->Events(log.last.sequence - 1, 1).value();
    return nlohmann::json::parse("{" + events.at(0).body, nullptr, false);
  }
};

TEST_F(RulesFilesTest, RulesComeAndGoWithTheirRelease) {
  const std::string first = Publish({{"index.html", "1"},
                                     {"_redirects", "/old /new 302\n/app/* /index.html 200\n"},
                                     {"_headers", "/*\n  X-A: b\n  Surrogate-Key: all\n"}});
  EXPECT_EQ(Visit("/old").status, 302);
  EXPECT_EQ(Visit("/old").Field("location"), "/new");
  const Reply page = Visit("/app/x");
  EXPECT_EQ(page.body, "1");
  EXPECT_EQ(page.Field("x-a"), "b");
  EXPECT_EQ(page.Field("surrogate-key"), "all " + RewriteTagOf("index.html"));
  EXPECT_EQ(Visit("/_redirects").status, 404);
  EXPECT_EQ(Visit("/_headers").status, 404);
  EXPECT_EQ(Admin("GET /v1/sites/demo/assets/_redirects").status, 200);
  Publish({{"index.html", "2"}});
  EXPECT_EQ(Visit("/old").status, 404);
  EXPECT_EQ(Visit("/").Field("x-a"), "");
  EXPECT_EQ(Activate(first).status, 200);
  EXPECT_EQ(Visit("/old").status, 302);
}

TEST_F(RulesFilesTest, ABadLineIsNamedAndNothingIsActivated) {
  Publish({{"index.html", "1"}});
  const std::string before = Position();
  const std::string id = Prepare({{"index.html", "2"}, {"_redirects", "# moved\n/old /new 999\n"}});
  const Reply refused = Activate(id);
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(Reason(refused), "bad_rules");
  EXPECT_THAT(Json(refused)["detail"].get<std::string>(),
              HasSubstr("_redirects:2: \"999\" is no status"));
  EXPECT_EQ(Visit("/").body, "1");
  EXPECT_EQ(Position(), before);
  const std::string headers =
      Prepare({{"index.html", "2"}, {"_headers", "/*\n  Set-Cookie: a=b\n"}});
  EXPECT_THAT(Activate(headers).body, HasSubstr("_headers:2:"));
  EXPECT_EQ(Visit("/").body, "1");
}

TEST_F(RulesFilesTest, RulesThatHaveNotBeenUploadedAreMissing) {
  const std::string manifest =
      R"({"assets":[{"path":"_redirects","bytes":3,"sha256":")" + DigitsOf("abc") + "\"}]}";
  const std::string id = Json(Admin("POST /v1/sites/demo/releases", manifest))["id"];
  const Reply early = Activate(id);
  EXPECT_EQ(early.status, 409);
  EXPECT_EQ(Reason(early), "missing_blobs");
  EXPECT_THAT(early.body, HasSubstr(DigitsOf("abc")));
}

TEST_F(RulesFilesTest, ASingleFileOfRulesIsReadWhenItIsPut) {
  Publish({{"index.html", "1"}});
  const Reply refused = Admin("PUT /v1/sites/demo/assets/_redirects", "/a\n");
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.body, HasSubstr("_redirects:1:"));
  EXPECT_EQ(Admin("PUT /v1/sites/demo/assets/_redirects", "/a /b 301\n").status, 201);
  EXPECT_EQ(Visit("/a").status, 301);
  EXPECT_EQ(LastEvent()["all"], true);
  EXPECT_EQ(LastEvent()["soft"], true);
  EXPECT_EQ(Admin("DELETE /v1/sites/demo/assets/_redirects").status, 200);
  EXPECT_EQ(Visit("/a").status, 404);
  EXPECT_EQ(LastEvent()["soft"], true) << "a page is not gone because a rule is";
}

TEST_F(RulesFilesTest, AChangedPageNamesWhatIsRewrittenToIt) {
  Publish({{"index.html", "1"}, {"_redirects", "/app/* /index.html 200\n"}});
  Publish({{"index.html", "2"}, {"_redirects", "/app/* /index.html 200\n"}});
  EXPECT_EQ(LastEvent()["all"], false);
  EXPECT_EQ(LastEvent()["tags"], nlohmann::json({RewriteTagOf("index.html")}));
  EXPECT_EQ(Visit("/app/x").body, "2");
  (void)Admin("PUT /v1/sites/demo/assets/index.html", "3");
  EXPECT_EQ(LastEvent()["tags"], nlohmann::json({RewriteTagOf("index.html")}));
  EXPECT_EQ(Visit("/app/x").body, "3");
}

TEST_F(RulesFilesTest, WrongFilesOfAnOlderVersionAreNoRulesAndCanBeReturnedTo) {
  // Past the API, as a version let them in that did not read them.
  const std::string id = Prepare({{"index.html", "1"}, {"_redirects", "nonsense\n"}});
  const auto tell = [](const storage::Change& change) {
    return AnnounceActivation(change, http::RedirectRules());
  };
  ASSERT_TRUE(node_->metadata->ActivateRelease("demo", std::stoll(id), tell));
  Restart();
  EXPECT_EQ(Visit("/").body, "1");
  EXPECT_EQ(Visit("/_redirects").status, 404);
  Publish({{"index.html", "2"}});
  EXPECT_EQ(Activate(id).status, 200);
  EXPECT_EQ(Visit("/").body, "1");
}

}  // namespace
}  // namespace nearside::origin::test
