#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

std::vector<SqlValue> AssetRow(ReleaseId release, const Asset& asset, WallTime modified) {
  return {release,
          asset.path,
          BlobName(asset.blob),
          static_cast<int64_t>(asset.bytes),
          asset.content_type,
          EncodeHeaders(asset.headers),
          EncodeLines(asset.tags),
          EncodeHeaders(asset.notes),
          ToUnixMillis(modified)};
}

bool SameAnswer(const Asset& a, const Asset& b) {
  return a.blob == b.blob && a.content_type == b.content_type && a.headers == b.headers &&
         a.tags == b.tags;
}

/// Keeps a live release's totals; `assets` and `bytes` may be negative.
Status AddToTotals(SqlSession& session, ReleaseId release, int64_t assets, int64_t bytes) {
  const SqlValue values[] = {assets, bytes, release};
  return session.Run("UPDATE releases SET assets = assets + ?, bytes = bytes + ? WHERE id = ?",
                     values);
}

Status RequireBlob(SqlSession& session, const Asset& asset) {
  const SqlValue name[] = {BlobName(asset.blob)};
  Result<SqlRows> rows =
      session.Query("SELECT bytes FROM blobs WHERE sha256 = ? AND condemned = 0", name);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) {
    return Fail(Fault::kClient, "missing_blobs",
                "no content with SHA-256 " + BlobName(asset.blob) + " is stored");
  }
  return {};
}

/// After the put. What takes no more room than what it has replaced may always come.
Status CheckQuotaOfPut(SqlSession& session, const Site& site, ReleaseId live, const Asset& asset,
                       const std::optional<Asset>& replaced, bool known) {
  QuotaCheck check{.files_of = replaced ? kNoRelease : live, .bytes = !known};
  uint64_t freed = 0;
  if (replaced && !known) {
    Result<bool> kept = SiteNames(session, site.name, replaced->blob);
    if (!kept) return unexpected(std::move(kept.error()));
    if (!*kept) freed = replaced->bytes;
  }
  check.bytes = check.bytes && asset.bytes > freed;
  check.added_bytes = check.wanted_bytes = check.bytes ? asset.bytes - freed : 0;
  return CheckQuota(session, site, check);
}

std::vector<NewEvent> EventsOf(const Announce& announce, const Site& site, ReleaseId release,
                               const std::string& path) {
  const std::vector<std::string> paths = {path};
  return announce(Change{site, release, paths});
}

}  // namespace

Result<Asset> ReadAssetRow(const SqlRow& row) {
  Asset asset;
  asset.path = row.Text(0);
  Result<BlobId> blob = ParseBlobName(row.Text(1));
  if (!blob) {
    return Fail(Fault::kSelf, "database_failed",
                "metadata: the row of \"" + asset.path + "\" holds no SHA-256");
  }
  asset.blob = *blob;
  asset.bytes = static_cast<uint64_t>(row.Int(2));
  asset.content_type = row.Text(3);
  asset.headers = DecodeHeaders(row.Text(4));
  asset.tags = DecodeLines(row.Text(5));
  asset.notes = DecodeHeaders(row.Text(6));
  asset.modified = FromUnixMillis(row.Int(7));
  return asset;
}

Status InsertAssets(SqlSession& session, ReleaseId release, std::span<const Asset> assets,
                    WallTime now) {
  std::vector<std::vector<SqlValue>> rows;
  rows.reserve(assets.size());
  for (const Asset& asset : assets) rows.push_back(AssetRow(release, asset, now));
  return session.RunEach(
      "INSERT INTO assets (release, path, blob, bytes, content_type, headers, tags, notes, "
      "modified) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      rows);
}

Result<std::optional<Asset>> ReadAsset(SqlSession& session, ReleaseId release,
                                       const std::string& path) {
  const SqlValue which[] = {release, path};
  Result<SqlRows> rows = session.Query(
      "SELECT " + std::string(kAssetColumns) + " FROM assets a WHERE release = ? AND path = ?",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return std::nullopt;
  return ReadAssetRow((*rows)[0]);
}

Result<ReleaseId> SqlMetadata::LiveReleaseIn(SqlSession& session, const Site& site) {
  const SqlValue active[] = {site.active};
  Result<SqlRows> rows = session.Query(
      "SELECT assets, bytes FROM releases WHERE id = ? AND kind = 'live' AND activations = 1",
      active);
  if (!rows) return unexpected(std::move(rows.error()));
  if (!rows->empty()) return site.active;
  Result<ReleaseId> id = NextReleaseId(session);
  if (!id) return unexpected(std::move(id.error()));
  const SqlValue row[] = {*id, site.name, ToUnixMillis(Now()), site.active, site.active};
  Status made = session.Run(
      "INSERT INTO releases (id, site, kind, created, activated, activation, activations, "
      "assets, bytes) VALUES (?, ?, 'live', ?, 0, 0, 0, "
      "COALESCE((SELECT assets FROM releases WHERE id = ?), 0), "
      "COALESCE((SELECT bytes FROM releases WHERE id = ?), 0))",
      row);
  const SqlValue copied[] = {*id, site.active};
  if (made) {
    made = session.Run(
        "INSERT INTO assets (release, path, blob, bytes, content_type, headers, tags, notes, "
        "modified) "
        "SELECT ?, path, blob, bytes, content_type, headers, tags, notes, modified FROM assets "
        "WHERE release = ?",
        copied);
  }
  if (made) made = SwitchRelease(session, site.name, *id, Now());
  if (!made) return unexpected(std::move(made.error()));
  return *id;
}

Result<std::optional<Asset>> SqlMetadata::FindAsset(ReleaseId release, const std::string& path) {
  return Reading([&](SqlSession& session) { return ReadAsset(session, release, path); });
}

Result<std::vector<Asset>> SqlMetadata::ListAssets(ReleaseId release, const AssetRange& range) {
  return Reading([&](SqlSession& session) -> Result<std::vector<Asset>> {
    // U+10FFFF sorts behind whatever may follow the prefix, so the index bounds the scan on both
    // sides. One lower bound alone: of two SQLite may choose the prefix and read all before
    // `after`.
    const bool behind = range.after >= range.prefix;
    const SqlValue which[] = {release, behind ? range.after : range.prefix,
                              range.prefix + "\xF4\x8F\xBF\xBF", static_cast<int64_t>(range.limit)};
    Result<SqlRows> rows = session.Query(
        "SELECT " + std::string(kAssetColumns) + " FROM assets a WHERE release = ? AND path " +
            (behind ? ">" : ">=") + " ? AND path < ? ORDER BY path LIMIT ?",
        which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<Asset> assets;
    assets.reserve(rows->size());
    for (const SqlRow& row : *rows) {
      Result<Asset> asset = ReadAssetRow(row);
      if (!asset) return unexpected(std::move(asset.error()));
      assets.push_back(std::move(*asset));
    }
    return assets;
  });
}

Result<AssetChange> SqlMetadata::PutAsset(const std::string& site, const Asset& asset,
                                          const Precondition& precondition,
                                          const Announce& announce) {
  return Writing([&](SqlSession& session) {
    return PutAssetIn(session, site, asset, precondition, announce);
  });
}

Result<AssetChange> SqlMetadata::PutAssetIn(SqlSession& session, const std::string& site,
                                            const Asset& asset, const Precondition& precondition,
                                            const Announce& announce) {
  Result<Site> before = ReadSite(session, site);
  if (!before) return unexpected(std::move(before.error()));
  Result<std::optional<Asset>> current = ReadAsset(session, before->active, asset.path);
  if (!current) return unexpected(std::move(current.error()));
  Status allowed = precondition(*current);
  if (allowed) allowed = RequireBlob(session, asset);
  if (!allowed) return unexpected(std::move(allowed.error()));
  AssetChange change;
  change.replaced = current->has_value();
  change.modified = *current && (*current)->blob == asset.blob ? (*current)->modified : Now();
  const bool same_answer = *current && SameAnswer(**current, asset);
  if (same_answer) {
    Result<LogState> log = ReadLog(session);
    if (!log) return unexpected(std::move(log.error()));
    change.position = log->last;
    if ((*current)->notes == asset.notes) return change;
  }
  Result<bool> known = false;
  if (before->quota.limits()) known = SiteNames(session, site, asset.blob);
  if (!known) return unexpected(std::move(known.error()));
  Result<ReleaseId> live = LiveReleaseIn(session, *before);
  if (!live) return unexpected(std::move(live.error()));
  Status put = session.Run(
      "INSERT INTO assets (release, path, blob, bytes, content_type, headers, tags, notes, "
      "modified) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (release, path) DO UPDATE SET "
      "blob = excluded.blob, bytes = excluded.bytes, content_type = excluded.content_type, "
      "headers = excluded.headers, tags = excluded.tags, notes = excluded.notes, "
      "modified = excluded.modified",
      AssetRow(*live, asset, change.modified));
  const int64_t old_bytes = *current ? static_cast<int64_t>((*current)->bytes) : 0;
  if (put) {
    put = AddToTotals(session, *live, *current ? 0 : 1,
                      static_cast<int64_t>(asset.bytes) - old_bytes);
  }
  if (put && before->quota.limits()) {
    put = CheckQuotaOfPut(session, *before, *live, asset, *current, *known);
  }
  if (!put) return unexpected(std::move(put.error()));
  const std::vector<NewEvent> events = EventsOf(announce, *before, *live, asset.path);
  if (same_answer && *live == before->active) {
    // Notes alone changed: no visitor can tell. Who did it is on record.
    for (const NewEvent& event : events) {
      Status kept = event.audit ? AuditIn(session, *event.audit, 0) : Status();
      if (!kept) return unexpected(std::move(kept.error()));
    }
    return change;
  }
  Result<LogPosition> position = AppendIn(session, events);
  if (!position) return unexpected(std::move(position.error()));
  change.position = *position;
  return change;
}

Result<AssetChange> SqlMetadata::RemoveAsset(const std::string& site, const std::string& path,
                                             const Precondition& precondition,
                                             const Announce& announce) {
  return Writing([&](SqlSession& session) -> Result<AssetChange> {
    Result<Site> before = ReadSite(session, site);
    if (!before) return unexpected(std::move(before.error()));
    Result<std::optional<Asset>> current = ReadAsset(session, before->active, path);
    if (!current) return unexpected(std::move(current.error()));
    if (Status allowed = precondition(*current); !allowed) {
      return unexpected(std::move(allowed.error()));
    }
    if (!*current) {
      return Fail(Fault::kClient, "no_such_asset",
                  "site \"" + site + "\" has no asset \"" + path + "\"");
    }
    Result<ReleaseId> live = LiveReleaseIn(session, *before);
    if (!live) return unexpected(std::move(live.error()));
    const SqlValue which[] = {*live, path};
    Status gone = session.Run("DELETE FROM assets WHERE release = ? AND path = ?", which);
    if (gone) {
      gone = AddToTotals(session, *live, -1, -static_cast<int64_t>((*current)->bytes));
    }
    if (!gone) return unexpected(std::move(gone.error()));
    AssetChange change;
    change.replaced = true;
    change.modified = Now();
    Result<LogPosition> position = AppendIn(session, EventsOf(announce, *before, *live, path));
    if (!position) return unexpected(std::move(position.error()));
    change.position = *position;
    return change;
  });
}

}  // namespace nearside::storage
