#include "runtime/rise_and_fall.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace nearside {
namespace {

struct Row {
  std::string_view results;  ///< '+' success, '-' failure
  std::string_view states;   ///< after each: 'u'p, 'd'own
  int rise, fall;
  bool up, known;
};

constexpr Row kRows[] = {
    {"++", "uu", 2, 2, true, false},    {"-", "d", 2, 3, true, false},  // the first one decides
    {"+", "u", 3, 3, false, false},     {"-+-+", "dddd", 2, 2, true, false},
    {"-++", "ddu", 2, 2, true, false},  {"--", "ud", 2, 2, true, true},
    {"-+--", "uuud", 2, 2, true, true},  // only in a row
    {"---", "uud", 2, 3, true, true},   {"+-++", "dddu", 2, 2, false, true},
    {"+", "u", 1, 1, false, true},      {"--++", "uddu", 2, 2, true, true},
};

TEST(RiseAndFallTest, EveryRow) {
  for (const Row& row : kRows) {
    RiseAndFall counter(row.rise, row.fall);
    bool up = row.up, known = row.known;
    std::string states;
    for (const char result : row.results) {
      up = counter.Take(result == '+', up, known);
      known = true;
      states += up ? 'u' : 'd';
    }
    EXPECT_EQ(states, row.states) << row.results;
  }
}

}  // namespace
}  // namespace nearside
