#include "origin/visitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "http/date.h"
#include "http/media_type.h"
#include "origin/rules_files.h"
#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const WallTime kModified = FromUnixMillis(1'700'000'000'000);
const WallTime kNow = FromUnixMillis(1'800'000'000'000);

/// A site in memory; counts what is looked up.
class FakeContent final : public SiteContent {
 public:
  Result<std::optional<storage::Asset>> Find(const std::string& path) override {
    return In(now, path);
  }
  Result<std::optional<storage::Asset>> FindEarlier(const std::string& path) override {
    ++earlier_lookups;
    return In(earlier, path);
  }
  static storage::Asset Make(std::string path, std::string_view text,
                             std::string type = "text/html; charset=utf-8") {
    storage::Asset asset;
    asset.path = std::move(path);
    asset.blob = storage::BlobId{Sha256Of(text)};
    asset.bytes = text.size();
    asset.content_type = std::move(type);
    asset.modified = kModified;
    return asset;
  }
  void Add(const storage::Asset& asset) { now[asset.path] = asset; }
  Result<std::vector<storage::BlobVariant>> Variants(const storage::BlobId& content) override {
    ++variant_lookups;
    if (broken) return Fail(Fault::kSelf, "database_failed", "gone");
    return variants[content];
  }
  const http::SiteRules& rules() const override { return site_rules; }

  std::map<std::string, storage::Asset> now;
  std::map<std::string, storage::Asset> earlier;
  std::map<storage::BlobId, std::vector<storage::BlobVariant>> variants;
  int earlier_lookups = 0;
  int variant_lookups = 0;
  bool broken = false;
  http::SiteRules site_rules;

 private:
  Result<std::optional<storage::Asset>> In(const std::map<std::string, storage::Asset>& assets,
                                           const std::string& path) const {
    if (broken) return Fail(Fault::kSelf, "database_failed", "gone");
    const auto found = assets.find(path);
    if (found == assets.end()) return std::nullopt;
    return found->second;
  }
};

class VisitorTest : public testing::Test {
 protected:
  VisitorTest() {
    content_.Add(FakeContent::Make("index.html", "home"));
    content_.Add(FakeContent::Make("docs/index.html", "docs"));
    content_.Add(FakeContent::Make("a b(1).css", "0123456789", "text/css"));
    content_.Add(FakeContent::Make("main.5f3c1b2e.js", "js", "text/javascript"));
  }
  Answer Ask(const std::string& target, std::initializer_list<http::FieldLine> fields = {},
             const std::string& method = "GET") {
    http::RequestHead request;
    request.method = method;
    request.target = target;
    request.fields = http::Fields(fields);
    Result<Answer> answer = ServeVisitor(request, content_, kNow);
    EXPECT_TRUE(answer) << answer.error().ToString();
    return answer ? *answer : Answer{};
  }
  void Redirects(std::string_view text) {
    const Status read = http::ReadRulesFile("_redirects", text, &content_.site_rules);
    ASSERT_TRUE(read) << read.error().ToString();
  }
  void Headers(std::string_view text) {
    const Status read = http::ReadRulesFile("_headers", text, &content_.site_rules);
    ASSERT_TRUE(read) << read.error().ToString();
  }
  /// "status location" of a redirect.
  std::string Led(const std::string& target) {
    const Answer answer = Ask(target);
    return std::to_string(answer.status) + " " + Field(answer, "location");
  }
  static std::string Field(const Answer& answer, std::string_view name) {
    return std::string(answer.fields.Get(name).value_or(""));
  }
  /// "status first+bytes" of an answer whose body is one piece of a blob.
  static std::string Shape(const Answer& answer) {
    if (answer.body.empty()) return std::to_string(answer.status);
    return std::to_string(answer.status) + " " + std::to_string(answer.body[0].first) + "+" +
           std::to_string(answer.body[0].bytes);
  }
  FakeContent content_;
};

TEST_F(VisitorTest, FilesFoldersRedirectsAndErrorsHaveTheirStatus) {
  const std::pair<std::string, int> rows[] = {
      {"/", 200},
      {"/index.html", 200},
      {"/?x=1", 200},
      {"/docs/", 200},
      {"/docs", 301},
      {"/docs/index.html", 200},
      {"/a%20b(1).css", 200},
      {"/a%20b%281%29.css", 301},  // another spelling of the same
      {"/%61%20b(1).css", 200},    // the same after normalisation
      {"/./docs/../index.html", 200},
      {"/nothing", 404},
      {"/nothing/", 404},
      {"//", 404},
      {"/docs//", 404},
      {"/docs%2Findex.html", 404},
      {"/%FF", 404},
      {"/a%5Cb", 404},
      {"/../etc/passwd", 400},
      {"/%2e%2e/etc/passwd", 400},
      {"/a%00b", 400},
      {"/a%", 400},
      {"/" + std::string(10'000, 'a'), 414},
  };
  for (const auto& [target, status] : rows)
    EXPECT_EQ(Ask(target).status, status) << target.substr(0, 60);
}

TEST_F(VisitorTest, ARedirectKeepsTheQueryAndNamesThePathAlone) {
  EXPECT_EQ(Field(Ask("/docs?a=1&b=2"), "location"), "/docs/?a=1&b=2");
  EXPECT_EQ(Field(Ask("/a%20b%281%29.css"), "location"), "/a%20b(1).css");
  EXPECT_EQ(Field(Ask("/docs"), "cache-control"), lifetime::kRedirect);
}

TEST_F(VisitorTest, LifetimesFollowTheKindOfFile) {
  EXPECT_EQ(Field(Ask("/"), "cache-control"), lifetime::kPage);
  EXPECT_EQ(Field(Ask("/a%20b(1).css"), "cache-control"), lifetime::kOther);
  EXPECT_EQ(Field(Ask("/main.5f3c1b2e.js"), "cache-control"), lifetime::kHashed);
  EXPECT_EQ(Field(Ask("/nothing"), "cache-control"), lifetime::kMissing);
  EXPECT_EQ(Field(Ask("/main.99999999f.js"), "cache-control"), lifetime::kMissingHashed);
}

TEST_F(VisitorTest, TheManifestsHeadersWinAndTagsAreOneField) {
  storage::Asset asset = FakeContent::Make("x.html", "x");
  asset.headers = {{"cache-control", "no-store"}, {"link", "</a>; rel=preload"}};
  asset.tags = {"product-7", "news"};
  content_.Add(asset);
  const Answer answer = Ask("/x.html");
  EXPECT_EQ(answer.fields.Joined("cache-control"), "no-store");
  EXPECT_EQ(Field(answer, "link"), "</a>; rel=preload");
  EXPECT_EQ(Field(answer, "surrogate-key"), "product-7 news");
}

TEST_F(VisitorTest, AnAnswerHasTypeValidatorsAndLength) {
  const Answer answer = Ask("/");
  EXPECT_EQ(Field(answer, "content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(Field(answer, "etag"), EntityTagOf(storage::BlobId{Sha256Of("home")}));
  EXPECT_EQ(Field(answer, "last-modified"), http::FormatDate(kModified));
  EXPECT_EQ(Field(answer, "accept-ranges"), "bytes");
  EXPECT_EQ(answer.body_bytes(), 4u);
}

// What no 304 tells a cache that has the same bytes: RFC 9110 §8.8.1 lets the tag change with it.
TEST_F(VisitorTest, TheTagChangesWithWhatA304DoesNotTell) {
  const auto tag_of = [&](const std::string& type,
                          std::vector<std::pair<std::string, std::string>> headers) {
    storage::Asset asset = FakeContent::Make("x.html", "x", type);
    asset.headers = std::move(headers);
    content_.Add(asset);
    std::string tag = Field(Ask("/x.html"), "etag");
    EXPECT_EQ(Ask("/x.html", {{"if-none-match", tag}}).status, 304);
    EXPECT_EQ(Field(Ask("/x.html", {{"if-none-match", tag}}), "etag"), tag);
    return tag;
  };
  const std::string usual(http::MediaTypeOfPath("x.html"));
  const std::string plain = tag_of(usual, {});
  EXPECT_EQ(plain, EntityTagOf(storage::BlobId{Sha256Of("x")}));
  const std::string typed = tag_of("text/plain", {});
  EXPECT_NE(typed, plain);
  EXPECT_EQ(Ask("/x.html", {{"if-none-match", plain}}).status, 200);
  const std::string with = tag_of(usual, {{"x-a", "1"}});
  EXPECT_NE(with, plain) << "that a field is gone is not told by a 304";
  EXPECT_EQ(tag_of(usual, {{"x-a", "2"}}), with) << "its value is";
  EXPECT_NE(tag_of(usual, {{"x-a", "1"}, {"x-b", "1"}}), with);
  EXPECT_NE(tag_of(usual, {{"content-language", "de"}}),
            tag_of(usual, {{"content-language", "en"}}));
}

TEST_F(VisitorTest, ConditionalsAreAnsweredFromTheValidators) {
  const std::string tag = Field(Ask("/"), "etag");
  const std::string weak = "W/" + tag;
  const std::string date = http::FormatDate(kModified);
  EXPECT_EQ(Ask("/", {{"if-none-match", tag}}).status, 304);
  EXPECT_EQ(Ask("/", {{"if-none-match", weak}}).status, 304);
  EXPECT_EQ(Ask("/", {{"if-none-match", "*"}}).status, 304);
  EXPECT_EQ(Ask("/", {{"if-none-match", "\"other\""}}).status, 200);
  EXPECT_EQ(Ask("/", {{"if-modified-since", date}}).status, 304);
  EXPECT_EQ(Ask("/", {{"if-match", "\"other\""}}).status, 412);
  EXPECT_EQ(Ask("/", {{"if-match", tag}}).status, 200);
  // The entity tag is the better witness (RFC 9110 §13.2.2).
  EXPECT_EQ(Ask("/", {{"if-none-match", "\"other\""}, {"if-modified-since", date}}).status, 200);
}

TEST_F(VisitorTest, NotModifiedCarriesWhatACacheUpdatesAndNoContent) {
  const std::string tag = Field(Ask("/"), "etag");
  const Answer answer = Ask("/", {{"if-none-match", tag}});
  EXPECT_TRUE(answer.body.empty());
  EXPECT_EQ(Field(answer, "etag"), tag);
  EXPECT_EQ(Field(answer, "cache-control"), lifetime::kPage);
  EXPECT_EQ(Field(answer, "content-type"), Field(Ask("/"), "content-type"));
}

/// A style sheet of 100 bytes with what was made of it: br 10, gzip 20, no zstd.
class VisitorCodingTest : public VisitorTest {
 protected:
  VisitorCodingTest() {
    asset_ = FakeContent::Make("app.css", std::string(100, 'a'), "text/css; charset=utf-8");
    content_.Add(asset_);
    content_.variants[asset_.blob] = {
        {"br", IdOf("br"), 10}, {"gzip", IdOf("gz"), 20}, {"zstd", {}, 0}};
  }
  static storage::BlobId IdOf(std::string_view text) { return storage::BlobId{Sha256Of(text)}; }
  Answer In(const std::string& codings, std::initializer_list<http::FieldLine> more = {},
            const std::string& method = "GET") {
    http::RequestHead request;
    request.method = method;
    request.target = "/app.css";
    request.fields = http::Fields(more);
    if (!codings.empty()) request.fields.Add("accept-encoding", codings);
    return ServeVisitor(request, content_, kNow).value();
  }
  /// "status coding bytes vary".
  static std::string Coded(const Answer& answer) {
    const std::string coding = Field(answer, "content-encoding");
    return std::to_string(answer.status) + " " + (coding.empty() ? "-" : coding) + " " +
           std::to_string(answer.body_bytes()) + " " + Field(answer, "vary");
  }
  storage::Asset asset_;
};

TEST_F(VisitorCodingTest, TheSmallestThatIsAcceptedIsServed) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "200 - 100 Accept-Encoding"},
      {"identity", "200 - 100 Accept-Encoding"},
      {"gzip, deflate, br, zstd", "200 br 10 Accept-Encoding"},
      {"gzip", "200 gzip 20 Accept-Encoding"},
      {"gzip, zstd", "200 gzip 20 Accept-Encoding"},
      {"zstd", "200 - 100 Accept-Encoding"},  // was not smaller
      {"br;q=0, gzip;q=0.1", "200 gzip 20 Accept-Encoding"},
      {"*", "200 br 10 Accept-Encoding"},
      {"*;q=0", "200 - 100 Accept-Encoding"},
      {"compress", "200 - 100 Accept-Encoding"},
  };
  for (const auto& [codings, expected] : rows) EXPECT_EQ(Coded(In(codings)), expected) << codings;
  EXPECT_EQ(Coded(In("br", {}, "HEAD")), "200 br 10 Accept-Encoding");
  EXPECT_EQ(In("br").body.front().blob, IdOf("br"));
  EXPECT_EQ(Field(In("br"), "content-type"), "text/css; charset=utf-8");
}

TEST_F(VisitorCodingTest, EachHasAStrongTagOfItsOwn) {
  const std::string plain = Field(In(""), "etag");
  const std::string br = Field(In("br"), "etag");
  const std::string gzip = Field(In("gzip"), "etag");
  EXPECT_EQ(plain, EntityTagOf(asset_.blob));
  EXPECT_EQ(br, EntityTagOf(IdOf("br")));
  EXPECT_EQ(gzip, EntityTagOf(IdOf("gz")));
  const Answer same = In("br", {{"if-none-match", br}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(Field(same, "etag"), br);
  EXPECT_EQ(Field(same, "vary"), "Accept-Encoding");
  EXPECT_FALSE(same.fields.Has("content-encoding"));
  // A tag of another coding is of other bytes.
  EXPECT_EQ(Coded(In("gzip", {{"if-none-match", br}})), "200 gzip 20 Accept-Encoding");
  EXPECT_EQ(Coded(In("br", {{"if-none-match", plain}})), "200 br 10 Accept-Encoding");
  EXPECT_EQ(In("", {{"if-none-match", plain}}).status, 304);
  EXPECT_EQ(In("gzip", {{"if-match", br}}).status, 412);
}

TEST_F(VisitorCodingTest, RangesAreOfTheIdentity) {
  const Answer part = In("br, gzip", {{"range", "bytes=0-9"}});
  EXPECT_EQ(Coded(part), "206 - 10 Accept-Encoding");
  EXPECT_EQ(part.body.front().blob, asset_.blob);
  EXPECT_EQ(Field(part, "etag"), EntityTagOf(asset_.blob));
  EXPECT_EQ(Field(part, "content-range"), "bytes 0-9/100");
  // What began in a coding is not gone on with by other bytes.
  const std::string br = Field(In("br"), "etag");
  EXPECT_EQ(Coded(In("br", {{"range", "bytes=5-"}, {"if-range", br}})),
            "200 - 100 Accept-Encoding");
  EXPECT_EQ(In("br", {{"range", "bytes=100-"}}).status, 416);
  EXPECT_FALSE(In("br").fields.Has("accept-ranges"));
  EXPECT_EQ(Field(In("gzip;q=0"), "accept-ranges"), "bytes");
}

TEST_F(VisitorCodingTest, WhatMustNotBeChangedIsSentAsItIs) {
  const std::pair<std::string, std::string> rows[] = {
      {"cache-control", "public, no-transform"},
      {"content-encoding", "gzip"},
      {"repr-digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"},
  };
  for (const auto& [name, value] : rows) {
    storage::Asset asset = asset_;
    asset.headers = {{name, value}};
    content_.Add(asset);
    const Answer answer = In("br");
    EXPECT_EQ(answer.body.front().blob, asset_.blob) << name;
    EXPECT_FALSE(answer.fields.Has("vary")) << name;
  }
  content_.Add(asset_);
  Headers("/*.css\n  Cache-Control: no-transform\n");
  EXPECT_EQ(Coded(In("br")), "200 - 100 ");
}

TEST_F(VisitorCodingTest, AVaryOfTheAssetsOwnStays) {
  storage::Asset asset = asset_;
  asset.headers = {{"vary", "Origin"}};
  content_.Add(asset);
  EXPECT_EQ(In("br").fields.Joined("vary"), "Origin, Accept-Encoding");
  asset.headers = {{"vary", "Accept-Encoding"}};
  content_.Add(asset);
  EXPECT_EQ(In("br").fields.Joined("vary"), "Accept-Encoding");
}

TEST_F(VisitorCodingTest, ARewriteServesItToo) {
  Redirects("/style/* /app.css 200\n/gone /app.css 404\n");
  const Answer rewritten = Ask("/style/x", {{"accept-encoding", "br"}});
  EXPECT_EQ(Coded(rewritten), "200 br 10 Accept-Encoding");
  const Answer missing = Ask("/gone", {{"accept-encoding", "br"}});
  EXPECT_EQ(Coded(missing), "404 - 100 ");
}

TEST_F(VisitorCodingTest, PicturesAreNotLookedUp) {
  content_.Add(FakeContent::Make("logo.png", "png", "image/png"));
  EXPECT_EQ(Ask("/logo.png", {{"accept-encoding", "br"}}).status, 200);
  EXPECT_EQ(content_.variant_lookups, 0);
  EXPECT_EQ(Ask("/", {{"accept-encoding", "br"}}).status, 200);
  EXPECT_EQ(content_.variant_lookups, 1);
}

TEST_F(VisitorTest, RangesAreParts) {
  const std::string path = "/a%20b(1).css";
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=2-5"}})), "206 2+4");
  EXPECT_EQ(Field(Ask(path, {{"range", "bytes=2-5"}}), "content-range"), "bytes 2-5/10");
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=-3"}})), "206 7+3");
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=8-99"}})), "206 8+2");
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=10-"}})), "416");
  EXPECT_EQ(Field(Ask(path, {{"range", "bytes=10-"}}), "content-range"), "bytes */10");
  EXPECT_EQ(Shape(Ask(path, {{"range", "lines=1-2"}})), "200 0+10");
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=5-2"}})), "200 0+10");
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=0-0"}}, "HEAD")), "200 0+10");
}

TEST_F(VisitorTest, ARangeOfAnotherVersionIsTheWhole) {
  const std::string path = "/a%20b(1).css";
  const std::string tag = Field(Ask(path), "etag");
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=2-5"}, {"if-range", tag}})), "206 2+4");
  EXPECT_EQ(Shape(Ask(path, {{"range", "bytes=2-5"}, {"if-range", "\"old\""}})), "200 0+10");
}

TEST_F(VisitorTest, ADateAloneIsAValidatorInWholeSeconds) {
  storage::Asset asset = FakeContent::Make("m.css", "0123456789", "text/css");
  asset.modified = kModified + milliseconds(789);
  content_.Add(asset);
  const std::string date = Field(Ask("/m.css"), "last-modified");
  const std::string before = http::FormatDate(kModified - seconds(1));
  EXPECT_EQ(Ask("/m.css", {{"if-modified-since", date}}).status, 304);
  EXPECT_EQ(Ask("/m.css", {{"if-modified-since", before}}).status, 200);
  EXPECT_EQ(Ask("/m.css", {{"if-unmodified-since", date}}).status, 200);
  EXPECT_EQ(Ask("/m.css", {{"if-unmodified-since", before}}).status, 412);
  EXPECT_EQ(Shape(Ask("/m.css", {{"range", "bytes=2-5"}, {"if-range", date}})), "206 2+4");
}

TEST_F(VisitorTest, SeveralRangesAreOneMultipartBody) {
  const Answer answer = Ask("/a%20b(1).css", {{"range", "bytes=0-1,8-9"}});
  EXPECT_EQ(answer.status, 206);
  EXPECT_THAT(Field(answer, "content-type"), HasSubstr("multipart/byteranges; boundary="));
  ASSERT_EQ(answer.body.size(), 5u);
  EXPECT_THAT(answer.body[0].text, HasSubstr("Content-Range: bytes 0-1/10\r\n\r\n"));
  EXPECT_EQ(answer.body[1].first, 0u);
  EXPECT_EQ(answer.body[1].bytes, 2u);
  EXPECT_THAT(answer.body[2].text, HasSubstr("Content-Range: bytes 8-9/10"));
  EXPECT_EQ(answer.body[3].first, 8u);
  EXPECT_TRUE(answer.body[4].text.ends_with("--\r\n"));
}

TEST_F(VisitorTest, TheSitesOwnPageIsServedWhereNothingIs) {
  content_.Add(FakeContent::Make("404.html", "nope"));
  const Answer answer = Ask("/nothing");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body_bytes(), 4u);
  EXPECT_EQ(Field(answer, "cache-control"), lifetime::kMissing);
  EXPECT_FALSE(answer.fields.Has("etag"));
  EXPECT_EQ(Ask("/404.html").status, 200);
}

TEST_F(VisitorTest, HashedNamesOfEarlierReleasesAreStillThereAndOtherNamesAreNot) {
  content_.earlier["old.1a2b3c4d.js"] =
      FakeContent::Make("old.1a2b3c4d.js", "old", "text/javascript");
  content_.earlier["old.html"] = FakeContent::Make("old.html", "old");
  EXPECT_EQ(Shape(Ask("/old.1a2b3c4d.js")), "200 0+3");
  EXPECT_EQ(Field(Ask("/old.1a2b3c4d.js"), "cache-control"), lifetime::kHashed);
  content_.earlier_lookups = 0;
  EXPECT_EQ(Ask("/old.html").status, 404);
  EXPECT_EQ(content_.earlier_lookups, 0);
}

TEST_F(VisitorTest, RulesLeadWhereTheSiteHasNoFile) {
  Redirects(
      "/old /new 302\n"
      "/index.html /elsewhere\n"
      "/docs/* /help/:splat\n"
      "/blog/:year/:slug /posts/:slug?y=:year 308\n"
      "/away/* https://other.test/x/:splat#top\n");
  EXPECT_EQ(Led("/old"), "302 /new");
  EXPECT_EQ(Led("/old/"), "302 /new");
  EXPECT_EQ(Led("/old?a=1"), "302 /new?a=1");
  EXPECT_EQ(Led("/index.html"), "200 ") << "a file stands there";
  EXPECT_EQ(Led("/docs/"), "200 ");
  EXPECT_EQ(Led("/docs"), "301 /docs/");
  EXPECT_EQ(Led("/docs/a%20b/c"), "301 /help/a%20b/c");
  EXPECT_EQ(Led("/blog/2026/x&y"), "308 /posts/x&y?y=2026");
  EXPECT_EQ(Led("/blog/2026/x?a=1"), "308 /posts/x?y=2026") << "it has a query of its own";
  EXPECT_EQ(Led("/away/a?b=1"), "301 https://other.test/x/a?b=1#top");
  EXPECT_EQ(Led("/blog/2026"), "404 ");
  EXPECT_EQ(Field(Ask("/old"), "cache-control"), lifetime::kRedirect);
}

TEST_F(VisitorTest, AForcedRuleStandsAboveAFile) {
  Redirects("/docs/* /gone 302!\n/index.html / 301!\n");
  EXPECT_EQ(Led("/docs/"), "302 /gone");
  EXPECT_EQ(Led("/index.html"), "301 /");
  EXPECT_EQ(Led("/"), "200 ");
}

TEST_F(VisitorTest, ARewriteServesAFileUnderAnotherPath) {
  Redirects("/app/* /index.html 200\n/late /none.html 200\n/d /docs/ 200\n");
  const Answer answer = Ask("/app/some/route");
  EXPECT_EQ(Shape(answer), "200 0+4");
  EXPECT_EQ(Field(answer, "surrogate-key"), RewriteTagOf("index.html"));
  EXPECT_EQ(Field(answer, "cache-control"), lifetime::kPage);
  EXPECT_EQ(Ask("/app/x", {{"if-none-match", Field(answer, "etag")}}).status, 304);
  EXPECT_EQ(Shape(Ask("/app/x", {{"range", "bytes=1-2"}})), "206 1+2");
  EXPECT_EQ(Field(Ask("/app/x.5f3c1b2e.js"), "cache-control"), lifetime::kMissingHashed);
  EXPECT_EQ(Ask("/late").status, 404);
  EXPECT_EQ(Field(Ask("/d"), "surrogate-key"), RewriteTagOf("docs/index.html"));
}

TEST_F(VisitorTest, ARuleChoosesThePageOfAMissingPath) {
  content_.Add(FakeContent::Make("en/404.html", "sorry"));
  Redirects("/en/* /en/404.html 404\n/sold /en/404.html 410!\n");
  const Answer answer = Ask("/en/nothing");
  EXPECT_EQ(Shape(answer), "404 0+5");
  EXPECT_EQ(Field(answer, "cache-control"), lifetime::kMissing);
  EXPECT_FALSE(answer.fields.Has("etag"));
  EXPECT_EQ(Ask("/sold").status, 410);
  EXPECT_EQ(Ask("/fr/nothing").status, 404);
}

TEST_F(VisitorTest, RulesAddFieldsToAnswersOfFiles) {
  const std::string guessed(http::MediaTypeOfPath("guessed.css"));
  content_.Add(FakeContent::Make("guessed.css", "x", guessed));
  Headers(
      "/*\n  X-Frame-Options: DENY\n  Surrogate-Key: all\n"
      "/docs/*\n  Cache-Control: max-age=7\n  surrogate-key: docs, guide\n"
      "/*.css\n  Content-Type: text/plain\n");
  EXPECT_EQ(Field(Ask("/"), "x-frame-options"), "DENY");
  EXPECT_EQ(Field(Ask("/"), "cache-control"), lifetime::kPage);
  const Answer docs = Ask("/docs/");
  EXPECT_EQ(docs.fields.Joined("cache-control"), "max-age=7");
  EXPECT_EQ(Field(docs, "surrogate-key"), "all docs guide");
  const Answer unchanged = Ask("/docs/", {{"if-none-match", Field(docs, "etag")}});
  EXPECT_EQ(unchanged.status, 304);
  EXPECT_EQ(unchanged.fields.Joined("cache-control"), "max-age=7");
  EXPECT_EQ(Field(Ask("/guessed.css"), "content-type"), "text/plain");
  EXPECT_EQ(Field(Ask("/a%20b(1).css"), "content-type"), "text/css") << "the manifest's own word";
  EXPECT_FALSE(Ask("/docs").fields.Has("x-frame-options")) << "a redirect is no file";
}

TEST_F(VisitorTest, WhatTheAssetSaysItselfWinsOverRules) {
  storage::Asset asset = FakeContent::Make("x.html", "x", "text/x-special");
  asset.headers = {{"cache-control", "no-store"}};
  content_.Add(asset);
  Headers("/*\n Cache-Control: max-age=7\n Content-Type: text/plain\n X-A: b\n");
  const Answer answer = Ask("/x.html");
  EXPECT_EQ(answer.fields.Joined("cache-control"), "no-store");
  EXPECT_EQ(Field(answer, "content-type"), "text/x-special");
  EXPECT_EQ(Field(answer, "x-a"), "b");
}

TEST_F(VisitorTest, RulesDoNotMakeAMissingPageLast) {
  content_.Add(FakeContent::Make("404.html", "nope"));
  Headers("/*\n Cache-Control: max-age=31536000\n X-A: b\n");
  const Answer answer = Ask("/nothing");
  EXPECT_EQ(answer.fields.Joined("cache-control"), lifetime::kMissing);
  EXPECT_EQ(Field(answer, "x-a"), "b");
}

TEST_F(VisitorTest, TheFilesOfRulesAreNotServed) {
  content_.Add(FakeContent::Make("_headers", "/*"));
  content_.Add(FakeContent::Make("_redirects", "/a /b"));
  content_.Add(FakeContent::Make("docs/_headers", "an asset like others"));
  EXPECT_EQ(Ask("/_headers").status, 404);
  EXPECT_EQ(Ask("/_redirects").status, 404);
  EXPECT_EQ(Ask("/docs/_headers").status, 200);
  Redirects("/look /_headers 200\n/up/* /:splat 200\n");
  EXPECT_EQ(Ask("/look").status, 404);
  EXPECT_EQ(Ask("/up/_redirects").status, 404);
}

TEST_F(VisitorTest, NoRuleLeadsToAHostThatAVisitorChose) {
  Redirects("/a/* /:splat/x\n/b/:c /:c\n");
  EXPECT_EQ(Led("/a/"), "301 /x");
  EXPECT_EQ(Led("/a/evil.test"), "301 /evil.test/x");
  EXPECT_EQ(Led("/a//evil.test"), "404 ");
  EXPECT_EQ(Led("/b/%0d%0aset-cookie:x"), "404 ");
  EXPECT_EQ(Led("/b/%3Fq%23f"), "301 /%3Fq%23f");
}

TEST_F(VisitorTest, OtherMethodsAreRefusedWithWhatIsAllowed) {
  EXPECT_EQ(Ask("/", {}, "OPTIONS").status, 204);
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "TRACE"}) {
    const Answer answer = Ask("/", {}, method);
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_EQ(Field(answer, "allow"), "GET, HEAD, OPTIONS");
  }
  EXPECT_EQ(Ask("*", {}, "OPTIONS").status, 204);
}

TEST_F(VisitorTest, AFailureOfTheStoreIsAnErrorAndNo404) {
  content_.broken = true;
  http::RequestHead request;
  request.method = "GET";
  request.target = "/";
  EXPECT_FALSE(ServeVisitor(request, content_, kNow));
}

}  // namespace
}  // namespace nearside::origin
