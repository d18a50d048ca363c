#include "edge/content_list.h"

#include <gtest/gtest.h>

namespace nearside::edge {
namespace {

/// "release since next: url status sha…", or the reason why not.
std::string Read(std::string_view json) {
  const Result<ContentList> list = ParseContentList(json);
  if (!list) return list.error().reason;
  std::string text = list->release + " " + list->since + " " + list->next + ":";
  for (const ContentRow& row : list->rows) {
    text += " " + row.url + " " + std::to_string(row.status) + " " + row.sha256.substr(0, 2);
  }
  for (const std::string& host : list->hosts) text += " " + host;
  return text;
}

TEST(ContentListTest, ReadsAPage) {
  const std::string sha(64, 'a');
  EXPECT_EQ(
      Read(R"({"site":"demo","release":"7","since":"0","active":"7","hosts":["h.test"],"urls":[
      {"url":"/a","status":200,"sha256":")" +
           sha + R"(","bytes":3},{"url":"/b","status":301}],"next":"b"})"),
      "7 0 b: /a 200 aa /b 301  h.test");
  EXPECT_EQ(Read(R"({"release":"7","since":"6","urls":[],"next":null})"), "7 6 :");
}

TEST(ContentListTest, WhatIsNoPageIsRefused) {
  for (const char* text : {
           "",
           "[]",
           "{}",
           R"({"release":7,"since":"0","urls":[]})",
           R"({"release":"7","urls":[]})",
           R"({"release":"7","since":"0"})",
           R"({"release":"7","since":"0","urls":{}})",
           R"({"release":"7","since":"0","urls":["/a"]})",
           R"({"release":"7","since":"0","urls":[{"url":"a","status":200}]})",
           R"({"release":"7","since":"0","urls":[{"url":"/a"}]})",
           R"({"release":"7","since":"0","urls":[{"url":"/a","status":99}]})",
           R"({"release":"7","since":"0","urls":[{"url":"/a","status":200,"sha256":"ab"}]})",
       }) {
    EXPECT_EQ(Read(text), "bad_list") << text;
  }
}

}  // namespace
}  // namespace nearside::edge
