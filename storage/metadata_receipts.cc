#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

constexpr std::string_view kColumns =
    "id, site, release, previous, epoch, seq, time, changed, digest";

PublishReceipt ReadReceiptRow(const SqlRow& row) {
  PublishReceipt receipt;
  receipt.id = row.Int(0);
  receipt.site = row.Text(1);
  receipt.release = row.Int(2);
  receipt.previous = row.Int(3);
  receipt.position = {static_cast<uint64_t>(row.Int(4)), static_cast<uint64_t>(row.Int(5))};
  receipt.time = FromUnixMillis(row.Int(6));
  receipt.changed = static_cast<uint64_t>(row.Int(7));
  receipt.digest = row.Text(8);
  return receipt;
}

Status ReadEdges(SqlSession& session, PublishReceipt* receipt) {
  const SqlValue which[] = {receipt->id};
  Result<SqlRows> rows = session.Query(
      "SELECT edge, applied_at, proved_at, report FROM receipt_edges WHERE receipt = ? "
      "ORDER BY edge",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  for (const SqlRow& row : *rows) {
    receipt->edges.push_back({.edge = row.Text(0),
                              .applied_at = FromUnixMillis(row.Int(1)),
                              .proved_at = FromUnixMillis(row.Int(2)),
                              .report = row.Text(3)});
  }
  return {};
}

/// The older ones of the site go.
Status TrimReceipts(SqlSession& session, const std::string& site) {
  const SqlValue last[] = {site, static_cast<int64_t>(kReceiptsOfSite)};
  Result<SqlRows> rows = session.Query(
      "SELECT id FROM receipts WHERE site = ? ORDER BY id DESC LIMIT 1 OFFSET ?", last);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return {};
  const SqlValue old[] = {site, (*rows)[0].Int(0)};
  Status gone = session.Run(
      "DELETE FROM receipt_edges WHERE receipt IN "
      "(SELECT id FROM receipts WHERE site = ? AND id <= ?)",
      old);
  return gone ? session.Run("DELETE FROM receipts WHERE site = ? AND id <= ?", old) : gone;
}

}  // namespace

/// Gives the id.
Result<int64_t> SqlMetadata::AddReceiptIn(SqlSession& session, const PublishReceipt& draft) {
  if (Status given = session.Run("UPDATE log SET last_receipt = last_receipt + 1"); !given) {
    return unexpected(std::move(given.error()));
  }
  Result<SqlRows> rows = session.Query("SELECT last_receipt FROM log");
  if (!rows) return unexpected(std::move(rows.error()));
  const int64_t id = (*rows)[0].Int(0);
  const SqlValue row[] = {id,
                          draft.site,
                          draft.release,
                          draft.previous,
                          static_cast<int64_t>(draft.position.epoch),
                          static_cast<int64_t>(draft.position.sequence),
                          ToUnixMillis(draft.time),
                          static_cast<int64_t>(draft.changed)};
  Status added = session.Run(
      "INSERT INTO receipts (id, site, release, previous, epoch, seq, time, changed, digest) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
      row);
  for (const EdgeProof& proof : draft.edges) {
    const SqlValue edge[] = {id, proof.edge};
    if (!added) break;
    added = session.Run(
        "INSERT INTO receipt_edges (receipt, edge, applied_at, proved_at, report) "
        "VALUES (?, ?, 0, 0, '')",
        edge);
  }
  if (added) added = TrimReceipts(session, draft.site);
  if (!added) return unexpected(std::move(added.error()));
  return id;
}

Result<PublishReceipt> SqlMetadata::FindReceipt(int64_t id) {
  return Reading([&](SqlSession& session) -> Result<PublishReceipt> {
    const SqlValue which[] = {id};
    Result<SqlRows> rows =
        session.Query("SELECT " + std::string(kColumns) + " FROM receipts WHERE id = ?", which);
    if (!rows) return unexpected(std::move(rows.error()));
    if (rows->empty()) {
      return Fail(Fault::kClient, "no_such_receipt",
                  "there is no receipt " + std::to_string(id) + ", or none any more: the last " +
                      std::to_string(kReceiptsOfSite) + " of a site are kept");
    }
    PublishReceipt receipt = ReadReceiptRow((*rows)[0]);
    if (Status read = ReadEdges(session, &receipt); !read) {
      return unexpected(std::move(read.error()));
    }
    return receipt;
  });
}

Result<std::vector<PublishReceipt>> SqlMetadata::Receipts(const std::string& site, size_t limit) {
  return Reading([&](SqlSession& session) -> Result<std::vector<PublishReceipt>> {
    std::vector<SqlValue> which;
    if (!site.empty()) which.emplace_back(site);
    which.emplace_back(static_cast<int64_t>(limit));
    Result<SqlRows> rows =
        session.Query("SELECT " + std::string(kColumns) + " FROM receipts" +
                          (site.empty() ? "" : " WHERE site = ?") + " ORDER BY id DESC LIMIT ?",
                      which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<PublishReceipt> receipts;
    for (const SqlRow& row : *rows) receipts.push_back(ReadReceiptRow(row));
    return receipts;
  });
}

Result<int64_t> SqlMetadata::NoteProof(const std::string& site, LogPosition position,
                                       const EdgeProof& proof) {
  std::lock_guard lock(reports_mutex_);
  const SqlValue which[] = {site, static_cast<int64_t>(position.epoch),
                            static_cast<int64_t>(position.sequence)};
  Result<SqlRows> rows =
      reports_->Query("SELECT id FROM receipts WHERE site = ? AND epoch = ? AND seq = ?", which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return 0;
  const int64_t id = (*rows)[0].Int(0);
  const SqlValue row[] = {id, proof.edge, ToUnixMillis(proof.applied_at),
                          ToUnixMillis(proof.proved_at), proof.report};
  // The first time that it said so stands, whatever it says later.
  Status noted = reports_->Run(
      "INSERT INTO receipt_edges (receipt, edge, applied_at, proved_at, report) "
      "VALUES (?, ?, ?, ?, ?) ON CONFLICT (receipt, edge) DO UPDATE SET "
      "applied_at = CASE WHEN receipt_edges.applied_at > 0 THEN receipt_edges.applied_at "
      "ELSE excluded.applied_at END, "
      "proved_at = CASE WHEN receipt_edges.proved_at > 0 THEN receipt_edges.proved_at "
      "ELSE excluded.proved_at END, report = excluded.report",
      row);
  if (!noted) return unexpected(std::move(noted.error()));
  return id;
}

Status SqlMetadata::SetReceiptDigest(int64_t id, const std::string& digest) {
  std::lock_guard lock(reports_mutex_);
  const SqlValue row[] = {digest, id};
  return reports_->Run("UPDATE receipts SET digest = ? WHERE id = ?", row);
}

}  // namespace nearside::storage
