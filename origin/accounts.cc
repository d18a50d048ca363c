#include "origin/accounts.h"

#include <algorithm>
#include <utility>

#include "origin/account_name.h"
#include "origin/audit.h"
#include "origin/password_rules.h"
#include "runtime/crypto.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr size_t kAccountIdBytes = 10;
constexpr size_t kAgentBytes = 200;
constexpr size_t kNonceBytes = 16;
constexpr size_t kSweptAtOnce = 10'000;
/// Right passwords that are taken for each wrong one that is allowed.
constexpr int kSignInsAFailure = 10;

std::string RandomAccountId() {
  std::array<uint8_t, kAccountIdBytes> random{};
  RandomBytes(random);
  return HexEncode(random);
}

/// Never 0, and never negative.
int64_t RandomGeneration() {
  uint64_t random = 0;
  RandomBytes({reinterpret_cast<uint8_t*>(&random), sizeof random});
  return static_cast<int64_t>((random >> 1) | 1);
}

HashSettings HashSettingsOf(const AccountSettings& settings) {
  return {.memory_bytes = settings.hash_memory.bytes,
          .passes = settings.hash_passes,
          .at_once = static_cast<size_t>(settings.hashes),
          .most_waiting = static_cast<size_t>(settings.hash_queue)};
}

storage::AuditEntry RecordOfOwner(const storage::Account& account, const Visitor& visitor,
                                  std::string_view action) {
  Caller caller;
  caller.name = NameInRecords(account);
  return RecordOf(caller, visitor.address, {.action = action, .site = "", .detail = "{}"});
}

tl::unexpected<Error> WrongPassword() {
  return Fail(Fault::kClient, "wrong_password", "name or password is wrong");
}

tl::unexpected<Error> NoSessions() {
  return Fail(Fault::kSelf, "no_sessions", "storage.sessions is not set, so nobody can sign in");
}

std::string RandomNonce() {
  std::array<uint8_t, kNonceBytes> random{};
  RandomBytes(random);
  return Base64UrlEncode(random);
}

/// Of what only the origins know of the account, so that they need no key of their own for it.
std::string MarkOf(std::string_view nonce, const storage::Account& account) {
  std::string mark(nonce);
  return mark + "." +
         Base64UrlEncode(HmacSha256(account.password, "nearside known browser " + mark));
}

bool IsMarkOf(std::string_view mark, const storage::Account& account) {
  const size_t dot = mark.find('.');
  return dot != std::string_view::npos &&
         EqualInConstantTime(mark, MarkOf(mark.substr(0, dot), account));
}

SignInResult ResultOf(const Error& error) {
  if (error.reason == "wrong_password") return SignInResult::kWrong;
  if (error.reason == "too_many_failures") return SignInResult::kLimited;
  if (error.reason == "hashing_busy") return SignInResult::kBusy;
  return SignInResult::kFailed;
}

}  // namespace

std::string NameInRecords(const storage::Account& account) { return "account:" + account.name; }

Rights RightsOf(const storage::Account& account, std::string_view site) {
  Rights rights;
  for (const storage::AccountGrant& grant : account.grants) {
    if (!grant.site.empty() && grant.site != site) continue;
    for (const std::string& scope : grant.scopes) {
      if (const std::optional<Right> right = ParseRight(scope)) rights.Add(*right);
    }
  }
  return rights;
}

Caller CallerOf(const storage::Account& account, const std::string& site) {
  Caller caller;
  caller.name = NameInRecords(account);
  caller.site = site;
  caller.rights = RightsOf(account, site);
  return caller;
}

Accounts::Accounts(storage::Metadata& metadata, std::unique_ptr<storage::SessionStore> sessions,
                   const AccountSettings& settings, bool limit_loopback)
    : metadata_(metadata),
      sessions_(std::move(sessions)),
      settings_(settings),
      hasher_(HashSettingsOf(settings)),
      failures_of_addresses_(settings.failures, limit_loopback, settings.failure_window),
      failures_of_names_(settings.failures, /*loopback_too=*/true, settings.failure_window),
      sign_ups_(settings.failures, limit_loopback, settings.failure_window),
      sign_ins_of_names_(settings.failures * kSignInsAFailure, /*loopback_too=*/true,
                         settings.failure_window) {}

/// Whose wrong passwords are counted together: a name's, whether there is such an account or not;
/// but those of a browser that has been signed in as this account, and of one who is, by
/// themselves: strangers must not lock them out. Neither can be taken for a name, which has no line
/// breaks.
std::string Accounts::CountedAs(const std::string& name, const storage::Account* account,
                                const Visitor& visitor, const SignedIn* who, MonoTime now) const {
  if (who != nullptr) return "session\n" + who->account.id;
  if (account == nullptr || !IsMarkOf(visitor.browser, *account)) return name;
  std::string browser = "browser\n" + visitor.browser;
  // One that has guessed too often is like any other.
  return failures_of_names_.WaitOf(browser, now) > milliseconds(0) ? name : browser;
}

milliseconds Accounts::LockedOutFor(std::string_view name, const Visitor& visitor,
                                    const SignedIn* who) {
  const Result<std::string> normal = NormalAccountName(name);
  const Result<storage::Account> account =
      normal ? metadata_.FindAccount(*normal) : unexpected(normal.error());
  std::lock_guard lock(failures_mutex_);
  const MonoTime now = MonoNow();
  milliseconds of_name(0);
  if (normal) {
    const std::string counted =
        CountedAs(*normal, account ? &*account : nullptr, visitor, who, now);
    of_name =
        std::max(failures_of_names_.WaitOf(counted, now), sign_ins_of_names_.WaitOf(*normal, now));
  }
  return std::max({failures_of_addresses_.WaitOf(visitor.address, now),
                   sign_ups_.WaitOf(visitor.address, now), of_name});
}

/// The account whose password is shown; `who`: by one who is signed in as this account.
Result<storage::Account> Accounts::Check(const Credentials& shown, const Visitor& visitor,
                                         const SignedIn* who) {
  const Result<std::string> name = NormalAccountName(shown.name);
  Result<storage::Account> account = WrongPassword();
  if (name) account = metadata_.FindAccount(*name);
  const bool unknown = !account && (account.error().reason == "no_such_account" ||
                                    account.error().reason == "wrong_password");
  if (!account && !unknown) return account;
  std::string counted = "?";
  {
    std::lock_guard lock(failures_mutex_);
    const MonoTime now = MonoNow();
    if (name) counted = CountedAs(*name, account ? &*account : nullptr, visitor, who, now);
    const bool locked = failures_of_addresses_.WaitOf(visitor.address, now) > milliseconds(0) ||
                        (name && (failures_of_names_.WaitOf(counted, now) > milliseconds(0) ||
                                  sign_ins_of_names_.WaitOf(*name, now) > milliseconds(0)));
    if (locked) {
      return Fail(
          Fault::kClient, "too_many_failures",
          "too many wrong passwords came from here or for this name, or too many right ones");
    }
  }
  const bool possible = !shown.password.empty() && shown.password.size() <= kMostPasswordBytes;
  Result<bool> right = hasher_.IsRight(account && possible ? account->password : "",
                                       possible ? shown.password : std::string_view("?"));
  if (!right) return unexpected(std::move(right.error()));
  std::lock_guard lock(failures_mutex_);
  const MonoTime now = MonoNow();
  if (*right) {
    // Each costs a hash and a record: nobody is to keep all hashes at work with one password.
    sign_ins_of_names_.Count(*name, now);
    return account;
  }
  failures_of_addresses_.Count(visitor.address, now);
  failures_of_names_.Count(counted, now);
  return WrongPassword();
}

Result<std::string> Accounts::BrowserMark(std::string_view session_id) {
  Result<std::optional<SignedIn>> who = Find(session_id);
  if (!who) return unexpected(std::move(who.error()));
  if (!*who) return std::string();
  return MarkOf(RandomNonce(), (*who)->account);
}

Result<std::string> Accounts::Begin(const storage::Account& account, const Visitor& visitor) {
  if (sessions_ == nullptr) return NoSessions();
  Result<std::string> id =
      sessions_->Create({.account = account.id,
                         .generation = account.generation,
                         .note = visitor.address + "\n" + visitor.agent.substr(0, kAgentBytes)});
  if (!id) return id;
  if (Status noted = metadata_.NoteSignIn(account.id, WallNow()); !noted) {
    Log(Level::kWarning, "sign_in_not_noted", {{"error", noted.error().ToString()}});
  }
  return id;
}

Result<std::string> Accounts::SignInBy(const Credentials& shown, const Visitor& visitor) {
  if (sessions_ == nullptr) return NoSessions();
  Result<storage::Account> account = Check(shown, visitor, nullptr);
  if (!account) return unexpected(std::move(account.error()));
  if (hasher_.IsOld(account->password)) {
    // While the password is at hand. Not to be able to is no reason to refuse it.
    if (const Result<std::string> hash = hasher_.Hash(shown.password)) {
      (void)metadata_.ChangePassword(
          {.account = account->id, .before = account->password, .after = *hash}, std::nullopt);
    }
  }
  // On record before it is made: a session without a record would be worse than the reverse.
  Status kept = metadata_.AddAudit(RecordOfOwner(*account, visitor, "account_signed_in"));
  if (!kept) return unexpected(std::move(kept.error()));
  return Begin(*account, visitor);
}

Result<std::string> Accounts::SignIn(const Credentials& shown, const Visitor& visitor) {
  Result<std::string> id = SignInBy(shown, visitor);
  const SignInResult result = id ? SignInResult::kDone : ResultOf(id.error());
  ++sign_ins_[static_cast<size_t>(result)];
  if (!id) {
    // Names that people mistype may be passwords: they are not logged.
    Log(result == SignInResult::kFailed ? Level::kError : Level::kWarning, "sign_in_refused",
        {{"client", visitor.address}, {"reason", id.error().reason}});
  }
  return id;
}

Result<storage::Account> Accounts::CreateHashed(const Credentials& wanted,
                                                const std::vector<storage::AccountGrant>& grants,
                                                const std::string& created_by,
                                                const storage::AuditEntry& audit) {
  Result<std::string> hash = hasher_.Hash(wanted.password);
  if (!hash) return unexpected(std::move(hash.error()));
  storage::Account draft;
  draft.id = RandomAccountId();
  draft.name = wanted.name;
  draft.password = std::move(*hash);
  draft.generation = RandomGeneration();
  draft.grants = grants;
  draft.created_by = created_by;
  Result<storage::Account> account = metadata_.CreateAccount(draft, audit);
  if (account) {
    Log(Level::kInfo, "account_created", {{"name", account->name}, {"by", created_by}});
  }
  return account;
}

Result<storage::Account> Accounts::Create(const Credentials& wanted,
                                          const std::vector<storage::AccountGrant>& grants,
                                          const std::string& created_by,
                                          const storage::AuditEntry& audit) {
  Result<std::string> name = NormalAccountName(wanted.name);
  if (!name) return unexpected(std::move(name.error()));
  if (Status good = CheckPassword(wanted.password, *name); !good) {
    return unexpected(std::move(good.error()));
  }
  return CreateHashed({*name, wanted.password}, grants, created_by, audit);
}

Result<std::string> Accounts::SignUp(const Credentials& wanted, const Visitor& visitor) {
  if (sessions_ == nullptr) return NoSessions();
  if (!sign_up_open()) {
    return Fail(Fault::kClient, "sign_up_closed", "accounts are made by this origin's operator");
  }
  Result<std::string> name = NormalAccountName(wanted.name);
  if (!name) return name;
  if (Status good = CheckPassword(wanted.password, *name); !good) {
    return unexpected(std::move(good.error()));
  }
  {
    // Each costs a hash and a row, and tells whether a name is taken.
    std::lock_guard lock(failures_mutex_);
    const MonoTime now = MonoNow();
    if (sign_ups_.WaitOf(visitor.address, now) > milliseconds(0)) {
      return Fail(Fault::kClient, "too_many_failures",
                  "too many accounts were asked for from here");
    }
    sign_ups_.Count(visitor.address, now);
  }
  storage::Account asked;
  asked.name = *name;
  Result<storage::Account> account =
      CreateHashed({*name, wanted.password}, {}, NameInRecords(asked),
                   RecordOfOwner(asked, visitor, "account_signed_up"));
  if (!account) return unexpected(std::move(account.error()));
  ++signed_up_;
  return Begin(*account, visitor);
}

Result<std::optional<SignedIn>> Accounts::Find(std::string_view session_id) {
  if (sessions_ == nullptr || session_id.empty()) return std::nullopt;
  Result<std::optional<storage::Session>> session = sessions_->Find(session_id);
  if (!session) return unexpected(std::move(session.error()));
  if (!*session) return std::nullopt;
  Result<storage::Account> account = metadata_.FindAccountById((*session)->account);
  if (!account && account.error().reason == "no_such_account") return std::nullopt;
  if (!account) return unexpected(std::move(account.error()));
  // Ended with the others of its time; it may be there still, or have been made by who was late.
  if (account->generation != (*session)->generation) return std::nullopt;
  return SignedIn{std::string(session_id), std::move(**session), std::move(*account)};
}

Status Accounts::SignOut(const SignedIn& who) { return sessions_->Remove(who.session.key); }

/// What the account's generation has ended already is removed. A failure leaves them to expire.
void Accounts::RemoveSessions(const std::string& account) {
  if (sessions_ == nullptr) return;
  if (Result<size_t> removed = sessions_->RemoveAll(account, std::nullopt); !removed) {
    Log(Level::kWarning, "sessions_not_removed", {{"error", removed.error().ToString()}});
  }
}

Status Accounts::SignOutEverywhere(const storage::Account& account,
                                   const storage::AuditEntry& audit) {
  Status ended = metadata_.EndSessions(account.id, RandomGeneration(), audit);
  if (!ended) return ended;
  RemoveSessions(account.id);
  Log(Level::kInfo, "account_signed_out_everywhere", {{"name", account.name}});
  return {};
}

Result<std::string> Accounts::ChangePassword(const SignedIn& who, std::string_view current,
                                             std::string_view fresh, const Visitor& visitor) {
  Result<storage::Account> account = Check({who.account.name, current}, visitor, &who);
  if (!account) return unexpected(std::move(account.error()));
  if (Status good = CheckPassword(fresh, account->name); !good) {
    return unexpected(std::move(good.error()));
  }
  Result<std::string> hash = hasher_.Hash(fresh);
  if (!hash) return hash;
  const std::string before = std::exchange(account->password, *hash);
  account->generation = RandomGeneration();
  Status changed = metadata_.ChangePassword(
      {.account = account->id, .before = before, .after = *hash, .generation = account->generation},
      RecordOfOwner(*account, visitor, "account_password_changed"));
  if (!changed) return unexpected(std::move(changed.error()));
  RemoveSessions(account->id);
  Log(Level::kInfo, "account_password_changed", {{"name", account->name}});
  Result<std::string> id = Begin(*account, visitor);
  if (id) return id;
  Log(Level::kError, "session_not_begun", {{"error", id.error().ToString()}});
  return Fail(Fault::kSelf, "not_signed_in", "the password is changed: sign in with the new one");
}

Status Accounts::SetPassword(const storage::Account& account, std::string_view fresh,
                             const storage::AuditEntry& audit) {
  if (Status good = CheckPassword(fresh, account.name); !good) return good;
  Result<std::string> hash = hasher_.Hash(fresh);
  if (!hash) return unexpected(std::move(hash.error()));
  Status changed = metadata_.ChangePassword(
      {.account = account.id, .after = *hash, .generation = RandomGeneration()}, audit);
  if (!changed) return changed;
  RemoveSessions(account.id);
  Log(Level::kInfo, "account_password_changed", {{"name", account.name}, {"by", audit.name}});
  return {};
}

Result<storage::Account> Accounts::Delete(const std::string& name,
                                          const storage::AuditEntry& audit) {
  Result<storage::Account> account = metadata_.DeleteAccount(name, audit);
  if (!account) return account;
  RemoveSessions(account->id);
  Log(Level::kInfo, "account_deleted", {{"name", account->name}, {"by", audit.name}});
  return account;
}

Result<std::vector<storage::Session>> Accounts::SessionsOf(const storage::Account& account) {
  if (sessions_ == nullptr) return std::vector<storage::Session>();
  Result<std::vector<storage::Session>> sessions = sessions_->List(account.id);
  if (!sessions) return sessions;
  std::erase_if(*sessions, [&](const storage::Session& session) {
    return session.generation != account.generation;
  });
  return sessions;
}

void Accounts::Sweep() {
  if (sessions_ == nullptr) return;
  if (Result<size_t> swept = sessions_->Sweep(kSweptAtOnce); !swept) {
    Log(Level::kWarning, "sessions_not_swept", {{"error", swept.error().ToString()}});
  }
}

void Accounts::ExportMetrics(metrics::Registry& registry) const {
  for (size_t i = 0; i < sign_ins_.size(); ++i) {
    registry.CounterFrom("nearside_origin_sign_ins_total", "Tries to sign in, by how they ended.",
                         {{"result", std::string(kSignInResultNames[i])}},
                         [this, i] { return static_cast<double>(sign_ins_[i].load()); });
  }
  registry.CounterFrom("nearside_origin_sign_ups_total", "Accounts that people made themselves.",
                       {}, [this] { return static_cast<double>(signed_up_.load()); });
  registry.CounterFrom("nearside_origin_password_hashes_total", "Passwords hashed.", {},
                       [this] { return static_cast<double>(hasher_.hashes()); });
  registry.CounterFrom("nearside_origin_password_hashes_refused_total",
                       "Passwords not hashed, because too many waited: 503.", {},
                       [this] { return static_cast<double>(hasher_.refused()); });
  registry.Gauge("nearside_origin_password_hashes_waiting", "Passwords that wait to be hashed.", {},
                 [this] { return static_cast<double>(hasher_.waiting()); });
  registry.Gauge("nearside_origin_accounts", "Accounts.", {}, [this] {
    const auto count = metadata_.AccountCount();
    return count ? static_cast<double>(*count) : 0.0;
  });
  if (sessions_ == nullptr) return;
  registry.Gauge("nearside_origin_sessions",
                 "Sessions kept, those that have ended and were not removed yet among them.", {},
                 [this] {
                   const auto count = sessions_->Count();
                   return count ? static_cast<double>(*count) : 0.0;
                 });
}

}  // namespace nearside::origin
