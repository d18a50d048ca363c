#include <algorithm>

#include "storage/metadata_sql.h"

namespace nearside::storage {

Result<LogState> ReadLog(SqlSession& session) {
  Result<SqlRows> rows = session.Query("SELECT epoch, first_seq, last_seq, tokens FROM log");
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->size() != 1) {
    return Fail(Fault::kSelf, "database_failed", "metadata: the table log does not have one row");
  }
  const SqlRow& row = (*rows)[0];
  LogState state;
  state.last = {static_cast<uint64_t>(row.Int(0)), static_cast<uint64_t>(row.Int(2))};
  state.first = static_cast<uint64_t>(row.Int(1));
  state.tokens = static_cast<uint64_t>(row.Int(3));
  return state;
}

Result<LogPosition> SqlMetadata::AppendIn(SqlSession& session, std::span<const NewEvent> events) {
  Result<LogState> log = ReadLog(session);
  if (!log) return unexpected(std::move(log.error()));
  if (events.empty()) return log->last;
  const int64_t now = ToUnixMillis(Now());
  for (const NewEvent& event : events) {
    const auto sequence = static_cast<int64_t>(++log->last.sequence);
    const SqlValue row[] = {sequence, now, event.type, event.site, event.body};
    Status added =
        session.Run("INSERT INTO events (seq, time, type, site, body) VALUES (?, ?, ?, ?, ?)", row);
    if (!added) return unexpected(std::move(added.error()));
  }
  const SqlValue last[] = {static_cast<int64_t>(log->last.sequence)};
  if (Status set = session.Run("UPDATE log SET last_seq = ?", last); !set) {
    return unexpected(std::move(set.error()));
  }
  if (Status trimmed = TrimIn(session, *log); !trimmed) {
    return unexpected(std::move(trimmed.error()));
  }
  for (const NewEvent& event : events) {
    if (!event.audit) continue;
    if (Status kept = AuditIn(session, *event.audit, log->last.sequence); !kept) {
      return unexpected(std::move(kept.error()));
    }
  }
  return log->last;
}

Status SqlMetadata::TrimIn(SqlSession& session, const LogState& state) {
  // A tenth more than asked for may stand there, so that trimming is rare and its deletes come in
  // bulk.
  const uint64_t keep = std::max<uint64_t>(options_.keep_events, 1);
  const uint64_t held = state.last.sequence + 1 - state.first;
  if (held <= keep + keep / 10) return {};
  const auto first = static_cast<int64_t>(state.last.sequence + 1 - keep);
  const SqlValue value[] = {first};
  if (Status gone = session.Run("DELETE FROM events WHERE seq < ?", value); !gone) return gone;
  return session.Run("UPDATE log SET first_seq = ?", value);
}

Result<LogState> SqlMetadata::Log() {
  return Reading([](SqlSession& session) { return ReadLog(session); });
}

Result<LogPosition> SqlMetadata::Append(std::span<const NewEvent> events) {
  return Writing([&](SqlSession& session) { return AppendIn(session, events); });
}

Result<std::vector<Event>> SqlMetadata::Events(uint64_t after, size_t limit) {
  return Reading([&](SqlSession& session) -> Result<std::vector<Event>> {
    const SqlValue which[] = {static_cast<int64_t>(after), static_cast<int64_t>(limit)};
    Result<SqlRows> rows = session.Query(
        "SELECT l.epoch, e.seq, e.time, e.type, e.site, e.body FROM events e, log l "
        "WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
        which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<Event> events;
    events.reserve(rows->size());
    for (const SqlRow& row : *rows) {
      Event event;
      event.position = {static_cast<uint64_t>(row.Int(0)), static_cast<uint64_t>(row.Int(1))};
      event.time = FromUnixMillis(row.Int(2));
      event.type = row.Text(3);
      event.site = row.Text(4);
      event.body = row.Text(5);
      events.push_back(std::move(event));
    }
    return events;
  });
}

Status SqlMetadata::ReportEdge(const EdgeReport& report) {
  std::lock_guard lock(reports_mutex_);
  const SqlValue row[] = {report.name,
                          static_cast<int64_t>(report.applied.epoch),
                          static_cast<int64_t>(report.applied.sequence),
                          ToUnixMillis(report.applied_at),
                          ToUnixMillis(report.seen_at),
                          report.report};
  return reports_->Run(
      "INSERT INTO edges (name, epoch, seq, applied_at, seen_at, report) "
      "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, "
      "seq = excluded.seq, applied_at = excluded.applied_at, seen_at = excluded.seen_at, "
      "report = excluded.report",
      row);
}

Result<std::vector<EdgeReport>> SqlMetadata::Edges() {
  return Reading([](SqlSession& session) -> Result<std::vector<EdgeReport>> {
    Result<SqlRows> rows = session.Query(
        "SELECT name, epoch, seq, applied_at, seen_at, report FROM edges ORDER BY name");
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<EdgeReport> edges;
    for (const SqlRow& row : *rows) {
      EdgeReport report;
      report.name = row.Text(0);
      report.applied = {static_cast<uint64_t>(row.Int(1)), static_cast<uint64_t>(row.Int(2))};
      report.applied_at = FromUnixMillis(row.Int(3));
      report.seen_at = FromUnixMillis(row.Int(4));
      report.report = row.Text(5);
      edges.push_back(std::move(report));
    }
    return edges;
  });
}

Status SqlMetadata::RemoveEdge(const std::string& name) {
  std::lock_guard lock(reports_mutex_);
  const SqlValue which[] = {name};
  return reports_->Run("DELETE FROM edges WHERE name = ?", which);
}

Status SqlMetadata::BackUp(const std::string& file) {
  return Reading([&](SqlSession& session) -> Status {
    const SqlValue where[] = {file};
    Status copied = session.Run("VACUUM INTO ?", where);
    if (copied) return copied;
    return Fail(Fault::kOperator, "cannot_write", file + ": " + copied.error().message);
  });
}

Status SqlMetadata::CheckWhole() {
  return Reading([&](SqlSession& session) -> Status {
    Result<SqlRows> checked = session.Query("PRAGMA integrity_check(1)");
    const bool sound = checked && checked->size() == 1 && checked->front().Text(0) == "ok";
    const Result<LogState> log = sound ? ReadLog(session) : LogState();
    if (sound && log) return {};
    const std::string why = !checked           ? checked.error().message
                            : sound            ? "it has no event log"
                            : checked->empty() ? ""
                                               : checked->front().Text(0);
    return Fail(Fault::kOperator, "not_whole", "expected an origin's database: " + why);
  });
}

Status SqlMetadata::RenewLog() {
  return Writing([&](SqlSession& session) -> Status {
    const SqlValue epoch[] = {RandomEpoch()};
    Status done = session.Run("UPDATE log SET epoch = ?", epoch);
    for (const char* sql : {"DELETE FROM blobs WHERE NOT EXISTS "
                            "(SELECT 1 FROM assets WHERE assets.blob = blobs.sha256)",
                            "DELETE FROM blob_variants", "DELETE FROM upload_parts",
                            "DELETE FROM uploads", "DELETE FROM resumable_uploads"}) {
      if (done) done = session.Run(sql);
    }
    return done;
  });
}

Result<std::vector<StoredBlob>> SqlMetadata::NamedBlobs(const std::string& after, size_t limit) {
  return Reading([&](SqlSession& session) -> Result<std::vector<StoredBlob>> {
    const SqlValue range[] = {after, static_cast<int64_t>(limit)};
    Result<SqlRows> rows = session.Query(
        "SELECT sha256, bytes FROM blobs WHERE sha256 > ? AND EXISTS "
        "(SELECT 1 FROM assets WHERE assets.blob = blobs.sha256) ORDER BY sha256 LIMIT ?",
        range);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<StoredBlob> blobs;
    for (const SqlRow& row : *rows) {
      Result<BlobId> id = ParseBlobName(row.Text(0));
      if (!id) return unexpected(std::move(id.error()));
      blobs.push_back({*id, static_cast<uint64_t>(row.Int(1))});
    }
    return blobs;
  });
}

}  // namespace nearside::storage
