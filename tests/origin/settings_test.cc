#include "origin/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::HasSubstr;

constexpr const char* kLeast = R"([origin]
name = "origin-1"
api = ["127.0.0.1:9000"]
[storage]
metadata = "sqlite:var/meta.db"
blobs = "file:var/blobs"
[auth]
token_file = "admin.token"
)";

class OriginSettingsTest : public testing::Test {
 protected:
  Result<OriginSettings> Read(const std::string& text) {
    return ReadOriginSettings(dir_.Write("origin.toml", text));
  }
  std::string Message(const std::string& text) {
    const Result<OriginSettings> settings = Read(text);
    return settings ? "no error" : settings.error().message;
  }
  nearside::test::TempDir dir_;
};

TEST_F(OriginSettingsTest, TheLeastFileHasDefaultsForTheRest) {
  const OriginSettings settings = Read(kLeast).value();
  EXPECT_EQ(settings.node.name, "origin-1");
  EXPECT_EQ(settings.node.drain_timeout, seconds(30));
  EXPECT_EQ(settings.threads.uploads, 16);
  EXPECT_EQ(settings.events.keep, 100'000);
  EXPECT_EQ(settings.releases.keep_hashed, 3);
  EXPECT_EQ(settings.limits.asset, 50_GiB);
  EXPECT_EQ(settings.limits.head_timeout, seconds(10));
  EXPECT_TRUE(settings.listen.empty());
  EXPECT_EQ(settings.admin.address, "");
}

TEST_F(OriginSettingsTest, TheContractsFileIsAccepted) {
  const OriginSettings settings = Read(R"(
[origin]
name = "origin-1"
api = ["127.0.0.1:9000"]
[[listen]]
address = "127.0.0.1:8443"
tls = true
[[certificate]]
chain = "cert.pem"
key = "key.pem"
[admin]
address = "127.0.0.1:7090"
[storage]
metadata = "sqlite:var/origin/meta.db"
blobs = "file:var/origin/blobs"
sessions = "lmdb:var/origin/sessions"
queue = "lmdb:var/origin/queue"
[auth]
token_file = "admin.token"
fleet_token_file = "fleet.token"
)")
                                      .value();
  EXPECT_EQ(settings.listen.at(0).address, "127.0.0.1:8443");
  EXPECT_EQ(settings.certificates.at(0).key, "key.pem");
  EXPECT_EQ(settings.auth.fleet_token_file, "fleet.token");
}

TEST_F(OriginSettingsTest, EveryMistakeNamesFileLineKeyAndExpectation) {
  const std::string least = kLeast;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = least;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::pair<std::string, std::string> rows[] = {
      {with("\"origin-1\"", "7"), "origin.toml:2: origin.name: expected"},
      {with("name = \"origin-1\"\n", ""), "origin.name"},
      {with("[\"127.0.0.1:9000\"]", "[]"), "origin.toml:3: origin.api"},
      {with("127.0.0.1:9000", "localhost:9000"), "origin.toml:1: origin.api: expected an address"},
      {with("127.0.0.1:9000", "10.0.0.1:9000"), "cleartext_api = true"},
      {with("sqlite:var/meta.db", "postgresql://db/x"),
       "origin.toml:5: storage.metadata: expected a URL like \"sqlite:var/origin/…\" "
       "(\"postgresql:\" is not supported by this version)"},
      {with("file:var/blobs", "s3://bucket"), "\"s3:\" is not supported by this version"},
      {with("file:var/blobs", "var/blobs"), "storage.blobs: expected a URL"},
      {least + "queue = \"lmdb:x\"\n", "unknown key"},
      {least + "[threads]\nuploads = 0\n", "threads.uploads"},
      {least + "[limits]\nasset = 7\n", "limits.asset: expected a size"},
      {least + "[events]\nheartbeat = \"5\"\n", "events.heartbeat: expected a duration"},
      {least + "[[listen]]\naddress = \"127.0.0.1:1\"\n",
       "origin.toml:9: listen.tls: expected a [[certificate]]"},
      {least + "[[listen]]\naddress = \"x\"\ntls = false\n", "listen.address"},
      {least + "[admin]\naddress = \"x\"\n", "admin.address"},
      {"[origin\n", "origin.toml:1"},
      {"", "origin"},
  };
  for (const auto& [text, message] : rows) EXPECT_THAT(Message(text), HasSubstr(message)) << text;
}

TEST_F(OriginSettingsTest, UrlsOfTheDynamicTierAreCheckedButNotNeeded) {
  const std::string storage = "file:var/blobs\"\n";
  std::string text = kLeast;
  text.insert(text.find(storage) + storage.size(), "sessions = \"redis://x\"\n");
  EXPECT_THAT(Message(text), HasSubstr("\"redis:\" is not supported by this version"));
}

TEST_F(OriginSettingsTest, TheDocumentSaysWhatIsNotUsedYet) {
  const std::string document = OriginTable().Document("origin.toml");
  EXPECT_THAT(document, HasSubstr("not used yet"));
  EXPECT_THAT(document, HasSubstr("cleartext_api"));
}

}  // namespace
}  // namespace nearside::origin
