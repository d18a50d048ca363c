#pragma once

// People who sign in: their passwords, their sessions, and who guesses. What HTTP carries of it is
// in account_service (pages) and api_accounts (JSON).

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "origin/caller.h"
#include "origin/failure_limit.h"
#include "origin/password_hasher.h"
#include "origin/settings.h"
#include "runtime/metrics.h"
#include "storage/metadata.h"
#include "storage/session_store.h"

namespace nearside::origin {

/// What somebody offers to be signed in with.
struct Credentials {
  std::string_view name;
  std::string_view password;
};

/// Where a request comes from, for limits and records.
struct Visitor {
  std::string address;
  std::string agent;    ///< User-Agent
  std::string browser;  ///< the mark that it was given by BrowserMark; "": none
};

/// A session that is being used.
struct SignedIn {
  std::string id;  ///< the session's; a secret
  storage::Session session;
  storage::Account account;
};

/// How a try to sign in ended.
enum class SignInResult {
  kDone,
  kWrong,    ///< name or password
  kLimited,  ///< too many wrong ones from this address, or for this name
  kBusy,     ///< too many passwords were being checked
  kFailed,   ///< our fault
};
inline constexpr std::string_view kSignInResultNames[] = {"done", "wrong", "limited", "busy",
                                                          "failed"};

/// Any thread; blocks on the disk and on the hashing of passwords. State is metadata's and the
/// session store's alone, so that any replica answers for any other; what is counted against
/// guessing is each replica's own.
class Accounts {
 public:
  /// `sessions` may be null: then nobody signs in, and accounts can be kept all the same.
  Accounts(storage::Metadata& metadata, std::unique_ptr<storage::SessionStore> sessions,
           const AccountSettings& settings, bool limit_loopback);

  /// A new session's id. An account that is not there is told from a wrong password by nothing,
  /// time included. Errors: kClient wrong_password, too_many_failures (see LockedOutFor); kSelf
  /// hashing_busy, too_many_sessions, and those of storage.
  Result<std::string> SignIn(const Credentials& shown, const Visitor& visitor);
  /// The same of a new account, if people may make them. Errors: kClient sign_up_closed,
  /// bad_account_name, bad_password, account_exists, too_many_accounts, too_many_failures.
  Result<std::string> SignUp(const Credentials& wanted, const Visitor& visitor);
  /// Who has this session; nullopt: nobody, or it has ended. Errors: those of storage.
  Result<std::optional<SignedIn>> Find(std::string_view session_id);
  Status SignOut(const SignedIn& who);
  /// Ends all sessions of the account on every replica, at once. `audit` says who did it.
  Status SignOutEverywhere(const storage::Account& account, const storage::AuditEntry& audit);
  /// What the browser of a session that was just begun is known by from now on: wrong passwords
  /// for the session's account are counted by it and not by the account's name, so that nobody else
  /// can lock its owner out there. Good until the password is another.
  Result<std::string> BrowserMark(std::string_view session_id);
  /// All sessions end; a new one's id. Errors: those of SignIn, kClient bad_password,
  /// password_changed; kSelf not_signed_in: the password is the new one, but there is no session.
  Result<std::string> ChangePassword(const SignedIn& who, std::string_view current,
                                     std::string_view fresh, const Visitor& visitor);

  /// For whoever administers accounts. Errors: kClient bad_account_name, bad_password, and those of
  /// Metadata and the hasher.
  Result<storage::Account> Create(const Credentials& wanted,
                                  const std::vector<storage::AccountGrant>& grants,
                                  const std::string& created_by, const storage::AuditEntry& audit);
  /// Ends all sessions.
  Status SetPassword(const storage::Account& account, std::string_view fresh,
                     const storage::AuditEntry& audit);
  Result<storage::Account> Delete(const std::string& name, const storage::AuditEntry& audit);

  /// The sessions of an account, newest first, those of another generation left out.
  Result<std::vector<storage::Session>> SessionsOf(const storage::Account& account);
  /// For how long an address, or a name, has to wait; 0: not at all. `who`: of one who is signed in
  /// and shows the password once more.
  milliseconds LockedOutFor(std::string_view name, const Visitor& visitor,
                            const SignedIn* who = nullptr);
  bool sign_up_open() const { return settings_.sign_up == "open"; }
  /// Removes sessions that have ended. Now and then.
  void Sweep();
  void ExportMetrics(metrics::Registry& registry) const;

 private:
  Result<std::string> SignInBy(const Credentials& shown, const Visitor& visitor);
  Result<storage::Account> Check(const Credentials& shown, const Visitor& visitor,
                                 const SignedIn* who);
  std::string CountedAs(const std::string& name, const storage::Account* account,
                        const Visitor& visitor, const SignedIn* who, MonoTime now) const;
  Result<storage::Account> CreateHashed(const Credentials& wanted,
                                        const std::vector<storage::AccountGrant>& grants,
                                        const std::string& created_by,
                                        const storage::AuditEntry& audit);
  Result<std::string> Begin(const storage::Account& account, const Visitor& visitor);
  void RemoveSessions(const std::string& account);

  storage::Metadata& metadata_;
  const std::unique_ptr<storage::SessionStore> sessions_;
  const AccountSettings settings_;
  PasswordHasher hasher_;
  std::mutex failures_mutex_;
  FailureLimit failures_of_addresses_;
  FailureLimit failures_of_names_;  ///< and of known browsers, and of those who are signed in
  FailureLimit sign_ups_;           ///< by address
  FailureLimit sign_ins_of_names_;  ///< with the right password
  std::array<std::atomic<uint64_t>, std::size(kSignInResultNames)> sign_ins_{};
  std::atomic<uint64_t> signed_up_{0};
};

/// As an account is named in records, in created_by of tokens and in logs: "account:alice".
std::string NameInRecords(const storage::Account& account);
/// What the account may do to a site, with what it may do to all.
Rights RightsOf(const storage::Account& account, std::string_view site);
/// The account as the API's routes ask who it is, for one site.
Caller CallerOf(const storage::Account& account, const std::string& site);

}  // namespace nearside::origin
