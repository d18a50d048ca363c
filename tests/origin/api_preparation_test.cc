// What edges are told before a switch, and what they tell of it.

#include "origin/visitor.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

class ApiPreparationTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    MakeSite();
    Publish({{"index.html", "one"}, {"a.txt", "same"}});
    const nlohmann::json release = Json(Admin("POST /v1/sites/demo/releases", R"({"assets":[
        {"path":"index.html","sha256":")" + DigitsOf("two") + R"(","bytes":3},
        {"path":"a.txt","sha256":")" + DigitsOf("same") + R"(","bytes":4}]})"));
    id_ = release["id"];
  }
  void Upload() { EXPECT_EQ(Admin("PUT /v1/blobs/" + DigitsOf("two"), "two").status, 201); }
  std::string Target() const { return "/v1/sites/demo/releases/" + id_ + "/prepare"; }
  /// Asks for it: the event's number.
  uint64_t Prepare() {
    const Reply reply = Admin("POST " + Target());
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Json(reply).value("seq", uint64_t{0});
  }
  void Report(const std::string& edge, uint64_t applied, const nlohmann::json& sites) {
    const nlohmann::json report = {
        {"epoch", node_->metadata->Log()->last.epoch}, {"seq", applied}, {"sites", sites}};
    const Reply reply = Fleet("POST /v1/edges/" + edge, report.dump());
    EXPECT_EQ(reply.status, 200) << reply.body;
  }
  nlohmann::json Told(uint64_t sequence, const std::string& state, const std::string& release) {
    const nlohmann::json preparing = {
        {"release", release}, {"epoch", node_->metadata->Log()->last.epoch},
        {"seq", sequence},    {"state", state},
        {"held", 1},          {"of", 2},
        {"bytes", 3},         {"ms", 40}};
    return {{{"site", "other"}, {"preparing", preparing}},
            {{"site", "demo"}, {"preparing", preparing}}};
  }
  /// "frankfurt prepared 1/2, tokyo waiting; complete".
  std::string State(uint64_t sequence) {
    const Reply reply = Admin("GET " + Target() + "?seq=" + std::to_string(sequence));
    EXPECT_EQ(reply.status, 200) << reply.body;
    const nlohmann::json json = Json(reply);
    std::string text;
    for (const nlohmann::json& edge : json["edges"]) {
      text += (text.empty() ? "" : ", ") + edge.value("name", "") + " " + edge.value("state", "");
      if (!edge.contains("held")) continue;
      text += " " + std::to_string(edge["held"].get<int>()) + "/" +
              std::to_string(edge["of"].get<int>());
    }
    return text + (json["complete"] == true ? "; complete" : "");
  }

  std::string id_;
};

TEST_F(ApiPreparationTest, AnEventTellsTheEdgesAndNothingChanges) {
  Upload();
  const uint64_t sequence = Prepare();
  const std::vector<storage::Event> events = *node_->metadata->Events(sequence - 1, 10);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type, "prepare");
  EXPECT_EQ(events[0].body,
            R"("type":"prepare","site":"demo","hosts":["www.demo.test"],"urls":[],"prefixes":[],)"
            R"("tags":[],"all":false,"soft":false,"release":")" +
                id_ + "\"}");
  EXPECT_EQ(Visit("/").body, "one");
  EXPECT_EQ(State(sequence), "; complete") << "there is no edge";
}

TEST_F(ApiPreparationTest, WhatHasNotBeenUploadedCannotBePrepared) {
  const uint64_t before = node_->metadata->Log()->last.sequence;
  EXPECT_EQ(Reason(Admin("POST " + Target())), "missing_blobs");
  EXPECT_EQ(Reason(Admin("POST /v1/sites/demo/releases/99/prepare")), "no_such_release");
  EXPECT_EQ(Reason(Admin("GET /v1/sites/demo/releases/99/prepare")), "no_such_release");
  EXPECT_EQ(Reason(Admin("GET " + Target() + "?seq=x")), "bad_query");
  EXPECT_EQ(Fleet("POST " + Target()).status, 403);
  EXPECT_EQ(node_->metadata->Log()->last.sequence, before);
}

TEST_F(ApiPreparationTest, IsCompleteWhenNoReachableEdgeIsWaitedFor) {
  Upload();
  const uint64_t sequence = Prepare();
  Report("frankfurt", sequence - 1, nlohmann::json::array());
  Report("tokyo", sequence, Told(sequence, "preparing", id_));
  EXPECT_EQ(State(sequence), "frankfurt waiting, tokyo preparing 1/2");
  Report("frankfurt", sequence, nlohmann::json::array());
  EXPECT_EQ(State(sequence), "frankfurt none, tokyo preparing 1/2") << "it does not serve the site";
  Report("tokyo", sequence, Told(sequence, "partly", id_));
  EXPECT_EQ(State(sequence), "frankfurt none, tokyo partly 1/2; complete");
  // Asked for again, what was told before is no answer.
  const uint64_t again = Prepare();
  EXPECT_EQ(State(again), "frankfurt waiting, tokyo waiting");
  Report("frankfurt", again, Told(again, "prepared", "1"));
  Report("tokyo", again, Told(again, "off", id_));
  EXPECT_EQ(State(again), "frankfurt none, tokyo off 1/2; complete") << "of another release";
  // Who cannot be reached is not waited for.
  const uint64_t third = Prepare();
  for (const char* edge : {"frankfurt", "tokyo"}) {
    ASSERT_TRUE(node_->fleet.Report(edge, {1, 1}, "{}", WallNow() - seconds(3600)));
  }
  EXPECT_EQ(State(third), "frankfurt waiting, tokyo waiting; complete");
}

TEST_F(ApiPreparationTest, WhatEdgesTellOneOriginTheOtherKnowsAtOnce) {
  Upload();
  const uint64_t sequence = Prepare();
  for (const char* state : {"preparing", "prepared"}) {
    Report("tokyo", sequence, Told(sequence, state, id_));
    const std::vector<storage::EdgeReport> rows = *node_->metadata->Edges();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_THAT(rows[0].report, testing::HasSubstr(std::string("\"state\":\"") + state + "\""));
  }
}

TEST_F(ApiPreparationTest, EdgesGetTheListAndTheContents) {
  Upload();
  const nlohmann::json page =
      Json(Fleet("GET /v1/sites/demo/releases/" + id_ + "/content?since=active"));
  ASSERT_EQ(page["urls"].size(), 2u) << "/index.html and /, and not what stays";
  EXPECT_EQ(page["urls"][0]["sha256"], DigitsOf("two"));
  EXPECT_EQ(page["urls"][0]["bytes"], 3);
  EXPECT_EQ(page["urls"][0]["etag"], "\"" + DigitsOf("two").substr(0, 32) + "\"");
  const Reply blob = Fleet("GET /v1/blobs/" + DigitsOf("two"));
  EXPECT_EQ(blob.status, 200);
  EXPECT_EQ(blob.body, "two");
  EXPECT_EQ(Fleet("PUT /v1/blobs/" + DigitsOf("two"), "two").status, 403);
}

TEST_F(ApiPreparationTest, TheReceiptNamesWhatWasThere) {
  Upload();
  Report("tokyo", 1, nlohmann::json::array());
  const Reply switched = Admin("POST /v1/sites/demo/releases/" + id_ + "/activate");
  const nlohmann::json activation = Json(switched);
  const uint64_t sequence = activation["seq"];
  nlohmann::json told = {{"site", "demo"},  {"epoch", activation["epoch"]},
                         {"seq", sequence}, {"state", "proving"},
                         {"urls", 2},       {"same", 0}};
  told["prepared"] = {{"release", id_}, {"state", "prepared"}, {"held", 1},
                      {"of", 1},        {"bytes", 3},          {"ms", 40}};
  Report("tokyo", sequence, nlohmann::json::array({told}));
  const nlohmann::json receipt =
      Json(Admin("GET /v1/receipts/" + activation["receipt"].get<std::string>()));
  EXPECT_EQ(receipt["edges"][0]["prepared"], told["prepared"]);
}

}  // namespace
}  // namespace nearside::origin::test
