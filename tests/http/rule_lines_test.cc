#include "http/rule_lines.h"

#include <gtest/gtest.h>

#include <string>

namespace nearside::http {
namespace {

std::string LinesOf(std::string_view text) {
  std::string lines;
  const Status read = ForEachRuleLine(text, "_f", [&](std::string_view line) -> Status {
    if (line == "bad") return Fail(Fault::kClient, "bad_rule", "why");
    lines.append("[").append(line).append("]");
    return {};
  });
  return read ? lines : read.error().message;
}

TEST(RuleLinesTest, LinesComeWithoutSpaceCommentsAndEnds) {
  EXPECT_EQ(LinesOf(""), "");
  EXPECT_EQ(LinesOf("\n \t\r\n# a\n  # b"), "");
  EXPECT_EQ(LinesOf("a"), "[a]");
  EXPECT_EQ(LinesOf(" a b \r\n\tc\n"), "[a b][c]");
  EXPECT_EQ(LinesOf("\xEF\xBB\xBF"
                    "a"),
            "[a]");
}

TEST(RuleLinesTest, AnErrorNamesFileAndLine) {
  EXPECT_EQ(LinesOf("a\n\nbad\nb"), "_f:3: why");
  EXPECT_EQ(LinesOf(std::string(kRuleLineBytes, 'a')).size(), kRuleLineBytes + 2);
  EXPECT_EQ(LinesOf("a\n" + std::string(kRuleLineBytes + 1, 'a')),
            "_f:2: the line has more than 4096 bytes");
  EXPECT_EQ(LinesOf(std::string(kRuleFileBytes, '\n')), "");
  EXPECT_EQ(LinesOf(std::string(kRuleFileBytes + 1, '\n')), "_f: the file has more than 256 KiB");
}

}  // namespace
}  // namespace nearside::http
