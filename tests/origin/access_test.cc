#include "origin/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "origin/s3_key.h"
#include "origin/token_text.h"
#include "runtime/crypto.h"
#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::HasSubstr;

class AccessTest : public testing::Test {
 protected:
  void SetUp() override {
    settings_.failures = 3;
    metadata_ = OpenMetadata();
    access_ = Make(*metadata_);
  }
  std::unique_ptr<storage::Metadata> OpenMetadata() {
    return storage::Metadata::Open("sqlite:" + dir_.In("meta.db"), {}).value();
  }
  std::unique_ptr<Access> Make(storage::Metadata& metadata) {
    const std::string admin = dir_.Write("admin", "admin-token-0123456789");
    const std::string fleet = dir_.Write("fleet", "fleet-token-0123456789");
    auto access = std::make_unique<Access>(metadata, settings_, Tokens::Load(admin, fleet).value(),
                                           "key for S3");
    EXPECT_TRUE(access->table().Refresh());
    return access;
  }
  /// Makes a token and returns its text.
  std::string Create(std::vector<std::string> scopes, std::string site = "",
                     WallTime expires = {}) {
    const TokenText text = RandomToken();
    storage::Token draft;
    draft.id = text.id;
    draft.name = "ci";
    draft.digest = DigestOfSecret(text.secret);
    draft.site = std::move(site);
    draft.scopes = std::move(scopes);
    draft.expires = expires;
    EXPECT_TRUE(metadata_->CreateToken(draft, {}));
    EXPECT_TRUE(access_->table().Refresh());
    return text.Joined();
  }
  Result<Caller> Show(const std::string& token, const std::string& client = "192.0.2.7") {
    return access_->Authenticate(http::Fields{{"authorization", "Bearer " + token}}, client);
  }
  static std::string IdOf(const std::string& token) { return ParseTokenText(token)->id; }

  nearside::test::TempDir dir_;
  AuthSettings settings_;
  std::unique_ptr<storage::Metadata> metadata_;
  std::unique_ptr<Access> access_;
};

TEST_F(AccessTest, FilesAndMetadataSayWhoAsks) {
  const Caller admin = Show("admin-token-0123456789").value();
  EXPECT_TRUE(admin.May(Right::kAdmin, kEverySite));
  EXPECT_EQ(admin.name, "auth.token_file");
  EXPECT_FALSE(admin.fleet);
  const Caller fleet = Show("fleet-token-0123456789").value();
  EXPECT_TRUE(fleet.fleet);
  EXPECT_FALSE(fleet.May(Right::kRead, "demo"));
  ASSERT_TRUE(metadata_->CreateSite({"demo", {}, ""},
                                    [](auto&) { return std::vector<storage::NewEvent>(); }));
  const std::string token = Create({"read", "purge"}, "demo");
  const Caller caller = Show(token).value();
  EXPECT_EQ(caller.token, IdOf(token));
  EXPECT_EQ(caller.name, "ci");
  EXPECT_EQ(caller.site, "demo");
  EXPECT_TRUE(caller.May(Right::kPurge, "demo"));
  EXPECT_FALSE(caller.May(Right::kPublish, "demo"));
}

TEST_F(AccessTest, WhatIsNoTokenOpensNothing) {
  const std::string token = Create({"admin"});
  std::string other_secret = token;
  other_secret.back() = other_secret.back() == 'A' ? 'B' : 'A';
  std::string other_id = token;
  other_id[4] = other_id[4] == '0' ? '1' : '0';
  for (const std::string& wrong :
       {other_secret, other_id, token + "x", token.substr(0, token.size() - 1), std::string("nst_"),
        "nst_" + IdOf(token) + "_", "NST" + token.substr(3), IdOf(token)}) {
    EXPECT_EQ(Show(wrong, "127.0.0.1").error().reason, "unauthorized") << wrong;
  }
  EXPECT_TRUE(Show(token));
}

TEST_F(AccessTest, RevokedAndExpiredTokensAreToldToWhoHasTheSecret) {
  const std::string token = Create({"admin"});
  const std::string brief = Create({"admin"}, "", WallNow() - seconds(1));
  EXPECT_EQ(Show(brief).error().reason, "token_expired");
  ASSERT_TRUE(metadata_->RevokeToken(IdOf(token), {}));
  EXPECT_TRUE(Show(token));  // until the table looks
  access_->table().Follow(metadata_->Log().value());
  EXPECT_EQ(Show(token).error().reason, "token_revoked");
  std::string guessed = token;
  guessed.back() = guessed.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(Show(guessed).error().reason, "unauthorized");
}

TEST_F(AccessTest, TheTableFollowsAnotherProcessAndReadsOnlyWhatChanged) {
  auto other_metadata = OpenMetadata();
  auto other = Make(*other_metadata);
  const std::string token = Create({"read"});
  const http::Fields fields = {{"authorization", "Bearer " + token}};
  EXPECT_FALSE(other->Authenticate(fields, "127.0.0.1"));
  other->table().Follow(other_metadata->Log().value());
  EXPECT_TRUE(other->Authenticate(fields, "127.0.0.1"));
  ASSERT_TRUE(metadata_->RevokeToken(IdOf(token), {}));
  other->table().Follow(other_metadata->Log().value());
  EXPECT_EQ(other->Authenticate(fields, "127.0.0.1").error().reason, "token_revoked");
}

TEST_F(AccessTest, AnAddressThatGuessesIsNotListenedTo) {
  const std::string token = Create({"admin"});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(access_->LockedOutFor("192.0.2.7"), milliseconds(0));
    EXPECT_EQ(Show("wrong-token-" + std::to_string(i)).error().reason, "unauthorized");
  }
  EXPECT_EQ(Show("wrong-token-3").error().reason, "too_many_failures");
  // Others may guess from the same address: who has a right token is none of them.
  EXPECT_TRUE(Show(token));
  EXPECT_TRUE(Show("fleet-token-0123456789"));
  EXPECT_TRUE(Show("admin-token-0123456789"));
  EXPECT_GT(access_->LockedOutFor("192.0.2.7"), milliseconds(0));
  EXPECT_EQ(access_->LockedOutFor("192.0.2.8"), milliseconds(0));
  EXPECT_EQ(access_->locked_out(), 1u);
  // No token at all is no guess, and neither is a right one.
  for (int i = 0; i < 9; ++i) {
    EXPECT_FALSE(access_->Authenticate(http::Fields{}, "192.0.2.9"));
    EXPECT_TRUE(Show(token, "192.0.2.9"));
  }
  EXPECT_EQ(access_->LockedOutFor("192.0.2.9"), milliseconds(0));
}

TEST_F(AccessTest, UseIsNotedOnceAMinute) {
  const std::string token = Create({"read"});
  const std::string id = IdOf(token);
  const WallTime start = FromUnixMillis(1'000'000'000);
  access_->table().NoteUse(id, start);
  EXPECT_EQ(metadata_->FindToken(id)->used, start);
  access_->table().NoteUse(id, start + seconds(59));
  EXPECT_EQ(metadata_->FindToken(id)->used, start);
  access_->table().NoteUse(id, start + seconds(60));
  EXPECT_EQ(metadata_->FindToken(id)->used, start + seconds(60));
}

TEST_F(AccessTest, AKeyPairForS3IsMadeOfTheKeyAndTheId) {
  const std::string token = Create({"read"}, "");
  const S3Credential credential = access_->FindS3Credential(IdOf(token)).value();
  EXPECT_EQ(credential.secret, Base64UrlEncode(HmacSha256("key for S3", IdOf(token))));
  EXPECT_EQ(credential.secret.size(), 43u);
  EXPECT_TRUE(credential.caller.May(Right::kRead, "demo"));
  EXPECT_EQ(access_->FindS3Credential("none").error().reason, "unauthorized");
  ASSERT_TRUE(metadata_->RevokeToken(IdOf(token), {}));
  access_->table().Follow(metadata_->Log().value());
  EXPECT_EQ(access_->FindS3Credential(IdOf(token)).error().reason, "token_revoked");
  const std::string other = Create({"read"});
  const std::string before = access_->S3SecretOf(IdOf(other));
  access_->SetFiles(Tokens::Load(dir_.In("admin"), "").value(), "");
  EXPECT_EQ(access_->S3SecretOf(IdOf(other)), before);  // a key that is gone is no empty key
  access_->SetFiles(Tokens::Load(dir_.In("admin"), "").value(), "another key");
  EXPECT_NE(access_->S3SecretOf(IdOf(other)), before);
}

class S3KeyTest : public testing::Test {
 protected:
  S3KeyTest() { storage_.metadata = "sqlite:" + dir_.In("meta.db"); }
  nearside::test::TempDir dir_;
  AuthSettings auth_;
  StorageSettings storage_;
};

TEST_F(S3KeyTest, TheFirstStartMakesItForItsOwnersEyesAlone) {
  const std::string key = OpenS3Key(auth_, storage_).value();
  EXPECT_EQ(key.size(), 64u);
  EXPECT_EQ(OpenS3Key(auth_, storage_).value(), key);
  struct stat there {};
  ASSERT_EQ(::stat(dir_.In("s3.key").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777, 0600u);
}

TEST_F(S3KeyTest, OriginsThatBeginAtOnceHaveOneKey) {
  std::vector<std::string> keys(8);
  std::vector<std::thread> threads;
  for (std::string& key : keys) {
    threads.emplace_back([&] { key = OpenS3Key(auth_, storage_).value_or("failed"); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& key : keys) EXPECT_EQ(key, keys.front());
  EXPECT_EQ(keys.front().size(), 64u);
}

TEST_F(S3KeyTest, ANamedFileIsReadAndNotMade) {
  auth_.s3_key_file = dir_.In("own.key");
  const auto missing = OpenS3Key(auth_, storage_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, "bad_key_file");
  EXPECT_EQ(missing.error().fault, Fault::kOperator);
  EXPECT_THAT(missing.error().message, HasSubstr("own.key"));
  EXPECT_THAT(missing.error().message, HasSubstr("openssl rand"));
  dir_.Write("own.key", "too short\n");
  EXPECT_EQ(OpenS3Key(auth_, storage_).error().reason, "bad_key_file");
  dir_.Write("own.key", std::string(32, 'a') + "\n" + std::string(32, 'b') + "\n");
  EXPECT_EQ(OpenS3Key(auth_, storage_).error().reason, "bad_key_file");
  dir_.Write("own.key", std::string(32, 'k') + "\r\n");
  EXPECT_EQ(OpenS3Key(auth_, storage_).value(), std::string(32, 'k'));
}

TEST(TokenTextTest, WhatIsMadeIsReadBackAndNoTwoAreAlike) {
  const TokenText one = RandomToken();
  const std::string text = one.Joined();
  EXPECT_EQ(text.size(), 68u);
  const auto back = ParseTokenText(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, one.id);
  EXPECT_EQ(back->secret, one.secret);
  EXPECT_NE(RandomToken().Joined(), text);
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseTokenText(text.substr(0, size))) << size;
  }
  EXPECT_FALSE(ParseTokenText(text + "A"));
}

}  // namespace
}  // namespace nearside::origin
