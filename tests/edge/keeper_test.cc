// Releases proved and sites kept whole: a worker opened inside, a store with a disk, a scripted
// origin, and a fleet's origin that is the test.

#include "edge/keeper.h"

#include <nlohmann/json.hpp>
#include <set>

#include "edge/cache_key.h"
#include "runtime/crypto.h"
#include "tests/edge/fake_client.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kHour = "Cache-Control: max-age=3600\nETag: \"v\"\n";

std::string ShaOf(std::string_view text) { return HexEncode(Sha256Of(text)); }

class KeeperTest : public RequestTest {
 protected:
  ~KeeperTest() override {
    On([this] { keeper_.reset(); });
  }
  /// `last`: the answer to what is asked at a start, of the last switch; "": that is left to the
  /// test.
  void StartKeeper(const std::string& site = "keep_whole = true\n",
                   const std::string& last = R"({"release":"6","since":"5","urls":[]})") {
    storage::CacheOptions options;
    options.path = dir_.In("cache");
    options.disk = 32_MiB;
    options.memory = 16_MiB;
    options.read_timeout = seconds(20);
    auto store = storage::CacheStore::Open(
        options, [](const storage::Head& head) { return DecodeStored(head.meta); });
    ASSERT_TRUE(store);
    StartWith(site + "keep_at = [\"https://www.demo.test\"]\n[fleet]\nkeep_parallel = 1\n",
              {origin_.url()}, std::move(*store));
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
    if (last.empty() || site.find("prove_releases") != std::string::npos) return;
    EXPECT_EQ(AwaitList(1),
              "a /v1/sites/demo/releases/active/content?since=previous&edge=frankfurt&limit=1");
    On([&] {
      client_.calls[0]->Head(200);
      client_.calls[0]->Body(last);
      client_.calls[0]->End();
      client_.calls.clear();
    });
  }
  void Activate(const std::string& release, uint64_t sequence) {
    On([&] {
      keeper_->OnEvent(
          {4, sequence},
          nlohmann::json(
              {{"type", "activate"}, {"site", "demo"}, {"release", release}, {"urls", {"/a"}}})
              .dump());
    });
  }
  /// Waits for the n-th request for a list (from 1): its origin and target.
  std::string AwaitList(size_t n) {
    EXPECT_TRUE(thread_.Await([&] { return client_.calls.size() >= n; }));
    return On([&] {
      if (client_.calls.size() < n) return std::string("none");
      return client_.calls[n - 1]->endpoint.host + " " + client_.calls[n - 1]->head.target;
    });
  }
  void AnswerList(size_t n, const std::vector<nlohmann::json>& rows, const std::string& release,
                  const std::string& since = "0", const std::string& next = "") {
    nlohmann::json page = {{"release", release},
                           {"since", since},
                           {"urls", nlohmann::json(rows)},
                           {"hosts", {"www.demo.test"}}};
    if (!next.empty()) page["next"] = next;
    On([&] {
      client_.calls[n - 1]->Head(200);
      client_.calls[n - 1]->Body(page.dump());
      client_.calls[n - 1]->End();
    });
  }
  static nlohmann::json Row(const std::string& url, const std::string& content) {
    return {{"url", url}, {"status", 200}, {"sha256", ShaOf(content)}};
  }
  static nlohmann::json StatusRow(const std::string& url, int status) {
    return {{"url", url}, {"status", status}};
  }
  /// The edge asks itself and finds nothing: the origin is asked, and answers.
  void Serve(const std::string& url, const std::string& content,
             const std::string& status = "200 OK") {
    const ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.first_line(), "GET " + url + " HTTP/1.1");
    asked.Answer(status, kHour, content);
  }
  KeptState State() {
    return On([&] {
      const std::vector<KeptState> states = keeper_->States();
      return states.empty() ? KeptState() : states.front();
    });
  }
  bool AwaitState(const std::function<bool(const KeptState&)>& holds) {
    return thread_.Await([&] {
      const std::vector<KeptState> states = keeper_->States();
      return !states.empty() && holds(states.front());
    });
  }
  std::set<Key256> Pinned() {
    std::optional<std::set<Key256>> pinned;
    On([&] {
      node_->store->ListPinned(thread_.loop(), [&](std::vector<Key256> keys) {
        pinned.emplace(keys.begin(), keys.end());
      });
    });
    EXPECT_TRUE(thread_.Await([&] { return pinned.has_value(); }));
    return pinned.value_or(std::set<Key256>());
  }
  static Key256 KeyOf(const std::string& url) {
    return PrimaryKey("demo", "https://www.demo.test" + url);
  }
  static std::string DigestOf(const std::vector<std::pair<std::string, std::string>>& rows) {
    std::string lines;
    for (const auto& [url, content] : rows) lines += url + " " + ShaOf(content) + "\n";
    return ShaOf(lines);
  }

  FakeClient client_;
  std::unique_ptr<Keeper> keeper_;
  int told_ = 0;
};

TEST_F(KeeperTest, ASwitchIsProvedUrlByUrl) {
  StartKeeper("");
  EXPECT_EQ(On([&] { return keeper_->StatesJson({4, 9}); }), "[]");
  Activate("7", 9);
  EXPECT_EQ(AwaitList(1), "a /v1/sites/demo/releases/7/content?since=previous&limit=500");
  EXPECT_EQ(On([&] { return client_.calls[0]->head.fields.Joined("authorization"); }),
            "Bearer secret");
  EXPECT_EQ(State().state, "proving");
  AnswerList(1, {Row("/a", "one"), Row("/b", "two")}, "7", "6", "b");
  EXPECT_EQ(AwaitList(2), "a /v1/sites/demo/releases/7/content?since=previous&limit=500&after=b");
  AnswerList(2, {StatusRow("/gone", 404), StatusRow("/to", 301)}, "7", "6");
  Serve("/a", "one");
  Serve("/b", "two");
  Serve("/gone", "nothing", "404 Not Found");
  Serve("/to", "", "301 Moved Permanently");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.state == "proved"; }));
  const KeptState state = State();
  EXPECT_EQ(state.urls, 4u);
  EXPECT_EQ(state.same, 4u);
  EXPECT_EQ(state.digest, DigestOf({{"/a", "one"}, {"/b", "two"}}));
  EXPECT_GE(told_, 1);
  EXPECT_TRUE(Pinned().empty());
  EXPECT_EQ(Counted(Reason::kUriMiss), 0u) << "clients alone are counted";
  EXPECT_EQ(Answer(Get("/a")), "200 hit|one") << "it is here for visitors";
  // What is not durable yet is not told.
  EXPECT_EQ(On([&] { return keeper_->StatesJson({4, 8}); }), "[]");
  EXPECT_THAT(On([&] {
                return keeper_->StatesJson({4, 9});
              }),
              HasSubstr(R"("seq":9,"release":"7","state":"proved","urls":4,"same":4,"digest":)"));
}

TEST_F(KeeperTest, AnEdgeThatWasStoppedInTheMiddleGoesOnWithTheProof) {
  StartKeeper(
      "", R"({"release":"7","since":"6","urls":[],"switch":{"epoch":4,"seq":9},"proved":false})");
  EXPECT_EQ(AwaitList(1), "a /v1/sites/demo/releases/7/content?since=previous&limit=500");
  AnswerList(1, {Row("/a", "one")}, "7", "6");
  Serve("/a", "one");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.state == "proved"; }));
  EXPECT_EQ(State().position, (storage::LogPosition{4, 9}));
}

TEST_F(KeeperTest, WhatWasProvedBeforeAStartIsNotProvedAgain) {
  StartKeeper(
      "", R"({"release":"7","since":"6","urls":[],"switch":{"epoch":4,"seq":9},"proved":true})");
  Turn();
  EXPECT_EQ(On([&] { return client_.calls.size(); }), 0u);
  EXPECT_EQ(On([&] { return keeper_->StatesJson({4, 9}); }), "[]");
}

// The event was one of those that the log does not tell any more.
TEST_F(KeeperTest, ASwitchThatTheLogWasCutBehindIsProved) {
  StartKeeper("");
  Activate("7", 9);
  AwaitList(1);
  AnswerList(1, {}, "7");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.state == "proved"; }));
  const auto cut = [&](size_t n, uint64_t sequence) {
    On([&] { keeper_->OnLogCut(); });
    EXPECT_EQ(AwaitList(n),
              "a /v1/sites/demo/releases/active/content?since=previous&edge=frankfurt&limit=1");
    On([&] {
      client_.calls[n - 1]->Head(200);
      client_.calls[n - 1]->Body(R"({"release":"8","since":"7","urls":[],"switch":{"epoch":4,)"
                                 R"("seq":)" +
                                 std::to_string(sequence) + "}}");
      client_.calls[n - 1]->End();
    });
  };
  cut(2, 9);  // the origin does not know yet that it was proved
  Turn();
  EXPECT_EQ(State().release, "7");
  cut(3, 12);
  EXPECT_EQ(AwaitList(4), "a /v1/sites/demo/releases/8/content?since=previous&limit=500");
  AnswerList(4, {Row("/a", "one")}, "8");
  Serve("/a", "one");
  ASSERT_TRUE(AwaitState(
      [](const KeptState& state) { return state.state == "proved" && state.release == "8"; }));
  EXPECT_EQ(State().position.sequence, 12u);
}

TEST_F(KeeperTest, ASiteThatTheFleetsOriginDoesNotHaveIsLeftAlone) {
  StartKeeper("", "");
  AwaitList(1);
  On([&] {
    client_.calls[0]->Head(404);
    client_.calls[0]->End();
  });
  Turn();
  EXPECT_EQ(On([&] { return client_.calls.size(); }), 1u);
}

TEST_F(KeeperTest, AnotherSwitchMeanwhileIsTheOneThatCounts) {
  StartKeeper("");
  Activate("7", 9);
  AwaitList(1);
  AnswerList(1, {Row("/a", "one"), Row("/b", "two")}, "7");
  const ScriptedOrigin::Asked asked = origin_.Next();
  Activate("8", 10);
  EXPECT_EQ(AwaitList(2), "a /v1/sites/demo/releases/8/content?since=previous&limit=500");
  asked.Answer("200 OK", kHour, "one");
  AnswerList(2, {Row("/c", "three")}, "8");
  Serve("/c", "three");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.state == "proved"; }));
  EXPECT_EQ(State().release, "8");
  EXPECT_EQ(State().digest, DigestOf({{"/c", "three"}}));
}

TEST_F(KeeperTest, ASiteThatIsNotServedSaysSo) {
  StartKeeper("");
  On([&] {
    keeper_->OnEvent({4, 9}, R"({"type":"activate","site":"other","release":"3"})");
    keeper_->OnEvent({4, 10}, "{");
    keeper_->OnEvent({4, 11}, R"({"type":7,"site":[]})");
  });
  EXPECT_EQ(
      On([&] {
        return keeper_->StatesJson({4, 11});
      }),
      R"([{"site":"other","epoch":4,"seq":9,"release":"3","state":"unserved","urls":0,"same":0}])");
}

TEST_F(KeeperTest, ASiteMayWantNoProof) {
  StartKeeper("prove_releases = false\n");
  Activate("7", 9);
  EXPECT_EQ(State().state, "off");
  Turn();
  EXPECT_EQ(On([&] { return client_.calls.size(); }), 0u);
}

TEST_F(KeeperTest, WhenAnOriginDoesNotListTheNextOneIsAsked) {
  StartKeeper("");
  Activate("7", 9);
  AwaitList(1);
  On([&] { client_.calls[0]->Fail("connect_refused"); });
  EXPECT_THAT(AwaitList(2), testing::StartsWith("b "));
  On([&] {
    client_.calls[1]->Head(200);
    client_.calls[1]->Body("no list");
    client_.calls[1]->End();
  });
  EXPECT_THAT(AwaitList(3), testing::StartsWith("a "));
  AnswerList(3, {}, "7");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.state == "proved"; }));
  EXPECT_EQ(State().digest, ShaOf(""));
}

TEST_F(KeeperTest, AWholeSiteIsHeldAndWhatLeavesItIsLetGo) {
  StartKeeper();
  EXPECT_EQ(AwaitList(1), "a /v1/sites/demo/releases/active/content?limit=500");
  AnswerList(1, {Row("/a", "one"), Row("/b", "two"), Row("/c", "three")}, "7");
  Serve("/a", "one");
  Serve("/b", "two");
  Serve("/c", "three");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.walked; }));
  EXPECT_EQ(State().of, 3u);
  EXPECT_EQ(State().held, 3u);
  EXPECT_EQ(Pinned(), (std::set<Key256>{KeyOf("/a"), KeyOf("/b"), KeyOf("/c")}));

  // The next release lacks one: what stands there from now on is held no more.
  On([&] {
    node_->store->Purge({ScopeOf(storage::ScopeKind::kUrl, "demo", "/b")}, true, std::nullopt,
                        nullptr, nullptr);
  });
  Activate("8", 9);
  AwaitList(2);
  AnswerList(2, {StatusRow("/b", 404)}, "8", "7");
  Serve("/b", "nothing", "404 Not Found");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.state == "proved"; }));
  EXPECT_EQ(State().of, 2u);
  EXPECT_EQ(State().held, 2u);
  EXPECT_EQ(Pinned(), (std::set<Key256>{KeyOf("/a"), KeyOf("/c")}));

  // Events were missed, and another one is gone since.
  On([&] { keeper_->OnLogCut(); });
  EXPECT_EQ(AwaitList(3),
            "a /v1/sites/demo/releases/active/content?since=previous&edge=frankfurt&limit=1");
  AnswerList(3, {}, "9");  // of a switch it tells nothing
  EXPECT_EQ(AwaitList(4), "a /v1/sites/demo/releases/active/content?limit=500");
  AnswerList(4, {Row("/c", "three")}, "9");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.of == 1; }));
  ASSERT_TRUE(thread_.Await([&] { return node_->store->Stats().pinned_objects == 1; }));
  EXPECT_EQ(Pinned(), std::set<Key256>{KeyOf("/c")});
}

TEST_F(KeeperTest, WhatChangesInTheActiveReleaseIsHeldAtOnce) {
  StartKeeper();
  AwaitList(1);
  AnswerList(1, {Row("/a", "one")}, "7");
  Serve("/a", "one");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.walked; }));
  On([&] {
    keeper_->OnEvent({4, 9}, R"({"type":"purge","site":"demo","urls":["/new"],"tags":[]})");
  });
  Serve("/new", "new");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.of == 2; }));
  EXPECT_EQ(Pinned(), (std::set<Key256>{KeyOf("/a"), KeyOf("/new")}));
  EXPECT_EQ(On([&] { return client_.calls.size(); }), 1u) << "the list has not been read again";
}

TEST_F(KeeperTest, WhatCannotBeStoredOrServedStaleIsNamed) {
  StartKeeper();
  AwaitList(1);
  AnswerList(1, {Row("/a", "one"), Row("/b", "two")}, "7");
  origin_.Next().Answer("200 OK", "Cache-Control: no-store\n", "one");
  origin_.Next().Answer("200 OK", "Cache-Control: max-age=60, must-revalidate\n", "two");
  ASSERT_TRUE(AwaitState([](const KeptState& state) { return state.walked; }));
  const KeptState state = State();
  EXPECT_EQ(state.of, 2u);
  EXPECT_EQ(state.held, 0u);
  std::set<std::string> missing;
  for (const UrlFlaw& flaw : state.missing) missing.insert(flaw.url + " " + flaw.why);
  EXPECT_EQ(missing, (std::set<std::string>{"/a not stored", "/b must be validated"}));
}

TEST(BasesOfTest, AreWhereVisitorsMayCome) {
  EdgeSettings settings = SettingsWith("keep_whole = true\n");
  const auto bases = [&](const std::vector<std::string>& hosts = {}) {
    const Configuration configuration(settings);
    std::string text;
    for (const VisitorBase& base : BasesOf(configuration, *configuration.sites.sites()[0], hosts)) {
      text += base.scheme + "://" + base.authority + " ";
    }
    return text;
  };
  EXPECT_EQ(bases(), "http://www.demo.test ");
  settings.listen.push_back(settings.listen[0]);
  settings.listen[1].tls = true;
  EXPECT_EQ(bases(), "https://www.demo.test http://www.demo.test ");
  settings.sites[0].redirect_https = true;
  EXPECT_EQ(bases({"WWW.demo.test", "other.test"}), "https://www.demo.test ");
  settings.sites[0].hosts = {"*"};
  EXPECT_EQ(bases(), "");
  EXPECT_EQ(bases({"www.demo.test", "demo.test"}), "https://www.demo.test https://demo.test ");
  settings.sites[0].keep_at = {"HTTPS://Www.Example.org:8443"};
  EXPECT_EQ(bases({"demo.test"}), "https://www.example.org:8443 ");
}

}  // namespace
}  // namespace nearside::edge
