#include "origin/asset_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;

/// The decoded path, or the reason why there is none.
std::string Decoded(std::string_view encoded) {
  Result<std::string> path = DecodeAssetPath(encoded);
  return path ? "\"" + *path + "\"" : path.error().reason;
}

TEST(AssetPathTest, EveryOddPathHasItsOutcome) {
  const std::pair<std::string, std::string> rows[] = {
      {"index.html", "\"index.html\""},
      {"a/b/c.css", "\"a/b/c.css\""},
      {"a%20b.html", "\"a b.html\""},
      {"%C3%A4.html", "\"\xC3\xA4.html\""},
      {"a..b/...", "\"a..b/...\""},
      {".well-known/x", "\".well-known/x\""},
      {"100%25.html", "\"100%.html\""},
      {"%252e%252e/x", "\"%2e%2e/x\""},  // decoded once, not twice
      {"", "bad_path"},
      {"/", "bad_path"},
      {"/etc/passwd", "bad_path"},
      {"a/", "bad_path"},
      {"a//b", "bad_path"},
      {".", "bad_path"},
      {"..", "bad_path"},
      {"../x", "bad_path"},
      {"a/../b", "bad_path"},
      {"a/./b", "bad_path"},
      {"a/..", "bad_path"},
      {"%2e%2e/x", "bad_path"},
      {"%2E%2E%2Fx", "bad_path"},
      {"a%2fb", "bad_path"},
      {"a%2Fb", "bad_path"},
      {"a\\b", "bad_path"},
      {"a%5Cb", "bad_path"},
      {"..%5C..%5Cx", "bad_path"},
      {"a%00b", "bad_path"},
      {"a%0Ab", "bad_path"},
      {"a%1Fb", "bad_path"},
      {"a%7Fb", "bad_path"},
      {"a%C2%85b", "bad_path"},  // U+0085, a control character too
      {"a%", "bad_path"},
      {"a%4", "bad_path"},
      {"a%zz", "bad_path"},
      {"%FF", "bad_path"},
      {"%C0%AE%C0%AE/x", "bad_path"},  // overlong dots
      {"%ED%A0%80", "bad_path"},       // a surrogate
      {"%F4%90%80%80", "bad_path"},    // above U+10FFFF
      {"%E2%82", "bad_path"},          // cut off
      {std::string(1024, 'a'), "\"" + std::string(1024, 'a') + "\""},
      {std::string(1025, 'a'), "path_too_long"},
      {std::string(10'000, 'a'), "path_too_long"},
  };
  for (const auto& [encoded, outcome] : rows) {
    EXPECT_EQ(Decoded(encoded), outcome) << encoded.substr(0, 60);
  }
}

TEST(AssetPathTest, EveryByteIsEitherKeptOrRefused) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string path = std::string("a") + static_cast<char>(byte) + "b";
    const bool good = byte >= 0x20 && byte < 0x7F && byte != '\\';
    EXPECT_EQ(CheckAssetPath(path).has_value(), good) << byte;
  }
}

TEST(AssetPathTest, AUrlReadsBackAsItsPath) {
  for (const std::string& path : std::initializer_list<std::string>{
           "index.html", "a b/\xC3\xA4?#%.html", "[id]-(1).js", "x+y=z;a@b:c!$&'*,|~"}) {
    const std::string url = AssetUrl(path);
    EXPECT_EQ(url.front(), '/');
    EXPECT_EQ(DecodeAssetPath(url.substr(1)).value(), path);
  }
  EXPECT_EQ(AssetUrl("a b/\xC3\xA4.html"), "/a%20b/%C3%A4.html");
  EXPECT_EQ(AssetUrl("[id]-(1).js"), "/[id]-(1).js");
}

TEST(AssetPathTest, AnIndexIsKnownByItsFoldersUrlsToo) {
  EXPECT_THAT(UrlsOfAsset("a/b.css"), ElementsAre("/a/b.css"));
  EXPECT_THAT(UrlsOfAsset("index.html"), ElementsAre("/index.html", "/"));
  EXPECT_THAT(UrlsOfAsset("docs/index.html"), ElementsAre("/docs/index.html", "/docs/", "/docs"));
  EXPECT_THAT(UrlsOfAsset("my-index.html"), ElementsAre("/my-index.html"));
}

}  // namespace
}  // namespace nearside::origin
