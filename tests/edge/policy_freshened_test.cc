// Freshened: what a 304 makes of a stored response (RFC 9111 §3.2, §4.3.4).

#include <gtest/gtest.h>

#include "edge/compression.h"
#include "tests/edge/answered.h"

namespace nearside::edge {
namespace {

using http::Fields;

constexpr std::string_view kVia = "1.1 frankfurt";

/// A 200 stored an hour before kNow.
std::unique_ptr<StoredResponse> StoredOf(Fields fields) {
  const http::RequestHead request = GetFor("https://www.demo.test/a");
  const http::ResponseHead response{.status = 200, .fields = std::move(fields)};
  const SiteSettings site = DefaultSite();
  const Exchanged exchanged{.request = request,
                            .response = response,
                            .request_time = After(seconds(-3600)),
                            .response_time = After(seconds(-3600)),
                            .site = site};
  return MakeStored(exchanged, DecideStore(exchanged), "https://www.demo.test/a", kVia);
}

/// Its fields after a 304 with `fresh`, a line each; behind them the decision.
std::string After304(const StoredResponse& stored, const Answered& answered) {
  StoreDecision decision;
  const auto freshened = Freshened(stored, answered.exchanged(), kVia, &decision);
  EXPECT_EQ(freshened->status, stored.status);
  EXPECT_EQ(freshened->url, stored.url);
  EXPECT_EQ(Describe(freshened->freshness), Describe(decision.freshness));
  return TextOf(freshened->fields) + Describe(decision);
}

TEST(PolicyFreshenedTest, FieldsOfThe304ReplaceThoseOfTheSameName) {
  const auto stored = StoredOf({{"cache-control", "max-age=60"},
                                {"x-a", "1"},
                                {"x-a", "2"},
                                {"x-b", "3"},
                                {"etag", "\"v\""},
                                {"date", DateAt(-3600)}});
  EXPECT_EQ(After304(*stored, Answered({{"x-a", "4"},
                                        {"cache-control", "max-age=90"},
                                        {"x-c", "5"},
                                        {"x-c", "6"},
                                        {"etag", "\"v\""},
                                        {"date", DateAt(0)}},
                                       304)),
            "x-b: 3\netag: \"v\"\nx-a: 4\ncache-control: max-age=90\nx-c: 5\nx-c: 6\ndate: " +
                DateAt(0) + "\nvia: 1.1 frankfurt\nstored 1m30s validator");
}

// What the 304 says to the one whose request it came for, beside what is stored.
TEST(PolicyFreshenedTest, FieldsForTheOneWhoAsked) {
  const auto stored = StoredOf({{"cache-control", "max-age=60"}, {"etag", "\"v\""}});
  const auto for_one = [&](std::string_view control) {
    const Answered answered({{"cache-control", control},
                             {"x-a", "1"},
                             {"set-cookie", "a=1"},
                             {"set-cookie", "b=2"},
                             {"age", "7"},
                             {"surrogate-key", "s"},
                             {"nearside-cache-control", control},
                             {"cache-status", "(no list"},
                             {"content-type", "text/plain"},
                             {"content-length", "0"}},
                            304);
    StoreDecision decision;
    const auto freshened = Freshened(*stored, answered.exchanged(), kVia, &decision);
    return TextOf(FieldsForOne(*stored, *freshened, answered.exchanged(), decision.store()));
  };
  EXPECT_EQ(for_one("no-store"),
            "cache-control: no-store\nx-a: 1\nset-cookie: a=1\nset-cookie: b=2\n");
  EXPECT_EQ(for_one("max-age=60, private=\"x-a, age\""),
            "cache-control: max-age=60, private=\"x-a, age\"\nx-a: 1\nset-cookie: a=1\n"
            "set-cookie: b=2\n")
      << "its cookies forbid to keep it";
}

TEST(PolicyFreshenedTest, OfWhatIsKeptOnlyWhatIsPrivateIsForOne) {
  const auto stored = StoredOf({{"cache-control", "max-age=60, private=\"x-b\""}});
  const Answered other({{"x-a", "1"}, {"x-b", "2"}, {"age", "7"}}, 304);
  StoreDecision decision;
  const auto freshened = Freshened(*stored, other.exchanged(), kVia, &decision);
  ASSERT_TRUE(decision.store());
  EXPECT_EQ(TextOf(FieldsForOne(*stored, *freshened, other.exchanged(), true)), "x-b: 2\n")
      << "what is stored says what is private, where the 304 does not";
  EXPECT_FALSE(freshened->fields.Has("x-b"));
}

TEST(PolicyFreshenedTest, FieldsThatDescribeTheBodyStay) {
  const auto stored = StoredOf({{"cache-control", "max-age=60"},
                                {"content-length", "36"},
                                {"content-encoding", "gzip"},
                                {"content-type", "text/html"},
                                {"content-language", "de"},
                                {"etag", "\"v\""}});
  EXPECT_EQ(After304(*stored, Answered({{"content-length", "0"},
                                        {"content-encoding", "br"},
                                        {"content-type", "text/plain"},
                                        {"content-language", "en"},
                                        {"content-range", "bytes 0-1/2"},
                                        {"content-location", "/b"},
                                        {"etag", "\"v\""}},
                                       304)),
            "cache-control: max-age=60\ncontent-length: 36\ncontent-encoding: gzip\n"
            "content-type: text/html\ncontent-language: de\netag: \"v\"\n"
            "content-location: /b\ndate: " +
                DateAt(0) + "\nvia: 1.1 frankfurt\nstored 1m validator");
}

TEST(PolicyFreshenedTest, A304WithoutDateIsOfNow) {
  const auto stored = StoredOf({{"cache-control", "max-age=60"}, {"date", DateAt(-3600)}});
  EXPECT_EQ(After304(*stored, Answered(Fields(), 304)),
            "cache-control: max-age=60\ndate: " + DateAt(0) + "\nvia: 1.1 frankfurt\nstored 1m");
}

TEST(PolicyFreshenedTest, FreshnessIsReckonedAnew) {
  struct Row {
    const char* name;
    Fields stored, fresh;
    std::string decision;
  };
  const Row rows[] = {
      {"from the stored Cache-Control", {{"cache-control", "max-age=60"}}, {}, "stored 1m"},
      {"from the new one",
       {{"cache-control", "max-age=60"}},
       {{"cache-control", "max-age=5"}},
       "stored 5s"},
      {"with the Age of the 304",
       {{"cache-control", "max-age=60"}},
       {{"age", "7"}},
       "stored 1m age=7s"},
      {"with its Date",
       {{"cache-control", "max-age=60"}},
       {{"date", DateAt(-9)}},
       "stored 1m age=9s"},
      {"a new Expires", {{"expires", DateAt(-3000)}}, {{"expires", DateAt(60)}}, "stored 1m"},
      {"a new guess", {{"last-modified", DateAt(-4600)}}, {}, "stored 7m40s guess validator"},
      {"the site's own words stay in force",
       {{"nearside-cache-control", "max-age=60"}, {"cache-control", "no-store"}},
       {},
       "stored 1m"},
      {"until they are replaced",
       {{"nearside-cache-control", "max-age=60"}, {"cache-control", "no-store"}},
       {{"nearside-cache-control", "max-age=5"}},
       "stored 5s"},
      {"a targeted field stays too",
       {{"cdn-cache-control", "max-age=60"}, {"cache-control", "no-store"}},
       {},
       "stored 1m"},
      {"a targeted field appears",
       {{"cache-control", "max-age=60"}},
       {{"cdn-cache-control", "max-age=5"}},
       "stored 5s"},
      {"it became private",
       {{"cache-control", "max-age=60"}},
       {{"cache-control", "private"}},
       "private"},
      {"it became no-store",
       {{"cache-control", "max-age=60"}},
       {{"cache-control", "no-store"}},
       "no_store"},
      {"it sets a cookie now",
       {{"cache-control", "max-age=60"}},
       {{"set-cookie", "a=b"}},
       "set_cookie"},
      {"it became no-cache",
       {{"cache-control", "max-age=60"}, {"etag", "\"v\""}},
       {{"cache-control", "no-cache"}},
       "stored 0s always-validate guess validator"},
  };
  for (const Row& row : rows) {
    const std::string text = After304(*StoredOf(row.stored), Answered(row.fresh, 304));
    EXPECT_EQ(text.substr(text.rfind('\n') + 1), row.decision) << row.name;
  }
}

TEST(PolicyFreshenedTest, TheSitesOwnWordsOutliveSeveral304s) {
  auto stored = StoredOf({{"nearside-cache-control", "max-age=60"}, {"cache-control", "no-store"}});
  for (int i = 0; i < 3; ++i) {
    StoreDecision decision;
    stored = Freshened(*stored, Answered(Fields(), 304).exchanged(), kVia, &decision);
    EXPECT_EQ(Describe(decision), "stored 1m");
    // … also by way of the disk.
    stored = DecodeStored(EncodeStored(*stored));
    EXPECT_EQ(stored->fields.Joined("nearside-cache-control"), "");
  }
}

// RFC 9111 §4.3.4: with another validator it is about another representation.
TEST(PolicyFreshenedTest, A304OfAnotherRepresentationFreshensNothing) {
  const std::string old_date = DateAt(-9000), new_date = DateAt(-4000);
  struct Row {
    Fields stored, fresh;
    bool about;
  };
  const Row rows[] = {
      {{{"etag", "\"a\""}}, {{"etag", "\"a\""}}, true},
      {{{"etag", "\"a\""}}, {{"etag", "\"b\""}}, false},
      {{{"etag", "W/\"a\""}}, {{"etag", "W/\"a\""}}, true},
      {{{"etag", "W/\"a\""}}, {{"etag", "W/\"b\""}}, false},
      {{{"etag", "\"a\""}}, {{"etag", "W/\"a\""}}, true},
      {{{"etag", "W/\"a\""}}, {{"etag", "\"a\""}}, true},
      {{{"etag", "W/\"a\""}}, {{"etag", "\"b\""}}, false},
      // We asked about one response: a 304 that says nothing is about that one.
      {{{"etag", "\"a\""}}, {}, true},
      {{{"last-modified", old_date}}, {}, true},
      {{{"etag", "\"a\""}}, {{"etag", "broken"}}, true},
      // A tag that we do not know says that it is another one, unless the date agrees.
      {{}, {{"etag", "\"a\""}}, false},
      {{{"last-modified", old_date}}, {{"etag", "\"a\""}}, false},
      {{{"last-modified", old_date}}, {{"etag", "\"a\""}, {"last-modified", old_date}}, true},
      // An origin that went back to an older file answers 304 to a date that is newer than it.
      {{{"last-modified", new_date}}, {{"last-modified", old_date}}, false},
      {{{"last-modified", old_date}}, {{"last-modified", old_date}}, true},
      {{}, {{"last-modified", old_date}}, false},
      {{{"etag", "\"a\""}, {"last-modified", old_date}},
       {{"etag", "\"a\""}, {"last-modified", new_date}},
       true},
      {{{"etag", "\"a\""}, {"last-modified", old_date}}, {{"last-modified", new_date}}, false},
  };
  for (const Row& row : rows) {
    Fields fields = row.stored;
    fields.Add("cache-control", "max-age=60");
    const auto stored = StoredOf(std::move(fields));
    StoreDecision decision;
    Freshened(*stored, Answered(row.fresh, 304).exchanged(), kVia, &decision);
    EXPECT_EQ(decision.of_another, !row.about) << TextOf(row.stored) << "and\n"
                                               << TextOf(row.fresh);
    EXPECT_EQ(ReasonName(decision.reason), row.about ? "stored" : "uncacheable_status")
        << TextOf(row.stored) << "and\n"
        << TextOf(row.fresh);
  }
}

TEST(PolicyFreshenedTest, ATagIsAddedWhereThereWasNoneAndElseStays) {
  const std::string date = DateAt(-9000);
  const auto tag_after = [&](Fields stored, Fields fresh) {
    stored.Add("cache-control", "max-age=60");
    stored.Add("last-modified", date);
    fresh.Add("last-modified", date);
    StoreDecision decision;
    return Freshened(*StoredOf(std::move(stored)), Answered(std::move(fresh), 304).exchanged(),
                     kVia, &decision)
        ->fields.Joined("etag");
  };
  EXPECT_EQ(tag_after({}, {{"etag", "\"a\""}}), "\"a\"");
  EXPECT_EQ(tag_after({{"etag", "W/\"a\""}}, {{"etag", "\"a\""}}), "W/\"a\"");
}

// What is stored stands under a key that its Vary made.
TEST(PolicyFreshenedTest, A304ThatChangesVaryEndsTheStoredResponse) {
  const auto decision_of = [](Fields stored, Fields fresh) {
    stored.Add("cache-control", "max-age=60");
    const std::string text =
        After304(*StoredOf(std::move(stored)), Answered(std::move(fresh), 304));
    return text.substr(text.rfind('\n') + 1);
  };
  EXPECT_EQ(decision_of({{"vary", "accept"}}, {}), "stored 1m");
  EXPECT_EQ(decision_of({{"vary", "accept, cookie"}}, {{"vary", "Cookie,Accept"}}), "stored 1m");
  EXPECT_EQ(decision_of({}, {{"vary", "accept"}}), "vary_star");
  EXPECT_EQ(decision_of({{"vary", "accept"}}, {{"vary", "accept, cookie"}}), "vary_star");
  EXPECT_EQ(decision_of({{"vary", "accept"}}, {{"vary", "*"}}), "vary_star");
}

/// What is stored of a page that this edge encoded, or let be for one who accepts no coding.
std::unique_ptr<StoredResponse> NegotiatedOf(Fields fields, http::Coding coding) {
  auto stored = StoredOf(std::move(fields));
  const bool encoded = coding != http::Coding::kIdentity;
  ApplyCoding(
      {.reason = encoded ? CodingReason::kEncoded : CodingReason::kNotAccepted, .coding = coding},
      stored.get());
  return stored;
}

// What the origin says is about what it would send, and what is stored stays encoded.
TEST(PolicyFreshenedTest, WhatIsEncodedHereStaysSo) {
  const Fields page = {{"cache-control", "max-age=60"}, {"etag", "\"v\""}, {"vary", "accept"}};
  auto stored = NegotiatedOf(page, http::Coding::kBr);
  const Fields fresh = {{"etag", "\"v\""},
                        {"vary", "Accept"},
                        {"accept-ranges", "bytes"},
                        {"repr-digest", "x"},
                        {"x-new", "1"}};
  for (int i = 0; i < 3; ++i) {
    StoreDecision decision;
    stored = Freshened(*stored, Answered(fresh, 304).exchanged(), kVia, &decision);
    EXPECT_EQ(Describe(decision), "stored 1m validator");
    // … also by way of the disk.
    stored = DecodeStored(EncodeStored(*stored));
    EXPECT_EQ(stored->fields.Joined("etag"), "W/\"v-br\"");
    EXPECT_EQ(stored->fields.Joined("content-encoding"), "br");
    EXPECT_EQ(stored->fields.Joined("vary"), "Accept, Accept-Encoding");
    EXPECT_EQ(stored->fields.Joined("x-new"), "1");
    EXPECT_FALSE(stored->fields.Has("accept-ranges") || stored->fields.Has("repr-digest"));
    EXPECT_EQ(stored->origin_etag, "\"v\"");
    EXPECT_TRUE(stored->negotiated);
  }
}

TEST(PolicyFreshenedTest, A304AboutWhatIsEncodedHereIsComparedWithWhatTheOriginSent) {
  struct Row {
    Fields fresh;
    std::string_view encoded, identity;
  };
  const Row rows[] = {
      {{{"etag", "\"v\""}}, "stored 1m validator", "stored 1m validator"},
      {{{"etag", "\"w\""}}, "uncacheable_status", "uncacheable_status"},
      {{{"etag", "W/\"v\""}}, "stored 1m validator", "stored 1m validator"},
      {{{"etag", "W/\"v-br\""}}, "uncacheable_status", "uncacheable_status"},
      {{{"vary", "Accept-Encoding"}}, "stored 1m validator", "stored 1m validator"},
      {{{"vary", "Cookie"}}, "vary_star", "vary_star"},
      {{{"cache-control", "max-age=60, no-transform"}},
       "uncacheable_status",
       "stored 1m validator"},
  };
  const Fields page = {{"cache-control", "max-age=60"}, {"etag", "\"v\""}};
  const auto decision_of = [&page](const Fields& fresh, http::Coding coding) {
    const std::string text = After304(*NegotiatedOf(page, coding), Answered(fresh, 304));
    return text.substr(text.rfind('\n') + 1);
  };
  for (const Row& row : rows) {
    EXPECT_EQ(decision_of(row.fresh, http::Coding::kBr), row.encoded) << TextOf(row.fresh);
    EXPECT_EQ(decision_of(row.fresh, http::Coding::kIdentity), row.identity) << TextOf(row.fresh);
  }
}

TEST(PolicyFreshenedTest, TagsStayUnlessNewOnesCome) {
  const auto stored = StoredOf({{"cache-control", "max-age=60"}, {"surrogate-key", "a b"}});
  const auto tags_after = [&](Fields fresh) {
    StoreDecision decision;
    return Freshened(*stored, Answered(std::move(fresh), 304).exchanged(), kVia, &decision)->tags;
  };
  EXPECT_EQ(tags_after({}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(tags_after({{"cache-tag", "c"}}), std::vector<std::string>{"c"});
}

TEST(PolicyFreshenedTest, FieldsThatMustNotBeReusedAreNotTakenOverFromA304) {
  const auto stored = StoredOf({{"cache-control", "max-age=60, private=\"x-account\""}});
  EXPECT_EQ(After304(*stored, Answered({{"x-account", "7"}, {"x-b", "8"}}, 304)),
            "cache-control: max-age=60, private=\"x-account\"\nx-b: 8\ndate: " + DateAt(0) +
                "\nvia: 1.1 frankfurt\nstored 1m");
}

TEST(PolicyFreshenedTest, ViaOfTheWayHereIsKeptOnceAndOursIsLast) {
  const auto stored = StoredOf({{"cache-control", "max-age=60"}, {"via", "1.1 mid"}});
  EXPECT_EQ(After304(*stored, Answered({{"via", "1.1 other"}}, 304)),
            "cache-control: max-age=60\nvia: 1.1 other\ndate: " + DateAt(0) +
                "\nvia: 1.1 frankfurt\nstored 1m");
  EXPECT_EQ(After304(*stored, Answered(Fields(), 304)),
            "cache-control: max-age=60\nvia: 1.1 mid\ndate: " + DateAt(0) +
                "\nvia: 1.1 frankfurt\nstored 1m");
}

TEST(PolicyFreshenedTest, TheRequestThatValidatedMayNotBeStoredFor) {
  const auto stored = StoredOf({{"cache-control", "max-age=60"}});
  const Answered answered = Answered(Fields(), 304).To({{"authorization", "x"}});
  StoreDecision decision;
  Freshened(*stored, answered.exchanged(), kVia, &decision);
  EXPECT_EQ(Describe(decision), "authorization");
}

}  // namespace
}  // namespace nearside::edge
