#include <thread>

#include "storage/metadata_session.h"
#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class MetadataTokensTest : public MetadataTest {
 protected:
  static Token Draft(std::string id, std::string site = "") {
    Token token;
    token.name = "ci of " + id;
    token.id = std::move(id);
    token.digest = HexEncode(Sha256Of("secret"));
    token.site = std::move(site);
    token.scopes = {"read", "publish"};
    token.created_by = "admin";
    return token;
  }
  static AuditEntry Entry(std::string action) {
    AuditEntry entry;
    entry.name = "admin";
    entry.action = std::move(action);
    return entry;
  }
  Result<Token> Create(const Token& draft) {
    return metadata_->CreateToken(draft, Entry("token_created"));
  }
  uint64_t Version(Metadata& metadata) { return metadata.Log().value().tokens; }
  std::vector<std::string> Ids() {
    std::vector<std::string> ids;
    const auto tokens = metadata_->Tokens().value();
    for (const Token& token : tokens) ids.push_back(token.id);
    return ids;
  }
  std::vector<std::string> Actions() {
    std::vector<std::string> actions;
    const auto records = metadata_->Audit({}).value();
    for (const AuditRecord& record : records) actions.push_back(record.entry.action);
    return actions;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataTokensTest, MetadataEngines());

TEST_P(MetadataTokensTest, ATokenComesBackAsItWasMade) {
  MakeSite();
  Token draft = Draft("a1", "demo");
  draft.expires = FromUnixMillis(5'000'000);
  const Token made = Create(draft).value();
  const Token found = metadata_->FindToken("a1").value();
  for (const Token& token : {made, found, metadata_->Tokens().value().at(0)}) {
    EXPECT_EQ(token.id, "a1");
    EXPECT_EQ(token.name, "ci of a1");
    EXPECT_EQ(token.digest, HexEncode(Sha256Of("secret")));
    EXPECT_EQ(token.site, "demo");
    EXPECT_THAT(token.scopes, ElementsAre("read", "publish"));
    EXPECT_EQ(token.created_by, "admin");
    EXPECT_EQ(ToUnixMillis(token.created), 1'000'000);
    EXPECT_EQ(ToUnixMillis(token.expires), 5'000'000);
    EXPECT_FALSE(token.is_revoked());
    EXPECT_EQ(ToUnixMillis(token.used), 0);
  }
}

TEST_P(MetadataTokensTest, WhatOpensAndWhenNot) {
  Token token = Draft("a1");
  EXPECT_TRUE(token.OpensAt(FromUnixMillis(INT64_MAX)));
  token.expires = FromUnixMillis(2000);
  EXPECT_TRUE(token.OpensAt(FromUnixMillis(1999)));
  EXPECT_FALSE(token.OpensAt(FromUnixMillis(2000)));
  token.expires = {};
  token.revoked = FromUnixMillis(1);
  EXPECT_FALSE(token.OpensAt(FromUnixMillis(1)));
}

TEST_P(MetadataTokensTest, WrongTokensAreRefusedAndLeaveNoTrace) {
  ASSERT_TRUE(Create(Draft("a1")));
  const uint64_t before = Version(*metadata_);
  EXPECT_EQ(Create(Draft("a1")).error().reason, "token_exists");
  EXPECT_EQ(Create(Draft("a2", "none")).error().reason, "no_such_site");
  EXPECT_EQ(metadata_->FindToken("a2").error().reason, "no_such_token");
  EXPECT_EQ(metadata_->RevokeToken("a2", Entry("token_revoked")).error().reason, "no_such_token");
  EXPECT_THAT(Ids(), ElementsAre("a1"));
  EXPECT_THAT(Actions(), ElementsAre("token_created"));
  EXPECT_EQ(Version(*metadata_), before);
}

TEST_P(MetadataTokensTest, EveryChangeIsSeenByAnotherProcess) {
  auto other = OpenStore();
  uint64_t seen = Version(*other);
  const auto changed = [&] { return std::exchange(seen, Version(*other)) != seen; };
  EXPECT_FALSE(changed());
  MakeSite();
  EXPECT_FALSE(changed());
  ASSERT_TRUE(Create(Draft("a1", "demo")));
  ASSERT_TRUE(Create(Draft("a2")));
  EXPECT_TRUE(changed());
  now_ = FromUnixMillis(2'000'000);
  ASSERT_TRUE(metadata_->RevokeToken("a2", Entry("token_revoked")));
  EXPECT_TRUE(changed());
  EXPECT_EQ(ToUnixMillis(other->FindToken("a2")->revoked), 2'000'000);
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  EXPECT_TRUE(changed());
  ASSERT_TRUE(metadata_->NoteTokenUse("a1", now_));
  EXPECT_FALSE(changed());
}

TEST_P(MetadataTokensTest, RevokingOnceMoreKeepsTheFirstTime) {
  ASSERT_TRUE(Create(Draft("a1")));
  now_ = FromUnixMillis(2'000'000);
  ASSERT_TRUE(metadata_->RevokeToken("a1", Entry("token_revoked")));
  now_ = FromUnixMillis(3'000'000);
  const Token again = metadata_->RevokeToken("a1", Entry("token_revoked")).value();
  EXPECT_EQ(ToUnixMillis(again.revoked), 2'000'000);
  EXPECT_THAT(Actions(), ElementsAre("token_created", "token_revoked"));
}

TEST_P(MetadataTokensTest, ADeletedSitesTokensOpenNoOtherSiteOfItsName) {
  MakeSite();
  ASSERT_TRUE(Create(Draft("a1", "demo")));
  ASSERT_TRUE(Create(Draft("a2")));
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  MakeSite();
  EXPECT_TRUE(metadata_->FindToken("a1")->is_revoked());
  EXPECT_FALSE(metadata_->FindToken("a2")->is_revoked());
}

TEST_P(MetadataTokensTest, UseIsNoted) {
  ASSERT_TRUE(Create(Draft("a1")));
  ASSERT_TRUE(metadata_->NoteTokenUse("a1", FromUnixMillis(1'500'000)));
  EXPECT_EQ(ToUnixMillis(metadata_->FindToken("a1")->used), 1'500'000);
  EXPECT_TRUE(metadata_->NoteTokenUse("none", now_));
}

TEST_P(MetadataTokensTest, WhatOpensNothingMakesRoomAndWhatOpensStays) {
  MetadataOptions options;
  options.most_tokens = 3;
  options.clock = [this] { return now_; };
  metadata_ = Metadata::Open(engine_->Url(), options).value();
  Token brief = Draft("a2");
  brief.expires = FromUnixMillis(1'000'500);
  ASSERT_TRUE(Create(Draft("a1")));
  ASSERT_TRUE(Create(brief));
  ASSERT_TRUE(Create(Draft("a3")));
  EXPECT_EQ(Create(Draft("a4")).error().reason, "too_many_tokens");
  now_ = FromUnixMillis(1'000'500);
  ASSERT_TRUE(Create(Draft("a4")));  // in the room of the one that has expired
  EXPECT_THAT(Ids(), ElementsAre("a1", "a3", "a4"));
  ASSERT_TRUE(metadata_->RevokeToken("a3", Entry("token_revoked")));
  ASSERT_TRUE(Create(Draft("a5")));
  EXPECT_THAT(Ids(), ElementsAre("a1", "a4", "a5"));
  const auto full = Create(Draft("a6"));
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().message, HasSubstr("revoke"));
}

TEST_P(MetadataTokensTest, ASiteTakesNoRoomOfTheOthers) {
  MakeSite();
  MakeSite("other", {"www.other.test"});
  MetadataOptions options;
  options.most_tokens = 20;
  metadata_ = Metadata::Open(engine_->Url(), options).value();
  ASSERT_TRUE(Create(Draft("o1", "other")));
  ASSERT_TRUE(metadata_->RevokeToken("o1", Entry("token_revoked")));
  ASSERT_TRUE(Create(Draft("d1", "demo")));
  ASSERT_TRUE(Create(Draft("d2", "demo")));
  const auto full = Create(Draft("d3", "demo"));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().reason, "too_many_tokens");
  EXPECT_THAT(full.error().message, HasSubstr("\"demo\""));
  EXPECT_TRUE(Create(Draft("o2", "other")));
  EXPECT_TRUE(Create(Draft("a1")));
  ASSERT_TRUE(metadata_->RevokeToken("d1", Entry("token_revoked")));
  EXPECT_TRUE(Create(Draft("d3", "demo")));
  EXPECT_THAT(Ids(), testing::UnorderedElementsAre("o1", "d2", "o2", "a1", "d3"));
}

TEST_P(MetadataTokensTest, TokensAndAuditSurviveReopening) {
  ASSERT_TRUE(Create(Draft("a1")));
  metadata_.reset();
  metadata_ = OpenStore();
  EXPECT_THAT(Ids(), ElementsAre("a1"));
  EXPECT_THAT(Actions(), ElementsAre("token_created"));
}

TEST_P(MetadataTokensTest, TokensMadeAtOnceAreAllThere) {
  auto other = OpenStore();  // another process would do the same
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      Metadata& store = i % 2 == 0 ? *metadata_ : *other;
      const auto made = store.CreateToken(Draft("t" + std::to_string(i)), Entry("token_created"));
      EXPECT_TRUE(made) << made.error().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Ids(), SizeIs(8));
  EXPECT_EQ(Version(*metadata_), 8u);
  EXPECT_THAT(metadata_->Audit({}).value(), SizeIs(8));
}

TEST_P(MetadataTokensTest, ADatabaseOfTheFirstVersionIsBroughtUp) {
  if (engine_->SqliteFile().empty()) GTEST_SKIP() << "of SQLite alone";
  MakeSite();
  const ReleaseId release = Publish({{"a", "1"}});
  const LogPosition before = metadata_->Log().value().last;
  metadata_.reset();
  {
    auto session = SqlSession::OpenSqlite(engine_->SqliteFile(), true).value();
    for (const char* statement : {"DROP TABLE blob_variants",
                                  "DROP TABLE accounts",
                                  "DROP TABLE account_grants",
                                  "DROP TABLE tokens",
                                  "DROP TABLE audit",
                                  "ALTER TABLE log DROP COLUMN tokens",
                                  "DROP TABLE uploads",
                                  "DROP TABLE upload_parts",
                                  "DROP TABLE resumable_uploads",
                                  "ALTER TABLE assets DROP COLUMN notes",
                                  "ALTER TABLE releases DROP COLUMN past_since",
                                  "DROP INDEX blobs_condemned",
                                  "ALTER TABLE blobs DROP COLUMN condemned",
                                  "DROP TABLE receipts",
                                  "DROP TABLE receipt_edges",
                                  "ALTER TABLE log DROP COLUMN last_receipt",
                                  "ALTER TABLE sites DROP COLUMN quota_bytes",
                                  "ALTER TABLE sites DROP COLUMN quota_files",
                                  "ALTER TABLE sites DROP COLUMN held_most",
                                  "UPDATE schema_version SET version = 1"}) {
      ASSERT_TRUE(session->Run(statement)) << statement;
    }
  }
  metadata_ = OpenStore();
  ASSERT_NE(metadata_, nullptr);
  EXPECT_EQ(Active(), release);
  EXPECT_EQ(metadata_->Log().value().last, before);
  EXPECT_TRUE(Create(Draft("a1", "demo")));
}

}  // namespace
}  // namespace nearside::storage::test
