#include "http/uri.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace nearside::http {
namespace {

std::string Text(const Result<Uri>& uri) {
  if (!uri) return uri.error().reason;
  std::string text =
      std::string(uri->scheme) + "|" + std::string(uri->authority) + "|" + std::string(uri->path);
  if (uri->has_query) text.append("|").append(uri->query);
  return text;
}

TEST(UriTest, AbsoluteUris) {
  const struct {
    const char* uri;
    const char* parts;
  } rows[] = {
      {"http://a.test", "http|a.test|"},
      {"http://a.test/", "http|a.test|/"},
      {"https://a.test:8443/b/c?d=e", "https|a.test:8443|/b/c|d=e"},
      {"HTTP://A.test/", "HTTP|A.test|/"},
      {"http://a.test?q", "http|a.test||q"},
      {"http://a.test/?", "http|a.test|/|"},
      {"http://[::1]:80/x", "http|[::1]:80|/x"},
      {"http://127.0.0.1/", "http|127.0.0.1|/"},
      {"http://a.test/b?c?d", "http|a.test|/b|c?d"},
      {"", "bad_uri"},
      {"/path", "bad_uri"},
      {"a.test", "bad_uri"},
      {"ftp://a.test/", "bad_uri"},
      {"http:/a.test/", "bad_uri"},
      {"http:///path", "bad_uri"},
      {"http://", "bad_uri"},
      {"http://user@a.test/", "bad_uri"},
      {"http://user:password@a.test/", "bad_uri"},
      {"http://a.test:99999/", "bad_uri"},
      {"http://a.test:80x/", "bad_uri"},
      {"http://a.test/#fragment", "bad_uri"},
      {"http://a.test/a b", "bad_uri"},
      {"http://a.test/a\tb", "bad_uri"},
      {"http://a.test/\x01", "bad_uri"},
      {"http://a_b.test\\@evil.test/", "bad_uri"},
  };
  for (const auto& row : rows) EXPECT_EQ(Text(SplitUri(row.uri)), row.parts) << row.uri;
}

// RFC 3986 §5.4.
TEST(UriTest, References) {
  const struct {
    const char* reference;
    const char* uri;
  } rows[] = {
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/./g"},  // NormalizeTarget takes the dots out
      {"../g", "http://a/b/c/../g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g"},
      {"//g:81/x", "http://g:81/x"},
      {"?y", "http://a/b/c/d?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {"", "http://a/b/c/d?q"},
      {"https://b/x", "https://b/x"},
      {"g?a:b", "http://a/b/c/g?a:b"},
      {"/g:h", "http://a/g:h"},
      {"mailto:x", "bad_uri"},
      {"ftp://b/x", "bad_uri"},
      {"//user@g/", "bad_uri"},
      {"//", "bad_uri"},
      {"a b", "bad_uri"},
      {"a\r\nb", "bad_uri"},
  };
  for (const auto& row : rows) {
    const auto uri = ResolveUri("http://a/b/c/d?q", row.reference);
    EXPECT_EQ(uri ? *uri : uri.error().reason, row.uri) << row.reference;
  }
  EXPECT_EQ(ResolveUri("http://a", "g").value(), "http://a/g");
  EXPECT_EQ(ResolveUri("http://a", "").value(), "http://a/");
  EXPECT_EQ(ResolveUri("/a", "b").error().reason, "bad_uri");
}

TEST(UriTest, TheRootsDotGoes) {
  const struct {
    const char* authority;
    const char* without;
  } rows[] = {
      {"a.test.", "a.test"},
      {"a.test.:8443", "a.test:8443"},
      {"a.test", "a.test"},
      {"a.test..", "a.test."},
      {".", "."},
      {".:80", ".:80"},
      {"127.0.0.1:80", "127.0.0.1:80"},
      {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"},
      {"a.test.:", "a.test:"},
      {"", ""},
  };
  for (const auto& row : rows) {
    std::string authority = row.authority;
    DropRootDot(&authority);
    EXPECT_EQ(authority, row.without) << row.authority;
  }
}

TEST(UriTest, Authorities) {
  const auto text = [](std::string_view authority) -> std::string {
    const auto split = SplitAuthority(authority);
    if (!split) return "none";
    return std::string(split->host) + (split->port ? " " + std::to_string(*split->port) : "");
  };
  const struct {
    const char* authority;
    const char* parts;
  } rows[] = {
      {"a.test", "a.test"},
      {"a.test:80", "a.test 80"},
      {"a.test:", "a.test"},
      {"a.test:0", "a.test 0"},
      {"a:65535", "a 65535"},
      {"[::1]", "::1"},
      {"[2001:db8::7]:443", "2001:db8::7 443"},
      {"under_score.test", "under_score.test"},
      {"", "none"},
      {":80", "none"},
      {"a:65536", "none"},
      {"a:-1", "none"},
      {"a:8 0", "none"},
      {"a:80:80", "none"},
      {"u@a", "none"},
      {"a b", "none"},
      {"a/b", "none"},
      {"a,b:80", "a,b 80"},
      {"[::1", "none"},
      {"[]", "none"},
      {"[::1]x", "none"},
      {"[g::]", "none"},
      {"a\"b", "none"},
      {"a<b", "none"},
      {"a%41", "none"},
      {"a\\b", "none"},
      {"\xe4.test", "none"},
      {"::1", "none"},
      {"a:000080", "none"},
  };
  for (const auto& row : rows) EXPECT_EQ(text(row.authority), row.parts) << row.authority;
}

TEST(UriTest, PercentDecoding) {
  EXPECT_EQ(PercentDecode("a%20b%2Fc%c3%bc"), "a b/c\xc3\xbc");
  EXPECT_EQ(PercentDecode(""), "");
  EXPECT_EQ(PercentDecode("%00"), std::string(1, '\0'));
  for (const char* bad : {"%", "%4", "a%", "%4g", "%g4", "%%41"})
    EXPECT_EQ(PercentDecode(bad), std::nullopt);
  EXPECT_EQ(PercentEncode("a b/c~"), "a%20b%2Fc~");
  EXPECT_EQ(PercentEncode("a b/c", "/"), "a%20b/c");
}

TEST(UriTest, NormalTargets) {
  const struct {
    const char* target;
    const char* normal;
  } rows[] = {
      {"/", "/"},
      {"*", "*"},
      {"/a/b", "/a/b"},
      {"/a/b/", "/a/b/"},
      {"/%41%7e%2d%5F", "/A~-_"},
      {"/%2f%2F", "/%2F%2F"},
      {"/%c3%bc", "/%C3%BC"},
      {"/\xc3\xbc", "/%C3%BC"},
      {"/a%20b", "/a%20b"},
      {"/a;b=c,d@e:f!$&'()*+", "/a;b=c,d@e:f!$&'()*+"},
      {"/a//b", "/a//b"},
      {"//", "//"},
      {"/a/./b", "/a/b"},
      {"/a/.", "/a/"},
      {"/a/../b", "/b"},
      {"/a/..", "/"},
      {"/a/b/../../c/", "/c/"},
      {"/a/%2e%2E/b", "/b"},
      {"/.hidden", "/.hidden"},
      {"/...", "/..."},
      {"/a..b", "/a..b"},
      {"/.well-known/x", "/.well-known/x"},
      {"/a?b=%41%20&c=/../d", "/a?b=A%20&c=/../d"},
      {"/a?", "/a?"},
      {"/?", "/?"},
      {"/a?b?c", "/a?b?c"},
      {"/a|b{c}", "/a|b{c}"},
      {"/a?x=[1]", "/a?x=[1]"},
      {"//a/..", "//"},
      // WHATWG's dots in disguise.
      {"/a/.%2e/b", "/b"},
      {"/a/%2E/b", "/a/b"},
      {"/a/%2e%2e", "/"},
      {"/a/b/%2e%2e/", "/a/"},
      // No dots: what an encoded slash or a parameter makes of them is the origin's affair.
      {"/a/..%2fb", "/a/..%2Fb"},
      {"/a/..;x/b", "/a/..;x/b"},
      {"/a/.%252e/b", "/a/.%252e/b"},
      {"/a\\..\\b", "/a\\..\\b"},
      // Only the path has segments.
      {"/a?/%2e%2e/", "/a?/../"},
      {"/a;b/../c", "/c"},
  };
  for (const auto& row : rows) {
    const auto normal = NormalizeTarget(row.target);
    ASSERT_TRUE(normal) << row.target;
    EXPECT_EQ(*normal, row.normal) << row.target;
    EXPECT_EQ(NormalizeTarget(*normal).value_or("refused"), row.normal) << row.target;
  }
}

// RFC 3986 §6.2.2 and no more: an origin may answer each of them otherwise.
TEST(UriTest, WhatDiffersIsNotMerged) {
  const char* const targets[] = {
      "/a/b",         "/a%2Fb",       "/a//b",     "/a/b/",      "/a\\b",        "/a%5Cb",
      "/A/b",         "/a/b?",        "/a/b?q",    "/a/b?Q",     "/a/b?q=",      "/a/b?q&",
      "/a/b?&q",      "/a/b%3Fq",     "/a+b",      "/a%20b",     "/a%2Bb",       "/a;b",
      "/a%3Bb",       "/a&b",         "/a%26b",    "/a/b?q=a;b", "/a/b?q=a%3Bb", "/a/b?q=a+b",
      "/a/b?q=a%20b", "/a/b?q=a%2Bb", "/a%25b",    "/a%252Fb",   "/a:b",         "/a%3Ab",
      "/a@b",         "/a%40b",       "/a=b",      "/a%3Db",     "/a,b",         "/a%2Cb",
      "/[a]",         "/%5Ba%5D",     "/a|b",      "/a%7Cb",     "/a'b",         "/a%27b",
      "/a!b",         "/a%21b",       "/a%0D%0Ab", "/a%09b"};
  std::set<std::string> normal;
  for (const char* target : targets) {
    EXPECT_TRUE(normal.insert(NormalizeTarget(target).value_or("refused")).second) << target;
  }
}

TEST(UriTest, RefusedTargets) {
  for (const char* bad :
       {"", "a", "?a", "/%", "/%4", "/%zz", "/%00", "/a?%00", "/a b", "/a\tb", "/a\r\nb", "/#f",
        "/a?b#c", "/..", "/../a", "/a/../../b", "/%2e%2e/a", "/\x7f", "**"}) {
    const auto normal = NormalizeTarget(bad);
    ASSERT_FALSE(normal) << bad;
    EXPECT_EQ(normal.error().reason, "bad_target") << bad;
    EXPECT_EQ(normal.error().fault, Fault::kClient);
  }
  EXPECT_FALSE(NormalizeTarget(std::string_view("/\0", 2)));
}

TEST(UriTest, NormalisingTwiceChangesNothing) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view letters = "/..%%24efFa?&\xc3\x80 #~";
  for (int i = 0; i < 20'000; ++i) {
    std::string target = "/";
    for (size_t n = random() % 16; n > 0; --n) target += letters[random() % letters.size()];
    const auto once = NormalizeTarget(target);
    if (!once) continue;
    ASSERT_TRUE(once->starts_with('/')) << target;
    ASSERT_EQ(NormalizeTarget(*once).value_or("refused"), *once) << target;
  }
}

TEST(UriTest, DefaultPorts) {
  EXPECT_EQ(DefaultPort("http"), 80);
  EXPECT_EQ(DefaultPort("https"), 443);
  EXPECT_EQ(DefaultPort("HTTPS"), 443);
}

}  // namespace
}  // namespace nearside::http
