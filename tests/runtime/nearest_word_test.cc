#include "runtime/nearest_word.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nearside {
namespace {

TEST(NearestWordTest, EveryRow) {
  const std::vector<std::string_view> words = {"status", "steer", "sites", "rm"};
  const struct {
    std::string word;
    std::string_view nearest;
  } rows[] = {
      {"status", "status"},
      {"stauts", "status"},
      {"stat", ""},
      {"stees", "steer"},
      {"sit", ""},
      {"sties", "sites"},
      {"r", "rm"},
      {"m", "rm"},
      {"mr", "rm"},
      {"", ""},
      {"ls", ""},
      {"Status", "status"},
      {"publish", ""},
      {"statuses", "status"},
      {std::string(65, 's'), ""},
  };
  for (const auto& row : rows) EXPECT_EQ(NearestWord(row.word, words), row.nearest) << row.word;
  EXPECT_EQ(NearestWord("a", {}), "");
}

}  // namespace
}  // namespace nearside
