#include <algorithm>

#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

constexpr std::string_view kAccountColumns =
    "id, name, password, generation, created_by, created, password_changed, signed_in";

Result<Account> ReadAccountRow(SqlSession& session, const SqlRow& row) {
  Account account;
  account.id = row.Text(0);
  account.name = row.Text(1);
  account.password = row.Text(2);
  account.generation = row.Int(3);
  account.created_by = row.Text(4);
  account.created = FromUnixMillis(row.Int(5));
  account.password_changed = FromUnixMillis(row.Int(6));
  account.signed_in = FromUnixMillis(row.Int(7));
  const SqlValue which[] = {account.id};
  Result<SqlRows> grants = session.Query(
      "SELECT site, scopes FROM account_grants WHERE account = ? ORDER BY site", which);
  if (!grants) return unexpected(std::move(grants.error()));
  for (const SqlRow& grant : *grants) {
    account.grants.push_back({grant.Text(0), DecodeLines(grant.Text(1))});
  }
  return account;
}

/// By id or by name. Error: kClient no_such_account.
Result<Account> ReadAccount(SqlSession& session, std::string_view column,
                            const std::string& value) {
  const SqlValue which[] = {value};
  Result<SqlRows> rows = session.Query("SELECT " + std::string(kAccountColumns) +
                                           " FROM accounts WHERE " + std::string(column) + " = ?",
                                       which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (!rows->empty()) return ReadAccountRow(session, rows->front());
  return Fail(Fault::kClient, "no_such_account",
              "there is no account \"" + value.substr(0, 200) + "\"");
}

Status WriteGrants(SqlSession& session, const std::string& account,
                   const std::vector<AccountGrant>& grants) {
  const SqlValue which[] = {account};
  if (Status gone = session.Run("DELETE FROM account_grants WHERE account = ?", which); !gone) {
    return gone;
  }
  for (const AccountGrant& grant : grants) {
    if (!grant.site.empty()) {
      Result<Site> site = ReadSite(session, grant.site);
      if (!site) return unexpected(std::move(site.error()));
    }
    const SqlValue row[] = {account, grant.site, EncodeLines(grant.scopes)};
    Status added =
        session.Run("INSERT INTO account_grants (account, site, scopes) VALUES (?, ?, ?)", row);
    if (!added) return added;
  }
  return {};
}

Result<int64_t> CountAccounts(SqlSession& session) {
  Result<SqlRows> rows = session.Query("SELECT COUNT(*) FROM accounts");
  if (!rows) return unexpected(std::move(rows.error()));
  return rows->front().Int(0);
}

}  // namespace

Result<Account> SqlMetadata::CreateAccount(const Account& draft, const AuditEntry& audit) {
  return Writing([&](SqlSession& session) -> Result<Account> {
    if (Result<Account> there = ReadAccount(session, "name", draft.name); there) {
      return Fail(Fault::kClient, "account_exists",
                  "there is an account \"" + draft.name + "\" already");
    } else if (there.error().reason != "no_such_account") {
      return there;
    }
    Result<int64_t> count = CountAccounts(session);
    if (!count) return unexpected(std::move(count.error()));
    if (*count >= static_cast<int64_t>(options_.most_accounts)) {
      return Fail(Fault::kClient, "too_many_accounts",
                  "there are " + std::to_string(*count) + " accounts already");
    }
    const int64_t now = ToUnixMillis(Now());
    const SqlValue row[] = {
        draft.id, draft.name, draft.password, draft.generation, draft.created_by, now, now};
    Status made = session.Run("INSERT INTO accounts (" + std::string(kAccountColumns) +
                                  ") VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                              row);
    if (made) made = WriteGrants(session, draft.id, draft.grants);
    if (made) made = AuditIn(session, audit, 0);
    if (!made) return unexpected(std::move(made.error()));
    return ReadAccount(session, "id", draft.id);
  });
}

Result<std::vector<Account>> SqlMetadata::Accounts(const AccountRange& range) {
  return Reading([&](SqlSession& session) -> Result<std::vector<Account>> {
    const SqlValue which[] = {range.after, static_cast<int64_t>(range.limit)};
    Result<SqlRows> rows = session.Query("SELECT " + std::string(kAccountColumns) +
                                             " FROM accounts WHERE name > ? ORDER BY name LIMIT ?",
                                         which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<Account> accounts;
    accounts.reserve(rows->size());
    for (const SqlRow& row : *rows) {
      Result<Account> account = ReadAccountRow(session, row);
      if (!account) return unexpected(std::move(account.error()));
      accounts.push_back(std::move(*account));
    }
    return accounts;
  });
}

Result<uint64_t> SqlMetadata::AccountCount() {
  return Reading([](SqlSession& session) -> Result<uint64_t> {
    Result<int64_t> count = CountAccounts(session);
    if (!count) return unexpected(std::move(count.error()));
    return static_cast<uint64_t>(*count);
  });
}

Result<Account> SqlMetadata::FindAccount(const std::string& name) {
  return Reading([&](SqlSession& session) { return ReadAccount(session, "name", name); });
}

Result<Account> SqlMetadata::FindAccountById(const std::string& id) {
  return Reading([&](SqlSession& session) { return ReadAccount(session, "id", id); });
}

Status SqlMetadata::ChangePassword(const PasswordChange& change,
                                   const std::optional<AuditEntry>& audit) {
  return Writing([&](SqlSession& session) -> Status {
    Result<Account> account = ReadAccount(session, "id", change.account);
    if (!account) return unexpected(std::move(account.error()));
    if (!change.before.empty() && account->password != change.before) {
      return Fail(Fault::kClient, "password_changed",
                  "the password was changed at this very moment: sign in again");
    }
    if (!audit) {
      // Hashed anew it is no change of the owner's, and undoes none: sessions ended meanwhile.
      const SqlValue hash[] = {change.after, change.account};
      return session.Run("UPDATE accounts SET password = ? WHERE id = ?", hash);
    }
    const SqlValue row[] = {change.after, change.generation, ToUnixMillis(Now()), change.account};
    Status written = session.Run(
        "UPDATE accounts SET password = ?, generation = ?, password_changed = ? WHERE id = ?", row);
    if (written) written = AuditIn(session, *audit, 0);
    return written;
  });
}

Status SqlMetadata::EndSessions(const std::string& account, int64_t generation,
                                const AuditEntry& audit) {
  return Writing([&](SqlSession& session) -> Status {
    Result<Account> there = ReadAccount(session, "id", account);
    if (!there) return unexpected(std::move(there.error()));
    const SqlValue row[] = {generation, account};
    Status written = session.Run("UPDATE accounts SET generation = ? WHERE id = ?", row);
    if (written) written = AuditIn(session, audit, 0);
    return written;
  });
}

Result<Account> SqlMetadata::ReplaceGrants(const std::string& name,
                                           const std::vector<AccountGrant>& grants,
                                           const AuditEntry& audit) {
  return Writing([&](SqlSession& session) -> Result<Account> {
    Result<Account> account = ReadAccount(session, "name", name);
    if (!account) return account;
    Status written = WriteGrants(session, account->id, grants);
    if (written) written = AuditIn(session, audit, 0);
    if (!written) return unexpected(std::move(written.error()));
    return ReadAccount(session, "id", account->id);
  });
}

Result<Account> SqlMetadata::DeleteAccount(const std::string& name, const AuditEntry& audit) {
  return Writing([&](SqlSession& session) -> Result<Account> {
    Result<Account> account = ReadAccount(session, "name", name);
    if (!account) return account;
    const SqlValue which[] = {account->id};
    Status gone = session.Run("DELETE FROM account_grants WHERE account = ?", which);
    if (gone) gone = session.Run("DELETE FROM accounts WHERE id = ?", which);
    if (gone) gone = AuditIn(session, audit, 0);
    if (!gone) return unexpected(std::move(gone.error()));
    return account;
  });
}

Status SqlMetadata::NoteSignIn(const std::string& account, WallTime when) {
  std::lock_guard lock(reports_mutex_);
  const SqlValue values[] = {ToUnixMillis(when), account};
  return reports_->Run("UPDATE accounts SET signed_in = ? WHERE id = ?", values);
}

}  // namespace nearside::storage
