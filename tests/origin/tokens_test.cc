#include "origin/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::HasSubstr;

class TokensTest : public testing::Test {
 protected:
  Scope ScopeOf(const Tokens& tokens, std::string_view authorization) {
    return tokens.ScopeOf(http::Fields{{"authorization", authorization}});
  }
  nearside::test::TempDir dir_;
};

TEST_F(TokensTest, EachFileGivesItsScope) {
  const std::string admin = dir_.Write(
      "admin", "# the old and the new\nadmin-token-0123456789\nadmin-token-9876543210\r\n");
  const std::string fleet = dir_.Write("fleet", "\n  fleet-token-0123456789  \n");
  const Tokens tokens = Tokens::Load(admin, fleet).value();
  EXPECT_EQ(ScopeOf(tokens, "Bearer admin-token-0123456789"), Scope::kAdmin);
  EXPECT_EQ(ScopeOf(tokens, "bearer   admin-token-9876543210"), Scope::kAdmin);
  EXPECT_EQ(ScopeOf(tokens, "Bearer fleet-token-0123456789"), Scope::kFleet);
  for (const char* wrong : {"", "Bearer", "Bearer ", "admin-token-0123456789",
                            "Basic admin-token-0123456789", "Bearer admin-token-012345678",
                            "Bearer admin-token-01234567890", "Bearer # the old and the new"}) {
    EXPECT_EQ(ScopeOf(tokens, wrong), Scope::kNone) << wrong;
  }
  EXPECT_EQ(tokens.ScopeOf(http::Fields{}), Scope::kNone);
}

TEST_F(TokensTest, ATokenInBothFilesIsTheStronger) {
  const std::string both = dir_.Write("both", "the-same-token-0123");
  const Tokens tokens = Tokens::Load(both, both).value();
  EXPECT_EQ(ScopeOf(tokens, "Bearer the-same-token-0123"), Scope::kAdmin);
}

TEST_F(TokensTest, AFileWithoutATokenIsRefusedByName) {
  const std::string files[] = {dir_.In("missing"), dir_.Write("empty", "\n# nothing\n"),
                               dir_.Write("short", "secret"),
                               dir_.Write("odd", "with spaces inside it 123")};
  for (const std::string& file : files) {
    const auto tokens = Tokens::Load(file, "");
    ASSERT_FALSE(tokens) << file;
    EXPECT_EQ(tokens.error().reason, "bad_token_file");
    EXPECT_EQ(tokens.error().fault, Fault::kOperator);
    EXPECT_THAT(tokens.error().message, HasSubstr(file));
    EXPECT_THAT(tokens.error().message, HasSubstr("openssl rand"));
  }
}

}  // namespace
}  // namespace nearside::origin
