#include "storage/metadata_sql.h"

namespace nearside::storage {

Result<std::vector<BlobVariant>> SqlMetadata::Variants(const BlobId& content) {
  Result<SqlRows> rows = Reading([&](SqlSession& session) {
    const SqlValue which[] = {BlobName(content)};
    return session.Query(
        "SELECT coding, blob, bytes FROM blob_variants WHERE content = ? ORDER BY coding", which);
  });
  if (!rows) return unexpected(std::move(rows.error()));
  std::vector<BlobVariant> variants;
  for (const SqlRow& row : *rows) {
    BlobVariant variant{.coding = row.Text(0), .bytes = static_cast<uint64_t>(row.Int(2))};
    if (variant.bytes > 0) {
      Result<BlobId> blob = ParseBlobName(row.Text(1));
      if (!blob) {
        return Fail(Fault::kSelf, "database_failed",
                    "metadata: a variant of " + BlobName(content) + " has no SHA-256");
      }
      variant.blob = *blob;
    }
    variants.push_back(std::move(variant));
  }
  return variants;
}

Status SqlMetadata::AddVariant(const BlobId& content, const BlobVariant& variant,
                               const BlobStore& store) {
  return Writing([&](SqlSession& session) -> Status {
    const SqlValue name[] = {BlobName(content)};
    Result<SqlRows> there = session.Query("SELECT 1 FROM blobs WHERE sha256 = ?", name);
    if (!there) return unexpected(std::move(there.error()));
    if (there->empty()) {
      return Fail(Fault::kClient, "no_such_blob",
                  "no content with SHA-256 " + BlobName(content) + " is stored");
    }
    const bool has_blob = variant.bytes > 0;
    if (has_blob) {
      Status added = AddBlobIn(session, {variant.blob, variant.bytes}, store);
      if (!added) return added;
    }
    const SqlValue row[] = {BlobName(content), variant.coding,
                            has_blob ? BlobName(variant.blob) : std::string(),
                            static_cast<int64_t>(variant.bytes)};
    return session.Run(
        "INSERT INTO blob_variants (content, coding, blob, bytes) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (content, coding) DO UPDATE SET blob = excluded.blob, bytes = excluded.bytes",
        row);
  });
}

Result<std::vector<Asset>> SqlMetadata::UncodedAssets(const UncodedRange& range) {
  return Reading([&](SqlSession& session) -> Result<std::vector<Asset>> {
    const SqlValue which[] = {range.release,
                              range.after,
                              static_cast<int64_t>(range.least_bytes),
                              static_cast<int64_t>(range.most_bytes),
                              static_cast<int64_t>(range.codings),
                              static_cast<int64_t>(range.limit)};
    Result<SqlRows> rows = session.Query(
        "SELECT " + std::string(kAssetColumns) +
            " FROM assets a WHERE a.release = ? AND a.path > ? AND a.bytes >= ? AND a.bytes <= ? "
            "AND (SELECT COUNT(*) FROM blob_variants v WHERE v.content = a.blob) < ? "
            "ORDER BY a.path LIMIT ?",
        which);
    if (!rows) return unexpected(std::move(rows.error()));
    std::vector<Asset> assets;
    for (const SqlRow& row : *rows) {
      Result<Asset> asset = ReadAssetRow(row);
      if (!asset) return unexpected(std::move(asset.error()));
      assets.push_back(std::move(*asset));
    }
    return assets;
  });
}

}  // namespace nearside::storage
