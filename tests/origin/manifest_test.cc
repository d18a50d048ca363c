#include "origin/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kDigest(64, 'a');

std::string Entry(const std::string& more = "", const std::string& path = "a.html") {
  return R"({"path":")" + path + R"(","sha256":")" + kDigest + R"(","bytes":5)" + more + "}";
}
std::string Manifest(const std::string& entries) { return R"({"assets":[)" + entries + "]}"; }

TEST(ManifestTest, ReadsEntriesAndFillsTheTypeInByExtension) {
  const auto assets =
      ParseManifest(
          Manifest(Entry() + "," +
                   Entry(R"(,"content_type":"x/y","headers":{"Link":"</a>"},"tags":["t"])", "b")))
          .value();
  ASSERT_EQ(assets.size(), 2u);
  EXPECT_EQ(assets[0].path, "a.html");
  EXPECT_EQ(assets[0].bytes, 5u);
  EXPECT_EQ(storage::BlobName(assets[0].blob), kDigest);
  EXPECT_EQ(assets[0].content_type, "text/html; charset=utf-8");
  EXPECT_EQ(assets[1].content_type, "x/y");
  EXPECT_THAT(assets[1].headers, ElementsAre(std::pair<std::string, std::string>("link", "</a>")));
  EXPECT_THAT(assets[1].tags, ElementsAre("t"));
}

TEST(ManifestTest, AnEmptyReleaseIsARelease) {
  EXPECT_THAT(ParseManifest(R"({"assets":[]})").value(), IsEmpty());
}

TEST(ManifestTest, EveryWrongOneIsRefusedWithItsPlace) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "bad_json"},
      {"{", "bad_json"},
      {"[]", "bad_manifest"},
      {"{}", "bad_manifest"},
      {R"({"assets":{}})", "bad_manifest"},
      {R"({"assets":[],"extra":1})", "bad_manifest"},
      {Manifest("1"), "bad_manifest"},
      {Manifest("{}"), "bad_manifest"},
      {Manifest(Entry(R"(,"unknown":1)")), "bad_manifest"},
      {Manifest(Entry("", "../x")), "bad_manifest"},
      {Manifest(Entry("", "/x")), "bad_manifest"},
      {Manifest(Entry() + "," + Entry()), "bad_manifest"},
      {Manifest(R"({"path":"a","sha256":"short","bytes":5})"), "bad_manifest"},
      {Manifest(R"({"path":"a","sha256":")" + kDigest + R"("})"), "bad_manifest"},
      {Manifest(R"({"path":"a","bytes":-1,"sha256":")" + kDigest + R"("})"), "bad_manifest"},
      {Manifest(R"({"path":"a","bytes":1.5,"sha256":")" + kDigest + R"("})"), "bad_manifest"},
      {Manifest(R"({"path":"a","bytes":18446744073709551615,"sha256":")" + kDigest + R"("})"),
       "bad_manifest"},
      {Manifest(Entry(R"(,"headers":{"content-length":"5"})")), "bad_manifest"},
      {Manifest(Entry(R"(,"headers":{"Set-Cookie":"a=b"})")), "bad_manifest"},
      {Manifest(Entry(R"(,"headers":{"x":"a\r\nb: c"})")), "bad_manifest"},
      {Manifest(Entry(R"(,"headers":{"x y":"a"})")), "bad_manifest"},
      {Manifest(Entry(R"(,"headers":{"x":1})")), "bad_manifest"},
      {Manifest(Entry(R"(,"tags":["a b"])")), "bad_manifest"},
      {Manifest(Entry(R"(,"tags":["a,b"])")), "bad_manifest"},
      {Manifest(Entry(R"(,"tags":[""])")), "bad_manifest"},
      {Manifest(Entry(R"(,"content_type":"a\nb/c")")), "bad_manifest"},
      {Manifest(Entry(R"(,"content_type":"nonsense")")), "bad_manifest"},
      {std::string(100, '[') + std::string(100, ']'), "bad_json"},
      {"{\"assets\":[\"\xFF\"]}", "bad_json"},
  };
  for (const auto& [text, reason] : rows) {
    const auto assets = ParseManifest(text);
    ASSERT_FALSE(assets) << text;
    EXPECT_EQ(assets.error().reason, reason) << text << ": " << assets.error().message;
    EXPECT_EQ(assets.error().fault, Fault::kClient);
  }
  EXPECT_THAT(ParseManifest(Manifest(Entry() + "," + Entry("", "b\\\\c"))).error().message,
              HasSubstr("assets[1]"));
}

TEST(ManifestTest, EveryByteShortIsAnErrorAndNeverAManifest) {
  const std::string whole = Manifest(Entry(R"(,"tags":["t"])"));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseManifest(whole.substr(0, size))) << size;
  }
}

constexpr OwnHosts kOwnHosts = {"Node", "s3.test"};

TEST(SiteTest, HostsAreLoweredSortedAndDistinct) {
  const auto draft =
      ParseSite(R"({"name":"demo","hosts":["B.test","a.test","b.test"]})", "", kOwnHosts).value();
  EXPECT_EQ(draft.name, "demo");
  EXPECT_THAT(draft.hosts, ElementsAre("a.test", "b.test"));
}

TEST(SiteTest, WhatCannotBeASitesHostIsRefused) {
  for (const char* host : {"", "localhost", "LOCALHOST", "node", "a.test:80", "127.0.0.1", "[::1]",
                           "*", "a b", "a/b", "user@a.test", "NODE", "s3.test", "S3.Test",
                           "demo.s3.test", "a.b.s3.test", "s3.test.", "demo.s3.test.", "node."}) {
    const auto draft =
        ParseSite(R"({"hosts":[")" + std::string(host) + R"("]})", "demo", kOwnHosts);
    EXPECT_FALSE(draft) << host;
  }
  EXPECT_TRUE(ParseSite(R"({"hosts":["xs3.test","s3.test.example"]})", "demo", kOwnHosts));
}

TEST(SiteTest, NamesAreOfTheUsualCharacters) {
  for (const char* name : {"a", "demo-2", "0"}) EXPECT_TRUE(CheckSiteName(name)) << name;
  for (const std::string& name : {std::string(), std::string("-a"), std::string("Demo"),
                                  std::string("a.b"), std::string("a/b"), std::string(64, 'a')}) {
    EXPECT_FALSE(CheckSiteName(name)) << name;
  }
  EXPECT_FALSE(ParseSite(R"({"name":"other","hosts":[]})", "demo", kOwnHosts));
}

TEST(AssetFieldsTest, TypeLifetimeAndTagsAreKept) {
  storage::Asset asset;
  asset.path = "a.css";
  const http::Fields fields{{"content-type", "text/x"},
                            {"cache-control", "no-store"},
                            {"surrogate-key", "a b"},
                            {"cache-tag", "b,c"},
                            {"user-agent", "x"}};
  ASSERT_TRUE(ReadAssetFields(fields, &asset));
  EXPECT_EQ(asset.content_type, "text/x");
  EXPECT_THAT(asset.headers,
              ElementsAre(std::pair<std::string, std::string>("cache-control", "no-store")));
  EXPECT_THAT(asset.tags, ElementsAre("a", "b", "c"));
}

TEST(AssetFieldsTest, CurlsFormTypeIsNotMeant) {
  storage::Asset asset;
  asset.path = "a.css";
  ASSERT_TRUE(
      ReadAssetFields(http::Fields{{"content-type", "application/x-www-form-urlencoded"}}, &asset));
  EXPECT_EQ(asset.content_type, "text/css; charset=utf-8");
}

TEST(PurgeTest, RelativeAndAbsoluteUrlsBecomeNormalAndSiteRelative) {
  storage::Site site;
  site.name = "demo";
  site.hosts = {"www.demo.test"};
  PurgeRequest purge =
      ParsePurge(R"({"site":"demo","urls":["/%61.css?x=1","http://WWW.demo.test:8080",
      "https://www.demo.test/b/../c"],"prefixes":["/img/","https://www.demo.test/"],"soft":true})")
          .value();
  ASSERT_TRUE(ResolvePurge(site, &purge.forget));
  EXPECT_THAT(purge.forget.urls, ElementsAre("/a.css?x=1", "/", "/c"));
  EXPECT_THAT(purge.forget.prefixes, ElementsAre("/img/", "/"));
  EXPECT_TRUE(purge.forget.soft);
}

TEST(PurgeTest, WhatCannotBePurgedIsRefused) {
  for (const char* text :
       {"{}", R"({"urls":[]})", R"({"all":false})", R"({"all":1})", R"({"urls":"/a"})",
        R"({"urls":[1]})", R"({"tags":["a b"]})", R"({"url":["/a"]})"}) {
    EXPECT_EQ(ParsePurge(text).error().reason, "bad_purge") << text;
  }
  storage::Site site;
  site.hosts = {"www.demo.test"};
  const auto resolves = [&](Forget forget) { return ResolvePurge(site, &forget).has_value(); };
  EXPECT_FALSE(resolves({.urls = {"http://other.test/a"}}));
  EXPECT_FALSE(resolves({.urls = {"a.css"}}));
  EXPECT_FALSE(resolves({.urls = {"/../a"}}));
  EXPECT_FALSE(resolves({.urls = {"/a\nb"}}));
  EXPECT_FALSE(resolves({.urls = {"/" + std::string(9000, 'a')}}));
  EXPECT_FALSE(resolves({.prefixes = {"/img"}}));
  EXPECT_FALSE(resolves({.prefixes = {"/img/?a=/"}}));
}

TEST(PurgeTest, APrefixIsAsDeepAsEdgesLook) {
  storage::Site site;
  site.hosts = {"www.demo.test"};
  const auto resolve = [&](size_t segments) {
    std::string prefix = "/";
    for (size_t i = 0; i < segments; ++i) prefix += "a/";
    Forget forget{.prefixes = {prefix}};
    return ResolvePurge(site, &forget);
  };
  EXPECT_TRUE(resolve(kPrefixSegments));
  const Status deeper = resolve(kPrefixSegments + 1);
  ASSERT_FALSE(deeper);
  EXPECT_EQ(deeper.error().reason, "bad_purge");
  EXPECT_THAT(deeper.error().message, testing::HasSubstr("at most 16 segments"));
}

TEST(PurgeTest, TheFirstAbsoluteUrlNamesTheHost) {
  EXPECT_EQ(HostOfPurge({.urls = {"/a", "https://A.test:8443/x"}}), "a.test");
  EXPECT_EQ(HostOfPurge({.prefixes = {"http://b.test/"}}), "b.test");
  EXPECT_EQ(HostOfPurge({.urls = {"/a"}}), "");
}

}  // namespace
}  // namespace nearside::origin
