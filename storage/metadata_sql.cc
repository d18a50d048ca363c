#include "storage/metadata_sql.h"

#include "runtime/file.h"

namespace nearside::storage {
namespace {

constexpr size_t kIdleSessions = 16;  ///< kept open for the next call; more are closed after theirs

Status MakeParent(const std::string& file) {
  const size_t slash = file.rfind('/');
  return slash == std::string::npos || slash == 0 ? Status() : MakeFolders(file.substr(0, slash));
}

}  // namespace

Result<std::unique_ptr<Metadata>> SqlMetadata::OpenSqlite(const std::string& file,
                                                          const MetadataOptions& options) {
  if (Status made = MakeParent(file); !made) {
    return Fail(Fault::kOperator, "cannot_open", made.error().message);
  }
  auto metadata = std::unique_ptr<SqlMetadata>(new SqlMetadata(file, options));
  Result<SessionPointer> first = metadata->Take();
  if (!first) return unexpected(std::move(first.error()));
  if (Status migrated = options.migrate ? MigrateSchema(**first) : Status(); !migrated) {
    return Fail(Fault::kOperator,
                migrated.error().reason == "newer_schema" ? "newer_schema" : "cannot_open",
                file + ": " + migrated.error().message);
  }
  metadata->Give(std::move(*first));
  Result<SessionPointer> reports = SqlSession::OpenSqlite(file, /*durable=*/false);
  if (!reports) return unexpected(std::move(reports.error()));
  metadata->reports_ = std::move(*reports);
  return std::unique_ptr<Metadata>(std::move(metadata));
}

Result<SqlMetadata::SessionPointer> SqlMetadata::Take() {
  {
    std::lock_guard lock(pool_mutex_);
    if (!pool_.empty()) {
      SessionPointer session = std::move(pool_.back());
      pool_.pop_back();
      return session;
    }
  }
  return SqlSession::OpenSqlite(file_, /*durable=*/true);
}

void SqlMetadata::Give(SessionPointer session) {
  std::lock_guard lock(pool_mutex_);
  if (pool_.size() < kIdleSessions) pool_.push_back(std::move(session));
}

std::string EncodeLines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    if (!text.empty()) text += '\n';
    text += line;
  }
  return text;
}

std::vector<std::string> DecodeLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string EncodeHeaders(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : headers) lines.push_back(name + ": " + value);
  return EncodeLines(lines);
}

std::vector<std::pair<std::string, std::string>> DecodeHeaders(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> headers;
  for (const std::string& line : DecodeLines(text)) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) {
      headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
  }
  return headers;
}

Status RequireFile(const BlobStore& store, const BlobId& blob) {
  Result<std::optional<uint64_t>> there = store.Find(blob);
  if (!there) return unexpected(std::move(there.error()));
  if (*there) return {};
  return Fail(Fault::kSelf, "blob_collected",
              "the content was collected as an old one at this very moment: send it again");
}

Status SqlMetadata::AddBlob(const StoredBlob& blob, const BlobStore& store) {
  return Writing([&](SqlSession& session) { return AddBlobIn(session, blob, store); });
}

Status SqlMetadata::AddBlobIn(SqlSession& session, const StoredBlob& blob, const BlobStore& store) {
  if (Status there = RequireFile(store, blob.id); !there) return there;
  const SqlValue row[] = {BlobName(blob.id), static_cast<int64_t>(blob.bytes), ToUnixMillis(Now())};
  return session.Run(
      "INSERT INTO blobs (sha256, bytes, added) VALUES (?, ?, ?) "
      "ON CONFLICT (sha256) DO UPDATE SET bytes = excluded.bytes, added = excluded.added, "
      "condemned = 0",
      row);
}

Result<std::optional<uint64_t>> SqlMetadata::FindBlob(const BlobId& id) {
  return Reading([&](SqlSession& session) -> Result<std::optional<uint64_t>> {
    const SqlValue name[] = {BlobName(id)};
    Result<SqlRows> rows =
        session.Query("SELECT bytes FROM blobs WHERE sha256 = ? AND condemned = 0", name);
    if (!rows) return unexpected(std::move(rows.error()));
    if (rows->empty()) return std::nullopt;
    return static_cast<uint64_t>((*rows)[0].Int(0));
  });
}

}  // namespace nearside::storage
