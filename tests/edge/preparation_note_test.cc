#include "edge/preparation_note.h"

#include <gtest/gtest.h>

namespace nearside::edge {
namespace {

PreparationNote Sample() {
  return {.state = {.position = {4, 9},
                    .release = "7",
                    .state = "partly",
                    .of = 3,
                    .held = 2,
                    .bytes = 10,
                    .took = milliseconds(250),
                    .why = "no room"},
          .contents = {{.sha256 = "aa", .etag = "\"1\"", .bytes = 3, .paths = {"/a", "/again"}},
                       {.sha256 = "bb", .etag = "\"2\"", .bytes = 7, .paths = {"/b"}}}};
}

TEST(PreparationNoteTest, ComesBackAsItWas) {
  const std::string text = FormatPreparationNote(Sample());
  const auto read = ParsePreparationNote(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(FormatPreparationNote(*read), text);
  EXPECT_EQ(read->state.position, (storage::LogPosition{4, 9}));
  EXPECT_EQ(read->state.release + read->state.state + read->state.why, "7partlyno room");
  EXPECT_EQ(read->state.took, milliseconds(250));
  ASSERT_EQ(read->contents.size(), 2u);
  EXPECT_EQ(read->contents[0].paths, (std::vector<std::string>{"/a", "/again"}));
  EXPECT_EQ(read->contents[1].bytes, 7u);
}

TEST(PreparationNoteTest, WhatIsCutOffIsNone) {
  const std::string text = FormatPreparationNote(Sample());
  for (size_t bytes = 0; bytes < text.size(); ++bytes) {
    EXPECT_FALSE(ParsePreparationNote(text.substr(0, bytes))) << bytes;
  }
}

TEST(PreparationNoteTest, WhatHasMembersOfOtherKindsIsNone) {
  const std::string text = FormatPreparationNote(Sample());
  for (const std::string member :
       {"\"bytes\":3", "\"seq\":9", "\"etag\":\"\\\"1\\\"\"", "\"ms\":250"}) {
    std::string other = text;
    ASSERT_NE(other.find(member), std::string::npos) << other;
    other.replace(other.find(member), member.size(), member.substr(0, member.find(':')) + ":[]");
    EXPECT_FALSE(ParsePreparationNote(other)) << other;
  }
  EXPECT_FALSE(ParsePreparationNote(R"({"contents":7})"));
}

}  // namespace
}  // namespace nearside::edge
