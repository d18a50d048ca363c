#include <thread>

#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class ApiReleasesTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    MakeSite();
  }
  Reply Activate(const std::string& id) {
    return Admin("POST /v1/sites/demo/releases/" + id + "/activate");
  }
};

TEST_F(ApiReleasesTest, AReleaseTellsWhatIsMissingAndIsSeenOnlyWhenActive) {
  (void)Admin("PUT /v1/blobs/" + DigitsOf("old"), "old");
  const std::string manifest = R"({"assets":[{"path":"a","sha256":")" + DigitsOf("old") +
                               R"(","bytes":3},{"path":"index.html","sha256":")" + DigitsOf("new") +
                               R"(","bytes":3}]})";
  const Reply created = Admin("POST /v1/sites/demo/releases", manifest);
  EXPECT_EQ(created.status, 201) << created.body;
  const nlohmann::json release = Json(created);
  EXPECT_EQ(release["missing"], nlohmann::json({DigitsOf("new")}));
  EXPECT_EQ(release["state"], "open");
  const std::string id = release["id"];
  EXPECT_EQ(created.Field("location"), "/v1/sites/demo/releases/" + id);
  const Reply early = Activate(id);
  EXPECT_EQ(early.status, 409);
  EXPECT_EQ(Reason(early), "missing_blobs");
  EXPECT_THAT(early.body, HasSubstr(DigitsOf("new")));
  (void)Admin("PUT /v1/blobs/" + DigitsOf("new"), "new");
  EXPECT_EQ(Json(Admin("GET /v1/sites/demo/releases/" + id))["missing"], nlohmann::json::array());
  EXPECT_EQ(Visit("/").status, 404);
  const Reply activated = Activate(id);
  EXPECT_EQ(activated.status, 200) << activated.body;
  EXPECT_EQ(Json(activated)["changed"], 2);
  EXPECT_EQ(Visit("/").body, "new");
}

TEST_F(ApiReleasesTest, ActivationIsOneEventWithTheChangedUrls) {
  Publish({{"index.html", "1"}, {"same", "s"}});
  const std::string id = Publish({{"index.html", "2"}, {"same", "s"}});
  const auto events = node_->metadata->Events(2, 10).value();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type, "activate");
  EXPECT_THAT(events[0].body, HasSubstr(R"("urls":["/index.html","/"])"));
  EXPECT_THAT(events[0].body, HasSubstr("\"soft\":true,\"release\":\"" + id + "\""));
}

TEST_F(ApiReleasesTest, RollbackBringsBackWhatWasThere) {
  const std::string first = Publish({{"index.html", "1"}});
  Publish({{"index.html", "2"}});
  (void)Admin("PUT /v1/sites/demo/assets/index.html", "edited");
  EXPECT_EQ(Visit("/").body, "edited");
  EXPECT_EQ(Activate(first).status, 200);
  EXPECT_EQ(Visit("/").body, "1");
  const nlohmann::json list = Json(Admin("GET /v1/sites/demo/releases"))["releases"];
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0]["kind"], "live");
  EXPECT_EQ(list[0]["state"], "past");
  EXPECT_EQ(list[2]["state"], "active");
  EXPECT_EQ(Json(Admin("GET /v1/sites/demo/releases?limit=1"))["releases"].size(), 1u);
}

TEST_F(ApiReleasesTest, HashedNamesOfThreeEarlierReleasesStayReachable) {
  Restart("[releases]\nkeep_for = \"0s\"\n");
  for (int i = 1; i <= 5; ++i) {
    const std::string n = std::to_string(i);
    Publish({{"index.html", n}, {"app.1a2b3c4" + n + ".js", "js" + n}});
  }
  EXPECT_EQ(Visit("/app.1a2b3c45.js").body, "js5");
  EXPECT_EQ(Visit("/app.1a2b3c44.js").body, "js4");
  EXPECT_EQ(Visit("/app.1a2b3c42.js").body, "js2");
  const Reply gone = Visit("/app.1a2b3c41.js");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.Field("cache-control"), "public, max-age=1");
}

TEST_F(ApiReleasesTest, WrongManifestsAndReleasesAreRefused) {
  EXPECT_EQ(Reason(Admin("POST /v1/sites/demo/releases", "{}")), "bad_manifest");
  EXPECT_EQ(Reason(Admin("POST /v1/sites/demo/releases", "nonsense")), "bad_json");
  EXPECT_EQ(Reason(Admin("POST /v1/sites/none/releases", R"({"assets":[]})")), "no_such_site");
  EXPECT_EQ(Reason(Activate("99")), "no_such_release");
  EXPECT_EQ(Reason(Admin("GET /v1/sites/demo/releases/99")), "no_such_release");
  (void)Admin("PUT /v1/blobs/" + DigitsOf("abc"), "abc");
  const Reply wrong =
      Admin("POST /v1/sites/demo/releases",
            R"({"assets":[{"path":"a","bytes":4,"sha256":")" + DigitsOf("abc") + "\"}]}");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_EQ(Reason(wrong), "bytes_mismatch");
  MakeSite("other", "other.test");
  const std::string id = Publish({{"a", "abc"}});
  EXPECT_EQ(Reason(Admin("POST /v1/sites/other/releases/" + id + "/activate")), "no_such_release");
}

// Of a manifest; where sanitizers make each entry dear, fewer show what they are to show.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kMostEntries = 10'000;
#else
constexpr size_t kMostEntries = 100'000;
#endif

TEST_F(ApiReleasesTest, AHundredThousandEntriesAreARelease) {
  const std::string blob = DigitsOf("x");
  (void)Admin("PUT /v1/blobs/" + blob, "x");
  const auto manifest = [&](size_t entries) {
    std::string text = "{\"assets\":[";
    for (size_t i = 0; i < entries; ++i) {
      text += (i == 0 ? "" : ",") +
              ("{\"path\":\"folder" + std::to_string(i % 100) + "/file" + std::to_string(i) +
               ".html\",\"sha256\":\"" + blob + "\",\"bytes\":1}");
    }
    return text + "]}";
  };
  if (kMostEntries == 100'000) {
    const Reply over = Admin("POST /v1/sites/demo/releases", manifest(100'001));
    EXPECT_EQ(over.status, 422) << over.body;
    EXPECT_THAT(over.body, HasSubstr("expected a list of at most 100000"));
  }
  const Reply created = Admin("POST /v1/sites/demo/releases", manifest(kMostEntries));
  ASSERT_EQ(created.status, 201) << created.body.substr(0, 500);
  const Reply activated = Activate(Json(created)["id"]);
  ASSERT_EQ(activated.status, 200) << activated.body.substr(0, 500);
  EXPECT_EQ(Json(activated)["changed"], kMostEntries);
  const std::string last = std::to_string(kMostEntries - 1);
  EXPECT_EQ(Visit("/folder99/file" + last + ".html").body, "x");
  EXPECT_EQ(Visit("/folder0/file0.html").body, "x");
  EXPECT_EQ(Visit("/folder0/file100000.html").status, 404);
}

TEST_F(ApiReleasesTest, SwitchingUnderLoadNeverMixesAndNeverGoesBack) {
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(100 + i);
    ids.push_back(Prepare({{"index.html", n}, {"other", n}}));
  }
  ASSERT_EQ(Activate(ids[0]).status, 200);
  std::atomic<bool> done{false};
  std::thread visitor([&] {
    int newest = 0;
    while (!done) {
      const Reply reply = Visit("/");
      ASSERT_EQ(reply.status, 200);
      const int seen = std::stoi(reply.body);
      EXPECT_GE(seen, newest);
      EXPECT_EQ(reply.Field("etag").substr(1, 32), DigitsOf(reply.body).substr(0, 32));
      newest = seen;
    }
  });
  for (size_t i = 1; i < ids.size(); ++i) EXPECT_EQ(Activate(ids[i]).status, 200);
  done = true;
  visitor.join();
  EXPECT_EQ(Visit("/").body, "119");
}

TEST_F(ApiReleasesTest, ConcurrentActivationsAllSucceedAndOneIsActive) {
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(Prepare({{"index.html", std::to_string(i)}}));
  std::vector<std::thread> threads;
  for (const std::string& id : ids) {
    threads.emplace_back([this, id] { EXPECT_EQ(Activate(id).status, 200); });
  }
  for (std::thread& thread : threads) thread.join();
  int active = 0;
  const nlohmann::json list = Json(Admin("GET /v1/sites/demo/releases"));
  for (const auto& release : list["releases"]) active += release["state"] == "active" ? 1 : 0;
  EXPECT_EQ(active, 1);
  EXPECT_EQ(node_->metadata->Log()->last.sequence, 1u + ids.size());
}

TEST_F(ApiReleasesTest, AnotherOriginOverTheSameStateServesTheChange) {
  auto tokens = Tokens::Load(dir_.In("admin.token"), dir_.In("fleet.token"));
  auto node = Node::Open(Settings(""), *tokens).value();
  auto second = ApiServer::Open(*node, {*net::SocketAddress::Parse("127.0.0.1:0")}).value();
  second->Start();
  Publish({{"index.html", "shared"}});
  const uint16_t other = second->addresses().front().port();
  Reply reply;
  do {
    reply = Ask(other, Text("GET /", "", "", "www.demo.test"));
  } while (reply.status == 421 || reply.status == 404);  // its thread looks every 10 ms
  EXPECT_EQ(reply.body, "shared");
}

}  // namespace
}  // namespace nearside::origin::test
