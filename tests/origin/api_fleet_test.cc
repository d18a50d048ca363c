#include <thread>

#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class ApiFleetTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    MakeSite();
  }
  uint64_t Epoch() { return node_->metadata->Log()->last.epoch; }
  Reply Report(const std::string& edge, uint64_t sequence, const std::string& more = "") {
    return Fleet("POST /v1/edges/" + edge, R"({"epoch":)" + std::to_string(Epoch()) + R"(,"seq":)" +
                                               std::to_string(sequence) + more + "}");
  }
  Reply Purge(const std::string& query = "", const std::string& what = R"("urls":["/a.css"])") {
    return Admin("POST /v1/purge" + query, R"({"site":"demo",)" + what + "}");
  }
  /// A stream of events from `query` on, its head and first message read.
  std::unique_ptr<RawClient> Follow(const std::string& query, const std::string& fields = "") {
    auto client = std::make_unique<RawClient>(port());
    client->Send(Text("GET /v1/events" + query,
                      "authorization: Bearer " + std::string(kFleetToken) + "\r\n" + fields, ""));
    const Reply head = client->Read();
    EXPECT_EQ(head.status, 200) << head.head << head.body;
    EXPECT_EQ(head.Field("content-type"), "text/event-stream");
    EXPECT_EQ(client->ReadUntil("\n\n"), ": nearside event log\n\n");
    EXPECT_THAT(client->ReadUntil("\n\n"), HasSubstr("\"type\":\"position\""));
    return client;
  }
  std::string Id(uint64_t sequence) {
    return std::to_string(Epoch()) + ":" + std::to_string(sequence);
  }
};

TEST_F(ApiFleetTest, APurgeAnswersWithItsPositionAndIsInTheLog) {
  const Reply reply = Purge("", R"("urls":["/a.css","https://www.demo.test/b"],"tags":["t"])");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(Json(reply)["epoch"], Epoch());
  EXPECT_EQ(Json(reply)["seq"], 2);
  const storage::Event event = node_->metadata->Events(1, 1)->front();
  EXPECT_EQ(event.type, "purge");
  EXPECT_THAT(event.body, HasSubstr(R"("hosts":["www.demo.test"],"urls":["/a.css","/b"])"));
}

TEST_F(ApiFleetTest, ASiteCanBeNamedByItsHost) {
  const Reply reply = Admin("POST /v1/purge", R"({"urls":["https://www.demo.test/a"]})");
  EXPECT_EQ(Json(reply)["site"], "demo");
  EXPECT_EQ(Reason(Admin("POST /v1/purge", R"({"urls":["https://x.test/a"]})")), "bad_purge");
  EXPECT_EQ(Reason(Admin("POST /v1/purge", R"({"urls":["/a"]})")), "bad_purge");
  EXPECT_EQ(Reason(Admin("POST /v1/purge", R"({"site":"none","all":true})")), "no_such_site");
  EXPECT_EQ(Reason(Purge("", R"("urls":["https://x.test/a"])")), "bad_purge");
  EXPECT_EQ(Reason(Purge("?wait=1h")), "bad_query");
  EXPECT_EQ(node_->metadata->Log()->last.sequence, 2u);
}

TEST_F(ApiFleetTest, AFollowerGetsWhatItMissedAndThenWhatComes) {
  (void)Purge();
  auto client = Follow("?after=" + Id(0));
  EXPECT_THAT(client->ReadUntil("\n\n"), HasSubstr("id: " + Id(1) + "\nevent: site\n"));
  EXPECT_THAT(client->ReadUntil("\n\n"), HasSubstr("id: " + Id(2) + "\nevent: purge\n"));
  (void)Purge();
  const std::string message = client->ReadUntil("\n\n");
  EXPECT_THAT(message, HasSubstr("id: " + Id(3) + "\n"));
  const std::string data = message.substr(message.find("data: ") + 6);
  EXPECT_EQ(nlohmann::json::parse(data)["urls"], nlohmann::json({"/a.css"}));
}

TEST_F(ApiFleetTest, AFollowerResumesBehindItsLastEvent) {
  for (int i = 0; i < 4; ++i) (void)Purge();
  EXPECT_THAT(Follow("?after=" + Id(3))->ReadUntil("\n\n"), HasSubstr("id: " + Id(4) + "\n"));
  EXPECT_THAT(Follow("?after=4&epoch=" + std::to_string(Epoch()))->ReadUntil("\n\n"),
              HasSubstr("id: " + Id(5) + "\n"));
  EXPECT_THAT(Follow("", "last-event-id: " + Id(4) + "\r\n")->ReadUntil("\n\n"),
              HasSubstr("id: " + Id(5) + "\n"));
  EXPECT_THAT(Follow("?after=2")->ReadUntil("\n\n"), HasSubstr("id: " + Id(3) + "\n"));
}

TEST_F(ApiFleetTest, AFollowerWithoutAPlaceBeginsAtTheEnd) {
  (void)Purge();
  auto client = Follow("");
  (void)Purge();
  EXPECT_THAT(client->ReadUntil("\n\n"), HasSubstr("id: " + Id(3) + "\n"));
}

TEST_F(ApiFleetTest, AFarAwayFollowerGetsEveryEventInOrder) {
  std::vector<storage::NewEvent> events(1500,
                                        {"purge", "demo", "\"type\":\"purge\",\"soft\":false}"});
  ASSERT_TRUE(node_->metadata->Append(events));
  node_->Changed("demo");
  auto client = Follow("?after=" + Id(1));
  for (uint64_t sequence = 2; sequence <= 1501; ++sequence) {
    ASSERT_THAT(client->ReadUntil("\n\n"), HasSubstr("id: " + Id(sequence) + "\n"));
  }
}

TEST_F(ApiFleetTest, APlaceThatTheLogCannotGoOnFromIs410) {
  const auto gone = [&](const std::string& query) {
    const Reply reply = Fleet("GET /v1/events?" + query);
    EXPECT_EQ(reply.status, 410);
    EXPECT_EQ(Json(reply)["epoch"], Epoch());
    EXPECT_EQ(Json(reply)["seq"], node_->metadata->Log()->last.sequence);
    return Reason(reply);
  };
  EXPECT_EQ(gone("after=12345:0"), "unknown_epoch");
  EXPECT_EQ(gone("after=" + Id(2)), "ahead_of_log");
  Restart("[events]\nkeep = 100\n");
  for (int i = 0; i < 120; ++i) (void)Purge();
  EXPECT_EQ(gone("after=" + Id(0)), "past_retention");
  EXPECT_EQ(gone("after=0"), "past_retention");
  EXPECT_EQ(Reason(Fleet("GET /v1/events?after=x")), "bad_query");
}

TEST_F(ApiFleetTest, AQuietStreamBeats) {
  Restart("[events]\nheartbeat = \"100ms\"\n");
  auto client = Follow("");
  EXPECT_EQ(client->ReadUntil("\n\n"), ": heartbeat\n\n");
  EXPECT_EQ(client->ReadUntil("\n\n"), ": heartbeat\n\n");
}

TEST_F(ApiFleetTest, StreamsAreLimitedAndAPlaceIsFreeAgainWhenOneLeaves) {
  Restart("[events]\nfollowers = 1\n");
  auto client = Follow("");
  const Reply refused = Fleet("GET /v1/events");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(Reason(refused), "too_many_followers");
  client.reset();
  while (server_->followers().count() > 0) std::this_thread::yield();
  Follow("");
}

TEST_F(ApiFleetTest, ManyFollowersHoldNoThread) {
  Restart("[threads]\napi = 1\nvisitors = 1\n");
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(Follow(""));
  (void)Purge();
  for (auto& client : clients) EXPECT_THAT(client->ReadUntil("\n\n"), HasSubstr("event: purge"));
}

TEST_F(ApiFleetTest, AReceiptNamesEveryEdgeWithItsSequence) {
  (void)Report("tokyo", 1);
  (void)Report("frankfurt", 1);
  std::thread edges([&] {
    while (node_->metadata->Log()->last.sequence < 2) std::this_thread::yield();
    (void)Report("tokyo", 2);
    (void)Report("frankfurt", 2);
  });
  const Reply reply = Purge("?wait=20s");
  edges.join();
  const nlohmann::json receipt = Json(reply);
  EXPECT_EQ(receipt["complete"], true) << reply.body;
  ASSERT_EQ(receipt["edges"].size(), 2u);
  EXPECT_EQ(receipt["edges"][0]["name"], "frankfurt");
  EXPECT_EQ(receipt["edges"][0]["seq"], 2);
  EXPECT_EQ(receipt["edges"][0]["applied"], true);
  EXPECT_GE(receipt["edges"][0]["ms"].get<int64_t>(), 0);
  EXPECT_EQ(receipt["edges"][1]["name"], "tokyo");
}

TEST_F(ApiFleetTest, AnEdgeThatDoesNotConfirmIsSaidSoWhenThePatienceEnds) {
  (void)Report("tokyo", 1);
  const Reply reply = Purge("?wait=50ms");
  const nlohmann::json receipt = Json(reply);
  EXPECT_EQ(receipt["complete"], false);
  EXPECT_EQ(receipt["edges"][0]["applied"], false);
  EXPECT_EQ(receipt["edges"][0]["reachable"], true);
  EXPECT_FALSE(receipt["edges"][0].contains("ms"));
}

TEST_F(ApiFleetTest, AnEdgeLongSilentIsNotWaitedFor) {
  const WallTime long_ago = WallNow() - 2 * kEdgeLost;
  ASSERT_TRUE(node_->fleet.Report("gone", {Epoch(), 1}, "{}", long_ago));
  const nlohmann::json receipt = Json(Purge("?wait=60s"));  // would outlast the test's patience
  EXPECT_EQ(receipt["complete"], false);
  EXPECT_EQ(receipt["edges"][0]["reachable"], false);
}

TEST_F(ApiFleetTest, WaitingReceiptsHoldNoThread) {
  Restart("[threads]\napi = 1\nuploads = 1\n");
  (void)Report("tokyo", 1);
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(std::make_unique<RawClient>(port()));
    waiting.back()->Send(Text("POST /v1/purge?wait=60s",
                              "authorization: Bearer " + std::string(kAdminToken) + "\r\n",
                              R"({"site":"demo","all":true})"));
  }
  while (node_->metadata->Log()->last.sequence < 21) std::this_thread::yield();
  EXPECT_EQ(Report("tokyo", 21).status, 200);
  for (auto& client : waiting) EXPECT_EQ(Json(client->Read())["complete"], true);
}

TEST_F(ApiFleetTest, AnActivationAndAnUploadHaveReceiptsToo) {
  (void)Report("tokyo", 1);
  const std::string id = Prepare({{"index.html", "1"}});
  const Reply activated = Admin("POST /v1/sites/demo/releases/" + id + "/activate?wait=20ms");
  EXPECT_EQ(Json(activated)["edges"][0]["name"], "tokyo");
  EXPECT_EQ(Json(activated)["release"], id);
  const Reply put = Admin("PUT /v1/sites/demo/assets/a?wait=20ms", "x");
  EXPECT_EQ(put.status, 201);
  EXPECT_EQ(Json(put)["edges"][0]["applied"], false);
}

TEST_F(ApiFleetTest, AReportAnswersWithTheLogsEndAndIsShown) {
  (void)Purge();
  const Reply reply = Report(
      "tokyo", 1,
      R"(,"load":0.5,"requests":10,"hits":9,"hit_bytes":1,"miss_bytes":2,"address":"127.0.3.1","more":[1])");
  EXPECT_EQ(Json(reply)["seq"], 2);
  const nlohmann::json edges = Json(Admin("GET /v1/edges"));
  EXPECT_EQ(edges["seq"], 2);
  EXPECT_GE(edges["now"], edges["edges"][0]["seen"]);
  const nlohmann::json& edge = edges["edges"][0];
  EXPECT_EQ(edge["name"], "tokyo");
  EXPECT_EQ(edge["behind"], 1);
  EXPECT_EQ(edge["reachable"], true);
  EXPECT_EQ(edge["report"]["hits"], 9);
  EXPECT_EQ(edge["report"]["more"], nlohmann::json({1}));
  EXPECT_EQ(Json(Admin("GET /v1/edges/tokyo"))["report"]["load"], 0.5);
  EXPECT_EQ(Reason(Admin("GET /v1/edges/none")), "no_such_edge");
}

TEST_F(ApiFleetTest, AnEdgeOfAnotherLogIsNotBehindButElsewhere) {
  (void)Fleet("POST /v1/edges/tokyo", R"({"epoch":5,"seq":99})");
  const nlohmann::json edge = Json(Admin("GET /v1/edges"))["edges"][0];
  EXPECT_TRUE(edge["behind"].is_null());
  EXPECT_EQ(Json(Purge("?wait=20ms"))["complete"], false);
}

TEST_F(ApiFleetTest, AnEdgeAheadOfTheLogConfirmsNoPurge) {
  (void)Report("tokyo", 99);
  const nlohmann::json receipt = Json(Purge("?wait=20ms"));
  EXPECT_EQ(receipt["complete"], false);
  EXPECT_EQ(receipt["edges"][0]["applied"], false);
}

TEST_F(ApiFleetTest, WrongReportsAreRefused) {
  for (const char* body :
       {"{}", R"({"epoch":1})", R"({"epoch":-1,"seq":0})", R"({"epoch":"1","seq":0})",
        R"({"epoch":1,"seq":0,"load":"high"})", R"({"epoch":1,"seq":0,"hits":-1})"}) {
    EXPECT_EQ(Reason(Fleet("POST /v1/edges/tokyo", body)), "bad_report") << body;
  }
  EXPECT_EQ(Reason(Fleet("POST /v1/edges/tokyo", "nonsense")), "bad_json");
  EXPECT_EQ(Fleet("POST /v1/edges/tokyo", std::string(70'000, ' ')).status, 413);
  EXPECT_EQ(Admin("POST /v1/edges/to%20kyo", "{}").status, 404);
  EXPECT_TRUE(Json(Admin("GET /v1/edges"))["edges"].empty());
}

TEST_F(ApiFleetTest, AForgottenEdgeIsNotWaitedForAndSurvivesNoRestart) {
  (void)Report("old", 1);
  EXPECT_EQ(Admin("DELETE /v1/edges/old").status, 204);
  EXPECT_EQ(Json(Purge("?wait=60s"))["complete"], true);
  (void)Report("kept", 1);
  Restart();
  const nlohmann::json edges = Json(Admin("GET /v1/edges"))["edges"];
  ASSERT_EQ(edges.size(), 1u);
  EXPECT_EQ(edges[0]["name"], "kept");
}

TEST_F(ApiFleetTest, ASecondOriginHearsOfEventsAndReportsOfTheFirst) {
  auto tokens = Tokens::Load(dir_.In("admin.token"), dir_.In("fleet.token"));
  auto node = Node::Open(Settings(""), *tokens).value();
  auto second = ApiServer::Open(*node, {*net::SocketAddress::Parse("127.0.0.1:0")}).value();
  second->Start();
  const uint16_t other = second->addresses().front().port();
  RawClient follower(other);
  follower.Send(
      Text("GET /v1/events", "authorization: Bearer " + std::string(kFleetToken) + "\r\n", ""));
  EXPECT_EQ(follower.Read().status, 200);
  (void)follower.ReadUntil("position\"}\n\n");
  (void)Report("tokyo", 1);
  std::thread edge([&] {
    EXPECT_THAT(follower.ReadUntil("\n\n"), HasSubstr("event: purge"));
    // The report goes to the other origin than the purge did.
    (void)Ask(other, Text("POST /v1/edges/tokyo",
                          "authorization: Bearer " + std::string(kFleetToken) + "\r\n",
                          R"({"epoch":)" + std::to_string(Epoch()) + R"(,"seq":2})"));
  });
  EXPECT_EQ(Json(Purge("?wait=20s"))["complete"], true);
  edge.join();
}

}  // namespace
}  // namespace nearside::origin::test
