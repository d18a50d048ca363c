#include "edge/answer.h"

#include <gtest/gtest.h>

#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

using http::Fields;

constexpr uint64_t kBody = 1000;

/// "206 10-20 bytes 10-19/1000": status, bytes to send, Content-Range.
std::string Describe(const Selection& selection) {
  std::string text = std::to_string(selection.status) + " " + std::to_string(selection.span.first) +
                     "-" + std::to_string(selection.span.end);
  if (!selection.content_range.empty()) text += " " + selection.content_range;
  for (const http::ByteRange& range : selection.ranges) {
    text += " [" + std::to_string(range.first) + "-" + std::to_string(range.last) + "]";
  }
  if (selection.whole()) text += " whole";
  return text;
}

StoredResponse PageOf(Fields fields, int status = 200) {
  StoredResponse page;
  page.status = status;
  page.fields = std::move(fields);
  return page;
}

StoredResponse Page(int status = 200) {
  return PageOf({{"etag", "\"v\""}, {"last-modified", DateAt(-100)}, {"date", DateAt(-10)}},
                status);
}

std::string Selected(Fields request, const StoredResponse& response = Page(),
                     std::string_view method = "GET", std::optional<uint64_t> body_bytes = kBody) {
  return Describe(Select(RequestFor(method, "https://www.demo.test/a", std::move(request)),
                         response, body_bytes, kNow));
}

struct SelectedRow {
  const char* name;
  Fields request;
  std::string expected;
};

void ExpectSelected(const std::vector<SelectedRow>& rows, const StoredResponse& response = Page()) {
  for (const SelectedRow& row : rows)
    EXPECT_EQ(Selected(row.request, response), row.expected) << row.name;
}

const std::string kWhole = "200 0-1000 whole";
const std::string kNotModified = "304 0-0";
const std::string kFailed = "412 0-0";

// RFC 9110 §13, RFC 9111 §4.3.2.
TEST(AnswerTest, ConditionsAreAnsweredFromWhatIsStored) {
  ExpectSelected({
      {"none", {}, kWhole},
      {"the same tag", {{"if-none-match", "\"v\""}}, kNotModified},
      {"weakly", {{"if-none-match", "W/\"v\""}}, kNotModified},
      {"in a list", {{"if-none-match", "\"a\", \"v\""}}, kNotModified},
      {"in two lines", {{"if-none-match", "\"a\""}, {"if-none-match", "\"v\""}}, kNotModified},
      {"any", {{"if-none-match", "*"}}, kNotModified},
      {"another tag", {{"if-none-match", "\"w\""}}, kWhole},
      {"no tag at all", {{"if-none-match", "v"}}, kWhole},
      {"not modified since", {{"if-modified-since", DateAt(-100)}}, kNotModified},
      {"since later", {{"if-modified-since", DateAt(-50)}}, kNotModified},
      {"since earlier", {{"if-modified-since", DateAt(-101)}}, kWhole},
      {"a broken date", {{"if-modified-since", "yesterday"}}, kWhole},
      {"the tag counts before the date",
       {{"if-none-match", "\"w\""}, {"if-modified-since", DateAt(0)}},
       kWhole},
      {"if-match holds", {{"if-match", "\"v\""}}, kWhole},
      {"if-match any", {{"if-match", "*"}}, kWhole},
      {"if-match fails", {{"if-match", "\"w\""}}, kFailed},
      {"if-match is strong", {{"if-match", "W/\"v\""}}, kFailed},
      {"if-match before if-none-match",
       {{"if-match", "\"w\""}, {"if-none-match", "\"v\""}},
       kFailed},
      {"if-match holds, if-none-match too",
       {{"if-match", "\"v\""}, {"if-none-match", "\"v\""}},
       kNotModified},
      {"unmodified since", {{"if-unmodified-since", DateAt(-100)}}, kWhole},
      {"modified since", {{"if-unmodified-since", DateAt(-101)}}, kFailed},
      {"if-match before the date",
       {{"if-match", "\"v\""}, {"if-unmodified-since", DateAt(-101)}},
       kWhole},
  });
}

TEST(AnswerTest, WithoutAValidatorOnlyAnyMatches) {
  ExpectSelected(
      {
          {"a tag", {{"if-none-match", "\"v\""}}, kWhole},
          {"any", {{"if-none-match", "*"}}, kNotModified},
          {"if-match", {{"if-match", "\"v\""}}, kFailed},
          {"a date", {{"if-modified-since", DateAt(0)}}, kWhole},
          {"unmodified since", {{"if-unmodified-since", DateAt(-1000)}}, kWhole},
      },
      PageOf({}));
}

// RFC 9111 §4.3.2: then its Date stands for it. Not for what an origin alone can tell.
TEST(AnswerTest, WithoutLastModifiedTheDateTells) {
  ExpectSelected(
      {
          {"since then", {{"if-modified-since", DateAt(-10)}}, kNotModified},
          {"since before", {{"if-modified-since", DateAt(-11)}}, kWhole},
          {"unmodified since", {{"if-unmodified-since", DateAt(-11)}}, kWhole},
          {"unmodified since, which does not count, and since then",
           {{"if-unmodified-since", DateAt(-11)}, {"if-modified-since", DateAt(-10)}},
           kNotModified},
          {"a range", {{"range", "bytes=0-1"}, {"if-range", DateAt(-10)}}, kWhole},
      },
      PageOf({{"date", DateAt(-10)}}));
}

// RFC 9110 §8.8.2.2: what is one for all codings is no strong validator of a part of one.
TEST(AnswerTest, ADateDoesNotTellCodingsApart) {
  const Fields by_date = {{"range", "bytes=0-1"}, {"if-range", DateAt(-100)}};
  const Fields by_tag = {{"range", "bytes=0-1"}, {"if-range", "\"v\""}};
  StoredResponse page = Page();
  EXPECT_EQ(Selected(by_date, page), "206 0-2 bytes 0-1/1000");
  page.negotiated = true;
  EXPECT_EQ(Selected(by_date, page), kWhole);
  EXPECT_EQ(Selected(by_tag, page), "206 0-2 bytes 0-1/1000");
  EXPECT_EQ(Selected({{"if-modified-since", DateAt(-100)}}, page), kNotModified);
}

TEST(AnswerTest, HeadIsAnsweredLikeGetButForRanges) {
  EXPECT_EQ(Selected({}, Page(), "HEAD"), kWhole);
  EXPECT_EQ(Selected({{"if-none-match", "\"v\""}}, Page(), "HEAD"), kNotModified);
  EXPECT_EQ(Selected({{"if-match", "\"w\""}}, Page(), "HEAD"), kFailed);
  EXPECT_EQ(Selected({{"range", "bytes=0-9"}}, Page(), "HEAD"), kWhole);
}

TEST(AnswerTest, OnlyA200IsSelectedFrom) {
  for (int status : {203, 204, 301, 404, 500}) {
    EXPECT_EQ(Selected({{"if-none-match", "\"v\""}, {"range", "bytes=0-9"}, {"if-match", "\"w\""}},
                       Page(status)),
              std::to_string(status) + " 0-1000 whole");
  }
}

// RFC 9110 §14.
TEST(AnswerTest, Ranges) {
  ExpectSelected({
      {"from the beginning", {{"range", "bytes=0-9"}}, "206 0-10 bytes 0-9/1000"},
      {"one byte", {{"range", "bytes=999-999"}}, "206 999-1000 bytes 999-999/1000"},
      {"open", {{"range", "bytes=990-"}}, "206 990-1000 bytes 990-999/1000"},
      {"suffix", {{"range", "bytes=-10"}}, "206 990-1000 bytes 990-999/1000"},
      {"a suffix longer than all", {{"range", "bytes=-2000"}}, "206 0-1000 bytes 0-999/1000"},
      {"all", {{"range", "bytes=0-"}}, "206 0-1000 bytes 0-999/1000"},
      {"past the end", {{"range", "bytes=990-5000"}}, "206 990-1000 bytes 990-999/1000"},
      {"beyond the end", {{"range", "bytes=1000-"}}, "416 0-0 bytes */1000"},
      {"an empty suffix", {{"range", "bytes=-0"}}, "416 0-0 bytes */1000"},
      {"several", {{"range", "bytes=0-1, 5-9"}}, "206 0-2 [0-1] [5-9]"},
      {"in any order", {{"range", "bytes=-5, 0-1"}}, "206 995-1000 [995-999] [0-1]"},
      {"one of two is there", {{"range", "bytes=0-1, 5000-"}}, "206 0-2 bytes 0-1/1000"},
      {"another unit", {{"range", "lines=0-1"}}, kWhole},
      {"backwards", {{"range", "bytes=9-0"}}, kWhole},
      {"nonsense", {{"range", "bytes"}}, kWhole},
      {"if-range holds",
       {{"range", "bytes=0-9"}, {"if-range", "\"v\""}},
       "206 0-10 bytes 0-9/1000"},
      {"if-range is strong", {{"range", "bytes=0-9"}, {"if-range", "W/\"v\""}}, kWhole},
      {"if-range fails", {{"range", "bytes=0-9"}, {"if-range", "\"w\""}}, kWhole},
      {"if-range by date",
       {{"range", "bytes=0-9"}, {"if-range", DateAt(-100)}},
       "206 0-10 bytes 0-9/1000"},
      {"if-range without a range", {{"if-range", "\"w\""}}, kWhole},
      {"if-range by another date", {{"range", "bytes=0-9"}, {"if-range", DateAt(-99)}}, kWhole},
      {"a failed if-range saves from 416",
       {{"range", "bytes=5000-"}, {"if-range", "\"w\""}},
       kWhole},
      {"conditions come first", {{"range", "bytes=0-9"}, {"if-none-match", "\"v\""}}, kNotModified},
      {"and fail first", {{"range", "bytes=5000-"}, {"if-match", "\"w\""}}, kFailed},
  });
}

// RFC 9110 §14.1.2, §14.2.
TEST(AnswerTest, OfAnEmptyBodyTheLastBytesAreAll) {
  const std::string all = "200 0-0 whole";
  EXPECT_EQ(Selected({}, Page(), "GET", 0), all);
  EXPECT_EQ(Selected({{"range", "bytes=0-"}}, Page(), "GET", 0), "416 0-0 bytes */0");
  EXPECT_EQ(Selected({{"range", "bytes=-0"}}, Page(), "GET", 0), "416 0-0 bytes */0");
  EXPECT_EQ(Selected({{"range", "bytes=-5"}}, Page(), "GET", 0), all);
  EXPECT_EQ(Selected({{"range", "bytes=0-4, -5"}}, Page(), "GET", 0), all);
}

TEST(AnswerTest, WhileTheLengthIsUnknownRangesWait) {
  const std::string all = "200 0-18446744073709551615 whole";
  EXPECT_EQ(Selected({}, Page(), "GET", std::nullopt), all);
  EXPECT_EQ(Selected({{"range", "bytes=0-9"}}, Page(), "GET", std::nullopt), all);
  EXPECT_EQ(Selected({{"if-none-match", "\"v\""}}, Page(), "GET", std::nullopt), kNotModified);
}

StoredResponse FullPage() {
  return PageOf({{"cache-control", "max-age=60"},
                 {"content-length", "1000"},
                 {"content-type", "text/html"},
                 {"content-location", "/b"},
                 {"date", DateAt(-10)},
                 {"etag", "\"v\""},
                 {"expires", DateAt(50)},
                 {"last-modified", DateAt(-100)},
                 {"set-cookie", "a=b"},
                 {"vary", "accept"},
                 {"via", "1.1 frankfurt"}});
}

std::string FieldsAnswering(Fields request) {
  const StoredResponse page = FullPage();
  const Selection selection =
      Select(GetFor("https://www.demo.test/a", std::move(request)), page, kBody, kNow);
  return TextOf(PartialFields(page, selection));
}

// RFC 9110 §15.4.5.
TEST(AnswerTest, A304CarriesWhatCachesOnTheWayNeed) {
  EXPECT_EQ(FieldsAnswering({{"if-none-match", "\"v\""}}),
            "cache-control: max-age=60\ncontent-location: /b\ndate: " + DateAt(-10) +
                "\netag: \"v\"\nexpires: " + DateAt(50) + "\nlast-modified: " + DateAt(-100) +
                "\nvary: accept\nvia: 1.1 frankfurt\n");
}

// RFC 9110 §15.3.7.
TEST(AnswerTest, A206CarriesAllOfTheRepresentationAndItsOwnLength) {
  EXPECT_EQ(FieldsAnswering({{"range", "bytes=10-19"}}),
            "cache-control: max-age=60\ncontent-type: text/html\ncontent-location: /b\ndate: " +
                DateAt(-10) + "\netag: \"v\"\nexpires: " + DateAt(50) +
                "\nlast-modified: " + DateAt(-100) +
                "\nset-cookie: a=b\nvary: accept\nvia: 1.1 frankfurt\n"
                "content-range: bytes 10-19/1000\ncontent-length: 10\n");
}

// RFC 9110 §14.4: an origin's Content-Range has no meaning in a 200, and would have one in a part.
TEST(AnswerTest, APartHasTheContentRangeOfThePartAlone) {
  const StoredResponse page =
      PageOf({{"content-range", "bytes 0-4/5"}, {"content-length", "1000"}, {"x-a", "1"}});
  const Selection selection =
      Select(GetFor("https://www.demo.test/a", {{"range", "bytes=10-19"}}), page, kBody, kNow);
  EXPECT_EQ(TextOf(PartialFields(page, selection)),
            "x-a: 1\ncontent-range: bytes 10-19/1000\ncontent-length: 10\n");
  const Multipart layout(std::vector<http::ByteRange>{{0, 1}, {8, 9}}, kBody, "text/html", "b");
  EXPECT_FALSE(MultipartFields(page, layout).Has("content-range"));
}

// RFC 9530 §2: of the content, and not of the representation.
TEST(AnswerTest, ADigestOfTheWholeContentIsNotThatOfAPart) {
  const StoredResponse page = PageOf({{"content-digest", "sha-256=:x:"},
                                      {"content-length", "1000"},
                                      {"content-md5", "x"},
                                      {"repr-digest", "sha-256=:y:"}});
  const Selection selection =
      Select(GetFor("https://www.demo.test/a", {{"range", "bytes=10-19"}}), page, kBody, kNow);
  EXPECT_EQ(TextOf(PartialFields(page, selection)),
            "repr-digest: sha-256=:y:\ncontent-range: bytes 10-19/1000\ncontent-length: 10\n");
  const Multipart layout(std::vector<http::ByteRange>{{0, 1}, {8, 9}}, kBody, "text/html", "b");
  EXPECT_EQ(TextOf(MultipartFields(page, layout)).find("digest"), std::string("repr-").size());
}

// Range and conditions are in no cache's key: with the page's freshness these answers would stand
// for the page in caches between here and the client (CPDoS).
TEST(AnswerTest, RefusalsAreNothingToCache) {
  const std::string head = "date: " + DateAt(-10) + "\netag: \"v\"\nvia: 1.1 frankfurt\n";
  EXPECT_EQ(FieldsAnswering({{"range", "bytes=5000-"}}),
            head + "content-range: bytes */1000\ncontent-length: 0\ncache-control: no-store\n");
  EXPECT_EQ(FieldsAnswering({{"if-match", "\"w\""}}),
            head + "content-length: 0\ncache-control: no-store\n");
}

std::string Line(const StatusLine& line) {
  std::string text;
  AppendStatusLine("frankfurt", line, &text);
  return text;
}

// RFC 9211 §2.
TEST(AnswerTest, CacheStatusForEachReason) {
  struct StatusRow {
    Reason reason;
    std::string_view expected;
  };
  constexpr StatusRow kRows[] = {
      {Reason::kFresh, "hit"},
      {Reason::kStaleWhileRevalidate, "hit; detail=stale_while_revalidate"},
      {Reason::kStaleIfError, "hit; detail=stale_if_error"},
      {Reason::kMaxStale, "hit; detail=max_stale"},
      {Reason::kValidated, "fwd=stale; detail=validated"},
      {Reason::kUriMiss, "fwd=uri-miss"},
      {Reason::kVaryMiss, "fwd=vary-miss; detail=vary_miss"},
      {Reason::kExpired, "fwd=stale; detail=expired"},
      {Reason::kResponseNoCache, "fwd=stale; detail=response_no_cache"},
      {Reason::kSoftPurged, "fwd=stale; detail=soft_purged"},
      {Reason::kRequestNoCache, "fwd=request; detail=request_no_cache"},
      {Reason::kRequestMaxAge, "fwd=request; detail=request_max_age"},
      {Reason::kMethod, "fwd=method; detail=method"},
      {Reason::kNotShared, "fwd=bypass; detail=not_shared"},
      {Reason::kWebSocket, "fwd=bypass; detail=websocket"},
      {Reason::kOnlyIfCached, "detail=only_if_cached"},
      {Reason::kOriginUnreachable, "fwd=uri-miss; detail=origin_unreachable"},
      {Reason::kOriginTimeout, "fwd=uri-miss; detail=origin_timeout"},
      {Reason::kOriginBroken, "fwd=uri-miss; detail=origin_broken"},
      {Reason::kNotSwitched, "fwd=bypass; detail=not_switched"},
      {Reason::kTooManyTunnels, "detail=too_many_tunnels"},
      {Reason::kOriginFailed, "fwd=uri-miss; detail=origin_failed"},
      {Reason::kUnknownHost, "detail=unknown_host"},
      {Reason::kWrongCertificate, "detail=wrong_certificate"},
      {Reason::kBadRequest, "detail=bad_request"},
      {Reason::kLoop, "detail=loop_detected"},
      {Reason::kRedirectHttps, "detail=redirect_https"},
      {Reason::kTrailingSlash, "detail=trailing_slash"},
      {Reason::kPreflight, "detail=preflight"},
      {Reason::kCorsRefused, "detail=cors_refused"},
  };
  for (const StatusRow& row : kRows) {
    EXPECT_EQ(Line({.reason = row.reason}), "\"frankfurt\"; " + std::string(row.expected));
  }
}

TEST(AnswerTest, CacheStatusCarriesWhatIsKnown) {
  EXPECT_EQ(Line({.reason = Reason::kFresh, .time_to_live = milliseconds(59'900)}),
            "\"frankfurt\"; hit; ttl=59");
  EXPECT_EQ(Line({.reason = Reason::kMaxStale, .time_to_live = milliseconds(-100)}),
            "\"frankfurt\"; hit; ttl=-1; detail=max_stale");
  EXPECT_EQ(Line({.reason = Reason::kUriMiss,
                  .time_to_live = seconds(60),
                  .origin_status = 200,
                  .stored = true,
                  .collapsed = true}),
            "\"frankfurt\"; fwd=uri-miss; fwd-status=200; ttl=60; stored; collapsed");
  EXPECT_EQ(Line({.reason = Reason::kExpired, .origin_status = 404, .detail = "private"}),
            "\"frankfurt\"; fwd=stale; fwd-status=404; detail=private");
  EXPECT_EQ(Line({.reason = Reason::kFresh, .key = "https://www.demo.test/a?\"b\""}),
            "\"frankfurt\"; hit; key=\"https://www.demo.test/a?\\\"b\\\"\"");
  // An error tells what the request had been sent on for.
  EXPECT_EQ(Line({.reason = Reason::kOriginTimeout, .forwarded = Reason::kExpired}),
            "\"frankfurt\"; fwd=stale; detail=origin_timeout");
  EXPECT_EQ(Line({.reason = Reason::kOriginBroken, .forwarded = Reason::kMethod}),
            "\"frankfurt\"; fwd=method; detail=origin_broken");
  // A status of an origin belongs to a request that was forwarded.
  EXPECT_EQ(Line({.reason = Reason::kStaleIfError, .origin_status = 503}),
            "\"frankfurt\"; hit; detail=stale_if_error");
  std::string text = "\"other\"; hit, ";
  AppendStatusLine("a \"b\"", {}, &text);
  EXPECT_EQ(text, "\"other\"; hit, \"a \\\"b\\\"\"; hit");
}

TEST(AnswerTest, ErrorsHaveAStatusForEachReason) {
  struct ErrorRow {
    Reason reason;
    int status;
  };
  constexpr ErrorRow kRows[] = {
      {Reason::kOnlyIfCached, 504},  {Reason::kOriginUnreachable, 502},
      {Reason::kOriginTimeout, 504}, {Reason::kOriginBroken, 502},
      {Reason::kUnknownHost, 421},   {Reason::kWrongCertificate, 421},
      {Reason::kBadRequest, 400},    {Reason::kOriginFailed, 503},
      {Reason::kLoop, 508},          {Reason::kCorsRefused, 403},
      {Reason::kNotSwitched, 502},   {Reason::kTooManyTunnels, 503},
  };
  for (const ErrorRow& row : kRows) EXPECT_EQ(StatusOf(row.reason), row.status);
  for (int i = 0; i < kReasonCount; ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ(StatusOf(reason) == 500, ClassOf(reason) != ResultClass::kError)
        << ReasonName(reason);
  }
}

TEST(AnswerTest, AnErrorsTextSaysWhatAndWhy) {
  EXPECT_EQ(ErrorText(502, Reason::kOriginUnreachable, "Nobody is there.", "2a-17"),
            "502 Bad Gateway\n\nNobody is there.\n\nreason: origin_unreachable\nrequest: 2a-17\n");
}

}  // namespace
}  // namespace nearside::edge
