#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

constexpr std::string_view kUploadColumns =
    "id, site, path, content_type, headers, tags, notes, begun";

MultipartUpload ReadUploadRow(const SqlRow& row) {
  MultipartUpload upload;
  upload.id = row.Text(0);
  upload.site = row.Text(1);
  upload.asset.path = row.Text(2);
  upload.asset.content_type = row.Text(3);
  upload.asset.headers = DecodeHeaders(row.Text(4));
  upload.asset.tags = DecodeLines(row.Text(5));
  upload.asset.notes = DecodeHeaders(row.Text(6));
  upload.begun = FromUnixMillis(row.Int(7));
  return upload;
}

std::vector<MultipartUpload> ReadUploadRows(const SqlRows& rows) {
  std::vector<MultipartUpload> uploads;
  uploads.reserve(rows.size());
  for (const SqlRow& row : rows) uploads.push_back(ReadUploadRow(row));
  return uploads;
}

tl::unexpected<Error> NoSuchUpload() {
  return Fail(Fault::kClient, "no_such_upload",
              "there is no such upload in parts: it was completed, aborted, or has expired");
}

/// nullopt: there is no such upload.
Result<std::optional<std::string>> SiteOfUpload(SqlSession& session, const std::string& upload) {
  const SqlValue which[] = {upload};
  Result<SqlRows> rows = session.Query("SELECT site FROM uploads WHERE id = ?", which);
  if (!rows) return unexpected(std::move(rows.error()));
  if (rows->empty()) return std::nullopt;
  return (*rows)[0].Text(0);
}

/// With its parts, whose blobs are the answer.
Result<std::vector<BlobId>> TakeUploadAway(SqlSession& session, const std::string& upload) {
  const SqlValue which[] = {upload};
  Result<SqlRows> rows = session.Query("SELECT blob FROM upload_parts WHERE upload = ?", which);
  if (!rows) return unexpected(std::move(rows.error()));
  Status gone = session.Run("DELETE FROM upload_parts WHERE upload = ?", which);
  if (gone) gone = session.Run("DELETE FROM uploads WHERE id = ?", which);
  if (!gone) return unexpected(std::move(gone.error()));
  std::vector<BlobId> blobs;
  for (const SqlRow& row : *rows) {
    if (Result<BlobId> blob = ParseBlobName(row.Text(0))) blobs.push_back(*blob);
  }
  return blobs;
}

}  // namespace

Status SqlMetadata::CreateUpload(const MultipartUpload& upload) {
  return Writing([&](SqlSession& session) -> Status {
    Result<Site> site = ReadSite(session, upload.site);
    if (!site) return unexpected(std::move(site.error()));
    const SqlValue row[] = {upload.id,
                            upload.site,
                            upload.asset.path,
                            upload.asset.content_type,
                            EncodeHeaders(upload.asset.headers),
                            EncodeLines(upload.asset.tags),
                            EncodeHeaders(upload.asset.notes),
                            ToUnixMillis(Now())};
    return session.Run(
        "INSERT INTO uploads (id, site, path, content_type, headers, tags, notes, "
        "begun) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row);
  });
}

Result<MultipartUpload> SqlMetadata::FindUpload(const std::string& site, const std::string& path,
                                                const std::string& id) {
  return Reading([&](SqlSession& session) -> Result<MultipartUpload> {
    const SqlValue which[] = {id, site, path};
    Result<SqlRows> rows = session.Query("SELECT " + std::string(kUploadColumns) +
                                             " FROM uploads WHERE id = ? AND site = ? AND path = ?",
                                         which);
    if (!rows) return unexpected(std::move(rows.error()));
    if (rows->empty()) return NoSuchUpload();
    return ReadUploadRow((*rows)[0]);
  });
}

Result<std::vector<MultipartUpload>> SqlMetadata::ListUploads(const std::string& site,
                                                              const UploadRange& range) {
  return Reading([&](SqlSession& session) -> Result<std::vector<MultipartUpload>> {
    const SqlValue which[] = {site,
                              range.prefix,
                              range.prefix + "\xF4\x8F\xBF\xBF",
                              range.after_path,
                              range.after_path,
                              range.after_id,
                              static_cast<int64_t>(range.limit)};
    Result<SqlRows> rows =
        session.Query("SELECT " + std::string(kUploadColumns) +
                          " FROM uploads WHERE site = ? AND path >= ? AND path < ? AND "
                          "(path > ? OR (path = ? AND id > ?)) ORDER BY path, id LIMIT ?",
                      which);
    if (!rows) return unexpected(std::move(rows.error()));
    return ReadUploadRows(*rows);
  });
}

Result<std::vector<MultipartUpload>> SqlMetadata::UploadsBefore(WallTime begun, size_t limit) {
  return Reading([&](SqlSession& session) -> Result<std::vector<MultipartUpload>> {
    const SqlValue which[] = {ToUnixMillis(begun), static_cast<int64_t>(limit)};
    Result<SqlRows> rows = session.Query("SELECT " + std::string(kUploadColumns) +
                                             " FROM uploads WHERE begun < ? ORDER BY begun LIMIT ?",
                                         which);
    if (!rows) return unexpected(std::move(rows.error()));
    return ReadUploadRows(*rows);
  });
}

Result<std::optional<BlobId>> SqlMetadata::PutPart(const std::string& upload,
                                                   const UploadPart& part, const BlobStore& store) {
  return Writing([&](SqlSession& session) -> Result<std::optional<BlobId>> {
    if (Status there = RequireFile(store, part.blob); !there) {
      return unexpected(std::move(there.error()));
    }
    Result<std::optional<std::string>> name = SiteOfUpload(session, upload);
    if (!name) return unexpected(std::move(name.error()));
    // Those of a site that is gone expire.
    if (!*name || (*name)->empty()) return NoSuchUpload();
    Result<Site> site = ReadSite(session, **name);
    if (!site) return unexpected(std::move(site.error()));
    const SqlValue which[] = {upload, int64_t{part.number}};
    Result<SqlRows> before =
        session.Query("SELECT blob FROM upload_parts WHERE upload = ? AND number = ?", which);
    if (!before) return unexpected(std::move(before.error()));
    const SqlValue row[] = {
        upload,   int64_t{part.number}, BlobName(part.blob), static_cast<int64_t>(part.bytes),
        part.md5, ToUnixMillis(Now())};
    Status put = session.Run(
        "INSERT INTO upload_parts (upload, number, blob, bytes, md5, modified) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (upload, number) DO UPDATE SET "
        "blob = excluded.blob, bytes = excluded.bytes, md5 = excluded.md5, "
        "modified = excluded.modified",
        row);
    if (put)
      put = CheckQuota(session, *site, {.added_bytes = part.bytes, .wanted_bytes = part.bytes});
    if (!put) return unexpected(std::move(put.error()));
    if (before->empty()) return std::nullopt;
    Result<BlobId> replaced = ParseBlobName((*before)[0].Text(0));
    if (!replaced) return std::nullopt;
    return *replaced;
  });
}

Result<std::vector<UploadPart>> SqlMetadata::Parts(const std::string& upload, int after,
                                                   size_t limit) {
  return Reading([&](SqlSession& session) -> Result<std::vector<UploadPart>> {
    const SqlValue which[] = {upload, int64_t{after}, static_cast<int64_t>(limit)};
    Result<SqlRows> rows = session.Query(
        "SELECT number, blob, bytes, md5, modified FROM upload_parts "
        "WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
        which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<UploadPart> parts;
    for (const SqlRow& row : *rows) {
      Result<BlobId> blob = ParseBlobName(row.Text(1));
      if (!blob) {
        return Fail(Fault::kSelf, "database_failed",
                    "metadata: a part of upload " + upload + " holds no SHA-256");
      }
      parts.push_back({.number = static_cast<int>(row.Int(0)),
                       .blob = *blob,
                       .bytes = static_cast<uint64_t>(row.Int(2)),
                       .md5 = row.Text(3),
                       .modified = FromUnixMillis(row.Int(4))});
    }
    return parts;
  });
}

Result<UploadCompletion> SqlMetadata::CompleteUpload(const MultipartUpload& upload,
                                                     const Precondition& precondition,
                                                     const Announce& announce) {
  return Writing([&](SqlSession& session) -> Result<UploadCompletion> {
    const SqlValue which[] = {upload.id, upload.site, upload.asset.path};
    Result<SqlRows> there =
        session.Query("SELECT 1 FROM uploads WHERE id = ? AND site = ? AND path = ?", which);
    if (!there) return unexpected(std::move(there.error()));
    if (there->empty()) return NoSuchUpload();
    // First, so that a quota does not count them beside the whole that they become.
    Result<std::vector<BlobId>> parts = TakeUploadAway(session, upload.id);
    if (!parts) return unexpected(std::move(parts.error()));
    Result<AssetChange> change =
        PutAssetIn(session, upload.site, upload.asset, precondition, announce);
    if (!change) return unexpected(std::move(change.error()));
    return UploadCompletion{std::move(*change), std::move(*parts)};
  });
}

Result<std::vector<BlobId>> SqlMetadata::RemoveUpload(const std::string& upload) {
  return Writing([&](SqlSession& session) { return TakeUploadAway(session, upload); });
}

}  // namespace nearside::storage
