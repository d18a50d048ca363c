#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class ApiAccountsTest : public OriginTest {
 protected:
  void SetUp() override {
    storage_ = "sessions = \"lmdb:" + dir_.In("sessions") + "\"\n";
    Start("[accounts]\nhash_memory = \"8KiB\"\nhash_passes = 1\naccounts = 3\n");
    MakeSite();
  }
  nlohmann::json Made(const std::string& name, const std::string& grants = "[]") {
    const Reply reply = Admin("POST /v1/accounts", Draft(name, kPassword, grants));
    EXPECT_EQ(reply.status, 201) << reply.body;
    return Json(reply);
  }
  static std::string Draft(const std::string& name, const std::string& password,
                           const std::string& grants = "[]") {
    return R"({"name":")" + name + R"(","password":")" + password + R"(","grants":)" + grants + "}";
  }
  /// A new session of the account, as a page would have made it.
  std::string SignIn(const std::string& name, const std::string& password = kPassword) {
    return node_->accounts.SignIn({name, password}, {"192.0.2.7", "test browser"}).value_or("");
  }
  bool IsSignedIn(const std::string& id) { return node_->accounts.Find(id).value().has_value(); }
  std::vector<std::string> Actions() {
    std::vector<std::string> shown;
    const nlohmann::json audit = Json(Admin("GET /v1/audit"));
    for (const nlohmann::json& record : audit["audit"]) {
      shown.push_back(record["action"].get<std::string>() + " by " +
                      record["name"].get<std::string>());
    }
    return shown;
  }
};

TEST_F(ApiAccountsTest, AnAccountIsMadeListedChangedAndDeleted) {
  const nlohmann::json made =
      Made("Alice@example.org", R"([{"site":"demo","scopes":["publish","read"]}])");
  EXPECT_EQ(made["name"], "alice@example.org");
  EXPECT_EQ(made["created_by"], "auth.token_file");
  EXPECT_TRUE(made["signed_in"].is_null());
  EXPECT_EQ(made["grants"],
            nlohmann::json::parse(R"([{"site":"demo","scopes":["read","publish"]}])"));
  const Reply got = Admin("GET /v1/accounts/ALICE%40example.org");
  EXPECT_EQ(Json(got), made);
  EXPECT_EQ(Json(Admin("GET /v1/accounts"))["accounts"], nlohmann::json::array({made}));
  for (const Reply& reply : {got, Admin("GET /v1/accounts")}) {
    EXPECT_THAT(reply.body, Not(HasSubstr("argon2")));
    EXPECT_THAT(reply.body, Not(HasSubstr(kPassword)));
  }
  const Reply granted = Admin("PUT /v1/accounts/alice@example.org/grants",
                              R"({"grants":[{"site":null,"scopes":["read"]}]})");
  EXPECT_EQ(granted.status, 200) << granted.body;
  EXPECT_TRUE(Json(granted)["grants"][0]["site"].is_null());
  EXPECT_EQ(Admin("DELETE /v1/accounts/alice@example.org").status, 200);
  EXPECT_EQ(Reason(Admin("GET /v1/accounts/alice@example.org")), "no_such_account");
  EXPECT_EQ(Admin("DELETE /v1/accounts/alice@example.org").status, 404);
  EXPECT_THAT(
      Actions(),
      ElementsAre("site_created by auth.token_file", "account_created by auth.token_file",
                  "account_granted by auth.token_file", "account_deleted by auth.token_file"));
}

TEST_F(ApiAccountsTest, AnotherPasswordAndSigningOutEndSessions) {
  Made("alice");
  const std::string first = SignIn("alice");
  const nlohmann::json sessions = Json(Admin("GET /v1/accounts/alice/sessions"));
  ASSERT_THAT(sessions["sessions"], SizeIs(1));
  EXPECT_EQ(sessions["sessions"][0]["client"], "192.0.2.7");
  EXPECT_EQ(sessions["sessions"][0]["agent"], "test browser");
  EXPECT_THAT(sessions.dump(), Not(HasSubstr(first)));
  EXPECT_EQ(Admin("DELETE /v1/accounts/alice/sessions").status, 200);
  EXPECT_FALSE(IsSignedIn(first));
  const std::string second = SignIn("alice");
  EXPECT_TRUE(IsSignedIn(second));
  EXPECT_EQ(
      Admin("PUT /v1/accounts/alice/password", R"({"password":"another long password"})").status,
      200);
  EXPECT_FALSE(IsSignedIn(second));
  EXPECT_EQ(SignIn("alice"), "");
  EXPECT_NE(SignIn("alice", "another long password"), "");
  EXPECT_THAT(Json(Admin("GET /v1/accounts/alice/sessions"))["sessions"], SizeIs(1));
}

TEST_F(ApiAccountsTest, WrongOnesAreRefusedAndChangeNothing) {
  Made("alice");
  const std::tuple<std::string, std::string, int, std::string> rows[] = {
      {"POST /v1/accounts", "", 400, "bad_json"},
      {"POST /v1/accounts", "{}", 422, "bad_account"},
      {"POST /v1/accounts", Draft("a b", kPassword), 422, "bad_account_name"},
      {"POST /v1/accounts", Draft("bob", "short"), 422, "bad_password"},
      {"POST /v1/accounts", Draft("Alice", kPassword), 409, "account_exists"},
      {"POST /v1/accounts", Draft("bob", kPassword, R"([{"site":"none","scopes":["read"]}])"), 404,
       "no_such_site"},
      {"PUT /v1/accounts/bob/grants", R"({"grants":[]})", 404, "no_such_account"},
      {"PUT /v1/accounts/alice/grants", R"({"grants":[{"site":"none","scopes":["read"]}]})", 404,
       "no_such_site"},
      {"PUT /v1/accounts/alice/password", R"({"password":"password"})", 422, "bad_password"},
      {"PUT /v1/accounts/bob/password", R"({"password":"a long password"})", 404,
       "no_such_account"},
      {"DELETE /v1/accounts/bob/sessions", "", 404, "no_such_account"},
      {"GET /v1/accounts/a%20b", "", 404, "no_such_route"},
      {"GET /v1/accounts/alice/", "", 404, "no_such_route"},
      {"GET /v1/accounts/alice/other", "", 404, "no_such_route"},
      {"GET /v1/accounts?limit=0", "", 400, "bad_query"},
      {"PUT /v1/accounts/alice", "{}", 405, "method_not_allowed"},
  };
  for (const auto& [line, body, status, reason] : rows) {
    const Reply reply = Admin(line, body);
    EXPECT_EQ(reply.status, status) << line << " " << body;
    EXPECT_EQ(Reason(reply), reason) << line << " " << body;
  }
  EXPECT_THAT(Json(Admin("GET /v1/accounts"))["accounts"], SizeIs(1));
  EXPECT_THAT(Actions(), SizeIs(2));
}

TEST_F(ApiAccountsTest, AccountsAreForAdminsOfEverySite) {
  Made("alice");
  const nlohmann::json token =
      Json(Admin("POST /v1/tokens", R"({"name":"x","site":"demo","scopes":["admin"]})"));
  const std::string fields = "authorization: Bearer " + token["token"].get<std::string>() + "\r\n";
  for (const char* line : {"GET /v1/accounts", "POST /v1/accounts", "GET /v1/accounts/alice",
                           "DELETE /v1/accounts/alice", "PUT /v1/accounts/alice/grants",
                           "PUT /v1/accounts/alice/password", "GET /v1/accounts/alice/sessions",
                           "DELETE /v1/accounts/alice/sessions"}) {
    EXPECT_EQ(Request(line, fields).status, 403) << line;
    EXPECT_EQ(Fleet(line).status, 403) << line;
    EXPECT_EQ(Request(line, "").status, 401) << line;
  }
}

TEST_F(ApiAccountsTest, AListComesInPagesAndThereAreSoManyAndNoMore) {
  for (const char* name : {"carol", "alice", "bob"}) Made(name);
  EXPECT_EQ(Reason(Admin("POST /v1/accounts", Draft("dave", kPassword))), "too_many_accounts");
  const nlohmann::json first = Json(Admin("GET /v1/accounts?limit=2"));
  EXPECT_THAT(first["accounts"], SizeIs(2));
  EXPECT_EQ(first["next"], "bob");
  const nlohmann::json rest = Json(Admin("GET /v1/accounts?limit=2&after=bob"));
  EXPECT_THAT(rest["accounts"], SizeIs(1));
  EXPECT_TRUE(rest["next"].is_null());
}

TEST_F(ApiAccountsTest, GrantsGoWithTheirSite) {
  Made("alice", R"([{"site":"demo","scopes":["read"]}])");
  EXPECT_EQ(Admin("DELETE /v1/sites/demo").status, 200);
  MakeSite();
  EXPECT_THAT(Json(Admin("GET /v1/accounts/alice"))["grants"], SizeIs(0));
}

}  // namespace
}  // namespace nearside::origin::test
