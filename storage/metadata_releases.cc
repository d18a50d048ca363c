#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

constexpr std::string_view kReleaseColumns =
    "r.id, r.site, r.kind, r.created, r.activated, r.activation, r.assets, r.bytes, s.active";

Release ReadReleaseRow(const SqlRow& row) {
  Release release;
  release.id = row.Int(0);
  release.site = row.Text(1);
  release.kind = row.Text(2) == "live" ? ReleaseKind::kLive : ReleaseKind::kPublished;
  release.created = FromUnixMillis(row.Int(3));
  release.activated = FromUnixMillis(row.Int(4));
  const bool was_active = row.Int(5) > 0;
  release.assets = static_cast<uint64_t>(row.Int(6));
  release.bytes = static_cast<uint64_t>(row.Int(7));
  release.state = row.Int(8) == release.id ? ReleaseState::kActive
                  : was_active             ? ReleaseState::kPast
                                           : ReleaseState::kOpen;
  return release;
}

/// Blobs of a release that are stored with another length than it says. Error: kClient
/// bytes_mismatch.
Status CheckLengths(SqlSession& session, ReleaseId release) {
  const SqlValue which[] = {release};
  Result<SqlRows> rows = session.Query(
      "SELECT a.path, a.bytes, b.bytes FROM assets a JOIN blobs b ON b.sha256 = a.blob "
      "WHERE a.release = ? AND a.bytes <> b.bytes LIMIT 1",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return {};
  const SqlRow& row = (*rows)[0];
  return Fail(Fault::kClient, "bytes_mismatch",
              "\"" + row.Text(0) + "\" is announced with " + row.Text(1) +
                  " bytes, but the content with that SHA-256 has " + row.Text(2));
}

Result<SqlRows> QueryMissing(SqlSession& session, ReleaseId release, int64_t limit) {
  const SqlValue which[] = {release, limit};
  return session.Query(
      "SELECT DISTINCT a.blob, a.bytes FROM assets a "
      "LEFT JOIN blobs b ON b.sha256 = a.blob AND b.condemned = 0 "
      "WHERE a.release = ? AND b.sha256 IS NULL ORDER BY a.blob LIMIT ?",
      which);
}

Status CheckComplete(SqlSession& session, ReleaseId release) {
  constexpr int64_t kNamed = 3;
  Result<SqlRows> rows = QueryMissing(session, release, kNamed + 1);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return CheckLengths(session, release);
  std::string names;
  for (size_t i = 0; i < rows->size(); ++i) {
    names += i == kNamed ? ", …" : (i == 0 ? "" : ", ") + (*rows)[i].Text(0);
  }
  return Fail(
      Fault::kClient, "missing_blobs",
      "the release names content that has not been uploaded: PUT /v1/blobs/{sha256} for " + names);
}

/// Paths whose answer differs between two releases, in order.
Result<std::vector<std::string>> ChangedPaths(SqlSession& session, ReleaseId from, ReleaseId to) {
  const SqlValue which[] = {to, from, from, to};
  Result<SqlRows> rows = session.Query(
      "SELECT n.path FROM assets n WHERE n.release = ? AND NOT EXISTS ("
      "SELECT 1 FROM assets o WHERE o.release = ? AND o.path = n.path AND o.blob = n.blob AND "
      "o.content_type = n.content_type AND o.headers = n.headers AND o.tags = n.tags) "
      "UNION ALL "
      "SELECT o.path FROM assets o WHERE o.release = ? AND NOT EXISTS ("
      "SELECT 1 FROM assets n WHERE n.release = ? AND n.path = o.path) ORDER BY 1",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  std::vector<std::string> paths;
  paths.reserve(rows->size());
  for (const SqlRow& row : *rows) paths.push_back(row.Text(0));
  return paths;
}

/// Content that stays where it was keeps its date; what comes to a path is new there, even by a
/// rollback.
Status CarryDates(SqlSession& session, ReleaseId from, ReleaseId to, WallTime now) {
  const SqlValue values[] = {from, ToUnixMillis(now), to};
  return session.Run(
      "UPDATE assets SET modified = COALESCE((SELECT o.modified FROM assets o WHERE "
      "o.release = ? AND o.path = assets.path AND o.blob = assets.blob), ?) WHERE release = ?",
      values);
}

}  // namespace

Result<ReleaseId> NextReleaseId(SqlSession& session) {
  if (Status next = session.Run("UPDATE log SET last_release = last_release + 1"); !next) {
    return unexpected(std::move(next.error()));
  }
  Result<SqlRows> rows = session.Query("SELECT last_release FROM log");
  if (!rows) return unexpected(std::move(rows.error()));
  return (*rows)[0].Int(0);
}

Result<Release> ReadRelease(SqlSession& session, const std::string& site, ReleaseId release) {
  const SqlValue which[] = {release, site};
  Result<SqlRows> rows = session.Query("SELECT " + std::string(kReleaseColumns) +
                                           " FROM releases r JOIN sites s ON s.name = r.site "
                                           "WHERE r.id = ? AND r.site = ?",
                                       which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) {
    return Fail(Fault::kClient, "no_such_release",
                "site \"" + site + "\" has no release " + std::to_string(release) +
                    ": see GET /v1/sites/" + site + "/releases");
  }
  return ReadReleaseRow((*rows)[0]);
}

Status SwitchRelease(SqlSession& session, const std::string& site, ReleaseId release,
                     WallTime now) {
  const SqlValue left_row[] = {ToUnixMillis(now), site, site};
  Status switched = session.Run(
      "UPDATE releases SET past_since = ? WHERE site = ? AND "
      "id = (SELECT active FROM sites WHERE name = ?)",
      left_row);
  if (!switched) return switched;
  const SqlValue release_row[] = {ToUnixMillis(now), site, release};
  switched = session.Run(
      "UPDATE releases SET activated = ?, activations = activations + 1, activation = "
      "(SELECT MAX(o.activation) + 1 FROM releases o WHERE o.site = ?) WHERE id = ?",
      release_row);
  if (!switched) return switched;
  const SqlValue site_row[] = {release, ToUnixMillis(now), site};
  return session.Run("UPDATE sites SET active = ?, changed = ? WHERE name = ?", site_row);
}

Result<Release> SqlMetadata::CreateRelease(const std::string& site, std::span<const Asset> assets) {
  return Writing([&](SqlSession& session) -> Result<Release> {
    Result<Site> there = ReadSite(session, site);
    if (!there) return unexpected(std::move(there.error()));
    Result<ReleaseId> id = NextReleaseId(session);
    if (!id) return unexpected(std::move(id.error()));
    int64_t bytes = 0;
    for (const Asset& asset : assets) bytes += static_cast<int64_t>(asset.bytes);
    const SqlValue row[] = {*id, site, ToUnixMillis(Now()), static_cast<int64_t>(assets.size()),
                            bytes};
    Status added = session.Run(
        "INSERT INTO releases (id, site, kind, created, activated, activation, activations, "
        "assets, bytes) VALUES (?, ?, 'published', ?, 0, 0, 0, ?, ?)",
        row);
    if (added) added = InsertAssets(session, *id, assets, Now());
    if (added) added = CheckLengths(session, *id);
    if (added)
      added = CheckQuota(
          session, *there,
          {.files_of = *id, .added_bytes = static_cast<uint64_t>(bytes), .wanted_by = *id});
    if (!added) return unexpected(std::move(added.error()));
    return ReadRelease(session, site, *id);
  });
}

Result<std::vector<StoredBlob>> SqlMetadata::MissingBlobs(ReleaseId release) {
  return Reading([&](SqlSession& session) -> Result<std::vector<StoredBlob>> {
    Result<SqlRows> rows = QueryMissing(session, release, INT64_MAX);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<StoredBlob> missing;
    for (const SqlRow& row : *rows) {
      Result<BlobId> id = ParseBlobName(row.Text(0));
      if (id && (missing.empty() || missing.back().id != *id)) {
        missing.push_back({*id, static_cast<uint64_t>(row.Int(1))});
      }
    }
    return missing;
  });
}

Result<Activation> SqlMetadata::ActivateRelease(const std::string& site, ReleaseId release,
                                                const Announce& announce,
                                                const DraftReceipt& draft) {
  return Writing([&](SqlSession& session) -> Result<Activation> {
    Result<Site> before = ReadSite(session, site);
    if (!before) return unexpected(std::move(before.error()));
    Result<Release> found = ReadRelease(session, site, release);
    if (!found) return unexpected(std::move(found.error()));
    Activation activation;
    activation.previous = before->active;
    if (before->active == release) {
      Result<LogState> log = ReadLog(session);
      if (!log) return unexpected(std::move(log.error()));
      activation.position = log->last;
      return activation;
    }
    Status ready = CheckComplete(session, release);
    // A rollback adds nothing, and is never refused.
    if (ready && found->state == ReleaseState::kOpen) {
      ready = CheckQuota(session, *before, {.files_of = release, .wanted_by = release});
    }
    if (!ready) return unexpected(std::move(ready.error()));
    Result<std::vector<std::string>> changed = ChangedPaths(session, before->active, release);
    if (!changed) return unexpected(std::move(changed.error()));
    Status done = CarryDates(session, before->active, release, Now());
    if (done) done = SwitchRelease(session, site, release, Now());
    if (!done) return unexpected(std::move(done.error()));
    Result<Site> after = ReadSite(session, site);
    if (!after) return unexpected(std::move(after.error()));
    Result<LogPosition> position = AppendIn(session, announce(Change{*after, release, *changed}));
    if (!position) return unexpected(std::move(position.error()));
    activation.position = *position;
    activation.changed_paths = changed->size();
    if (draft) {
      Result<int64_t> receipt = AddReceiptIn(session, draft(activation));
      if (!receipt) return unexpected(std::move(receipt.error()));
      activation.receipt = *receipt;
    }
    return activation;
  });
}

Result<std::vector<Release>> SqlMetadata::Releases(const std::string& site, size_t limit) {
  return Reading([&](SqlSession& session) -> Result<std::vector<Release>> {
    Result<Site> there = ReadSite(session, site);
    if (!there) return unexpected(std::move(there.error()));
    const SqlValue which[] = {site, static_cast<int64_t>(limit)};
    Result<SqlRows> rows = session.Query("SELECT " + std::string(kReleaseColumns) +
                                             " FROM releases r JOIN sites s ON s.name = r.site "
                                             "WHERE r.site = ? ORDER BY r.id DESC LIMIT ?",
                                         which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<Release> releases;
    for (const SqlRow& row : *rows) releases.push_back(ReadReleaseRow(row));
    return releases;
  });
}

Result<Release> SqlMetadata::FindRelease(const std::string& site, ReleaseId release) {
  return Reading([&](SqlSession& session) { return ReadRelease(session, site, release); });
}

}  // namespace nearside::storage
