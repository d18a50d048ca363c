#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

Result<std::vector<std::string>> ReadHosts(SqlSession& session, const std::string& site) {
  const SqlValue name[] = {site};
  Result<SqlRows> rows =
      session.Query("SELECT host FROM hosts WHERE site = ? ORDER BY place", name);
  if (!rows) return unexpected(std::move(rows.error()));
  std::vector<std::string> hosts;
  for (const SqlRow& row : *rows) hosts.push_back(row.Text(0));
  return hosts;
}

Result<std::vector<ReleaseId>> ReadEarlier(SqlSession& session, const Site& site) {
  const SqlValue which[] = {site.name, site.active, static_cast<int64_t>(kEarlierReleases)};
  Result<SqlRows> rows = session.Query(
      "SELECT id FROM releases WHERE site = ? AND activation > 0 AND id <> ? "
      "ORDER BY activation DESC LIMIT ?",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  std::vector<ReleaseId> earlier;
  for (const SqlRow& row : *rows) earlier.push_back(row.Int(0));
  return earlier;
}

/// Columns: name, settings, active, created, changed, quota_bytes, quota_files.
Result<Site> ReadSiteRow(SqlSession& session, const SqlRow& row) {
  Site site;
  site.name = row.Text(0);
  site.settings = row.Text(1);
  site.active = row.Int(2);
  site.created = FromUnixMillis(row.Int(3));
  site.changed = FromUnixMillis(row.Int(4));
  site.quota = {static_cast<uint64_t>(row.Int(5)), static_cast<uint64_t>(row.Int(6))};
  Result<std::vector<std::string>> hosts = ReadHosts(session, site.name);
  if (!hosts) return unexpected(std::move(hosts.error()));
  site.hosts = std::move(*hosts);
  Result<std::vector<ReleaseId>> earlier = ReadEarlier(session, site);
  if (!earlier) return unexpected(std::move(earlier.error()));
  site.earlier = std::move(*earlier);
  return site;
}

/// The hosts of a site become these. Error: kClient host_taken.
Status WriteHosts(SqlSession& session, const SiteDraft& draft) {
  const SqlValue name[] = {draft.name};
  if (Status gone = session.Run("DELETE FROM hosts WHERE site = ?", name); !gone) return gone;
  int64_t place = 0;
  for (const std::string& host : draft.hosts) {
    const SqlValue which[] = {host};
    Result<SqlRows> owner = session.Query("SELECT site FROM hosts WHERE host = ?", which);
    if (!owner) return unexpected(std::move(owner.error()));
    if (!owner->empty()) {
      return Fail(Fault::kClient, "host_taken",
                  "host \"" + host + "\" belongs to site \"" + (*owner)[0].Text(0) + "\"");
    }
    const SqlValue row[] = {host, draft.name, place++};
    Status added = session.Run("INSERT INTO hosts (host, site, place) VALUES (?, ?, ?)", row);
    if (!added) return added;
  }
  return {};
}

Status WriteQuota(SqlSession& session, const SiteDraft& draft) {
  if (!draft.quota) return {};
  const SqlValue row[] = {static_cast<int64_t>(draft.quota->bytes),
                          static_cast<int64_t>(draft.quota->files), draft.name};
  return session.Run(
      "UPDATE sites SET quota_bytes = ?, quota_files = ?, held_most = -1 WHERE name = ?", row);
}

std::vector<NewEvent> EventsOf(const Announce& announce, const Site& site) {
  const std::vector<std::string> no_paths;
  return announce(Change{site, site.active, no_paths});
}

}  // namespace

tl::unexpected<Error> NoSuchSite(const std::string& name) {
  return Fail(
      Fault::kClient, "no_such_site",
      "there is no site \"" + name + "\": create it by POST /v1/sites, or see GET /v1/sites");
}

Result<Site> ReadSite(SqlSession& session, const std::string& name) {
  const SqlValue which[] = {name};
  Result<SqlRows> rows = session.Query(
      "SELECT name, settings, active, created, changed, quota_bytes, quota_files FROM sites WHERE "
      "name = ?",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return NoSuchSite(name);
  return ReadSiteRow(session, (*rows)[0]);
}

Result<LogPosition> SqlMetadata::CreateSite(const SiteDraft& draft, const Announce& announce) {
  return Writing([&](SqlSession& session) -> Result<LogPosition> {
    Result<Site> there = ReadSite(session, draft.name);
    if (there) {
      return Fail(Fault::kClient, "site_exists", "there is a site \"" + draft.name + "\" already");
    }
    if (there.error().reason != "no_such_site") return unexpected(std::move(there.error()));
    const int64_t now = ToUnixMillis(Now());
    const SqlValue row[] = {draft.name, draft.settings, kNoRelease, now, now};
    Status added = session.Run(
        "INSERT INTO sites (name, settings, active, created, changed) VALUES (?, ?, ?, ?, ?)", row);
    if (added) added = WriteQuota(session, draft);
    if (added) added = WriteHosts(session, draft);
    if (!added) return unexpected(std::move(added.error()));
    Result<Site> site = ReadSite(session, draft.name);
    if (!site) return unexpected(std::move(site.error()));
    return AppendIn(session, EventsOf(announce, *site));
  });
}

Result<LogPosition> SqlMetadata::ReplaceSite(const SiteDraft& draft, const Announce& announce) {
  return Writing([&](SqlSession& session) -> Result<LogPosition> {
    Result<Site> there = ReadSite(session, draft.name);
    if (!there) return unexpected(std::move(there.error()));
    const SqlValue row[] = {draft.settings, ToUnixMillis(Now()), draft.name};
    Status written = session.Run("UPDATE sites SET settings = ?, changed = ? WHERE name = ?", row);
    if (written) written = WriteQuota(session, draft);
    if (written) written = WriteHosts(session, draft);
    if (!written) return unexpected(std::move(written.error()));
    Result<Site> site = ReadSite(session, draft.name);
    if (!site) return unexpected(std::move(site.error()));
    return AppendIn(session, EventsOf(announce, *site));
  });
}

Result<LogPosition> SqlMetadata::DeleteSite(const std::string& name, const Announce& announce) {
  return Writing([&](SqlSession& session) -> Result<LogPosition> {
    Result<Site> site = ReadSite(session, name);
    if (!site) return unexpected(std::move(site.error()));
    return DeleteSiteIn(session, *site, announce);
  });
}

Result<LogPosition> SqlMetadata::DeleteEmptySite(const std::string& name,
                                                 const Announce& announce) {
  return Writing([&](SqlSession& session) -> Result<LogPosition> {
    Result<Site> site = ReadSite(session, name);
    if (!site) return unexpected(std::move(site.error()));
    const SqlValue active[] = {site->active};
    Result<SqlRows> any = session.Query("SELECT 1 FROM assets WHERE release = ? LIMIT 1", active);
    if (!any) return unexpected(std::move(any.error()));
    if (!any->empty()) {
      return Fail(Fault::kClient, "site_not_empty",
                  "site \"" + name + "\" is not empty: delete its assets first");
    }
    return DeleteSiteIn(session, *site, announce);
  });
}

Result<LogPosition> SqlMetadata::DeleteSiteIn(SqlSession& session, const Site& site,
                                              const Announce& announce) {
  const SqlValue which[] = {site.name};
  for (const char* statement :
       {"DELETE FROM assets WHERE release IN (SELECT id FROM releases WHERE site = ?)",
        "DELETE FROM releases WHERE site = ?", "DELETE FROM hosts WHERE site = ?",
        "DELETE FROM account_grants WHERE site = ?",
        // Nobody finds them any more, and they are the first that expire, with their blobs.
        "UPDATE uploads SET site = '', begun = 0 WHERE site = ?",
        "UPDATE resumable_uploads SET site = '', expires = 0 WHERE site = ?",
        "DELETE FROM receipt_edges WHERE receipt IN (SELECT id FROM receipts WHERE site = ?)",
        "DELETE FROM receipts WHERE site = ?", "DELETE FROM sites WHERE name = ?"}) {
    if (Status ran = session.Run(statement, which); !ran) {
      return unexpected(std::move(ran.error()));
    }
  }
  // Another site of this name is none of theirs.
  if (Status revoked = RevokeTokensOfSite(session, site.name); !revoked) {
    return unexpected(std::move(revoked.error()));
  }
  return AppendIn(session, EventsOf(announce, site));
}

Result<std::vector<Site>> SqlMetadata::Sites() {
  return Reading([&](SqlSession& session) -> Result<std::vector<Site>> {
    Result<SqlRows> rows = session.Query(
        "SELECT name, settings, active, created, changed, quota_bytes, quota_files FROM sites "
        "ORDER BY name");
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<Site> sites;
    for (const SqlRow& row : *rows) {
      Result<Site> site = ReadSiteRow(session, row);
      if (!site) return unexpected(std::move(site.error()));
      sites.push_back(std::move(*site));
    }
    return sites;
  });
}

Result<Site> SqlMetadata::FindSite(const std::string& name) {
  return Reading([&](SqlSession& session) { return ReadSite(session, name); });
}

}  // namespace nearside::storage
