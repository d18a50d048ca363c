#include <algorithm>

#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

/// 1 for changes of sites and tokens, of which there are few and which are asked for long after; 2
/// for accounts; 3 for what people do to these as often as they like; 0 for the others.
constexpr std::string_view kKindOfRecord =
    "(CASE WHEN action LIKE 'site%' OR action LIKE 'token%' THEN 1 "
    "WHEN action IN ('account_signed_in', 'account_signed_up') THEN 3 "
    "WHEN action LIKE 'account%' THEN 2 ELSE 0 END)";

AuditRecord ReadAuditRow(const SqlRow& row) {
  AuditRecord record;
  record.sequence = static_cast<uint64_t>(row.Int(0));
  record.time = FromUnixMillis(row.Int(1));
  record.event = {static_cast<uint64_t>(row.Int(9)), static_cast<uint64_t>(row.Int(2))};
  record.entry = {.token = row.Text(3),
                  .name = row.Text(4),
                  .client = row.Text(5),
                  .action = row.Text(6),
                  .site = row.Text(7),
                  .detail = row.Text(8)};
  return record;
}

}  // namespace

Status SqlMetadata::AuditIn(SqlSession& session, const AuditEntry& entry, uint64_t event) {
  // The newest row is never dropped, so numbers are not given twice.
  Result<SqlRows> rows = session.Query("SELECT seq FROM audit ORDER BY seq DESC LIMIT 1");
  if (!rows) return unexpected(std::move(rows.error()));
  const int64_t sequence = rows->empty() ? 1 : (*rows)[0].Int(0) + 1;
  const SqlValue row[] = {sequence,     ToUnixMillis(Now()), static_cast<int64_t>(event),
                          entry.token,  entry.name,          entry.client,
                          entry.action, entry.site,          entry.detail};
  Status added = session.Run(
      "INSERT INTO audit (seq, time, event, token, name, client, action, site, detail) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      row);
  if (!added) return added;
  // A tenth more than asked for may stand there, as in the log of events.
  const auto keep = static_cast<int64_t>(std::max<uint64_t>(options_.keep_audit, 1));
  if (sequence % std::max<int64_t>(keep / 10, 1) != 0) return {};
  return TrimAuditIn(session, keep);
}

Status SqlMetadata::TrimAuditIn(SqlSession& session, int64_t keep) {
  const std::string kind(kKindOfRecord);
  const SqlValue more[] = {keep};
  Result<SqlRows> full = session.Query("SELECT site, " + kind +
                                           " AS kind FROM audit GROUP BY site, kind "
                                           "HAVING COUNT(*) > ?",
                                       more);
  if (!full) return unexpected(std::move(full.error()));
  for (const SqlRow& row : *full) {
    const SqlValue newest[] = {row.Text(0), row.Int(1), keep};
    Result<SqlRows> last = session.Query("SELECT seq FROM audit WHERE site = ? AND " + kind +
                                             " = ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
                                         newest);
    if (!last) return unexpected(std::move(last.error()));
    if (last->empty()) continue;
    const SqlValue old[] = {row.Text(0), row.Int(1), (*last)[0].Int(0)};
    Status gone =
        session.Run("DELETE FROM audit WHERE site = ? AND " + kind + " = ? AND seq <= ?", old);
    if (!gone) return gone;
  }
  return {};
}

Status SqlMetadata::AddAudit(const AuditEntry& entry) {
  return Writing([&](SqlSession& session) { return AuditIn(session, entry, 0); });
}

Result<std::vector<AuditRecord>> SqlMetadata::Audit(const AuditRange& range) {
  return Reading([&](SqlSession& session) -> Result<std::vector<AuditRecord>> {
    const bool newest = !range.after;
    std::vector<SqlValue> which = {static_cast<int64_t>(
        std::min<uint64_t>(range.after.value_or(0), static_cast<uint64_t>(INT64_MAX)))};
    if (!range.site.empty()) which.emplace_back(range.site);
    which.emplace_back(static_cast<int64_t>(range.limit));
    Result<SqlRows> rows = session.Query(
        "SELECT a.seq, a.time, a.event, a.token, a.name, a.client, a.action, a.site, a.detail, "
        "l.epoch FROM audit a, log l WHERE a.seq > ?" +
            std::string(range.site.empty() ? "" : " AND a.site = ?") + " ORDER BY a.seq" +
            (newest ? " DESC" : "") + " LIMIT ?",
        which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<AuditRecord> records;
    records.reserve(rows->size());
    for (const SqlRow& row : *rows) records.push_back(ReadAuditRow(row));
    if (newest) std::reverse(records.begin(), records.end());
    return records;
  });
}

}  // namespace nearside::storage
