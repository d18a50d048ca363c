// The request state machine with several variants of a resource.

#include <gmock/gmock.h>

#include "edge/cache_key.h"
#include "http/date.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// RFC 9111 §4.1.
TEST_F(RequestTest, VariantsAreStoredAndSelected) {
  Start();
  const std::string lines = "Cache-Control: max-age=60\nVary: Accept-Language\n";
  EXPECT_EQ(Fill("/a", lines, "hallo", {{"accept-language", "de"}}),
            "200 fwd=uri-miss; fwd-status=200; stored|hallo");
  EXPECT_EQ(Fill("/a", lines, "hello", {{"accept-language", "en"}}),
            "200 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|hello");
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "de"}})), "200 hit|hallo");
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "en"}})), "200 hit|hello");
  EXPECT_EQ(Fill("/a", lines, "none", {}),
            "200 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|none");
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "de"}})), "200 hit|hallo");
  EXPECT_EQ(origin_.count(), 3u);
}

TEST_F(RequestTest, RequestsThatWantTheSameShareAVariantHoweverTheySayIt) {
  Start();
  const std::string lines = "Cache-Control: max-age=60\nVary: Accept-Encoding, Accept-Language\n";
  FakeExchange& first =
      Get("/a", {{"accept-encoding", "gzip, deflate, br"}, {"accept-language", "en-US,en;q=0.5"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("accept-encoding"), "br, gzip");
  EXPECT_EQ(asked.Field("accept-language"), "en-us, en;q=0.9");
  asked.Answer("200 OK", lines + "Content-Encoding: gzip\n", "packed");
  Answer(first);
  EXPECT_EQ(Answer(Get("/a", {{"accept-encoding", "br;q=0.9, gzip, compress"},
                              {"accept-language", "en-us, EN;q=0.3"}})),
            "200 hit|packed");
  FakeExchange& plain = Get("/a", {{"accept-language", "en-us, EN;q=0.3"}});
  asked = origin_.Next();
  EXPECT_EQ(asked.Field("accept-encoding"), "identity");
  asked.Answer("200 OK", lines, "plain");
  EXPECT_EQ(Answer(plain), "200 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|plain");
  EXPECT_EQ(Answer(Get("/a", {{"accept-encoding", "br, gzip"},
                              {"accept-language", "en-US, en;q=0.9"},
                              {"range", "bytes=1-2"}})),
            "206 hit|la")
      << "a range is of the identity";
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestTest, AVariantInTheOneLanguageThatIsWantedMostIsAHit) {
  Start();
  const std::string lines = "Cache-Control: max-age=60\nVary: Accept-Language\n";
  Fill("/a", lines + "Content-Language: de\n", "hallo", {{"accept-language", "en, de"}});
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "fr;q=0.5, de;q=1.0"}})), "200 hit|hallo");
  EXPECT_EQ(Fill("/a", lines, "salut", {{"accept-language", "fr, de;q=0.9"}}),
            "200 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|salut");
  // The most recent one that matches is taken.
  Fill("/a", lines + "Content-Language: DE\n", "neu", {{"accept-language", "de-at, de"}});
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "de"}})), "200 hit|neu");
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "en, de"}})), "200 hit|hallo");
}

TEST_F(RequestTest, AnIndexListsNoMoreThanItsLimitAndTheOthersAreStillFound) {
  Start();
  const auto fill = [&](const std::string& vary, size_t n) {
    return Fill("/a", "Cache-Control: max-age=60\nVary: " + vary + "\n", std::to_string(n),
                {{vary, std::to_string(n)}});
  };
  EXPECT_EQ(fill("x-old", 7), "200 fwd=uri-miss; fwd-status=200; stored|7");
  for (size_t n = 1; n <= kMaxVariants + 1; ++n) {
    EXPECT_THAT(fill("x-n", n), HasSubstr("fwd=vary-miss; fwd-status=200; stored"));
  }
  EXPECT_EQ(Answer(Get("/a", {{"x-n", "1"}})), "200 hit|1") << "the index forgot it";
  EXPECT_EQ(Answer(Get("/a", {{"x-n", "2"}})), "200 hit|2");
  EXPECT_EQ(Answer(Get("/a", {{"x-n", "65"}})), "200 hit|65");
  // What was selected by another field is found through the index alone.
  EXPECT_EQ(fill("x-old", 7), "200 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|7");
}

TEST_F(RequestTest, TheIndexLivesAsLongAsAVariantThatIsValidated) {
  Start("stale_while_revalidate = \"0s\"\nstale_if_error = \"0s\"\nkeep = \"20s\"\n");
  const std::string lines = "Vary: Accept-Language\nETag: \"v\"\n";
  Fill("/a", "Cache-Control: max-age=1\nAge: 1\n" + lines, "hallo", {{"accept-language", "de"}});
  FakeExchange& client = Get("/a", {{"accept-language", "de"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("304 Not Modified", "Cache-Control: max-age=60\n" + lines, "");
  EXPECT_THAT(Answer(client), HasSubstr("detail=validated|hallo"));
  const storage::HeadRef index =
      On([&] { return node_->store->Find(PrimaryKey("demo", "https://www.demo.test/a")); });
  ASSERT_NE(index, nullptr);
  EXPECT_GT(index->head.drop_at, WallNow() + seconds(50));
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "de"}})), "200 hit|hallo");
}

TEST_F(RequestTest, AVariantIsValidatedAlone) {
  Start();
  const std::string lines = std::string(kStale) + "Vary: Accept-Language\n";
  Fill("/a", lines, "hallo", {{"accept-language", "de"}});
  Fill("/a", "Cache-Control: max-age=60\nVary: Accept-Language\n", "hello",
       {{"accept-language", "en"}});
  FakeExchange& client = Get("/a", {{"accept-language", "de"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("304 Not Modified", kMinute, "");
  EXPECT_EQ(Answer(client), "200 fwd=stale; fwd-status=304; detail=validated|hallo");
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "de"}})), "200 hit|hallo");
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "en"}})), "200 hit|hello");
}

// RFC 9111 §4.
TEST_F(RequestTest, OfTwoVariantsThatSuitTheNewestIsServed) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nVary: X-A\n", "first", {{"x-a", "1"}, {"x-b", "1"}});
  Fill("/a", "Cache-Control: max-age=60\nVary: X-B\n", "second", {{"x-a", "2"}, {"x-b", "2"}});
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "1"}, {"x-b", "2"}})), "200 hit|second");
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "1"}, {"x-b", "3"}})), "200 hit|first");
}

/// Of a response that was made so long ago.
std::string Dated(seconds back, std::string_view vary) {
  return "Cache-Control: max-age=600\nDate: " + http::FormatDate(WallNow() - back) +
         "\nVary: " + std::string(vary) + "\n";
}

// What came last had been in a cache on the way.
TEST_F(RequestTest, OfVariantsThatSuitTheMostRecentByDateIsServed) {
  Start();
  Fill("/a", Dated(seconds(10), "X-A"), "first", {{"x-a", "1"}, {"x-b", "1"}});
  Fill("/a", Dated(seconds(100), "X-B"), "second", {{"x-a", "2"}, {"x-b", "2"}});
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "1"}, {"x-b", "2"}})), "200 hit|first");
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "3"}, {"x-b", "2"}})), "200 hit|second");
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestTest, AVariantThatWasValidatedIsTheMostRecent) {
  Start();
  Fill("/a", Dated(seconds(700), "X-A") + "ETag: \"v\"\n", "first", {{"x-a", "1"}, {"x-b", "1"}});
  Fill("/a", Dated(seconds(100), "X-B"), "second", {{"x-a", "2"}, {"x-b", "2"}});
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "1"}, {"x-b", "2"}})), "200 hit|second");
  FakeExchange& client = Get("/a", {{"x-a", "1"}, {"x-b", "3"}});
  origin_.Next().Answer("304 Not Modified", Dated(seconds(0), "X-A"), "");
  EXPECT_THAT(Answer(client), HasSubstr("detail=validated|first"));
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "1"}, {"x-b", "2"}})), "200 hit|first");
}

// The most recent one was evicted.
TEST_F(RequestTest, OfVariantsThatSuitTheNextIsServedWhereOneIsGone) {
  Start();
  Fill("/a", Dated(seconds(10), "X-A"), "first", {{"x-a", "1"}, {"x-b", "1"}});
  Fill("/a", Dated(seconds(5), "X-B"), "second", {{"x-a", "2"}, {"x-b", "2"}});
  const Key256 primary = PrimaryKey("demo", "https://www.demo.test/a");
  On([&] { node_->store->Remove(VariantKey(primary, {{"x-b", "2"}})); });
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "1"}, {"x-b", "2"}})), "200 hit|first");
  On([&] { node_->store->Remove(VariantKey(primary, {{"x-a", "1"}})); });
  EXPECT_EQ(Fill("/a", Dated(seconds(0), "X-B"), "third", {{"x-a", "1"}, {"x-b", "2"}}),
            "200 fwd=uri-miss; fwd-status=200; stored|third");
  EXPECT_EQ(Answer(Get("/a", {{"x-a", "1"}, {"x-b", "2"}})), "200 hit|third");
}

// The index has no body, and may leave a full store before its variants. What changes the resource
// then finds nothing that is stored.
TEST_F(RequestTest, AVariantFromBeforeTheIndexIsNotShown) {
  Start();
  const std::string lines = "Cache-Control: max-age=60\nVary: X-Kind\n";
  Fill("/a", lines, "old 1", {{"x-kind", "1"}});
  Fill("/a", lines, "old 2", {{"x-kind", "2"}});
  EXPECT_EQ(Answer(Get("/a", {{"x-kind", "2"}})), "200 hit|old 2");
  On([&] { node_->store->Remove(PrimaryKey("demo", "https://www.demo.test/a")); });
  FakeExchange& post = Ask(RequestFor("POST", "https://www.demo.test/a"));
  origin_.Next().Answer("200 OK", "", "");
  Answer(post);
  Fill("/a", lines, "new 1", {{"x-kind", "1"}});
  FakeExchange& second = Get("/a", {{"x-kind", "2"}});
  origin_.Next().Answer("200 OK", lines, "new 2");
  EXPECT_THAT(Answer(second), EndsWith("|new 2"));
  EXPECT_EQ(Answer(Get("/a", {{"x-kind", "1"}})), "200 hit|new 1");
  EXPECT_EQ(Answer(Get("/a", {{"x-kind", "2"}})), "200 hit|new 2");
}

// It was replaced by a response without Vary, and that by an index; then the origin fails.
TEST_F(RequestTest, AVariantFromBeforeTheIndexStandsInForNothing) {
  Start();
  const std::string vary = "Cache-Control: max-age=60\nVary: X-Kind\n";
  Fill("/a", vary, "old 2", {{"x-kind", "2"}});
  Fill("/a", kStale, "for all", {{"x-kind", "1"}});
  Fill("/a", vary, "new 1", {{"x-kind", "1"}});
  FakeExchange& second = Get("/a", {{"x-kind", "2"}});
  origin_.Next().Answer("503 X", "", "down");
  EXPECT_THAT(Answer(second), StartsWith("503 "));
  EXPECT_EQ(Answer(Get("/a", {{"x-kind", "1"}})), "200 hit|new 1");
}

// The validation takes so long that the resource has lost its Vary meanwhile: what came first at
// the origin nobody knows.
TEST_F(RequestTest, AVariantThatIsValidatedLateDoesNotComeBack) {
  Start();
  Fill("/a", std::string(kStale) + "Vary: X-Kind\n", "old 1", {{"x-kind", "1"}});
  FakeExchange& first = Get("/a", {{"x-kind", "1"}});
  ScriptedOrigin::Asked validation = origin_.Next();
  FakeExchange& second = Get("/a", {{"x-kind", "2"}});
  origin_.Next().Answer("200 OK", kMinute, "for all");
  EXPECT_THAT(AnswerNow(second), EndsWith("|for all"));
  validation.Answer("304 Not Modified", std::string(kMinute) + "ETag: \"v\"\n", "");
  EXPECT_EQ(Answer(first), "200 fwd=stale; fwd-status=304; detail=validated|old 1");
  EXPECT_EQ(Fill("/a", kMinute, "for all", {{"x-kind", "1"}}),
            "200 fwd=uri-miss; fwd-status=200; stored|for all");
  EXPECT_EQ(Answer(Get("/a", {{"x-kind", "2"}})), "200 hit|for all");
}

// It began before a variant that has ended already, and after another one.
TEST_F(RequestTest, AResponseWithoutVaryThatComesLateEndsVariantsFromBeforeIt) {
  Start();
  const std::string vary = std::string(kStale) + "Vary: X-Kind\n";
  Fill("/a", vary, "old 2", {{"x-kind", "2"}});
  FakeExchange& second = Get("/a", {{"x-kind", "2"}});
  ScriptedOrigin::Asked slow = origin_.Next();
  slow.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 7\r\n\r\n");
  EXPECT_TRUE(thread_.Await([&] { return second.status != 0; }));
  FakeExchange& first = Get("/a", {{"x-kind", "1"}});
  origin_.Next().Answer("200 OK", vary, "new 1");
  EXPECT_THAT(AnswerNow(first), EndsWith("|new 1"));
  slow.Send("for all");
  EXPECT_THAT(Answer(second), EndsWith("|for all"));
  FakeExchange& again = Get("/a", {{"x-kind", "2"}});
  origin_.Next().Answer("503 X", "", "down");
  EXPECT_THAT(Answer(again), StartsWith("503 ")) << "and not what was there before";
}

TEST_F(RequestTest, WhatTakesThePlaceOfAllVariantsStandsInWhereOneCannotBeFetched) {
  Start();
  Fill("/a", std::string(kStale) + "Vary: X-Kind\n", "old 1", {{"x-kind", "1"}});
  FakeExchange& first = Get("/a", {{"x-kind", "1"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& second = Get("/a", {{"x-kind", "2"}});
  origin_.Next().Answer("200 OK", kMinute, "for all");
  EXPECT_THAT(AnswerNow(second), EndsWith("|for all"));
  asked.Answer("503 X", "", "down");
  EXPECT_EQ(Answer(first), "200 hit|for all");
}

TEST_F(RequestTest, AResponseWithoutVaryStandsForAllVariants) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nVary: Accept-Language\n", "hallo",
       {{"accept-language", "de"}});
  Fill("/a", kMinute, "one for all", {{"accept-language", "en"}});
  EXPECT_EQ(Answer(Get("/a", {{"accept-language", "de"}})), "200 hit|one for all");
}

}  // namespace
}  // namespace nearside::edge
