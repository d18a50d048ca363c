#include "cli/password_input.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace nearside::cli::test {
namespace {

class PasswordInputTest : public testing::Test {
 protected:
  /// What is read when standard input is a pipe that holds `text`.
  Result<std::string> Piped(std::string text) {
    std::FILE* in = ::fmemopen(text.data(), text.size(), "r");
    Result<std::string> password = ReadNewPassword("", in);
    std::fclose(in);
    return password;
  }
  nearside::test::TempDir dir_;
};

TEST_F(PasswordInputTest, ItIsTheFirstLineOfTheFile) {
  for (const char* text :
       {"correct horse\n", "correct horse", "correct horse\r\n", "correct horse\nsecond line\n"}) {
    EXPECT_EQ(ReadNewPassword(dir_.Write("password", text), stdin).value(), "correct horse");
  }
}

TEST_F(PasswordInputTest, APipeIsReadWithoutAsking) {
  EXPECT_EQ(Piped("correct horse\nsecond\n").value(), "correct horse");
  EXPECT_EQ(Piped(" spaces stay ").value(), " spaces stay ");
}

TEST_F(PasswordInputTest, NothingIsNoPassword) {
  for (const Result<std::string>& password :
       {Piped("\n"), ReadNewPassword(dir_.Write("password", ""), stdin),
        ReadNewPassword(dir_.In("none"), stdin)}) {
    ASSERT_FALSE(password);
    EXPECT_EQ(password.error().reason, "no_password");
  }
}

}  // namespace
}  // namespace nearside::cli::test
