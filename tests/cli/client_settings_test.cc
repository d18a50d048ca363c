#include "cli/client_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/temp_dir.h"

namespace nearside::cli {
namespace {

using ::testing::HasSubstr;

TEST(ClientSettingsTest, WithoutAFileInTheUsualPlaceThereAreDefaults) {
  ::setenv("XDG_CONFIG_HOME", "/nowhere", 1);
  const ClientSettings settings = ReadClientSettings(ClientSettingsPath()).value();
  ::unsetenv("XDG_CONFIG_HOME");
  EXPECT_EQ(settings.origin, "http://127.0.0.1:9000");
  EXPECT_EQ(settings.token_file, "");
  EXPECT_THAT(ReadClientSettings("/another/place.toml").error().message,
              HasSubstr("/another/place.toml: "));
}

TEST(ClientSettingsTest, TheFileIsReadAndItsMistakesAreNamed) {
  nearside::test::TempDir dir;
  const std::string good = dir.Write(
      "client.toml", "origin = \"http://o:1\"\ntoken_file = \"t\"\ngeodns = \"http://g:2\"\n");
  EXPECT_EQ(ReadClientSettings(good)->origin, "http://o:1");
  EXPECT_EQ(ReadClientSettings(good)->geodns, "http://g:2");
  const std::string bad = dir.Write("bad.toml", "origin = \"http://o:1\"\norigins = 1\n");
  EXPECT_THAT(ReadClientSettings(bad).error().message, HasSubstr("bad.toml:2: origins"));
}

TEST(ClientSettingsTest, TheFileIsWhereXdgSays) {
  const char* home = std::getenv("HOME");
  const std::string old_home = home == nullptr ? "" : home;
  ::setenv("XDG_CONFIG_HOME", "/x", 1);
  EXPECT_EQ(ClientSettingsPath(), "/x/nearside/client.toml");
  ::unsetenv("XDG_CONFIG_HOME");
  ::setenv("HOME", "/h", 1);
  EXPECT_EQ(ClientSettingsPath(), "/h/.config/nearside/client.toml");
  ::setenv("HOME", old_home.c_str(), 1);
}

TEST(TokenFileTest, TheFirstTokenCounts) {
  nearside::test::TempDir dir;
  EXPECT_EQ(ReadToken(dir.Write("t", "# mine\n\nsecret \r\nother\n")).value(), "secret");
  for (const std::string& file : {std::string(), dir.In("none"), dir.Write("empty", "\n# x\n")}) {
    const Result<std::string> token = ReadToken(file);
    ASSERT_FALSE(token);
    EXPECT_THAT(token.error().message, HasSubstr("--token-file"));
  }
}

}  // namespace
}  // namespace nearside::cli
