#include "edge/prepared_contents.h"

#include <gtest/gtest.h>

#include "edge/cache_key.h"

namespace nearside::edge {
namespace {

PreparedSet SetOf(const std::string& path, const std::string& etag) {
  PreparedSet set;
  set[path] = {.etag = etag, .key = PreparedKey("demo", etag), .bytes = 3};
  return set;
}

std::string TagAt(const PreparedContents& contents, const std::string& site,
                  std::string_view target) {
  const auto found = contents.Find(site, target);
  return found ? found->etag : "none";
}

TEST(PreparedContentsTest, AreFoundByPathWhateverTheQuery) {
  PreparedContents contents;
  EXPECT_EQ(TagAt(contents, "demo", "/a"), "none");
  contents.Put("demo", SetOf("/a", "\"1\""));
  EXPECT_EQ(TagAt(contents, "demo", "/a"), "\"1\"");
  EXPECT_EQ(TagAt(contents, "demo", "/a?q=1"), "\"1\"");
  EXPECT_EQ(TagAt(contents, "demo", "/a/"), "none");
  EXPECT_EQ(TagAt(contents, "other", "/a"), "none");
}

TEST(PreparedContentsTest, TheNextSetTakesThePlaceOfTheOneBefore) {
  PreparedContents contents;
  contents.Put("demo", SetOf("/a", "\"1\""));
  contents.Put("shop", SetOf("/a", "\"3\""));
  contents.Put("demo", SetOf("/b", "\"2\""));
  EXPECT_EQ(TagAt(contents, "demo", "/a"), "none");
  EXPECT_EQ(TagAt(contents, "demo", "/b"), "\"2\"");
  contents.Put("demo", {});
  EXPECT_EQ(TagAt(contents, "demo", "/b"), "none");
  EXPECT_EQ(TagAt(contents, "shop", "/a"), "\"3\"");
}

TEST(PreparedContentsTest, TheirKeysAreNoUrlsAndNoOthers) {
  EXPECT_NE(PreparedKey("demo", "ab"), PreparedKey("shop", "ab"));
  EXPECT_NE(PreparedKey("demo", "ab"), PreparedKey("demo", "cd"));
  // "a" with a content of "b" is not "ab" without one.
  EXPECT_NE(PreparedKey("demo", ""), PrimaryKey("demo", "prepared"));
}

}  // namespace
}  // namespace nearside::edge
