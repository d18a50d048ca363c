#include "http/request_id.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(RequestIdTest, EachProcessAndExchangeHasItsOwn) {
  const RequestIds ids;
  const std::string first = ids.Of(1);
  EXPECT_EQ(first.size(), 32u);
  EXPECT_EQ(first.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(first.substr(16), "0000000000000001");
  EXPECT_EQ(ids.Of(0xfedc'ba98'7654'3210).substr(16), "fedcba9876543210");
  EXPECT_EQ(ids.Of(2).substr(0, 16), first.substr(0, 16));
  EXPECT_NE(RequestIds().Of(1), first);
}

TEST(RequestIdTest, IsReadOnlyWhereItIsAnId) {
  struct Row {
    std::string value;
    bool is_id;
  };
  const Row rows[] = {{"2a-17", true},
                      {"A_z.9", true},
                      {RequestIds().Of(7), true},
                      {std::string(64, 'a'), true},
                      {std::string(65, 'a'), false},
                      {"", false},
                      {"a b", false},
                      {"a\"b", false},
                      {"a, b", false},
                      {"\xc3\xa4", false}};
  for (const Row& row : rows) {
    const Fields fields = {{"x-request-id", row.value}};
    EXPECT_EQ(RequestIdOf(fields).has_value(), row.is_id) << row.value;
  }
  EXPECT_EQ(RequestIdOf({}), std::nullopt);
  EXPECT_EQ(RequestIdOf({{"x-request-id", "one"}, {"x-request-id", "two"}}), "one");
}

}  // namespace
}  // namespace nearside::http
