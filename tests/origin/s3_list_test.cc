#include "origin/s3_list.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace nearside::origin {
namespace {

/// A release in memory that counts what is read of it.
struct ListedSite {
  std::vector<std::string> paths;
  size_t reads = 0;
  size_t rows = 0;

  AssetSource Source() {
    std::sort(paths.begin(), paths.end());
    return [this](const storage::AssetRange& range) -> Result<std::vector<storage::Asset>> {
      ++reads;
      std::vector<storage::Asset> found;
      for (const std::string& path : paths) {
        if (found.size() == range.limit) break;
        if (!path.starts_with(range.prefix) || path <= range.after) continue;
        storage::Asset asset;
        asset.path = path;
        found.push_back(asset);
      }
      rows += found.size();
      return found;
    };
  }
};

std::string PageText(const S3Listing& page) {
  std::string text;
  for (const storage::Asset& asset : page.contents) text += asset.path + " ";
  for (const std::string& prefix : page.prefixes) text += "[" + prefix + "] ";
  return text + (page.truncated ? "…" : ".");
}

std::string Page(ListedSite& site, S3ListQuery query) {
  return PageText(ListS3(query, site.Source()).value());
}

TEST(S3ListTest, KeysAndCommonPrefixes) {
  ListedSite site{{"a.txt", "b/1", "b/2", "b/c/3", "d/4", "e.txt"}};
  EXPECT_EQ(Page(site, {}), "a.txt b/1 b/2 b/c/3 d/4 e.txt .");
  EXPECT_EQ(Page(site, {.delimiter = "/"}), "a.txt e.txt [b/] [d/] .");
  EXPECT_EQ(Page(site, {.prefix = "b/", .delimiter = "/"}), "b/1 b/2 [b/c/] .");
  EXPECT_EQ(Page(site, {.prefix = "b"}), "b/1 b/2 b/c/3 .");
  EXPECT_EQ(Page(site, {.prefix = "b", .delimiter = "/"}), "[b/] .");
  EXPECT_EQ(Page(site, {.prefix = "none"}), ".");
  EXPECT_EQ(Page(site, {.delimiter = "txt"}), "b/1 b/2 b/c/3 d/4 [a.txt] [e.txt] .");
  EXPECT_EQ(Page(site, {.max_keys = 0}), ".");
}

TEST(S3ListTest, PagesTogetherAreTheWhole) {
  ListedSite site;
  for (int i = 0; i < 30; ++i) {
    site.paths.push_back("f" + std::to_string(i % 7) + "/" + std::to_string(i));
    site.paths.push_back("x" + std::to_string(i));
  }
  for (const std::string delimiter : {"", "/"}) {
    const S3Listing whole = ListS3({.delimiter = delimiter}, site.Source()).value();
    for (const size_t size : {1u, 2u, 3u, 7u, 36u, 37u, 38u}) {
      S3Listing all;
      S3ListQuery query{.delimiter = delimiter, .max_keys = size};
      while (true) {
        S3Listing page = ListS3(query, site.Source()).value();
        ASSERT_LE(page.contents.size() + page.prefixes.size(), size);
        for (auto& asset : page.contents) all.contents.push_back(asset);
        for (auto& prefix : page.prefixes) all.prefixes.push_back(prefix);
        if (!page.truncated) break;
        query.after = DecodeS3Position(EncodeS3Position(page.position)).value();
      }
      EXPECT_EQ(PageText(all), PageText(whole)) << size;
    }
  }
}

TEST(S3ListTest, WhatIsBelowACommonPrefixIsNotRead) {
  ListedSite site;
  for (int folder = 0; folder < 50; ++folder) {
    for (int i = 0; i < 2000; ++i) {
      site.paths.push_back("f" + std::to_string(100 + folder) + "/" + std::to_string(i));
    }
  }
  const S3Listing page = ListS3({.delimiter = "/"}, site.Source()).value();
  EXPECT_EQ(page.prefixes.size(), 50u);
  EXPECT_FALSE(page.truncated);
  EXPECT_LE(site.rows, 1001u + 50 * 16);
  EXPECT_LE(site.reads, 52u);
}

TEST(S3ListTest, AMarkerThatIsACommonPrefixMeansAllOfIt) {
  S3Request request;
  request.operation = S3Operation::kListObjects;
  request.query = {{"delimiter", "/"}, {"marker", "b/"}};
  ListedSite site{{"a", "b/1", "b/2", "c"}};
  EXPECT_EQ(Page(site, ReadS3ListQuery(request).value()), "c .");
  request.query = {{"marker", "b/"}};
  EXPECT_EQ(Page(site, ReadS3ListQuery(request).value()), "b/1 b/2 c .");
}

TEST(S3ListTest, TheQueryIsChecked) {
  const auto read = [](std::string name, std::string value) {
    S3Request request;
    request.operation = S3Operation::kListObjectsV2;
    request.query = {{std::move(name), std::move(value)}};
    const Result<S3ListQuery> query = ReadS3ListQuery(request);
    return query ? std::to_string(query->max_keys) + query->after : query.error().reason;
  };
  EXPECT_EQ(read("max-keys", "7"), "7");
  EXPECT_EQ(read("max-keys", "5000"), "1000");
  EXPECT_EQ(read("max-keys", "-1"), "invalid_argument");
  EXPECT_EQ(read("max-keys", "x"), "invalid_argument");
  EXPECT_EQ(read("encoding-type", "html"), "invalid_argument");
  EXPECT_EQ(read("continuation-token", "zz"), "invalid_argument");
  EXPECT_EQ(read("continuation-token", EncodeS3Position("a/b")), "1000a/b");
  EXPECT_EQ(read("start-after", "q"), "1000q");
}

TEST(S3ListTest, KeysAreEncodedWhenAsked) {
  S3Request request;
  request.bucket = "demo";
  S3ListQuery query{.url_encoding = true};
  S3Listing listing;
  listing.contents.emplace_back().path = "a b/\xC3\xA9&";
  const Answer answer = S3ListAnswer(request, query, listing);
  EXPECT_NE(answer.body[0].text.find("<Key>a%20b/%C3%A9%26</Key>"), std::string::npos)
      << answer.body[0].text;
  query.url_encoding = false;
  EXPECT_NE(S3ListAnswer(request, query, listing).body[0].text.find("<Key>a b/\xC3\xA9&amp;</Key>"),
            std::string::npos);
}

}  // namespace
}  // namespace nearside::origin
