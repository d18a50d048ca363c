#include <algorithm>

#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

/// For so long a step may keep other writers waiting; one file more than that is removed.
constexpr milliseconds kMostWriting{50};

/// Whether a release `r` of a site `s` that was active before is kept: for two values, the time
/// since which it may have been left, and how many are kept whatever their time.
constexpr std::string_view kKept =
    "(r.past_since > ? OR (SELECT COUNT(*) FROM releases n WHERE n.site = r.site AND "
    "n.activation > r.activation AND n.id <> s.active) < ?)";

int64_t CountOf(const Retention& kept) { return static_cast<int64_t>(kept.earlier); }

Result<SqlRows> QueryUnkept(SqlSession& session, const Retention& kept, WallTime now,
                            size_t limit) {
  const SqlValue which[] = {ToUnixMillis(now - kept.open_for), ToUnixMillis(now - kept.earlier_for),
                            CountOf(kept), static_cast<int64_t>(limit)};
  return session.Query(
      "SELECT r.id, r.site FROM releases r JOIN sites s ON s.name = r.site WHERE "
      "r.id <> s.active AND ((r.activation = 0 AND r.created <= ?) OR (r.activation > 0 AND NOT " +
          std::string(kKept) + ")) ORDER BY r.id LIMIT ?",
      which);
}

/// Whether a content `b` is that of an asset, a variant of another content, or that of an upload
/// that only has to be put.
constexpr std::string_view kNamed =
    "(EXISTS (SELECT 1 FROM assets a WHERE a.blob = b.sha256) OR EXISTS "
    "(SELECT 1 FROM blob_variants v WHERE v.blob = b.sha256) OR EXISTS "
    "(SELECT 1 FROM resumable_uploads u WHERE u.blob = b.sha256 AND u.state = 'sealed'))";

/// Whether a content may be condemned: uploaded before a time, and named by nothing.
Result<bool> IsFree(SqlSession& session, const std::string& name, WallTime added_before) {
  const SqlValue which[] = {name, ToUnixMillis(added_before)};
  Result<SqlRows> rows = session.Query(
      "SELECT 1 FROM blobs b WHERE b.sha256 = ? AND b.condemned = 0 AND b.added < ? AND "
      "NOT " +
          std::string(kNamed),
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  return !rows->empty();
}

Result<SqlRows> QueryCondemned(SqlSession& session, const BlobsToCollect& which) {
  const SqlValue values[] = {ToUnixMillis(which.condemned_before),
                             static_cast<int64_t>(which.limit)};
  return session.Query(
      "SELECT sha256, bytes FROM blobs WHERE condemned > 0 AND condemned < ? "
      "ORDER BY condemned LIMIT ?",
      values);
}

/// Whether the tables know a file: as a content, condemned or not, or as a part of an upload.
Result<bool> IsKnown(SqlSession& session, const BlobId& file) {
  const std::string name = BlobName(file);
  const SqlValue which[] = {name, name, name};
  Result<SqlRows> rows = session.Query(
      "SELECT 1 FROM blobs WHERE sha256 = ? UNION ALL SELECT 1 FROM upload_parts WHERE blob = ? "
      "UNION ALL SELECT 1 FROM resumable_uploads WHERE blob = ? AND state = 'sealed'",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  return !rows->empty();
}

/// Forgets up to `rows` of what a dropped release names, and the release with the last of them.
Result<size_t> TrimOne(SqlSession& session, ReleaseId release, size_t rows) {
  const SqlValue which[] = {release, static_cast<int64_t>(rows)};
  Result<SqlRows> paths =
      session.Query("SELECT path FROM assets WHERE release = ? ORDER BY path LIMIT ?", which);
  if (!paths) return unexpected(std::move(paths.error()));
  if (!paths->empty()) {
    const SqlValue gone[] = {release, paths->back().Text(0)};
    Status trimmed = session.Run("DELETE FROM assets WHERE release = ? AND path <= ?", gone);
    if (!trimmed) return unexpected(std::move(trimmed.error()));
  }
  if (paths->size() == rows) return rows;
  const SqlValue row[] = {release};
  Status gone = session.Run("DELETE FROM releases WHERE id = ?", row);
  if (!gone) return unexpected(std::move(gone.error()));
  return paths->size() + 1;
}

}  // namespace

Result<std::optional<Asset>> SqlMetadata::FindEarlierAsset(const std::string& site,
                                                           const std::string& path,
                                                           const Retention& kept) {
  return Reading([&](SqlSession& session) -> Result<std::optional<Asset>> {
    const SqlValue which[] = {path, site, ToUnixMillis(Now() - kept.earlier_for), CountOf(kept)};
    Result<SqlRows> rows =
        session.Query("SELECT " + std::string(kAssetColumns) +
                          " FROM releases r JOIN sites s ON s.name = r.site "
                          "JOIN assets a ON a.release = r.id AND a.path = ? WHERE r.site = ? AND "
                          "r.activation > 0 AND r.id <> s.active AND " +
                          std::string(kKept) + " ORDER BY r.activation DESC LIMIT 1",
                      which);
    if (!rows) return unexpected(std::move(rows.error()));
    if (rows->empty()) return std::nullopt;
    return ReadAssetRow((*rows)[0]);
  });
}

Result<std::vector<DroppedRelease>> SqlMetadata::DropReleases(const Retention& kept, size_t limit) {
  const WallTime now = Now();
  const auto unkept = [&](SqlSession& session) { return QueryUnkept(session, kept, now, limit); };
  // Asked without a lock first: most of the time there is none.
  Result<SqlRows> any = Reading(unkept);
  if (!any) return unexpected(std::move(any.error()));
  if (any->empty()) return std::vector<DroppedRelease>();
  return Writing([&](SqlSession& session) -> Result<std::vector<DroppedRelease>> {
    Result<SqlRows> rows = unkept(session);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<DroppedRelease> dropped;
    for (const SqlRow& row : *rows) {
      const SqlValue which[] = {row.Int(0)};
      Status gone = session.Run("UPDATE releases SET site = '' WHERE id = ?", which);
      if (!gone) return unexpected(std::move(gone.error()));
      dropped.push_back({row.Int(0), row.Text(1)});
    }
    return dropped;
  });
}

Result<size_t> SqlMetadata::TrimDropped(size_t rows) {
  const auto dropped = [](SqlSession& session) {
    return session.Query("SELECT id FROM releases WHERE site = '' LIMIT 1");
  };
  Result<SqlRows> any = Reading(dropped);
  if (!any) return unexpected(std::move(any.error()));
  if (any->empty()) return size_t{0};
  return Writing([&](SqlSession& session) -> Result<size_t> {
    size_t trimmed = 0;
    while (trimmed < rows) {
      Result<SqlRows> release = dropped(session);
      if (!release) return unexpected(std::move(release.error()));
      if (release->empty()) break;
      Result<size_t> some = TrimOne(session, (*release)[0].Int(0), rows - trimmed);
      if (!some) return some;
      trimmed += *some;
    }
    return trimmed;
  });
}

Result<CondemnedBlobs> SqlMetadata::CondemnBlobs(const BlobStretch& stretch) {
  CondemnedBlobs condemned;
  // Most contents are named by something: they are looked at without a lock.
  Result<SqlRows> rows = Reading([&](SqlSession& session) {
    const SqlValue which[] = {ToUnixMillis(stretch.added_before),
                              stretch.after ? BlobName(*stretch.after) : std::string(),
                              static_cast<int64_t>(stretch.limit)};
    return session.Query("SELECT b.sha256, CASE WHEN b.condemned = 0 AND b.added < ? AND NOT " +
                             std::string(kNamed) +
                             " THEN 1 ELSE 0 END "
                             "FROM blobs b WHERE b.sha256 > ? ORDER BY b.sha256 LIMIT ?",
                         which);
  });
  if (!rows) return unexpected(std::move(rows.error()));
  if (!rows->empty() && rows->size() == stretch.limit) {
    Result<BlobId> last = ParseBlobName(rows->back().Text(0));
    if (!last) return Fail(Fault::kSelf, "database_failed", "metadata: a blob has no SHA-256");
    condemned.last = *last;
  }
  std::erase_if(*rows, [](const SqlRow& row) { return row.Int(1) == 0; });
  if (rows->empty()) return condemned;
  return Writing([&](SqlSession& session) -> Result<CondemnedBlobs> {
    for (const SqlRow& row : *rows) {
      Result<bool> free = IsFree(session, row.Text(0), stretch.added_before);
      if (!free) return unexpected(std::move(free.error()));
      if (!*free) continue;
      const SqlValue sentence[] = {ToUnixMillis(Now()), row.Text(0)};
      Status done = session.Run("UPDATE blobs SET condemned = ? WHERE sha256 = ?", sentence);
      if (!done) return unexpected(std::move(done.error()));
      ++condemned.blobs;
    }
    return condemned;
  });
}

Result<CollectedBlobs> SqlMetadata::CollectBlobs(BlobStore& store, const BlobsToCollect& which) {
  const auto condemned = [&](SqlSession& session) { return QueryCondemned(session, which); };
  Result<SqlRows> any = Reading(condemned);
  if (!any) return unexpected(std::move(any.error()));
  if (any->empty()) return CollectedBlobs();
  return Writing([&](SqlSession& session) -> Result<CollectedBlobs> {
    Result<SqlRows> rows = condemned(session);
    if (!rows) return unexpected(std::move(rows.error()));
    CollectedBlobs collected;
    collected.more = rows->size() == which.limit;
    const MonoTime deadline = MonoNow() + kMostWriting;
    for (const SqlRow& row : *rows) {
      if (MonoNow() > deadline) {
        collected.more = true;
        break;
      }
      Result<BlobId> id = ParseBlobName(row.Text(0));
      Result<bool> gone =
          id ? store.RemoveStoredBefore(*id, which.landed_before) : Result<bool>(true);
      // One that stays (an upload has just brought it again, or the disk refuses) waits its turn.
      const bool removed = gone && *gone;
      if (!gone) ++collected.failed;
      const SqlValue later[] = {ToUnixMillis(Now()), row.Text(0)};
      const SqlValue name[] = {row.Text(0)};
      Status noted = removed
                         ? session.Run("DELETE FROM blobs WHERE sha256 = ?", name)
                         : session.Run("UPDATE blobs SET condemned = ? WHERE sha256 = ?", later);
      // From now on nothing names its variants: they go with the next pass.
      if (noted && removed) {
        noted = session.Run("DELETE FROM blob_variants WHERE content = ?", name);
      }
      if (!noted) return unexpected(std::move(noted.error()));
      if (!removed) continue;
      ++collected.blobs;
      collected.bytes += static_cast<uint64_t>(row.Int(1));
    }
    return collected;
  });
}

Result<CollectedBlobs> SqlMetadata::SweepFiles(BlobStore& store, std::span<const BlobId> files,
                                               WallTime landed_before) {
  Result<std::vector<BlobId>> unknown =
      Reading([&](SqlSession& session) -> Result<std::vector<BlobId>> {
        std::vector<BlobId> found;
        for (const BlobId& file : files) {
          Result<bool> known = IsKnown(session, file);
          if (!known) return unexpected(std::move(known.error()));
          if (!*known) found.push_back(file);
        }
        return found;
      });
  if (!unknown) return unexpected(std::move(unknown.error()));
  if (unknown->empty()) return CollectedBlobs();
  return Writing([&](SqlSession& session) -> Result<CollectedBlobs> {
    CollectedBlobs swept;
    for (const BlobId& file : *unknown) {
      Result<bool> known = IsKnown(session, file);
      if (!known) return unexpected(std::move(known.error()));
      if (*known) continue;
      const uint64_t bytes = store.Find(file).value_or(std::nullopt).value_or(0);
      Result<bool> gone = store.RemoveStoredBefore(file, landed_before);
      if (!gone) ++swept.failed;
      if (!gone || !*gone) continue;
      ++swept.blobs;
      swept.bytes += bytes;
    }
    return swept;
  });
}

}  // namespace nearside::storage
