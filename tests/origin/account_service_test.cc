#include "origin/account_service.h"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <thread>

#include "http/uri.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kOther = "another long password";
constexpr const char* kHost = "account.test";
constexpr const char* kQuick = "hash_memory = \"8KiB\"\nhash_passes = 1\nfailures = 3\n";

using FormFields = std::vector<std::pair<std::string, std::string>>;

class AccountServiceTest : public OriginTest {
 protected:
  void SetUp() override {
    storage_ = "sessions = \"lmdb:" + dir_.In("sessions") + "\"\n";
    StartPages();
    MakeSite();
    MakeSite("other", "www.other.test");
  }
  void StartPages(const std::string& more = "") {
    Start("[accounts]\nhosts = [\"account.test\"]\n" + std::string(kQuick) + more);
  }
  void RestartPages(const std::string& more) {
    Stop();
    StartPages(more);
  }
  void Make(const std::string& name, const std::vector<storage::AccountGrant>& grants = {}) {
    const auto made =
        node_->accounts.Create({name, kPassword}, grants, "admin", {.action = "account_created"});
    ASSERT_TRUE(made) << made.error().ToString();
  }
  uint16_t port_of_origin() const { return port(); }

  /// A browser as far as these pages want one: cookies, forms with what was in them, and where it
  /// comes from. An edge stands between.
  class Browser {
   public:
    explicit Browser(AccountServiceTest& test, std::string address = "192.0.2.1")
        : test_(test), address_(std::move(address)) {}

    Reply Get(const std::string& path) { return Send("GET " + path, "", ""); }
    /// What the page's form would send: its token, and `fields`.
    Reply Submit(const std::string& page, const std::string& action, const FormFields& fields) {
      Get(page);
      return Post(action, fields);
    }
    /// With the token of the last page.
    Reply Post(const std::string& action, const FormFields& fields) {
      FormFields all = {{"form_token", token_}};
      all.insert(all.end(), fields.begin(), fields.end());
      return Send("POST " + action,
                  "origin: https://account.test\r\nsec-fetch-site: same-origin\r\n", Encoded(all));
    }
    Reply Send(const std::string& line, const std::string& fields, const std::string& content,
               const std::string& type = "application/x-www-form-urlencoded") {
      std::string cookies;
      for (const auto& [name, value] : cookies_) {
        cookies += (cookies.empty() ? "" : "; ") + name + "=" + value;
      }
      std::string head = "x-forwarded-for: " + address_ + "\r\nx-forwarded-proto: https\r\n" +
                         "user-agent: test browser\r\n" + fields;
      if (!cookies.empty()) head += "cookie: " + cookies + "\r\n";
      if (!content.empty()) head += "content-type: " + type + "\r\n";
      const Reply reply =
          nearside::test::Ask(test_.port_of_origin(), Text(line, head, content, kHost));
      Keep(reply);
      return reply;
    }
    Reply SignIn(const std::string& name, const std::string& password = kPassword) {
      return Submit("/account/sign-in", "/account/sign-in",
                    {{"name", name}, {"password", password}});
    }
    static std::string Encoded(const FormFields& fields) {
      std::string text;
      for (const auto& [name, value] : fields) {
        text += (text.empty() ? "" : "&") + name + "=" + http::PercentEncode(value);
      }
      return text;
    }
    std::string cookie(const std::string& name) const {
      const auto found = cookies_.find(name);
      return found == cookies_.end() ? "" : found->second;
    }
    std::string session() const { return cookie("__Host-nearside-session"); }
    const std::string& token() const { return token_; }
    void set_cookie(const std::string& name, const std::string& value) { cookies_[name] = value; }
    void set_token(const std::string& token) { token_ = token; }

   private:
    void Keep(const Reply& reply) {
      for (const std::string& set : reply.Fields("set-cookie")) {
        const std::string pair = set.substr(0, set.find(';'));
        const std::string name = pair.substr(0, pair.find('='));
        const std::string value = pair.substr(pair.find('=') + 1);
        if (set.find("Max-Age=0") != std::string::npos) {
          cookies_.erase(name);
        } else {
          cookies_[name] = value;
        }
      }
      constexpr std::string_view kField = "name=\"form_token\" value=\"";
      const size_t at = reply.body.find(kField);
      if (at == std::string::npos) return;
      const size_t begin = at + kField.size();
      token_ = reply.body.substr(begin, reply.body.find('"', begin) - begin);
    }

    AccountServiceTest& test_;
    const std::string address_;
    std::map<std::string, std::string> cookies_;
    std::string token_;
  };

  std::vector<std::string> Actions() {
    std::vector<std::string> shown;
    const auto records = node_->metadata->Audit({}).value();
    for (const auto& record : records) {
      shown.push_back(record.entry.action + " " + record.entry.name + " " + record.entry.client);
    }
    return shown;
  }
};

void ExpectRedirect(const Reply& reply, const std::string& to) {
  EXPECT_EQ(reply.status, 303) << reply.body;
  EXPECT_EQ(reply.Field("location"), to);
}

TEST_F(AccountServiceTest, WhoSignsInSeesTheAccountAndSignsOut) {
  Make("alice", {{"demo", {"read"}}});
  Browser browser(*this);
  ExpectRedirect(browser.Get("/"), "/account");
  ExpectRedirect(browser.Get("/account"), "/account/sign-in");
  ExpectRedirect(browser.SignIn("Alice"), "/account");
  const Reply page = browser.Get("/account");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.Field("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("<span>alice</span>"));
  EXPECT_THAT(page.body, HasSubstr("/account/sites/demo"));
  EXPECT_THAT(page.body, Not(HasSubstr("/account/sites/other")));
  EXPECT_THAT(page.body, HasSubstr("test browser"));
  EXPECT_THAT(page.body, HasSubstr("192.0.2.1"));
  EXPECT_THAT(page.body, HasSubstr("this browser"));
  ExpectRedirect(browser.Get("/account/sign-in"), "/account");
  const std::string session = browser.session();
  ExpectRedirect(browser.Post("/account/sign-out", {}), "/account/sign-in");
  EXPECT_EQ(browser.session(), "");
  browser.set_cookie("__Host-nearside-session", session);
  ExpectRedirect(browser.Get("/account"), "/account/sign-in");
}

TEST_F(AccountServiceTest, CookiesAndFieldsKeepPagesPrivate) {
  Make("alice");
  Browser browser(*this);
  const Reply form = browser.Get("/account/sign-in");
  EXPECT_EQ(form.Field("set-cookie"),
            "__Host-nearside-form=" + browser.cookie("__Host-nearside-form") +
                "; Path=/; HttpOnly; SameSite=Lax; Secure");
  EXPECT_EQ(browser.Get("/account/sign-in").Field("set-cookie"), "");  // it has one
  const Reply done = browser.SignIn("alice");
  EXPECT_THAT(done.Fields("set-cookie"),
              ElementsAre("__Host-nearside-session=" + browser.session() +
                              "; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=2592000",
                          "__Host-nearside-browser=" + browser.cookie("__Host-nearside-browser") +
                              "; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=31536000"));
  EXPECT_TRUE(storage::IsSessionId(browser.session()));
  for (const Reply& reply : {form, done, browser.Get("/account"), browser.Get("/account/none"),
                             browser.Get("/account/password")}) {
    EXPECT_EQ(reply.Field("cache-control"), "no-store, private");
    EXPECT_EQ(reply.Field("vary"), "cookie");
    EXPECT_THAT(reply.Field("content-security-policy"), StartsWith("default-src 'none'; "));
    EXPECT_EQ(reply.Field("x-content-type-options"), "nosniff");
    EXPECT_EQ(reply.Field("x-frame-options"), "DENY");
    EXPECT_EQ(reply.Field("referrer-policy"), "same-origin");
    EXPECT_EQ(reply.Field("strict-transport-security"), "max-age=31536000");
  }
  const Reply style = browser.Get("/account/style.css");
  EXPECT_EQ(style.status, 200);
  EXPECT_EQ(style.Field("content-type"), "text/css; charset=utf-8");
  EXPECT_EQ(style.Field("cache-control"), "public, max-age=300");
  EXPECT_EQ(style.Field("set-cookie"), "");
}

TEST_F(AccountServiceTest, StrangersDoNotLockOutABrowserThatWasSignedIn) {
  Make("alice");
  Browser browser(*this);
  ExpectRedirect(browser.SignIn("alice"), "/account");
  EXPECT_EQ(browser.Get("/account").status, 200);
  ExpectRedirect(browser.Post("/account/sign-out", {}), "/account/sign-in");
  const int most = node_->settings.accounts.failures;
  for (int i = 0; i < most; ++i) {
    Browser stranger(*this, "198.51.100." + std::to_string(i + 1));
    EXPECT_EQ(stranger.SignIn("alice", kOther).status, 403);
  }
  Browser another(*this, "198.51.100.200");
  EXPECT_EQ(another.SignIn("alice").status, 429);
  ExpectRedirect(browser.SignIn("alice"), "/account");
}

TEST_F(AccountServiceTest, HowLongBrowsersComeByHttpsOnlyIsASetting) {
  RestartPages("hsts = \"0s\"\n");
  Browser browser(*this);
  EXPECT_EQ(browser.Get("/account/sign-in").Field("strict-transport-security"), "");
}

TEST_F(AccountServiceTest, AWrongPasswordIsSaidInOneWay) {
  Make("alice");
  Browser browser(*this);
  const Reply wrong = browser.SignIn("alice", kOther);
  EXPECT_EQ(wrong.status, 403);
  EXPECT_THAT(wrong.body, HasSubstr("Name or password is wrong."));
  EXPECT_THAT(wrong.body, HasSubstr("value=\"alice\""));
  EXPECT_THAT(wrong.body, Not(HasSubstr(kOther)));
  Reply unknown = browser.SignIn("blice", kOther);
  unknown.body.replace(unknown.body.find("blice"), 5, "alice");
  EXPECT_EQ(unknown.status, wrong.status);
  EXPECT_EQ(unknown.body, wrong.body);
  EXPECT_EQ(browser.session(), "");
  EXPECT_EQ(browser.SignIn("alice", kOther).status, 403);
  const Reply locked = browser.SignIn("alice");
  EXPECT_EQ(locked.status, 429);
  EXPECT_GT(std::stoi(locked.Field("retry-after")), 100);
  EXPECT_EQ(browser.session(), "");
  // Guesses came for this name, too; another address and another name are let in.
  Make("carol");
  Browser other(*this, "192.0.2.2");
  ExpectRedirect(other.SignIn("carol"), "/account");
}

TEST_F(AccountServiceTest, FormsOfOthersAreRefused) {
  Make("alice", {{"demo", {"read", "publish", "admin"}}});
  Browser browser(*this);
  ExpectRedirect(browser.SignIn("alice"), "/account");
  browser.Get("/account");
  const std::string token = browser.token();
  const std::string form = "form_token=" + token;
  const auto status = [&](const std::string& action, const std::string& fields,
                          const std::string& content) {
    return browser.Send("POST " + action, fields, content).status;
  };
  Browser mallory(*this);
  Make("mallory");
  ExpectRedirect(mallory.SignIn("mallory"), "/account");
  mallory.Get("/account");
  for (const char* action : {"/account/sign-out", "/account/sign-out-everywhere",
                             "/account/password", "/account/sites/demo/activate",
                             "/account/sites/demo/tokens", "/account/sites/demo/tokens/revoke"}) {
    EXPECT_EQ(status(action, "", "x=y"), 403) << action;
    EXPECT_EQ(status(action, "", "form_token="), 403) << action;
    EXPECT_EQ(status(action, "", "form_token=" + mallory.token()), 403) << action;
    EXPECT_EQ(status(action, "origin: https://evil.test\r\n", form), 403) << action;
    EXPECT_EQ(status(action, "origin: null\r\n", form), 403) << action;
    EXPECT_EQ(status(action, "sec-fetch-site: cross-site\r\n", form), 403) << action;
    EXPECT_EQ(status(action, "sec-fetch-site: same-site\r\n", form), 403) << action;
    EXPECT_EQ(browser.Send("POST " + std::string(action), "", form, "text/plain").status, 415);
    EXPECT_EQ(browser.Send("GET " + std::string(action) + "?" + form, "", "").status / 100 == 3,
              false)
        << action;
  }
  EXPECT_EQ(browser.Get("/account").status, 200);
  EXPECT_TRUE(node_->metadata->Tokens().value().empty());
  // The token of the form to sign in is none of the session's.
  browser.set_cookie("__Host-nearside-session", "");
  browser.Get("/account/sign-in");
  const std::string before = browser.token();
  ExpectRedirect(browser.SignIn("alice"), "/account");
  browser.set_token(before);
  EXPECT_EQ(browser.Post("/account/sign-out", {}).status, 403);
}

TEST_F(AccountServiceTest, NobodyIsSignedInByAFormFromElsewhere) {
  Make("mallory");
  const std::string fields = "name=mallory&password=correct+horse+battery+staple";
  Browser victim(*this);
  EXPECT_EQ(victim.Send("POST /account/sign-in", "", fields).status, 403);
  Browser mallory(*this);
  mallory.Get("/account/sign-in");
  const std::string form = "form_token=" + mallory.token() + "&" + fields;
  EXPECT_EQ(victim.Send("POST /account/sign-in", "", form).status, 403);
  victim.Get("/account/sign-in");
  EXPECT_EQ(victim.Send("POST /account/sign-in", "", form).status, 403);
  EXPECT_EQ(victim
                .Send("POST /account/sign-in", "origin: https://evil.test\r\n",
                      "form_token=" + victim.token() + "&" + fields)
                .status,
            403);
  EXPECT_EQ(victim.session(), "");
  ExpectRedirect(victim.SignIn("mallory"), "/account");
}

TEST_F(AccountServiceTest, ASessionGetsANewIdWhenSomebodySignsIn) {
  Make("alice");
  Make("bob");
  Browser browser(*this);
  browser.set_cookie("__Host-nearside-session", storage::RandomSessionId());
  const std::string planted = browser.session();
  ExpectRedirect(browser.SignIn("alice"), "/account");
  EXPECT_NE(browser.session(), planted);
  const std::string of_alice = browser.session();
  browser.Get("/account");
  ExpectRedirect(browser.Post("/account/sign-in", {{"name", "bob"}, {"password", kPassword}}),
                 "/account");
  EXPECT_THAT(browser.Get("/account").body, HasSubstr("<span>bob</span>"));
  EXPECT_FALSE(node_->accounts.Find(of_alice).value());
}

TEST_F(AccountServiceTest, TwoCookiesOfOneNameAreNone) {
  Make("alice");
  Browser browser(*this);
  ExpectRedirect(browser.SignIn("alice"), "/account");
  const Reply reply = browser.Send(
      "GET /account", "cookie: __Host-nearside-session=" + storage::RandomSessionId() + "\r\n", "");
  ExpectRedirect(reply, "/account/sign-in");
}

TEST_F(AccountServiceTest, SigningOutEverywhereEndsEveryBrowser) {
  Make("alice");
  Browser here(*this);
  Browser there(*this, "192.0.2.2");
  ExpectRedirect(here.SignIn("alice"), "/account");
  ExpectRedirect(there.SignIn("alice"), "/account");
  here.Get("/account");
  ExpectRedirect(here.Post("/account/sign-out-everywhere", {}), "/account/sign-in");
  ExpectRedirect(there.Get("/account"), "/account/sign-in");
  EXPECT_THAT(Actions(), Contains("account_signed_out_everywhere account:alice 192.0.2.1"));
}

TEST_F(AccountServiceTest, APasswordIsChangedByWhoKnowsThePresentOne) {
  Make("alice");
  Browser here(*this);
  Browser there(*this, "192.0.2.2");
  ExpectRedirect(here.SignIn("alice"), "/account");
  ExpectRedirect(there.SignIn("alice"), "/account");
  const std::string before = here.session();
  const auto change = [&](const std::string& present, const std::string& fresh) {
    return here.Submit("/account/password", "/account/password",
                       {{"password", present}, {"new_password", fresh}});
  };
  const Reply wrong = change(kOther, "a third password");
  EXPECT_EQ(wrong.status, 403);
  EXPECT_THAT(wrong.body, HasSubstr("The present password is wrong."));
  const Reply weak = change(kPassword, "password");
  EXPECT_EQ(weak.status, 422);
  EXPECT_THAT(weak.body, HasSubstr("tried first"));
  EXPECT_EQ(there.Get("/account").status, 200);
  ExpectRedirect(change(kPassword, kOther), "/account");
  EXPECT_NE(here.session(), before);
  EXPECT_EQ(here.Get("/account").status, 200);
  ExpectRedirect(there.Get("/account"), "/account/sign-in");
  ExpectRedirect(there.SignIn("alice", kOther), "/account");
}

TEST_F(AccountServiceTest, SigningUpIsOffUnlessItIsOpen) {
  Browser browser(*this);
  EXPECT_EQ(browser.Get("/account/sign-up").status, 404);
  EXPECT_THAT(browser.Get("/account/sign-in").body, Not(HasSubstr("sign-up")));
  EXPECT_EQ(browser.Post("/account/sign-up", {{"name", "eve"}, {"new_password", kPassword}}).status,
            404);
  RestartPages("sign_up = \"open\"\n");
  Browser eve(*this);
  const auto sign_up = [&](const std::string& name, const std::string& password) {
    return eve.Submit("/account/sign-up", "/account/sign-up",
                      {{"name", name}, {"new_password", password}});
  };
  EXPECT_EQ(sign_up("eve", "password").status, 422);
  EXPECT_EQ(sign_up("e e", kPassword).status, 422);
  ExpectRedirect(sign_up("eve", kPassword), "/account");
  const Reply page = eve.Get("/account");
  EXPECT_THAT(page.body, HasSubstr("<span>eve</span>"));
  EXPECT_THAT(page.body, HasSubstr("No site yet"));
  EXPECT_EQ(eve.Get("/account/sites/demo").status, 404);
  EXPECT_EQ(eve.Post("/account/sign-up", {{"name", "eve"}, {"new_password", kPassword}}).status,
            409);
}

TEST_F(AccountServiceTest, ASiteShowsItsReleasesAndIsRolledBack) {
  const std::string first = Publish({{"index.html", "one"}});
  const std::string second = Publish({{"index.html", "two"}});
  Make("alice", {{"demo", {"read", "publish"}}});
  Make("reader", {{"demo", {"read"}}});
  Browser browser(*this);
  ExpectRedirect(browser.SignIn("alice"), "/account");
  const Reply page = browser.Get("/account/sites/demo");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("Roll back to release " + first + "\""));
  EXPECT_THAT(page.body, Not(HasSubstr("Roll back to release " + second + "\"")));
  EXPECT_THAT(page.body, Not(HasSubstr("Tokens")));
  ExpectRedirect(browser.Post("/account/sites/demo/activate", {{"release", first}}),
                 "/account/sites/demo");
  EXPECT_EQ(Visit("/").body, "one");
  EXPECT_THAT(Actions(), Contains("release_activated account:alice 192.0.2.1"));
  for (const char* release : {"999", "x", "", "../1", "1/activate?x="}) {
    browser.Get("/account/sites/demo");
    const Reply refused = browser.Post("/account/sites/demo/activate", {{"release", release}});
    EXPECT_GE(refused.status, 400) << release;
    EXPECT_THAT(refused.body, HasSubstr("role=\"alert\"")) << release;
  }
  Browser reader(*this);
  ExpectRedirect(reader.SignIn("reader"), "/account");
  EXPECT_THAT(reader.Get("/account/sites/demo").body, Not(HasSubstr("Roll back")));
  EXPECT_EQ(reader.Post("/account/sites/demo/activate", {{"release", second}}).status, 403);
  EXPECT_EQ(Visit("/").body, "one");
}

TEST_F(AccountServiceTest, ASiteThatOneMayNotSeeIsAsOneThatIsNot) {
  Make("alice", {{"demo", {"read", "publish", "purge", "admin"}}});
  Browser browser(*this);
  ExpectRedirect(browser.SignIn("alice"), "/account");
  browser.Get("/account");
  const Reply none = browser.Get("/account/sites/none");
  for (const char* path : {"/account/sites/other", "/account/sites/", "/account/sites/%",
                           "/account/sites/demo/none", "/account/none", "/other"}) {
    const Reply reply = browser.Get(path);
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_EQ(reply.body, none.body) << path;
  }
  for (const char* action : {"activate", "tokens", "tokens/revoke"}) {
    EXPECT_EQ(
        browser.Post("/account/sites/other/" + std::string(action), {{"release", "1"}}).status, 404)
        << action;
  }
  EXPECT_EQ(browser.Get("/account/sites/demo/activate").status, 405);
  EXPECT_EQ(browser.Send("DELETE /account", "", "").Field("allow"), "GET, HEAD, POST");
}

TEST_F(AccountServiceTest, AnAdminOfASiteMakesAndRevokesItsTokens) {
  Make("alice", {{"demo", {"admin"}}});
  Browser browser(*this);
  ExpectRedirect(browser.SignIn("alice"), "/account");
  browser.Get("/account/sites/demo");
  const Reply made = browser.Post(
      "/account/sites/demo/tokens",
      {{"name", "ci <1>"}, {"scope_read", "on"}, {"scope_publish", "on"}, {"expires", "30d"}});
  EXPECT_EQ(made.status, 200) << made.body;
  EXPECT_THAT(made.body, HasSubstr("ci &lt;1&gt;"));
  const storage::Token token = node_->metadata->Tokens().value().at(0);
  EXPECT_EQ(token.site, "demo");
  EXPECT_EQ(token.created_by, "account:alice");
  EXPECT_THAT(token.scopes, testing::ElementsAre("read", "publish"));
  const size_t at = made.body.find("nst_" + token.id);
  ASSERT_NE(at, std::string::npos);
  const std::string secret = made.body.substr(at, made.body.find('<', at) - at);
  EXPECT_EQ(Request("GET /v1/sites/demo", "authorization: Bearer " + secret + "\r\n").status, 200);
  const Reply again = browser.Get("/account/sites/demo");
  EXPECT_THAT(again.body, HasSubstr(token.id));
  EXPECT_THAT(again.body, Not(HasSubstr("nst_")));
  for (const FormFields& fields :
       {FormFields{{"name", "none"}}, FormFields{{"name", ""}, {"scope_read", "on"}},
        FormFields{{"name", "x"}, {"scope_read", "on"}, {"expires", "soon"}}}) {
    EXPECT_EQ(browser.Post("/account/sites/demo/tokens", fields).status, 422);
  }
  ExpectRedirect(browser.Post("/account/sites/demo/tokens/revoke", {{"token", token.id}}),
                 "/account/sites/demo");
  EXPECT_EQ(Reason(Request("GET /v1/sites/demo", "authorization: Bearer " + secret + "\r\n")),
            "token_revoked");
  // Another site's is not theirs.
  const nlohmann::json others =
      Json(Admin("POST /v1/tokens", R"({"name":"x","site":"other","scopes":["read"]})"));
  EXPECT_EQ(
      browser
          .Post("/account/sites/demo/tokens/revoke", {{"token", others["id"].get<std::string>()}})
          .status,
      403);
  EXPECT_FALSE(node_->metadata->FindToken(others["id"])->is_revoked());
}

TEST_F(AccountServiceTest, WhoComesWhenTooManyPasswordsAreCheckedIsToldWhen) {
  // So slow that the second comes while the first is checked.
  RestartPages("");
  Make("alice");
  Stop();
  Start(
      "[accounts]\nhosts = [\"account.test\"]\nhash_memory = \"64MiB\"\nhash_passes = 60\n"
      "hashes = 1\nhash_queue = 0\n");
  const auto count = [this](const std::string& series) {
    metrics::Registry registry;
    server_->ExportMetrics(registry);
    const std::string text = "\n" + registry.Expose();
    const size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stoi(text.substr(at + series.size() + 2));
  };
  bool in_time = false;
  for (int attempt = 1; attempt <= 5 && !in_time; ++attempt) {  // a stall may outlast the first
    const int hashes = count("nearside_origin_password_hashes_total");
    const int refused = count("nearside_origin_password_hashes_refused_total");
    const int busy = count("nearside_origin_sign_ins_total{result=\"busy\"}");
    std::atomic<bool> done{false};
    std::thread first([&] {
      // A name that nobody has is hashed for as long as the settings say.
      Browser browser(*this, "192.0.2.1" + std::to_string(attempt));
      EXPECT_EQ(browser.SignIn("nobody" + std::to_string(attempt), kOther).status, 403);
      done = true;
    });
    while (count("nearside_origin_password_hashes_total") == hashes) std::this_thread::yield();
    Browser second(*this);
    const Reply reply = second.SignIn("alice");
    EXPECT_EQ(second.Get("/account/sign-in").status, 200);  // pages go on
    in_time = !done.load();
    first.join();
    if (!in_time) continue;
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.Field("retry-after"), "1");
    EXPECT_EQ(count("nearside_origin_sign_ins_total{result=\"busy\"}"), busy + 1);
    EXPECT_EQ(count("nearside_origin_password_hashes_refused_total"), refused + 1);
  }
  EXPECT_TRUE(in_time) << "nobody is answered while a password is checked";
}

// Eight of the sixteen threads may wait for forms, and each for five seconds.
TEST_F(AccountServiceTest, FormsThatDoNotComeHoldNoPageUp) {
  const std::string fields =
      "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\norigin: https://account.test\r\n"
      "content-type: application/x-www-form-urlencoded\r\ncontent-length: 9000\r\n";
  const auto begin = [&](const std::string& more) {
    auto client = std::make_unique<nearside::test::RawClient>(port());
    client->Send("POST /account/sign-in HTTP/1.1\r\nhost: account.test\r\n" + fields + more +
                 "\r\n");
    return client;
  };
  EXPECT_EQ(begin("")->Read().status, 403) << "without the cookie nothing is waited for";
  std::vector<std::unique_ptr<nearside::test::RawClient>> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(begin("cookie: __Host-nearside-form=" + std::string(43, 'a') + "\r\n"));
  }
  int busy = 0;
  int timed_out = 0;
  for (const auto& client : slow) {
    EXPECT_EQ(Browser(*this).Get("/account/sign-in").status, 200);
    const Reply reply = client->Read();
    busy += reply.status == 503 ? 1 : 0;
    timed_out += reply.status == 408 ? 1 : 0;
  }
  EXPECT_EQ(timed_out, 8);
  EXPECT_EQ(busy, 12);
}

TEST_F(AccountServiceTest, WithoutTlsNothingIsShownUnlessItIsDevelopment) {
  Make("alice");
  const Reply plain = nearside::test::Ask(port(), Text("GET /account/sign-in", "", "", kHost));
  EXPECT_EQ(plain.status, 403);
  EXPECT_THAT(plain.body, HasSubstr("https"));
  EXPECT_EQ(plain.Field("set-cookie"), "");
  RestartPages("secure = false\n");
  const Reply form = nearside::test::Ask(port(), Text("GET /account/sign-in", "", "", kHost));
  EXPECT_EQ(form.status, 200);
  EXPECT_THAT(form.Field("set-cookie"), StartsWith("nearside-form="));
  EXPECT_THAT(form.Field("set-cookie"), Not(HasSubstr("Secure")));
  EXPECT_EQ(form.Field("strict-transport-security"), "");
}

TEST_F(AccountServiceTest, WhoIsNotTrustedSaysNothingOfOthers) {
  RestartPages("trusted_proxies = []\n");
  Browser browser(*this);
  EXPECT_EQ(browser.Get("/account/sign-in").status, 403);  // it only says that it came by https
}

TEST_F(AccountServiceTest, BadFormsAreRefused) {
  Make("alice");
  Browser browser(*this);
  browser.Get("/account/sign-in");
  const std::string token = "form_token=" + browser.token();
  EXPECT_EQ(browser.Send("POST /account/sign-in", "", token + "&name=%zz").status, 400);
  EXPECT_EQ(browser.Send("POST /account/sign-in", "", token + "&name=a&name=b").status, 400);
  EXPECT_EQ(
      browser.Send("POST /account/sign-in", "", token + "&x=" + std::string(20'000, 'x')).status,
      413);
  EXPECT_EQ(browser.Send("POST /account/sign-in", "", "{}", "application/json").status, 415);
}

TEST_F(AccountServiceTest, ASessionThatHasEndedLeadsToSigningIn) {
  Make("alice");
  Browser browser(*this);
  ExpectRedirect(browser.SignIn("alice"), "/account");
  browser.Get("/account");
  const auto signed_in = [&] { return node_->accounts.Find(browser.session()).value(); };
  ASSERT_TRUE(signed_in());
  ASSERT_TRUE(node_->metadata->EndSessions(signed_in()->account.id, 1, {.action = "x"}));
  ExpectRedirect(browser.Post("/account/sign-out-everywhere", {}), "/account/sign-in");
}

TEST_F(AccountServiceTest, TheHostIsThePagesAlone) {
  EXPECT_EQ(Reason(Admin("POST /v1/sites", R"({"name":"evil","hosts":["account.test"]})")),
            "bad_site");
  Browser browser(*this);
  EXPECT_EQ(browser.Get("/v1/sites").status, 404);
  EXPECT_EQ(browser.Get("/healthz").body, "ok\n");
  EXPECT_EQ(Request("GET /account", "").status, 403);  // a bucket of S3 like any other path
  EXPECT_EQ(Visit("/account").status, 404);
  metrics::Registry registry;
  server_->ExportMetrics(registry);
  EXPECT_THAT(registry.Expose(),
              HasSubstr("nearside_origin_requests_total{kind=\"account\",status=\"4xx\"} 1\n"));
}

}  // namespace
}  // namespace nearside::origin::test
