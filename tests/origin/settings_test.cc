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
  EXPECT_EQ(settings.releases.keep, 3);
  EXPECT_EQ(settings.releases.keep_for, std::chrono::hours(24));
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
      {with("127.0.0.1:9000", "localhost:9000"), "origin.toml:3: origin.api: expected an address"},
      {with("127.0.0.1:9000", "10.0.0.1:9000"),
       "origin.toml:3: origin.api: 10.0.0.1:9000 is not on loopback"},
      {with("127.0.0.1:9000", "10.0.0.1:9000"), "cleartext_api = true"},
      {with("sqlite:var/meta.db", "postgresql://db/x"),
       "origin.toml:5: storage.metadata: expected a URL like \"sqlite:var/origin/…\" "
       "(\"postgresql:\" is not supported by this version)"},
      {with("file:var/blobs", "s3://bucket"), "\"s3:\" is not supported by this version"},
      {with("file:var/blobs", "var/blobs"), "storage.blobs: expected a URL"},
      {least + "queue = \"lmdb:x\"\n", "unknown key"},
      {least + "[threads]\nuploads = 0\n", "threads.uploads"},
      {least + "[accounts]\nhosts = [\"account.test\"]\n",
       "origin.toml:10: accounts.hosts: expected storage.sessions"},
      {with("[auth]",
            "sessions = \"lmdb:x\"\n[accounts]\nhosts = [\"account.test\"]\n"
            "hash_queue = 14\n[auth]"),
       "accounts.hash_queue: expected hashes and hash_queue together to be less than "
       "threads.accounts (16)"},
      {least + "[accounts]\nhosts = [\"Account.test\"]\n", "accounts.hosts: expected a host"},
      {least + "[accounts]\nhosts = [\"account.test:443\"]\n", "accounts.hosts"},
      {least + "[accounts]\nsign_up = \"maybe\"\n", "accounts.sign_up"},
      {least + "[accounts]\ntrusted_proxies = [\"10.0.0.1/8\"]\n",
       "accounts.trusted_proxies: expected a network"},
      {least + "[limits]\nasset = 7\n", "limits.asset: expected a size"},
      {least + "[events]\nheartbeat = \"5\"\n", "events.heartbeat: expected a duration"},
      {least + "[[listen]]\naddress = \"127.0.0.1:1\"\n",
       "origin.toml:9: listen.tls: expected a [[certificate]]"},
      {least + "[[listen]]\naddress = \"x\"\ntls = false\n", "listen.address"},
      {least + "[[listen]]\naddress = \"127.0.0.1:1\"\ntls = true\n",
       "origin.toml:11: listen.tls: "},
      {least + "[admin]\naddress = \"x\"\n", "admin.address"},
      {least + "[admin]\naddress = \"10.0.0.1:7090\"\n",
       "origin.toml:9: admin.token_file: expected a token file, because admin.address is not a "
       "loopback address"},
      {least + "[admin]\naddress = \"10.0.0.1:7090\"\ntoken_file = \"\"\n",
       "origin.toml:11: admin.token_file: expected a token file"},
      {"[origin\n", "origin.toml:1"},
      {"", "origin"},
  };
  for (const auto& [text, message] : rows) EXPECT_THAT(Message(text), HasSubstr(message)) << text;
}

TEST_F(OriginSettingsTest, AnAdminListenerOffLoopbackIsAcceptedWithAToken) {
  const std::string least = kLeast;
  EXPECT_EQ(Message(least + "[admin]\naddress = \"10.0.0.1:7090\"\ntoken_file = \"t\"\n"),
            "no error");
  EXPECT_EQ(Message(least + "[admin]\naddress = \"[::1]:7090\"\n"), "no error");
}

TEST_F(OriginSettingsTest, AReloadChangesTokensAndCertificatesAndNothingElse) {
  const std::string least = kLeast;
  const std::string before = least +
                             "[admin]\naddress = \"127.0.0.1:1\"\n[[listen]]\naddress = "
                             "\"127.0.0.1:2\"\ntls = false\n";
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = before;
    text.replace(text.find(from), from.size(), to);
    return settings::ChangedKeys(Read(before).value().restart_values,
                                 Read(text).value().restart_values);
  };
  const auto keys = [](const char* key) { return std::vector<std::string>{key}; };
  EXPECT_EQ(changed("origin-1", "origin-2"), keys("origin.name"));
  EXPECT_EQ(changed("127.0.0.1:9000", "127.0.0.1:9001"), keys("origin.api"));
  EXPECT_EQ(changed("127.0.0.1:1", "127.0.0.1:3"), keys("admin.address"));
  EXPECT_EQ(changed("127.0.0.1:2", "127.0.0.1:4"), keys("listen.address"));
  EXPECT_EQ(changed("meta.db", "other.db"), keys("storage.metadata"));
  EXPECT_EQ(changed("var/blobs", "var/other"), keys("storage.blobs"));
  EXPECT_EQ(changed("[auth]", "[threads]\nuploads = 3\n[auth]"), keys("threads.uploads"));
  EXPECT_EQ(changed("[auth]", "[limits]\nasset = \"1MiB\"\n[auth]"), keys("limits.asset"));
  EXPECT_EQ(changed("[auth]", "[events]\nkeep = 100\n[auth]"), keys("events.keep"));
  EXPECT_EQ(changed("admin.token", "other.token"), std::vector<std::string>());
  EXPECT_EQ(changed("[auth]", "[[certificate]]\nchain = \"a\"\nkey = \"b\"\n[auth]"),
            std::vector<std::string>());
}

TEST_F(OriginSettingsTest, UrlsOfTheDynamicTierAreCheckedButNotNeeded) {
  const std::string storage = "file:var/blobs\"\n";
  std::string text = kLeast;
  text.insert(text.find(storage) + storage.size(), "sessions = \"redis://x\"\n");
  EXPECT_THAT(Message(text), HasSubstr("\"redis:\" is not supported by this version"));
  text = kLeast;
  text.insert(text.find(storage) + storage.size(), "queue = \"amqp://x\"\n");
  EXPECT_THAT(Message(text), HasSubstr("\"amqp:\" is not supported by this version"));
}

TEST_F(OriginSettingsTest, JobsHaveLimitsOfTheirOwn) {
  const std::string least = kLeast;
  const std::pair<const char*, const char*> rows[] = {
      {"concurrency = 0", "jobs.concurrency"},
      {"attempts = 0", "jobs.attempts"},
      {"lease = \"999ms\"", "jobs.lease"},
      {"poll = \"2m\"", "jobs.poll"},
      {"most = 999", "jobs.most"},
      {"most = 200001", "jobs.most"},
      {"most_dead = 0", "jobs.most_dead"},
      {"compress_largest = \"2GiB\"", "jobs.compress_largest"},
  };
  for (const auto& [line, key] : rows) {
    EXPECT_THAT(Message(least + "[jobs]\n" + line + "\n"), HasSubstr(key)) << line;
  }
}

}  // namespace
}  // namespace nearside::origin
