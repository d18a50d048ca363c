#include <algorithm>

#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

constexpr std::string_view kTokenColumns =
    "id, name, digest, site, scopes, created_by, created, expires, revoked, used";

Token ReadTokenRow(const SqlRow& row) {
  Token token;
  token.id = row.Text(0);
  token.name = row.Text(1);
  token.digest = row.Text(2);
  token.site = row.Text(3);
  token.scopes = DecodeLines(row.Text(4));
  token.created_by = row.Text(5);
  token.created = FromUnixMillis(row.Int(6));
  token.expires = FromUnixMillis(row.Int(7));
  token.revoked = FromUnixMillis(row.Int(8));
  token.used = FromUnixMillis(row.Int(9));
  return token;
}

/// Nullopt when there is none.
Result<std::optional<Token>> ReadToken(SqlSession& session, const std::string& id) {
  const SqlValue which[] = {id};
  Result<SqlRows> rows =
      session.Query("SELECT " + std::string(kTokenColumns) + " FROM tokens WHERE id = ?", which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return std::nullopt;
  return ReadTokenRow((*rows)[0]);
}

Result<Token> RequireToken(SqlSession& session, const std::string& id) {
  Result<std::optional<Token>> token = ReadToken(session, id);
  if (!token) return unexpected(std::move(token.error()));
  if (*token) return std::move(**token);
  return Fail(Fault::kClient, "no_such_token",
              "there is no token \"" + id + "\": see GET /v1/tokens");
}

/// Tells every process that what it knows of the tokens is old.
Status CountTokenChange(SqlSession& session) {
  return session.Run("UPDATE log SET tokens = tokens + 1");
}

/// Drops the oldest of those that open nothing, of one site or ("") of all, until one more is
/// `most`. Error: kClient too_many_tokens.
Status MakeRoomAmong(SqlSession& session, const std::string& site, int64_t most, int64_t now) {
  const std::string all = "SELECT COUNT(*) FROM tokens WHERE (site = ? OR ? = '')";
  const SqlValue which[] = {site, site};
  Result<SqlRows> rows = session.Query(all, which);
  if (!rows) return unexpected(std::move(rows.error()));
  const int64_t surplus = (*rows)[0].Int(0) + 1 - most;
  if (surplus <= 0) return {};
  const SqlValue dead[] = {site, site, now, surplus};
  Status dropped = session.Run(
      "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE (site = ? OR ? = '') AND "
      "(revoked > 0 OR (expires > 0 AND expires <= ?)) ORDER BY created, id LIMIT ?)",
      dead);
  if (!dropped) return dropped;
  rows = session.Query(all, which);
  if (!rows) return unexpected(std::move(rows.error()));
  if ((*rows)[0].Int(0) < most) return {};
  return Fail(Fault::kClient, "too_many_tokens",
              "there are " + std::to_string(most) + " tokens " +
                  (site.empty() ? "" : "of site \"" + site + "\" ") +
                  "that still open something: revoke what nobody uses any more");
}

}  // namespace

Status SqlMetadata::MakeRoomForToken(SqlSession& session, const std::string& site) {
  const int64_t now = ToUnixMillis(Now());
  const auto most = static_cast<int64_t>(options_.most_tokens);
  if (!site.empty()) {
    const int64_t of_site = std::max<int64_t>(most / 10, 1);
    if (Status room = MakeRoomAmong(session, site, of_site, now); !room) return room;
  }
  return MakeRoomAmong(session, "", most, now);
}

Status SqlMetadata::RevokeTokensOfSite(SqlSession& session, const std::string& site) {
  const SqlValue which[] = {ToUnixMillis(Now()), site};
  Status revoked =
      session.Run("UPDATE tokens SET revoked = ? WHERE site = ? AND revoked = 0", which);
  return revoked ? CountTokenChange(session) : revoked;
}

Result<Token> SqlMetadata::CreateToken(const Token& draft, const AuditEntry& audit) {
  return Writing([&](SqlSession& session) -> Result<Token> {
    if (!draft.site.empty()) {
      Result<Site> site = ReadSite(session, draft.site);
      if (!site) return unexpected(std::move(site.error()));
    }
    Result<std::optional<Token>> there = ReadToken(session, draft.id);
    if (!there) return unexpected(std::move(there.error()));
    if (*there) {
      return Fail(Fault::kClient, "token_exists", "there is a token \"" + draft.id + "\" already");
    }
    if (Status room = MakeRoomForToken(session, draft.site); !room) {
      return unexpected(std::move(room.error()));
    }
    const SqlValue row[] = {draft.id,
                            draft.name,
                            draft.digest,
                            draft.site,
                            EncodeLines(draft.scopes),
                            draft.created_by,
                            ToUnixMillis(Now()),
                            ToUnixMillis(draft.expires)};
    Status made = session.Run("INSERT INTO tokens (" + std::string(kTokenColumns) +
                                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
                              row);
    if (made) made = CountTokenChange(session);
    if (made) made = AuditIn(session, audit, 0);
    if (!made) return unexpected(std::move(made.error()));
    return RequireToken(session, draft.id);
  });
}

Result<std::vector<Token>> SqlMetadata::Tokens() {
  return Reading([](SqlSession& session) -> Result<std::vector<Token>> {
    Result<SqlRows> rows =
        session.Query("SELECT " + std::string(kTokenColumns) + " FROM tokens ORDER BY created, id");
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<Token> tokens;
    tokens.reserve(rows->size());
    for (const SqlRow& row : *rows) tokens.push_back(ReadTokenRow(row));
    return tokens;
  });
}

Result<Token> SqlMetadata::FindToken(const std::string& id) {
  return Reading([&](SqlSession& session) { return RequireToken(session, id); });
}

Result<Token> SqlMetadata::RevokeToken(const std::string& id, const AuditEntry& audit) {
  return Writing([&](SqlSession& session) -> Result<Token> {
    Result<Token> token = RequireToken(session, id);
    if (!token || token->is_revoked()) return token;
    token->revoked = Now();
    const SqlValue which[] = {ToUnixMillis(token->revoked), id};
    Status revoked = session.Run("UPDATE tokens SET revoked = ? WHERE id = ?", which);
    if (revoked) revoked = CountTokenChange(session);
    if (revoked) revoked = AuditIn(session, audit, 0);
    if (!revoked) return unexpected(std::move(revoked.error()));
    return token;
  });
}

Status SqlMetadata::NoteTokenUse(const std::string& id, WallTime used) {
  std::lock_guard lock(reports_mutex_);
  const SqlValue values[] = {ToUnixMillis(used), id};
  return reports_->Run("UPDATE tokens SET used = ? WHERE id = ?", values);
}

}  // namespace nearside::storage
