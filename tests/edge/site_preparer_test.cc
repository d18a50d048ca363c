// A release prepared before its switch: a worker opened inside, a store with a disk, a scripted
// origin for visitors' requests, and a fleet's origin that is the test.

#include "edge/site_preparer.h"

#include <nlohmann/json.hpp>

#include "edge/keeper.h"
#include "runtime/crypto.h"
#include "tests/edge/fake_client.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string DigestOf(std::string_view text) { return HexEncode(Sha256Of(text)); }
std::string TagFor(std::string_view text) { return "\"" + DigestOf(text).substr(0, 32) + "\""; }

class SitePreparerTest : public RequestTest {
 protected:
  ~SitePreparerTest() override {
    On([this] { keeper_.reset(); });
  }
  void StartKeeper(const std::string& site = "", const std::string& fleet = "") {
    storage::CacheOptions options;
    options.path = dir_.In("cache");
    options.disk = 64_MiB;
    options.memory = 16_MiB;
    options.read_timeout = seconds(20);
    auto store = storage::CacheStore::Open(
        options, [](const storage::Head& head) { return DecodeStored(head.meta); });
    ASSERT_TRUE(store);
    StartWith(site + "[fleet]\nkeep_parallel = 2\n" + fleet, {origin_.url()}, std::move(*store));
    On([this] {
      ASSERT_TRUE(worker_->OpenInside());
      keeper_ = std::make_unique<Keeper>(
          *worker_, client_,
          Keeper::Options{.origins = {http::Endpoint::Parse("http://a:1").value(),
                                      http::Endpoint::Parse("http://b:1").value()},
                          .token = "secret",
                          .rate = {0},
                          .told = [this] { ++told_; }});
      keeper_->Use(worker_->configuration());
    });
    // What is asked at a start, of the last switch.
    thread_.Await([&] { return !client_.calls.empty() || site.find("false") != site.npos; });
    On([&] {
      if (!client_.calls.empty()) Reply(client_.calls[0], 404, "");
      client_.calls.clear();
    });
  }
  /// Another process over the same disk.
  void Restart() {
    node_->store->Flush();
    On([this] {
      keeper_.reset();
      exchanges_.clear();
      worker_.reset();
      client_.calls.clear();
    });
    node_.reset();
    StartKeeper();
  }
  static void Reply(const std::shared_ptr<FakeClient::Started>& call, int status,
                    std::string_view body) {
    call->Head(status);
    call->Body(body);
    call->End();
  }
  void Tell(const std::string& type, const std::string& release, uint64_t sequence,
            const std::string& site = "demo") {
    On([&] {
      keeper_->OnEvent(
          {4, sequence},
          nlohmann::json({{"type", type}, {"site", site}, {"release", release}}).dump());
    });
  }
  /// Answers the list that is asked for: path and content.
  void List(const std::vector<std::pair<std::string, std::string>>& rows) {
    const std::string target = "/v1/sites/demo/releases/";
    ASSERT_TRUE(thread_.Await([&] { return !Open(target).empty(); }));
    nlohmann::json page = {{"release", "7"}, {"since", "6"}, {"urls", nlohmann::json::array()}};
    for (const auto& [url, content] : rows) {
      page["urls"].push_back({{"url", url},
                              {"status", 200},
                              {"sha256", DigestOf(content)},
                              {"bytes", content.size()},
                              {"etag", TagFor(content)}});
    }
    On([&] { Reply(Open(target).front(), 200, page.dump()); });
  }
  std::vector<std::shared_ptr<FakeClient::Started>> Open(const std::string& target) {
    auto calls = client_.To(target);
    std::erase_if(calls, [](const auto& call) { return call->over(); });
    return calls;
  }
  /// Answers the request for a content, with other bytes if that is wanted.
  void Send(const std::string& content, int status = 200, const std::string& bytes = "-") {
    const std::string target = "/v1/blobs/" + DigestOf(content);
    ASSERT_TRUE(thread_.Await([&] { return !Open(target).empty(); })) << content;
    On([&] {
      EXPECT_EQ(Open(target).front()->head.fields.Joined("authorization"), "Bearer secret");
      Reply(Open(target).front(), status, bytes == "-" ? content : bytes);
    });
  }
  std::string StateText() {
    return On([&] {
      const PreparedState* state = keeper_->Preparation("demo");
      if (state == nullptr) return std::string("none");
      return state->release + " " + state->state + " " + std::to_string(state->held) + "/" +
             std::to_string(state->of) + " " + std::to_string(state->bytes) +
             (state->why.empty() ? "" : " " + state->why);
    });
  }
  void AwaitState(const std::string& text) {
    const bool there = thread_.Await([&] {
      const PreparedState* state = keeper_->Preparation("demo");
      return state != nullptr && state->state != "preparing";
    });
    EXPECT_TRUE(there);
    EXPECT_EQ(StateText(), text);
  }
  void Prepare(const std::string& content, const std::string& path = "/a") {
    Tell("prepare", "7", 9);
    List({{path, content}});
    Send(content);
    AwaitState("7 prepared 1/1 " + std::to_string(content.size()));
  }
  static std::string Fresh(const std::string& tag) {
    return "Cache-Control: max-age=60\nContent-Type: text/plain\nETag: " + tag + "\n";
  }

  FakeClient client_;
  std::unique_ptr<Keeper> keeper_;
  int told_ = 0;
};

TEST_F(SitePreparerTest, WhatChangesIsFetchedByItsSha256AndTold) {
  StartKeeper();
  Tell("prepare", "7", 9);
  EXPECT_EQ(StateText(), "7 preparing 0/0 0");
  List({{"/a", "one"}, {"/b", "two two"}, {"/again", "one"}});
  EXPECT_EQ(On([&] { return client_.calls[0]->endpoint.host + client_.calls[0]->head.target; }),
            "a/v1/sites/demo/releases/7/content?since=active&limit=500");
  Send("one");
  Send("two two");
  AwaitState("7 prepared 2/2 10");
  EXPECT_EQ(On([&] { return client_.calls.size(); }), 3u) << "each content once";
  EXPECT_GE(told_, 2);
  EXPECT_EQ(On([&] { return keeper_->StatesJson({4, 8}); }), "[]") << "not durable yet";
  EXPECT_THAT(
      On([&] {
        return keeper_->StatesJson({4, 9});
      }),
      HasSubstr(R"("preparing":{"release":"7","epoch":4,"seq":9,"state":"prepared","held":2,)"
                R"("of":2,"bytes":10,)"));
}

TEST_F(SitePreparerTest, After304TheBodyIsWhatWasPrepared) {
  StartKeeper("prove_releases = true\n");
  const std::string content(200'000, 'p');
  Prepare(content);
  FakeExchange& client = Get("/a");
  const auto asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), TagFor(content));
  asked.Answer("304 Not Modified", Fresh(TagFor(content)), "");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|" + content);
  EXPECT_EQ(client.Field("content-type"), "text/plain");
  EXPECT_EQ(client.Field("content-length"), "200000");
  EXPECT_EQ(client.Field("etag"), TagFor(content));
  EXPECT_EQ(Answer(Get("/a")), "200 hit|" + content) << "it has been stored at its URL";
  EXPECT_EQ(Sum(node_->metrics.prepared), 1u);
  EXPECT_EQ(Sum(node_->metrics.origin_bytes), 0u);
  // A part of what is prepared comes from it as well.
  FakeExchange& other = Get("/a?part", {{"range", "bytes=100000-100002"}});
  origin_.Next().Answer("304 Not Modified", Fresh(TagFor(content)), "");
  EXPECT_THAT(Answer(other), HasSubstr("206 "));
  EXPECT_EQ(other.body, "ppp");
}

TEST_F(SitePreparerTest, ASmallOneAndAnEmptyOneAreBodiesLikeOthers) {
  StartKeeper();
  Tell("prepare", "7", 9);
  List({{"/small", "s"}, {"/empty", ""}});
  Send("s");
  Send("");
  AwaitState("7 prepared 2/2 1");
  for (const std::string content : {"s", ""}) {
    FakeExchange& client = Get(content.empty() ? "/empty" : "/small");
    origin_.Next().Answer("304 Not Modified", Fresh(TagFor(content)), "");
    EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|" + content);
  }
}

TEST_F(SitePreparerTest, BeforeTheSwitchVisitorsGetWhatTheOriginHas) {
  StartKeeper();
  EXPECT_EQ(Fill("/a", Fresh("\"old\""), "old"), "200 fwd=uri-miss; fwd-status=200; stored|old");
  Prepare("new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|old");
  FakeExchange& reload = Get("/a", {{"cache-control", "no-cache"}});
  const auto asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"old\", " + TagFor("new"));
  asked.Answer("304 Not Modified", Fresh("\"old\""), "");
  EXPECT_THAT(Answer(reload), HasSubstr("detail=validated|old"));
  EXPECT_EQ(Answer(Get("/a")), "200 hit|old");
  // The switch: the same question, another answer.
  FakeExchange& after = Get("/a", {{"cache-control", "no-cache"}});
  origin_.Next().Answer("304 Not Modified", Fresh(TagFor("new")), "");
  EXPECT_EQ(Answer(after), "200 fwd=request; fwd-status=200; stored; detail=request_no_cache|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
}

TEST_F(SitePreparerTest, A304ThatDoesNotSayWhichOneItMeansIsAskedAgain) {
  StartKeeper();
  EXPECT_EQ(Fill("/a", Fresh("\"old\""), "old"), "200 fwd=uri-miss; fwd-status=200; stored|old");
  Prepare("new");
  FakeExchange& reload = Get("/a", {{"cache-control", "no-cache"}});
  origin_.Next().Answer("304 Not Modified", kMinute, "");
  const auto again = origin_.Next();
  EXPECT_EQ(again.Field("if-none-match"), "\"old\"");
  again.Answer("304 Not Modified", kMinute, "");
  EXPECT_THAT(Answer(reload), HasSubstr("detail=validated|old"));
  // Nor is one passed on to a client that has asked without a condition.
  FakeExchange& other = Get("/a?x");
  origin_.Next().Answer("304 Not Modified", "ETag: \"other\"\n", "");
  const auto plain = origin_.Next();
  EXPECT_EQ(plain.Field("if-none-match"), "");
  plain.Answer("200 OK", kMinute, "whole");
  EXPECT_EQ(Answer(other), "200 fwd=uri-miss; fwd-status=200; stored|whole");
}

TEST_F(SitePreparerTest, WhatTheStoreHasLostIsFetched) {
  StartKeeper();
  Prepare("new");
  FakeExchange& first = Get("/a");
  const auto asked = origin_.Next();
  node_->store->Remove(PreparedKey("demo", DigestOf("new")));
  node_->store->Flush();
  asked.Answer("304 Not Modified", Fresh(TagFor("new")), "");
  const auto again = origin_.Next();
  EXPECT_EQ(again.Field("if-none-match"), "");
  again.Answer("200 OK", Fresh(TagFor("new")), "new");
  EXPECT_EQ(Answer(first), "200 fwd=uri-miss; fwd-status=200; stored|new");
  // Until the store has walked over what it was opened with, it may hold everything.
  EXPECT_TRUE(
      thread_.Await([&] { return !node_->store->MayHold(PreparedKey("demo", DigestOf("new"))); }));
  FakeExchange& second = Get("/a?2");
  const auto plain = origin_.Next();
  EXPECT_EQ(plain.Field("if-none-match"), "") << "it is not offered any more";
  plain.Answer("200 OK", kMinute, "x");
  Answer(second);
}

TEST_F(SitePreparerTest, BytesThatDoNotHashRightAreRefused) {
  StartKeeper();
  Tell("prepare", "7", 9);
  List({{"/a", "right"}, {"/b", "longer"}, {"/c", "short"}});
  Send("right", 200, "wrong");
  Send("longer", 200, "longer and longer");
  Send("short", 200, "sh");
  AwaitState("7 partly 0/3 0 wrong_bytes");
  FakeExchange& client = Get("/a");
  const auto asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "");
  asked.Answer("200 OK", kMinute, "right");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|right");
}

TEST_F(SitePreparerTest, WhatAnOriginDoesNotGiveIsAskedOfTheNext) {
  StartKeeper();
  Tell("prepare", "7", 9);
  List({{"/a", "one"}});
  Send("one", 503);
  Send("one");
  AwaitState("7 prepared 1/1 3");
  EXPECT_EQ(On([&] { return client_.calls.back()->endpoint.host; }), "b");
  Tell("prepare", "8", 10);
  List({{"/a", "two"}});
  for (int i = 0; i < 3; ++i) Send("two", 404);
  AwaitState("8 partly 0/1 0 status_404");
}

TEST_F(SitePreparerTest, TheSwitchEndsItAndTakesWhatIsHere) {
  StartKeeper("prove_releases = true\n");
  Tell("prepare", "7", 9);
  List({{"/a", "one"}, {"/b", "two"}});
  Send("one");
  ASSERT_TRUE(thread_.Await([&] { return keeper_->Preparation("demo")->held == 1; }));
  Tell("activate", "7", 10);
  EXPECT_EQ(StateText(), "7 partly 1/2 3 the switch came first");
  EXPECT_TRUE(On([&] { return Open("/v1/blobs/").empty(); }));
  EXPECT_THAT(
      On([&] {
        return keeper_->StatesJson({4, 10});
      }),
      HasSubstr(R"("prepared":{"release":"7","epoch":4,"seq":9,"state":"partly","held":1,)"));
  FakeExchange& client = Get("/a");
  origin_.Next().Answer("304 Not Modified", Fresh(TagFor("one")), "");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|one");
  // Of a switch to another release nothing was prepared.
  Tell("activate", "6", 11);
  EXPECT_THAT(On([&] { return keeper_->StatesJson({4, 11}); }), Not(HasSubstr("\"prepared\"")));
}

TEST_F(SitePreparerTest, ASecondPreparationTakesThePlaceOfTheFirst) {
  StartKeeper();
  Tell("prepare", "7", 9);
  List({{"/a", "one"}, {"/b", "both"}});
  Send("one");
  Send("both");
  AwaitState("7 prepared 2/2 7");
  Tell("prepare", "8", 10);
  List({{"/a", "three"}, {"/b", "both"}});
  Send("three");
  AwaitState("8 prepared 2/2 9");
  EXPECT_EQ(On([&] { return client_.To("/v1/blobs/" + DigestOf("both")).size(); }), 1u)
      << "what was here already is not fetched again";
  storage::CacheStore& store = *node_->store;
  store.Flush();
  // Until the store has walked over what it was opened with, it may hold everything.
  EXPECT_TRUE(thread_.Await([&] { return !store.MayHold(PreparedKey("demo", DigestOf("one"))); }));
  EXPECT_TRUE(store.MayHold(PreparedKey("demo", DigestOf("both"))));
  // In the middle of one, another begins.
  Tell("prepare", "9", 11);
  List({{"/a", "four"}});
  Tell("prepare", "10", 12);
  EXPECT_EQ(StateText(), "10 preparing 0/0 0");
  List({});
  AwaitState("10 prepared 0/0 0");
  FakeExchange& client = Get("/a");
  const auto asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "");
  asked.Answer("200 OK", kMinute, "x");
  Answer(client);
}

TEST_F(SitePreparerTest, IsWithinItsRoom) {
  StartKeeper("", "prepare_most = \"8B\"\n");
  Tell("prepare", "7", 9);
  List({{"/a", "one"}, {"/b", "too large"}, {"/c", "three"}});
  Send("one");
  Send("three");
  AwaitState("7 partly 2/3 8 no room");
}

TEST_F(SitePreparerTest, IsLeftAloneWhereASettingSaysSo) {
  StartKeeper("prove_releases = false\n");
  Tell("prepare", "7", 9);
  EXPECT_EQ(StateText(), "7 off 0/0 0");
  EXPECT_THAT(On([&] { return keeper_->StatesJson({4, 9}); }), HasSubstr(R"("state":"off")"));
  Tell("prepare", "8", 10, "unknown");
  Tell("prepare", "../8", 11);
  EXPECT_EQ(StateText(), "7 off 0/0 0");
  EXPECT_TRUE(On([&] { return client_.calls.empty(); }));
}

TEST_F(SitePreparerTest, AfterARestartWhatWasPreparedIsUsed) {
  StartKeeper();
  const std::string content(200'000, 'p');
  Tell("prepare", "7", 9);
  std::vector<std::pair<std::string, std::string>> rows = {{"/a", content}, {"/b", "small"}};
  for (int i = 0; i < 3000; ++i) rows.emplace_back("/many/page-" + std::to_string(i), "small");
  List(rows);
  Send(content);
  Send("small");
  AwaitState("7 prepared 2/2 200005");
  Restart();
  ASSERT_TRUE(thread_.Await([&] { return keeper_->Preparation("demo") != nullptr; }));
  EXPECT_EQ(StateText(), "7 prepared 2/2 200005");
  EXPECT_THAT(
      On([&] {
        return keeper_->StatesJson({4, 9});
      }),
      HasSubstr(R"("preparing":{"release":"7","epoch":4,"seq":9,"state":"prepared","held":2,)"));
  for (const auto& [path, body] :
       {std::pair<std::string, std::string>("/a", content), {"/many/page-2999", "small"}}) {
    FakeExchange& client = Get(path);
    const auto asked = origin_.Next();
    EXPECT_EQ(asked.Field("if-none-match"), TagFor(body));
    asked.Answer("304 Not Modified", Fresh(TagFor(body)), "");
    EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  }
  EXPECT_TRUE(On([&] { return client_.To("/v1/blobs/").empty(); }));
  EXPECT_EQ(Sum(node_->metrics.prepared), 2u);
  // The next one takes its place as it would have without the restart.
  Tell("prepare", "8", 11);
  List({{"/b", "small"}});
  AwaitState("8 prepared 1/1 5");
  EXPECT_TRUE(On([&] { return client_.To("/v1/blobs/").empty(); })) << "it is here already";
  node_->store->Flush();
  EXPECT_TRUE(thread_.Await(
      [&] { return !node_->store->MayHold(PreparedKey("demo", DigestOf(content))); }));
}

TEST_F(SitePreparerTest, APreparationThatBroughtNothingLeavesNoNote) {
  StartKeeper();
  Prepare("new");
  Tell("prepare", "8", 10);
  List({});
  AwaitState("8 prepared 0/0 0");
  Restart();
  FakeExchange& client = Get("/a");
  const auto asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "");
  asked.Answer("200 OK", kMinute, "x");
  Answer(client);
  EXPECT_EQ(StateText(), "none");
}

}  // namespace
}  // namespace nearside::edge
