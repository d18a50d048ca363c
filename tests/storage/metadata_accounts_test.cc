#include "storage/metadata_session.h"
#include "tests/storage/metadata_fixture.h"

namespace nearside::storage::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MetadataAccountsTest : public MetadataTest {
 protected:
  static Account Draft(std::string name, std::vector<AccountGrant> grants = {}) {
    Account account;
    account.id = "id-of-" + name;
    account.name = std::move(name);
    account.password = "hash-1";
    account.generation = 1;
    account.grants = std::move(grants);
    account.created_by = "admin";
    return account;
  }
  static AuditEntry Entry(std::string action) {
    AuditEntry entry;
    entry.name = "admin";
    entry.action = std::move(action);
    return entry;
  }
  Result<Account> Create(const Account& draft) {
    return metadata_->CreateAccount(draft, Entry("account_created"));
  }
  std::vector<std::string> Names(const AccountRange& range = {}) {
    std::vector<std::string> names;
    const auto accounts = metadata_->Accounts(range).value();
    for (const Account& account : accounts) names.push_back(account.name);
    return names;
  }
  std::vector<std::string> Actions() {
    std::vector<std::string> actions;
    const auto records = metadata_->Audit({}).value();
    for (const AuditRecord& record : records) actions.push_back(record.entry.action);
    return actions;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, MetadataAccountsTest, MetadataEngines());

TEST_P(MetadataAccountsTest, AnAccountComesBackAsItWasMade) {
  MakeSite();
  const Account draft = Draft("alice@example.org", {{"", {"read"}}, {"demo", {"read", "admin"}}});
  const Account made = Create(draft).value();
  for (const Account& found : {made, metadata_->FindAccount("alice@example.org").value(),
                               metadata_->FindAccountById(draft.id).value()}) {
    EXPECT_EQ(found.id, draft.id);
    EXPECT_EQ(found.name, draft.name);
    EXPECT_EQ(found.password, "hash-1");
    EXPECT_EQ(found.generation, 1);
    EXPECT_EQ(found.grants, draft.grants);
    EXPECT_EQ(found.created_by, "admin");
    EXPECT_EQ(found.created, now_);
    EXPECT_EQ(found.password_changed, now_);
    EXPECT_EQ(ToUnixMillis(found.signed_in), 0);
  }
  EXPECT_EQ(metadata_->AccountCount().value(), 1u);
  EXPECT_THAT(Actions(), ElementsAre("account_created"));
}

TEST_P(MetadataAccountsTest, ANameIsOfOneAccountAndASiteMustBeThere) {
  ASSERT_TRUE(Create(Draft("alice")));
  EXPECT_EQ(Create(Draft("alice")).error().reason, "account_exists");
  EXPECT_EQ(Create(Draft("bob", {{"none", {"read"}}})).error().reason, "no_such_site");
  EXPECT_EQ(metadata_->FindAccount("bob").error().reason, "no_such_account");
  EXPECT_EQ(metadata_->FindAccountById("id-of-bob").error().reason, "no_such_account");
  EXPECT_THAT(Actions(), ElementsAre("account_created"));
}

TEST_P(MetadataAccountsTest, ThereAreSoManyAndNoMore) {
  MetadataOptions options;
  options.most_accounts = 2;
  metadata_ = Metadata::Open(engine_->Url(), options).value();
  ASSERT_TRUE(Create(Draft("a")));
  ASSERT_TRUE(Create(Draft("b")));
  EXPECT_EQ(Create(Draft("c")).error().reason, "too_many_accounts");
  ASSERT_TRUE(metadata_->DeleteAccount("a", Entry("account_deleted")));
  EXPECT_TRUE(Create(Draft("c")));
}

TEST_P(MetadataAccountsTest, AListIsInOrderAndInPages) {
  for (const char* name : {"carol", "alice", "bob"}) ASSERT_TRUE(Create(Draft(name)));
  EXPECT_THAT(Names(), ElementsAre("alice", "bob", "carol"));
  EXPECT_THAT(Names({.after = "alice", .limit = 1}), ElementsAre("bob"));
  EXPECT_THAT(Names({.after = "carol"}), IsEmpty());
}

TEST_P(MetadataAccountsTest, APasswordTakesThePlaceOfTheOneThatWasShown) {
  const Account account = Create(Draft("alice")).value();
  now_ += seconds(5);
  ASSERT_TRUE(metadata_->ChangePassword(
      {.account = account.id, .before = "hash-1", .after = "hash-2", .generation = 9},
      Entry("account_password_changed")));
  Account changed = metadata_->FindAccount("alice").value();
  EXPECT_EQ(changed.password, "hash-2");
  EXPECT_EQ(changed.generation, 9);
  EXPECT_EQ(changed.password_changed, now_);
  const Status late = metadata_->ChangePassword(
      {.account = account.id, .before = "hash-1", .after = "hash-3", .generation = 10},
      Entry("account_password_changed"));
  EXPECT_EQ(late.error().reason, "password_changed");
  // The same password hashed anew leaves sessions and time as they are: also that somebody has
  // signed out everywhere while it was hashed.
  now_ += seconds(5);
  ASSERT_TRUE(metadata_->EndSessions(account.id, 11, Entry("account_signed_out_everywhere")));
  ASSERT_TRUE(metadata_->ChangePassword(
      {.account = account.id, .before = "hash-2", .after = "hash-2b", .generation = 9},
      std::nullopt));
  changed = metadata_->FindAccount("alice").value();
  EXPECT_EQ(changed.password, "hash-2b");
  EXPECT_EQ(changed.generation, 11);
  EXPECT_EQ(changed.password_changed, now_ - seconds(5));
  EXPECT_EQ(
      metadata_->ChangePassword({.account = "none", .after = "x"}, std::nullopt).error().reason,
      "no_such_account");
  EXPECT_THAT(Actions(), ElementsAre("account_created", "account_password_changed",
                                     "account_signed_out_everywhere"));
}

TEST_P(MetadataAccountsTest, SessionsEndByAnotherGeneration) {
  const Account account = Create(Draft("alice")).value();
  ASSERT_TRUE(metadata_->EndSessions(account.id, 77, Entry("account_signed_out_everywhere")));
  EXPECT_EQ(metadata_->FindAccount("alice")->generation, 77);
  EXPECT_EQ(metadata_->FindAccount("alice")->password, "hash-1");
  EXPECT_EQ(metadata_->EndSessions("none", 1, Entry("x")).error().reason, "no_such_account");
  EXPECT_THAT(Actions(), ElementsAre("account_created", "account_signed_out_everywhere"));
}

TEST_P(MetadataAccountsTest, GrantsAreReplacedAsAWholeAndGoWithTheirSite) {
  MakeSite();
  MakeSite("other", {"www.other.test"});
  ASSERT_TRUE(Create(Draft("alice", {{"demo", {"read"}}})));
  const std::vector<AccountGrant> fresh = {{"demo", {"publish"}}, {"other", {"admin"}}};
  EXPECT_EQ(metadata_->ReplaceGrants("alice", fresh, Entry("account_changed"))->grants, fresh);
  EXPECT_EQ(metadata_->ReplaceGrants("alice", {{"none", {"read"}}}, Entry("account_changed"))
                .error()
                .reason,
            "no_such_site");
  EXPECT_EQ(metadata_->FindAccount("alice")->grants, fresh);
  EXPECT_EQ(metadata_->ReplaceGrants("none", {}, Entry("account_changed")).error().reason,
            "no_such_account");
  ASSERT_TRUE(metadata_->DeleteSite("demo", Tell));
  MakeSite();  // another one of this name is nobody's
  EXPECT_THAT(metadata_->FindAccount("alice")->grants, ElementsAre(fresh[1]));
}

TEST_P(MetadataAccountsTest, ADeletedAccountIsGoneWithItsGrants) {
  MakeSite();
  ASSERT_TRUE(Create(Draft("alice", {{"demo", {"read"}}})));
  EXPECT_EQ(metadata_->DeleteAccount("alice", Entry("account_deleted"))->id, "id-of-alice");
  EXPECT_EQ(metadata_->DeleteAccount("alice", Entry("account_deleted")).error().reason,
            "no_such_account");
  EXPECT_THAT(Names(), IsEmpty());
  Account again = Draft("alice");
  EXPECT_THAT(Create(again)->grants, IsEmpty());
  EXPECT_THAT(Actions(), ElementsAre("account_created", "account_deleted", "account_created"));
}

TEST_P(MetadataAccountsTest, ASignInIsNoted) {
  const Account account = Create(Draft("alice")).value();
  ASSERT_TRUE(metadata_->NoteSignIn(account.id, now_));
  ASSERT_TRUE(metadata_->NoteSignIn("none", now_));
  EXPECT_EQ(metadata_->FindAccount("alice")->signed_in, now_);
}

TEST_P(MetadataAccountsTest, AnotherProcessSeesAChangeAtOnce) {
  auto other = OpenStore();
  const Account account = Create(Draft("alice")).value();
  EXPECT_EQ(other->FindAccount("alice")->id, account.id);
  ASSERT_TRUE(other->EndSessions(account.id, 5, Entry("account_signed_out_everywhere")));
  EXPECT_EQ(metadata_->FindAccount("alice")->generation, 5);
}

TEST_P(MetadataAccountsTest, RecordsOfAccountsPushOutNobodyElses) {
  MetadataOptions options;
  options.keep_audit = 10;
  metadata_ = Metadata::Open(engine_->Url(), options).value();
  ASSERT_TRUE(metadata_->AddAudit(Entry("token_created")));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(metadata_->AddAudit(Entry("account_signed_in")));
  EXPECT_EQ(Actions().front(), "token_created");
  EXPECT_THAT(Actions(), SizeIs(testing::Le(12)));
}

}  // namespace
}  // namespace nearside::storage::test
