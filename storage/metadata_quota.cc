// What sites may hold: counted inside the transaction that would add to it, so that two writers
// cannot pass a quota together.

#include <algorithm>
#include <string>

#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

Result<uint64_t> QueryNumber(SqlSession& session, const std::string& statement,
                             std::span<const SqlValue> values) {
  Result<SqlRows> rows = session.Query(statement, values);
  if (!rows) return unexpected(std::move(rows.error()));
  return static_cast<uint64_t>((*rows)[0].Int(0));
}

/// What uploads in several goes will have, or have by now.
Result<uint64_t> ResumableBytes(SqlSession& session, const std::string& site) {
  const SqlValue which[] = {site};
  return QueryNumber(session,
                     "SELECT COALESCE(SUM(CASE WHEN length > place THEN length ELSE place END), 0) "
                     "FROM resumable_uploads WHERE site = ? AND state <> 'done'",
                     which);
}

/// `without`: a release that does not count.
Result<uint64_t> ExactBytes(SqlSession& session, const std::string& site, ReleaseId without) {
  const SqlValue which[] = {site, without, site};
  return QueryNumber(session,
                     "SELECT COALESCE(SUM(bytes), 0) FROM ("
                     "SELECT a.blob AS blob, a.bytes AS bytes FROM releases r JOIN assets a "
                     "ON a.release = r.id WHERE r.site = ? AND r.id <> ? "
                     "UNION SELECT p.blob, p.bytes FROM uploads u JOIN upload_parts p "
                     "ON p.upload = u.id WHERE u.site = ?) AS held",
                     which);
}

Result<uint64_t> HeldBytes(SqlSession& session, const std::string& site) {
  Result<uint64_t> contents = ExactBytes(session, site, kNoRelease);
  if (!contents) return contents;
  Result<uint64_t> open = ResumableBytes(session, site);
  if (!open) return open;
  return *contents + *open;
}

Status KeepBound(SqlSession& session, const std::string& site, uint64_t bytes) {
  const SqlValue row[] = {static_cast<int64_t>(bytes), site};
  return session.Run("UPDATE sites SET held_most = ? WHERE name = ?", row);
}

/// Whether it fits by what is known without counting: a count of the past and all that was added
/// since, for what went away since may only have made room.
Result<bool> FitsByBound(SqlSession& session, const Site& site, uint64_t added, uint64_t open) {
  const SqlValue which[] = {site.name};
  Result<SqlRows> rows = session.Query("SELECT held_most FROM sites WHERE name = ?", which);
  if (!rows) return unexpected(std::move(rows.error()));
  const int64_t most = (*rows)[0].Int(0);
  if (most < 0) return false;
  const uint64_t bound = static_cast<uint64_t>(most) + added;
  if (bound + open > site.quota.bytes) return false;
  if (added == 0) return true;
  if (Status kept = KeepBound(session, site.name, bound); !kept) {
    return unexpected(std::move(kept.error()));
  }
  return true;
}

tl::unexpected<Error> OverQuota(const Site& site, const std::string& what, uint64_t quota,
                                const std::string& used_and_wanted, const std::string& advice) {
  return Fail(Fault::kClient, "quota_exceeded",
              "site \"" + site.name + "\" may have " + std::to_string(quota) + " " + what +
                  " (quota." + what + "): " + used_and_wanted + ". " + advice +
                  ", or let whoever runs the origin raise the quota by PUT /v1/sites/" + site.name);
}

Status CheckFiles(SqlSession& session, const Site& site, ReleaseId release) {
  const SqlValue which[] = {release};
  Result<uint64_t> files = QueryNumber(session, "SELECT assets FROM releases WHERE id = ?", which);
  if (!files) return unexpected(std::move(files.error()));
  if (*files <= site.quota.files) return {};
  return OverQuota(site, "files", site.quota.files,
                   "with this it would have " + std::to_string(*files), "Publish or keep fewer");
}

}  // namespace

Status CheckQuota(SqlSession& session, const Site& site, const QuotaCheck& check) {
  if (site.quota.files != 0 && check.files_of != kNoRelease) {
    if (Status good = CheckFiles(session, site, check.files_of); !good) return good;
  }
  const uint64_t quota = site.quota.bytes;
  if (quota == 0 || !check.bytes) return {};
  Result<uint64_t> open = ResumableBytes(session, site.name);
  if (!open) return unexpected(std::move(open.error()));
  Result<bool> fits = FitsByBound(session, site, check.added_bytes, *open);
  if (!fits) return unexpected(std::move(fits.error()));
  if (*fits) return {};
  Result<uint64_t> contents = ExactBytes(session, site.name, kNoRelease);
  if (!contents) return unexpected(std::move(contents.error()));
  const uint64_t held = *contents + *open;
  if (held <= quota) return KeepBound(session, site.name, *contents);
  uint64_t wanted = check.wanted_bytes;
  if (check.wanted_by != kNoRelease) {
    Result<uint64_t> before = ExactBytes(session, site.name, check.wanted_by);
    if (!before) return unexpected(std::move(before.error()));
    wanted = *contents - *before;
  }
  wanted = std::min(wanted, held);
  return OverQuota(site, "bytes", quota,
                   std::to_string(held - wanted) + " are used, and this wants " +
                       std::to_string(wanted) + " more",
                   "Delete assets or uploads, wait until past releases are dropped");
}

Result<bool> SiteNames(SqlSession& session, const std::string& site, const BlobId& blob) {
  const SqlValue which[] = {BlobName(blob), site};
  Result<SqlRows> rows = session.Query(
      "SELECT 1 FROM assets a JOIN releases r ON r.id = a.release WHERE a.blob = ? AND r.site = ? "
      "LIMIT 1",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  return !rows->empty();
}

Result<SiteUsage> SqlMetadata::UsageOf(const std::string& site) {
  return Reading([&](SqlSession& session) -> Result<SiteUsage> {
    Result<Site> there = ReadSite(session, site);
    if (!there) return unexpected(std::move(there.error()));
    SiteUsage usage;
    Result<uint64_t> bytes = HeldBytes(session, site);
    if (!bytes) return unexpected(std::move(bytes.error()));
    usage.bytes = *bytes;
    const SqlValue active[] = {there->active};
    Result<uint64_t> files = QueryNumber(
        session, "SELECT COALESCE((SELECT assets FROM releases WHERE id = ?), 0)", active);
    if (!files) return unexpected(std::move(files.error()));
    usage.files = *files;
    return usage;
  });
}

}  // namespace nearside::storage
