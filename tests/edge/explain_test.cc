#include "edge/explain.h"

#include <nlohmann/json.hpp>

#include "edge/cache_key.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class ExplainTest : public RequestTest {
 protected:
  /// The answer to /explain?QUERY, with its status under "status_code".
  Json AskAdmin(const std::string& query) {
    FakeExchange& exchange = *On([&] {
      exchanges_.push_back(std::make_unique<FakeExchange>(
          GetFor("http://127.0.0.1/explain?" + query), &thread_.loop()));
      FakeExchange* asked = exchanges_.back().get();
      asked->pull_at_once = true;
      RespondExplain(*node_, thread_.loop(), worker_->configuration(), query, *asked);
      return asked;
    });
    EXPECT_TRUE(thread_.Await([&] { return exchange.status != 0; }));
    return On([&] {
      Json json = Json::parse(exchange.body);
      json["status_code"] = exchange.status;
      exchange.Finish();
      return json;
    });
  }
  Json Explain(const std::string& target, const std::string& more = "") {
    return AskAdmin("url=https://www.demo.test" + target + more);
  }
  std::string Now(const Json& json) {
    const Json& now = json["a_request_now"];
    return now["action"].get<std::string>() + ": " + now["reason"].get<std::string>() + ": " +
           now["because"].get<std::string>();
  }
  Json Stored(const Json& json, size_t i = 0) { return json["responses"].at(i); }
};

TEST_F(ExplainTest, WhatIsNotStoredWouldBeFetched) {
  Start();
  const Json json = Explain("/a");
  EXPECT_EQ(json["status_code"], 200);
  EXPECT_EQ(json["url"], "https://www.demo.test/a");
  EXPECT_EQ(json["site"], "demo");
  EXPECT_EQ(json["key"].get<std::string>().size(), 64u);
  EXPECT_TRUE(json["responses"].empty());
  ASSERT_EQ(json["origins"].size(), 1u);
  EXPECT_EQ(json["origins"][0]["origin"], origin_.url());
  EXPECT_EQ(json["origins"][0]["may_be_asked_now"], true);
  EXPECT_EQ(json["being_fetched"], false);
  EXPECT_EQ(Now(json),
            "fetch from the origin: uri_miss: nothing that may be used is stored under the key");
}

TEST_F(ExplainTest, WhatIsBeingFetchedIsTold) {
  Start();
  FakeExchange& client = Get("/a");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(Explain("/a")["being_fetched"], true);
  asked.Answer("200 OK", "Cache-Control: no-store\n", "x");
  Answer(client);
  EXPECT_EQ(
      Now(Explain("/a")),
      "ask the origin for this request alone: not_shared: what the origin answered lately may "
      "not be stored");
}

TEST_F(ExplainTest, WhatTheKeyIsMadeOf) {
  Start("query = \"sort\"\nquery_ignore = [\"utm_*\"]\n");
  const Json json = AskAdmin("url=HTTPS://www.demo.test:443/x/..%252f%3Fb=1%26utm_x=2%26a=%257e");
  EXPECT_EQ(json["url"], "https://www.demo.test/x/..%2F?a=~&b=1");
  EXPECT_EQ(json["key_parts"], Json({{"site", "demo"},
                                     {"scheme", "https"},
                                     {"authority", "www.demo.test"},
                                     {"target", "/x/..%2F?a=~&b=1"},
                                     {"asked_for", "/x/..%2f?b=1&utm_x=2&a=%7e"},
                                     {"query", "sort"},
                                     {"query_ignore", Json::array({"utm_*"})},
                                     {"query_keep", Json::array()}}));
}

TEST_F(ExplainTest, AStoredResponseWithItsArithmetic) {
  Start();
  Fill("/a",
       "Cache-Control: max-age=60, stale-while-revalidate=9\nAge: 10\nETag: \"v\"\n"
       "Surrogate-Key: b a\n",
       "hello");
  const Json json = Explain("/a");
  const Json stored = Stored(json);
  EXPECT_EQ(stored["status"], 200);
  EXPECT_EQ(stored["body_bytes"], 5);
  EXPECT_EQ(stored["selected"], true);
  EXPECT_EQ(stored["in_memory"], true);
  EXPECT_EQ(stored["validity"], "valid");
  EXPECT_EQ(stored["tags"], Json::array({"a", "b"}));
  EXPECT_EQ(stored["purge_sequence"], json["purge_sequence"]);
  EXPECT_THAT(stored["fields"].get<std::vector<std::string>>(), testing::Contains("etag: \"v\""));
  const Json freshness = stored["freshness"];
  EXPECT_EQ(freshness["lifetime_s"], 60.0);
  EXPECT_EQ(freshness["lifetime_from"], "cache-control: max-age");
  EXPECT_EQ(freshness["lifetime_is_a_guess"], false);
  const double initial = freshness["initial_age_s"].get<double>();
  EXPECT_GE(initial, 10.0);
  EXPECT_GE(freshness["age_s"].get<double>(), initial);
  EXPECT_NEAR(freshness["age_s"].get<double>() + freshness["ttl_s"].get<double>(), 60.0, 1e-6);
  EXPECT_EQ(freshness["stale_while_revalidate_s"], 9.0);
  EXPECT_EQ(freshness["stale_while_revalidate_from"], "cache-control: stale-while-revalidate");
  EXPECT_EQ(freshness["stale_if_error_s"], 86400.0);
  EXPECT_EQ(freshness["stale_if_error_from"], "setting stale_if_error");
  EXPECT_THAT(Now(json), testing::ContainsRegex("serve: fresh: its age of [1-5][0-9]s"));
  EXPECT_THAT(Now(json), HasSubstr(" is under its lifetime of 1m"));
}

TEST_F(ExplainTest, WhatARequestWouldDoDependsOnItsFields) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nAge: 1\n", "hello");
  EXPECT_THAT(Now(Explain("/a", "&header=Cache-Control:%20no-cache")),
              "validate at the origin: request_no_cache: the request says no-cache");
  EXPECT_THAT(Now(Explain("/a", "&header=cache-control:max-age=0")),
              HasSubstr("request_max_age: its age of"));
}

TEST_F(ExplainTest, EveryVariantIsThereAndTheOneThatIsSelected) {
  Start();
  const std::string lines = std::string(kMinute) + "Vary: Accept-Language\n";
  Fill("/a", lines, "hallo", {{"accept-language", "de"}});
  Fill("/a", lines, "bonjour", {{"accept-language", "fr"}});
  const auto selected = [](const Json& json) {
    std::vector<std::string> texts;
    for (const Json& stored : json["responses"]) {
      if (stored["selected"] == true) texts.push_back(stored["selected_by"].dump());
    }
    return texts;
  };
  const Json german = Explain("/a", "&header=Accept-Language:%20de");
  EXPECT_EQ(german["responses"].size(), 2u);
  EXPECT_EQ(german["request_fields"], Json::array({"accept-language: de"}));
  EXPECT_THAT(selected(german), ElementsAre("[\"accept-language: de\"]"));
  EXPECT_THAT(Now(german), HasSubstr("serve: fresh"));
  const Json none = Explain("/a", "&header=Accept-Language:%20it");
  EXPECT_EQ(none["responses"].size(), 2u);
  EXPECT_THAT(selected(none), ElementsAre());
  EXPECT_EQ(Now(none),
            "fetch from the origin: vary_miss: what is stored is for other request fields");
}

TEST_F(ExplainTest, OfVariantsThatSuitTheFirstThatIsThereIsSelected) {
  Start();
  Fill("/a", std::string(kMinute) + "Vary: X-A\n", "first", {{"x-a", "1"}, {"x-b", "1"}});
  Fill("/a", std::string(kMinute) + "Vary: X-B\n", "second", {{"x-a", "2"}, {"x-b", "2"}});
  const auto explain = [&] { return Explain("/a", "&header=X-A:%201&header=X-B:%202"); };
  EXPECT_EQ(Stored(explain(), 0)["selected"], true);
  EXPECT_EQ(Stored(explain(), 1)["selected"], false);
  const Key256 primary = PrimaryKey("demo", "https://www.demo.test/a");
  On([&] { node_->store->Remove(VariantKey(primary, {{"x-b", "2"}})); });
  const Json json = explain();
  EXPECT_EQ(json["responses"].size(), 1u);
  EXPECT_EQ(Stored(json)["selected"], true);
  EXPECT_THAT(Now(json), HasSubstr("serve: fresh"));
  On([&] { node_->store->Remove(VariantKey(primary, {{"x-a", "1"}})); });
  EXPECT_EQ(Now(explain()),
            "fetch from the origin: uri_miss: nothing that may be used is stored under the key");
}

TEST_F(ExplainTest, WhatLiesInSlicesIsToldSliceBySlice) {
  Start("slice = \"64KiB\"\n");
  const std::string film(200'000, 'f');
  FakeExchange& seek = Get("/film", {{"range", "bytes=70000-70009"}});
  origin_.Next().Answer(
      "206 Partial Content",
      std::string(kMinute) + "ETag: \"v\"\nContent-Range: bytes 65520-131039/200000\n",
      film.substr(0, 65520));
  Answer(seek);
  const Json stored = Explain("/film", "&header=Range:%20bytes=70000-70001");
  EXPECT_EQ(Stored(stored)["slice_bytes"], 65520);
  EXPECT_EQ(Stored(stored)["slices_stored"], Json::array({1}));
  EXPECT_THAT(Now(stored), HasSubstr("serve: fresh: "));
  for (const char* more :
       {"&header=Range:%20bytes=0-1", "", "&header=Range:%20bytes=70000-70001,196560-196561"}) {
    EXPECT_THAT(Now(Explain("/film", more)),
                HasSubstr("serve, and fetch the slices that are missing: partial_miss: slice "))
        << more;
  }
}

TEST_F(ExplainTest, LastBytesAloneAreToldAsSuch) {
  Start("slice = \"64KiB\"\n");
  FakeExchange& seek = Get("/film", {{"range", "bytes=-10"}});
  origin_.Next().Answer("206 Partial Content",
                        std::string(kMinute) + "Content-Range: bytes 90-99/100\n", "0123456789");
  Answer(seek);
  const Json same = Explain("/film", "&header=Range:%20bytes=-10");
  EXPECT_EQ(Stored(same)["last_bytes_alone"], 10);
  EXPECT_THAT(Now(same), HasSubstr("serve: fresh: "));
  for (const char* other : {"", "&header=Range:%20bytes=-9"}) {
    EXPECT_EQ(Now(Explain("/film", other)),
              "fetch from the origin: uri_miss: what is stored are the last 10 bytes alone");
  }
}

TEST_F(ExplainTest, PurgesAreTold) {
  Start();
  Fill("/a", kMinute, "hello");
  const auto purge = [&](bool soft) {
    node_->store->Purge({ScopeOf(storage::ScopeKind::kUrl, "demo", "/a")}, soft, std::nullopt,
                        nullptr, nullptr);
  };
  purge(/*soft=*/true);
  const Json json = Explain("/a");
  EXPECT_EQ(Stored(json)["validity"], "soft-purged");
  EXPECT_LT(Stored(json)["purge_sequence"].get<uint64_t>(), json["purge_sequence"].get<uint64_t>());
  EXPECT_EQ(Now(json),
            "validate at the origin: soft_purged: a soft purge came after it was fetched");
  purge(/*soft=*/false);
  EXPECT_THAT(Now(Explain("/a")), HasSubstr("uri_miss"));
}

TEST_F(ExplainTest, ARuleOfTheSiteIsTold) {
  Start("redirect_https = true\n");
  EXPECT_EQ(Now(AskAdmin("url=http://www.demo.test/a")),
            "answer 301: redirect_https: a rule of the site");
}

TEST_F(ExplainTest, ErrorsSayWhatToDo) {
  Start();
  const auto error = [&](const std::string& query) {
    const Json json = AskAdmin(query);
    return std::to_string(json["status_code"].get<int>()) + " " + json["error"].get<std::string>();
  };
  EXPECT_THAT(error(""), HasSubstr("400 expected one ?url=https://host/path"));
  EXPECT_THAT(error("url=/a"), HasSubstr("400 expected ?url=https://host/path"));
  EXPECT_THAT(error("url=https://other.test/"),
              HasSubstr("404 no site of this edge has the host \"other.test\""));
  EXPECT_THAT(error("url=https://www.demo.test/..%2fa"), HasSubstr("400 the request target"));
  for (const std::string header : {"x", ":x", "a%20b:c", "x:%0a"}) {
    EXPECT_THAT(error("url=https://www.demo.test/&header=" + header),
                HasSubstr("400 header: expected \"Name: value\", got"));
  }
  std::string many = "url=https://www.demo.test/";
  for (int i = 0; i < 101; ++i) many += "&header=a:b";
  EXPECT_THAT(error(many), HasSubstr("400 header: expected at most 100"));
}

/// Where each span comes from, for every place it can come from.
TEST(FreshnessSourceTest, NamesFieldOrSetting) {
  struct SourceRow {
    http::Fields fields;
    std::string_view control, expected;
    int status = 200;
  };
  const SourceRow rows[] = {
      {{{"cache-control", "max-age=1, s-maxage=2"}}, "", "cache-control: s-maxage"},
      {{{"cache-control", "max-age=1"}, {"expires", "0"}}, "", "cache-control: max-age"},
      {{{"cache-control", "max-age=1"}, {"cdn-cache-control", "max-age=2"}},
       "",
       "cdn-cache-control: max-age"},
      {{{"cdn-cache-control", "s-maxage=2"}}, "max-age=3", "nearside-cache-control: max-age"},
      {{{"expires", "0"}, {"last-modified", DateAt(-9)}}, "", "expires"},
      {{{"cdn-cache-control", "public"}, {"expires", "0"}}, "", "setting default_ttl"},
      {{{"last-modified", DateAt(-9)}}, "", "a tenth of the time since last-modified"},
      {{{"last-modified", "yesterday"}}, "", "setting default_ttl"},
      {{{"last-modified", DateAt(-9)}}, "", "setting negative_ttl", 404},
      {{}, "", "setting default_ttl"},
  };
  for (const SourceRow& row : rows) {
    StoredResponse stored;
    stored.status = row.status;
    stored.fields = row.fields;
    stored.control = row.control;
    stored.freshness.response_time = kNow;
    EXPECT_EQ(SourceOf(stored).lifetime, row.expected) << row.fields.ToText();
  }
  StoredResponse stored;
  EXPECT_EQ(SourceOf(stored).while_revalidate, "setting stale_while_revalidate");
  EXPECT_EQ(SourceOf(stored).if_error, "setting stale_if_error");
  stored.fields = {{"cache-control", "stale-while-revalidate=1, stale-if-error=2"}};
  EXPECT_EQ(SourceOf(stored).while_revalidate, "cache-control: stale-while-revalidate");
  EXPECT_EQ(SourceOf(stored).if_error, "cache-control: stale-if-error");
}

}  // namespace
}  // namespace nearside::edge
