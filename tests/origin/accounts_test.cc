#include "origin/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPassword = "correct horse battery staple";
constexpr const char* kOther = "another long password";

/// Has no room for new ones, once it is told so.
class FullSessions final : public storage::SessionStore {
 public:
  FullSessions(std::unique_ptr<storage::SessionStore> store, const bool& full)
      : store_(std::move(store)), full_(full) {}
  Result<std::string> Create(const storage::SessionDraft& draft) override {
    if (full_) return Fail(Fault::kSelf, "too_many_sessions", "full");
    return store_->Create(draft);
  }
  Result<std::optional<storage::Session>> Find(std::string_view id) override {
    return store_->Find(id);
  }
  Status Remove(const Key256& key) override { return store_->Remove(key); }
  Result<size_t> RemoveAll(const std::string& account, const std::optional<Key256>& kept) override {
    return store_->RemoveAll(account, kept);
  }
  Result<std::vector<storage::Session>> List(const std::string& account) override {
    return store_->List(account);
  }
  Result<size_t> Count() override { return store_->Count(); }
  Result<size_t> Sweep(size_t limit) override { return store_->Sweep(limit); }

 private:
  std::unique_ptr<storage::SessionStore> store_;
  const bool& full_;
};

class AccountsTest : public testing::Test {
 protected:
  void SetUp() override {
    settings_.sign_up = "open";
    settings_.failures = 3;
    settings_.failure_window = std::chrono::hours(1);
    settings_.hash_memory = ByteSize{8 << 10};
    settings_.hash_passes = 1;
    settings_.hashes = 2;
    settings_.hash_queue = 8;
    metadata_ = storage::Metadata::Open("sqlite:" + dir_.In("meta.db"), {}).value();
    Open();
  }
  void Open() {
    accounts_.reset();
    auto sessions =
        storage::SessionStore::Open("lmdb:" + dir_.In("sessions"), storage::SessionOptions());
    accounts_ = std::make_unique<Accounts>(
        *metadata_, std::make_unique<FullSessions>(std::move(*sessions), full_), settings_,
        /*limit_loopback=*/false);
  }
  void Make(const std::string& name = "alice") {
    const auto made = accounts_->Create({name, kPassword}, {}, "admin", Entry("account_created"));
    ASSERT_TRUE(made) << made.error().ToString();
  }
  static storage::AuditEntry Entry(std::string action) {
    storage::AuditEntry entry;
    entry.name = "admin";
    entry.action = std::move(action);
    return entry;
  }
  Result<std::string> SignIn(const std::string& name, const std::string& password,
                             const std::string& address = "192.0.2.1") {
    return accounts_->SignIn({name, password}, {address, "test"});
  }
  /// The reason of the refusal, or "done".
  std::string Try(const std::string& name, const std::string& password,
                  const std::string& address = "192.0.2.1") {
    const Result<std::string> id = SignIn(name, password, address);
    return id ? "done" : id.error().reason;
  }
  SignedIn Who(const std::string& id) { return accounts_->Find(id).value().value(); }
  bool IsSignedIn(const std::string& id) { return accounts_->Find(id).value().has_value(); }
  std::vector<std::string> Audited() {
    std::vector<std::string> shown;
    const auto records = metadata_->Audit({}).value();
    for (const auto& record : records) {
      shown.push_back(record.entry.action + " " + record.entry.name + " " + record.entry.client);
    }
    return shown;
  }
  std::string Metrics() {
    metrics::Registry registry;
    accounts_->ExportMetrics(registry);
    return registry.Expose();
  }

  nearside::test::TempDir dir_;
  AccountSettings settings_;
  bool full_ = false;
  std::unique_ptr<storage::Metadata> metadata_;
  std::unique_ptr<Accounts> accounts_;
};

TEST_F(AccountsTest, ARightPasswordIsNotTakenWithoutEndEither) {
  Make();
  int signed_in = 0;
  while (signed_in < 100 && SignIn("alice", kPassword)) ++signed_in;
  EXPECT_EQ(signed_in, 30) << "ten for each wrong one that is allowed";
  EXPECT_EQ(Try("alice", kPassword), "too_many_failures");
}

TEST_F(AccountsTest, WhoHasThePasswordIsSignedInHoweverTheNameIsSpelled) {
  Make("alice@example.org");
  const std::string id = SignIn(" Alice@Example.org ", kPassword).value();
  const SignedIn who = Who(id);
  EXPECT_EQ(who.account.name, "alice@example.org");
  EXPECT_EQ(who.session.note, "192.0.2.1\ntest");
  EXPECT_NE(SignIn("alice@example.org", kPassword).value(), id);
  EXPECT_GT(ToUnixMillis(metadata_->FindAccount("alice@example.org")->signed_in), 0);
  EXPECT_THAT(Audited(), Contains("account_signed_in account:alice@example.org 192.0.2.1"));
  EXPECT_THAT(Metrics(), HasSubstr("nearside_origin_sign_ins_total{result=\"done\"} 2\n"));
  EXPECT_THAT(Metrics(), HasSubstr("nearside_origin_sessions 2\n"));
}

TEST_F(AccountsTest, AnUnknownNameIsToldFromAWrongPasswordByNothing) {
  Make();
  const Result<std::string> wrong = SignIn("alice", kOther);
  const Result<std::string> unknown = SignIn("bob", kOther, "192.0.2.2");
  const Result<std::string> nonsense = SignIn("<>", kOther, "192.0.2.3");
  const Result<std::string> empty = SignIn("alice", "", "192.0.2.4");
  const Result<std::string> huge = SignIn("alice", std::string(100'000, 'x'), "192.0.2.5");
  for (const auto& refused : {wrong, unknown, nonsense, empty, huge}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "wrong_password");
    EXPECT_EQ(refused.error().message, wrong.error().message);
  }
  // Each was worked on: a hash for the account, five for these.
  EXPECT_THAT(Metrics(), HasSubstr("nearside_origin_password_hashes_total 6\n"));
  EXPECT_THAT(Metrics(), HasSubstr("nearside_origin_sign_ins_total{result=\"wrong\"} 5\n"));
}

TEST_F(AccountsTest, GuessesFromOneAddressAreLimited) {
  Make();
  for (const char* name : {"alice", "bob", "carol"}) {
    EXPECT_EQ(Try(name, kOther), "wrong_password");
  }
  EXPECT_EQ(Try("dave", kOther), "too_many_failures");
  // Not even the right one, or a guesser would know that it is.
  EXPECT_EQ(Try("alice", kPassword), "too_many_failures");
  EXPECT_GT(accounts_->LockedOutFor("dave", {"192.0.2.1", ""}), seconds(100));
  EXPECT_EQ(Try("alice", kPassword, "192.0.2.2"), "done");
  EXPECT_THAT(Metrics(), HasSubstr("nearside_origin_sign_ins_total{result=\"limited\"} 2\n"));
}

TEST_F(AccountsTest, GuessesForOneNameAreLimitedWhetherThereIsSuchAnAccountOrNot) {
  Make();
  for (const char* name : {"alice", "nobody"}) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(Try(name, kOther, "192.0.2." + std::to_string(10 + i)), "wrong_password");
    }
    EXPECT_EQ(Try(name, kOther, "192.0.2.20"), "too_many_failures");
    EXPECT_EQ(Try(name, kPassword, "192.0.2.21"), "too_many_failures");
    EXPECT_GT(accounts_->LockedOutFor(name, {"192.0.2.21", ""}), seconds(100));
    for (int i = 0; i < 3; ++i) {
      // Those addresses have two left.
      EXPECT_EQ(accounts_->LockedOutFor("other", {"192.0.2." + std::to_string(10 + i), ""}),
                milliseconds(0));
    }
  }
}

TEST_F(AccountsTest, StrangersDoNotLockOutABrowserThatIsKnown) {
  Make();
  Make("bob");
  Visitor known{"192.0.2.1", "test"};
  known.browser = accounts_->BrowserMark(SignIn("alice", kPassword).value()).value();
  Visitor other = known;
  other.browser = accounts_->BrowserMark(SignIn("bob", kPassword).value()).value();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Try("alice", kOther, "198.51.100." + std::to_string(i)), "wrong_password");
  }
  EXPECT_EQ(Try("alice", kPassword), "too_many_failures");
  const auto attempt = [&](const std::string& password, const Visitor& visitor) {
    const Result<std::string> id = accounts_->SignIn({"alice", password}, visitor);
    return id ? "done" : id.error().reason;
  };
  // Of somebody else's account, and made up.
  EXPECT_EQ(attempt(kPassword, other), "too_many_failures");
  other.browser = known.browser + "x";
  EXPECT_EQ(attempt(kPassword, other), "too_many_failures");
  other.browser = ".";
  EXPECT_EQ(attempt(kPassword, other), "too_many_failures");
  EXPECT_EQ(accounts_->LockedOutFor("alice", known), milliseconds(0));
  EXPECT_EQ(attempt(kPassword, known), "done");
  // It may guess no more often than anybody.
  for (int i = 0; i < 3; ++i) {
    known.address = "203.0.113." + std::to_string(i);
    EXPECT_EQ(attempt(kOther, known), "wrong_password");
  }
  known.address = "203.0.113.9";
  EXPECT_EQ(attempt(kPassword, known), "too_many_failures");
  EXPECT_GT(accounts_->LockedOutFor("alice", known), seconds(100));
}

TEST_F(AccountsTest, AMarkIsGoodUntilThePasswordIsAnother) {
  Make();
  const std::string id = SignIn("alice", kPassword).value();
  Visitor known{"192.0.2.1", "test"};
  known.browser = accounts_->BrowserMark(id).value();
  ASSERT_TRUE(accounts_->SetPassword(Who(id).account, kOther, Entry("account_password_changed")));
  EXPECT_EQ(accounts_->BrowserMark(id).value(), "");
  for (int i = 0; i < 3; ++i) (void)Try("alice", "wrong", "198.51.100." + std::to_string(i));
  EXPECT_EQ(accounts_->SignIn({"alice", kOther}, known).error().reason, "too_many_failures");
}

TEST_F(AccountsTest, StrangersDoNotKeepTheOwnerFromChangingThePassword) {
  Make();
  const SignedIn who = Who(SignIn("alice", kPassword).value());
  const Visitor visitor{"192.0.2.1", "test"};
  for (int i = 0; i < 3; ++i) (void)Try("alice", kOther, "198.51.100." + std::to_string(i));
  EXPECT_EQ(Try("alice", kPassword), "too_many_failures");
  EXPECT_EQ(accounts_->LockedOutFor("alice", visitor, &who), milliseconds(0));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(
        accounts_->ChangePassword(who, kOther, "a third one", {"198.51.100.9", ""}).error().reason,
        "wrong_password");
  }
  EXPECT_EQ(accounts_->ChangePassword(who, kPassword, kOther, visitor).error().reason,
            "too_many_failures");
  EXPECT_GT(accounts_->LockedOutFor("alice", visitor, &who), seconds(100));
}

TEST_F(AccountsTest, LoopbackIsSparedButNamesAreNot) {
  Make();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Try("alice", kOther, "127.0.0.1"), "wrong_password");
  EXPECT_EQ(Try("alice", kPassword, "127.0.0.1"), "too_many_failures");
  EXPECT_EQ(Try("bob", kOther, "127.0.0.1"), "wrong_password");
}

TEST_F(AccountsTest, SigningOutEndsOneSession) {
  Make();
  const std::string first = SignIn("alice", kPassword).value();
  const std::string second = SignIn("alice", kPassword).value();
  ASSERT_TRUE(accounts_->SignOut(Who(first)));
  EXPECT_FALSE(IsSignedIn(first));
  EXPECT_TRUE(IsSignedIn(second));
}

TEST_F(AccountsTest, SigningOutEverywhereEndsAllSessionsOfTheAccountAlone) {
  Make();
  Make("bob");
  const std::string first = SignIn("alice", kPassword).value();
  const std::string second = SignIn("alice", kPassword).value();
  const std::string bob = SignIn("bob", kPassword).value();
  ASSERT_TRUE(accounts_->SignOutEverywhere(Who(first).account, Entry("account_signed_out")));
  for (const std::string& id : {first, second}) EXPECT_FALSE(IsSignedIn(id));
  EXPECT_TRUE(IsSignedIn(bob));
  EXPECT_TRUE(IsSignedIn(SignIn("alice", kPassword).value()));
  EXPECT_THAT(Audited(), Contains("account_signed_out admin "));
}

TEST_F(AccountsTest, ASessionOfAnotherGenerationIsNoneThoughItIsThere) {
  Make();
  const std::string id = SignIn("alice", kPassword).value();
  // As when the store of sessions could not be reached by who ended them.
  ASSERT_TRUE(metadata_->EndSessions(Who(id).account.id, 4711, Entry("account_signed_out")));
  EXPECT_FALSE(IsSignedIn(id));
  EXPECT_THAT(Metrics(), HasSubstr("nearside_origin_sessions 1\n"));
  EXPECT_TRUE(accounts_->SessionsOf(metadata_->FindAccount("alice").value()).value().empty());
}

TEST_F(AccountsTest, AnotherPasswordEndsTheOtherSessions) {
  Make();
  const std::string mine = SignIn("alice", kPassword).value();
  const std::string other = SignIn("alice", kPassword).value();
  const SignedIn who = Who(mine);
  const Visitor visitor{"192.0.2.1", "test"};
  EXPECT_EQ(accounts_->ChangePassword(who, kOther, "a third password", visitor).error().reason,
            "wrong_password");
  EXPECT_EQ(accounts_->ChangePassword(who, kPassword, "short", visitor).error().reason,
            "bad_password");
  EXPECT_TRUE(IsSignedIn(other));
  const std::string fresh = accounts_->ChangePassword(who, kPassword, kOther, visitor).value();
  EXPECT_TRUE(IsSignedIn(fresh));
  for (const std::string& id : {mine, other}) EXPECT_FALSE(IsSignedIn(id));
  EXPECT_EQ(Try("alice", kPassword, "192.0.2.9"), "wrong_password");
  EXPECT_EQ(Try("alice", kOther, "192.0.2.9"), "done");
  EXPECT_THAT(Audited(), Contains("account_password_changed account:alice 192.0.2.1"));
}

TEST_F(AccountsTest, AChangedPasswordIsToldThoughNoSessionBegins) {
  Make();
  const std::string id = SignIn("alice", kPassword).value();
  full_ = true;
  const auto changed = accounts_->ChangePassword(Who(id), kPassword, kOther, {"192.0.2.1", "test"});
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().reason, "not_signed_in");
  EXPECT_FALSE(IsSignedIn(id));
  full_ = false;
  EXPECT_EQ(Try("alice", kOther), "done");
}

TEST_F(AccountsTest, AnAdminsPasswordEndsAllSessions) {
  Make();
  const std::string id = SignIn("alice", kPassword).value();
  ASSERT_TRUE(accounts_->SetPassword(Who(id).account, kOther, Entry("account_password_changed")));
  EXPECT_FALSE(IsSignedIn(id));
  EXPECT_EQ(Try("alice", kOther), "done");
}

TEST_F(AccountsTest, ADeletedAccountIsSignedOut) {
  Make();
  const std::string id = SignIn("alice", kPassword).value();
  ASSERT_TRUE(accounts_->Delete("alice", Entry("account_deleted")));
  EXPECT_FALSE(IsSignedIn(id));
  EXPECT_EQ(Try("alice", kPassword), "wrong_password");
  Make();  // another one of that name has nothing of the first
  EXPECT_FALSE(IsSignedIn(id));
}

TEST_F(AccountsTest, WhoMaySignUpIsASetting) {
  const Visitor visitor{"192.0.2.1", "test"};
  const std::string id = accounts_->SignUp({"Alice", kPassword}, visitor).value();
  EXPECT_EQ(Who(id).account.name, "alice");
  EXPECT_TRUE(Who(id).account.grants.empty());
  EXPECT_EQ(Who(id).account.created_by, "account:alice");
  EXPECT_EQ(accounts_->SignUp({"alice", kPassword}, visitor).error().reason, "account_exists");
  EXPECT_EQ(accounts_->SignUp({"a b", kPassword}, visitor).error().reason, "bad_account_name");
  EXPECT_EQ(accounts_->SignUp({"bob", "password"}, visitor).error().reason, "bad_password");
  EXPECT_THAT(Audited(), ElementsAre("account_signed_up account:alice 192.0.2.1"));
  settings_.sign_up = "closed";
  Open();
  EXPECT_EQ(accounts_->SignUp({"bob", kPassword}, visitor).error().reason, "sign_up_closed");
}

TEST_F(AccountsTest, AccountsAreMadeSoOftenFromOneAddress) {
  const Visitor visitor{"192.0.2.1", "test"};
  for (const char* name : {"a1", "a2", "a3"}) {
    EXPECT_TRUE(accounts_->SignUp({name, kPassword}, visitor));
  }
  EXPECT_EQ(accounts_->SignUp({"a4", kPassword}, visitor).error().reason, "too_many_failures");
  EXPECT_GT(accounts_->LockedOutFor("a4", visitor), seconds(100));
  EXPECT_TRUE(accounts_->SignUp({"a4", kPassword}, {"192.0.2.2", "test"}));
}

TEST_F(AccountsTest, APasswordIsHashedAnewWhenTheSettingsWantIt) {
  Make();
  const std::string id = SignIn("alice", kPassword).value();
  const std::string before = metadata_->FindAccount("alice")->password;
  settings_.hash_memory = ByteSize{16 << 10};
  Open();
  EXPECT_EQ(Try("alice", kPassword), "done");
  const std::string after = metadata_->FindAccount("alice")->password;
  EXPECT_NE(before, after);
  EXPECT_THAT(after, HasSubstr("m=16,"));
  EXPECT_TRUE(IsSignedIn(id));  // it is the same password
  EXPECT_EQ(Try("alice", kPassword), "done");
  EXPECT_EQ(metadata_->FindAccount("alice")->password, after);
}

TEST_F(AccountsTest, WithoutAStoreOfSessionsAccountsAreKeptAndNobodySignsIn) {
  accounts_ = std::make_unique<Accounts>(*metadata_, nullptr, settings_, false);
  Make();
  EXPECT_EQ(Try("alice", kPassword), "no_sessions");
  EXPECT_FALSE(IsSignedIn(storage::RandomSessionId()));
  EXPECT_TRUE(accounts_->SessionsOf(metadata_->FindAccount("alice").value()).value().empty());
  accounts_->Sweep();
  EXPECT_TRUE(accounts_->Delete("alice", Entry("account_deleted")));
}

TEST_F(AccountsTest, WhatAnAccountMayDoToASiteIsWhatWasSaidOfItAndOfAll) {
  storage::Account account;
  account.name = "alice";
  account.grants = {{"", {"read"}}, {"demo", {"publish", "unknown"}}};
  EXPECT_THAT(RightsOf(account, "demo").Names(), ElementsAre("read", "publish"));
  EXPECT_THAT(RightsOf(account, "other").Names(), ElementsAre("read"));
  const Caller caller = CallerOf(account, "demo");
  EXPECT_TRUE(caller.May(Right::kPublish, "demo"));
  EXPECT_FALSE(caller.May(Right::kRead, "other"));  // a caller is of one site
  EXPECT_FALSE(caller.May(Right::kRead, kEverySite));
  EXPECT_EQ(caller.name, "account:alice");
}

TEST_F(AccountsTest, NoPasswordIsOnTheDiskInClear) {
  Make();
  EXPECT_EQ(Try("alice", kPassword), "done");
  const std::string id = SignIn("alice", kPassword).value();
  accounts_.reset();
  metadata_.reset();
  for (const char* file : {"meta.db", "sessions/sessions.lmdb"}) {
    EXPECT_THAT(dir_.Read(file), Not(HasSubstr(kPassword))) << file;
    EXPECT_THAT(dir_.Read(file), Not(HasSubstr(id))) << file;
  }
}

}  // namespace
}  // namespace nearside::origin
