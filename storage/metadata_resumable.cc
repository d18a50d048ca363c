#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

constexpr std::string_view kResumableColumns =
    "id, site, path, content_type, headers, tags, conditions, metadata, expected, length, "
    "place, hash, state, blob, expires";
/// In the column of a length that is not known yet.
constexpr int64_t kUnknownLength = -1;

constexpr std::string_view kStateNames[] = {"open", "sealed", "done"};

std::string StateName(ResumableState state) {
  return std::string(kStateNames[static_cast<size_t>(state)]);
}

tl::unexpected<Error> NoSuchResumable() {
  return Fail(Fault::kClient, "no_such_upload",
              "there is no such upload: it was removed, has expired, or is another site's");
}

ResumableUpload ReadResumableRow(const SqlRow& row) {
  ResumableUpload upload;
  upload.id = row.Text(0);
  upload.site = row.Text(1);
  upload.asset.path = row.Text(2);
  upload.asset.content_type = row.Text(3);
  upload.asset.headers = DecodeHeaders(row.Text(4));
  upload.asset.tags = DecodeLines(row.Text(5));
  upload.conditions = DecodeHeaders(row.Text(6));
  upload.metadata = row.Text(7);
  if (Result<BlobId> expected = ParseBlobName(row.Text(8))) upload.expected = *expected;
  if (row.Int(9) != kUnknownLength) upload.length = static_cast<uint64_t>(row.Int(9));
  upload.offset = static_cast<uint64_t>(row.Int(10));
  upload.hash = row.Text(11);
  for (const ResumableState state : {ResumableState::kSealed, ResumableState::kDone}) {
    if (row.Text(12) == StateName(state)) upload.state = state;
  }
  if (Result<BlobId> blob = ParseBlobName(row.Text(13))) {
    upload.asset.blob = *blob;
    upload.asset.bytes = upload.offset;
  }
  upload.expires = FromUnixMillis(row.Int(14));
  return upload;
}

int64_t LengthColumn(const ResumableUpload& upload) {
  return upload.length ? static_cast<int64_t>(*upload.length) : kUnknownLength;
}

std::string BlobColumn(const ResumableUpload& upload) {
  return upload.state == ResumableState::kOpen ? std::string() : BlobName(upload.asset.blob);
}

Result<std::vector<ResumableUpload>> ReadResumableRows(SqlSession& session, std::string_view where,
                                                       std::span<const SqlValue> values) {
  Result<SqlRows> rows = session.Query("SELECT " + std::string(kResumableColumns) +
                                           " FROM resumable_uploads WHERE " + std::string(where),
                                       values);
  if (!rows) return unexpected(std::move(rows.error()));
  std::vector<ResumableUpload> uploads;
  for (const SqlRow& row : *rows) uploads.push_back(ReadResumableRow(row));
  return uploads;
}

Status CheckRoom(SqlSession& session, const std::string& site, const ResumableLimits& limits) {
  const SqlValue which[] = {site};
  Result<SqlRows> rows = session.Query(
      "SELECT COUNT(*), COALESCE(SUM(CASE WHEN site = ? THEN 1 ELSE 0 END), 0) "
      "FROM resumable_uploads WHERE state <> 'done'",
      which);
  if (!rows) return unexpected(std::move(rows.error()));
  const auto in_all = static_cast<uint64_t>((*rows)[0].Int(0));
  const auto of_site = static_cast<uint64_t>((*rows)[0].Int(1));
  if (in_all < limits.in_all && of_site < limits.of_site) return {};
  return Fail(Fault::kClient, "too_many_uploads",
              of_site >= limits.of_site
                  ? "site \"" + site + "\" has " + std::to_string(of_site) +
                        " uploads under way, and no more are allowed: finish or remove some"
                  : "there are " + std::to_string(in_all) +
                        " uploads under way, and no more are allowed: try again later");
}

/// Error: kClient no_such_upload unless it is there and not done.
Status RequireUnfinished(SqlSession& session, const ResumableUpload& upload) {
  const SqlValue which[] = {upload.id, upload.site};
  Result<SqlRows> rows = session.Query(
      "SELECT 1 FROM resumable_uploads WHERE id = ? AND site = ? AND state <> 'done'", which);
  if (!rows) return unexpected(std::move(rows.error()));
  return rows->empty() ? Status(NoSuchResumable()) : Status();
}

Status WriteProgress(SqlSession& session, const ResumableUpload& upload) {
  const SqlValue values[] = {LengthColumn(upload),
                             static_cast<int64_t>(upload.offset),
                             upload.hash,
                             StateName(upload.state),
                             BlobColumn(upload),
                             ToUnixMillis(upload.expires),
                             upload.id};
  return session.Run(
      "UPDATE resumable_uploads SET length = ?, place = ?, hash = ?, state = ?, blob = ?, "
      "expires = ? WHERE id = ?",
      values);
}

}  // namespace

Status SqlMetadata::CreateResumable(const ResumableUpload& upload, const ResumableLimits& limits) {
  return Writing([&](SqlSession& session) -> Status {
    Result<Site> site = ReadSite(session, upload.site);
    if (!site) return unexpected(std::move(site.error()));
    if (Status room = CheckRoom(session, upload.site, limits); !room) return room;
    const SqlValue row[] = {upload.id,
                            upload.site,
                            upload.asset.path,
                            upload.asset.content_type,
                            EncodeHeaders(upload.asset.headers),
                            EncodeLines(upload.asset.tags),
                            EncodeHeaders(upload.conditions),
                            upload.metadata,
                            upload.expected ? BlobName(*upload.expected) : std::string(),
                            LengthColumn(upload),
                            static_cast<int64_t>(upload.offset),
                            upload.hash,
                            StateName(upload.state),
                            BlobColumn(upload),
                            ToUnixMillis(upload.expires)};
    Status made = session.Run("INSERT INTO resumable_uploads (" + std::string(kResumableColumns) +
                                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                              row);
    if (!made) return made;
    return CheckQuota(session, *site, {.wanted_bytes = upload.length.value_or(upload.offset)});
  });
}

Result<ResumableUpload> SqlMetadata::FindResumable(const std::string& site, const std::string& id) {
  return Reading([&](SqlSession& session) -> Result<ResumableUpload> {
    const SqlValue which[] = {id, site};
    Result<std::vector<ResumableUpload>> found =
        ReadResumableRows(session, "id = ? AND site = ?", which);
    if (!found) return unexpected(std::move(found.error()));
    if (found->empty()) return NoSuchResumable();
    return std::move(found->front());
  });
}

Status SqlMetadata::KeepResumable(const ResumableUpload& upload) {
  return Writing([&](SqlSession& session) -> Status {
    if (Status there = RequireUnfinished(session, upload); !there) return there;
    if (Status noted = WriteProgress(session, upload); !noted) return noted;
    Result<Site> site = ReadSite(session, upload.site);
    if (!site) return unexpected(std::move(site.error()));
    return CheckQuota(session, *site, {.wanted_bytes = upload.length.value_or(upload.offset)});
  });
}

Result<AssetChange> SqlMetadata::CompleteResumable(const ResumableUpload& upload,
                                                   const Precondition& precondition,
                                                   const Announce& announce) {
  return Writing([&](SqlSession& session) -> Result<AssetChange> {
    if (Status there = RequireUnfinished(session, upload); !there) {
      return unexpected(std::move(there.error()));
    }
    ResumableUpload done = upload;
    done.state = ResumableState::kDone;
    done.hash.clear();
    // First, so that a quota does not count it beside the asset that it becomes.
    if (Status noted = WriteProgress(session, done); !noted) {
      return unexpected(std::move(noted.error()));
    }
    return PutAssetIn(session, upload.site, upload.asset, precondition, announce);
  });
}

Status SqlMetadata::RemoveResumable(const std::string& id) {
  return Writing([&](SqlSession& session) {
    const SqlValue which[] = {id};
    return session.Run("DELETE FROM resumable_uploads WHERE id = ?", which);
  });
}

Result<std::vector<ResumableUpload>> SqlMetadata::ExpiredResumables(WallTime now, size_t limit,
                                                                    size_t skip) {
  return Reading([&](SqlSession& session) {
    const SqlValue which[] = {ToUnixMillis(now), static_cast<int64_t>(limit),
                              static_cast<int64_t>(skip)};
    return ReadResumableRows(session, "expires <= ? ORDER BY expires, id LIMIT ? OFFSET ?", which);
  });
}

Result<std::vector<std::string>> SqlMetadata::UnknownResumables(std::span<const std::string> ids) {
  return Reading([&](SqlSession& session) -> Result<std::vector<std::string>> {
    std::vector<std::string> unknown;
    for (const std::string& id : ids) {
      const SqlValue which[] = {id};
      Result<SqlRows> rows = session.Query("SELECT 1 FROM resumable_uploads WHERE id = ?", which);
      if (!rows) return unexpected(std::move(rows.error()));
      if (rows->empty()) unknown.push_back(id);
    }
    return unknown;
  });
}

Result<uint64_t> SqlMetadata::CountResumables() {
  return Reading([&](SqlSession& session) -> Result<uint64_t> {
    Result<SqlRows> rows =
        session.Query("SELECT COUNT(*) FROM resumable_uploads WHERE state <> 'done'");
    if (!rows) return unexpected(std::move(rows.error()));
    return static_cast<uint64_t>((*rows)[0].Int(0));
  });
}

}  // namespace nearside::storage
