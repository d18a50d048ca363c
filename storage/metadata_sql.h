#pragma once

// Metadata over SQL. The statements keep to what SQLite and PostgreSQL share; what differs (how a
// database is opened, how a write transaction begins) is in metadata_session.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/metadata.h"
#include "storage/metadata_session.h"

namespace nearside::storage {

/// Makes or migrates the tables in one transaction. Errors: kOperator newer_schema; kSelf
/// database_*.
Status MigrateSchema(SqlSession& session);
/// Below 2^53, so that it survives programs whose JSON numbers are doubles; never 0.
int64_t RandomEpoch();

/// Lists and pairs as texts: one a line. ("cache-control: no-store\nlink: …", "tag-a\ntag-b").
std::string EncodeHeaders(const std::vector<std::pair<std::string, std::string>>& headers);
std::vector<std::pair<std::string, std::string>> DecodeHeaders(std::string_view text);
std::string EncodeLines(const std::vector<std::string>& lines);
std::vector<std::string> DecodeLines(std::string_view text);

class SqlMetadata final : public Metadata {
 public:
  static Result<std::unique_ptr<Metadata>> OpenSqlite(const std::string& file,
                                                      const MetadataOptions& options);

  Result<LogPosition> CreateSite(const SiteDraft& draft, const Announce& announce) override;
  Result<LogPosition> ReplaceSite(const SiteDraft& draft, const Announce& announce) override;
  Result<LogPosition> DeleteSite(const std::string& name, const Announce& announce) override;
  Result<LogPosition> DeleteEmptySite(const std::string& name, const Announce& announce) override;
  Result<std::vector<Site>> Sites() override;
  Result<Site> FindSite(const std::string& name) override;
  Result<SiteUsage> UsageOf(const std::string& site) override;

  Result<Release> CreateRelease(const std::string& site, std::span<const Asset> assets) override;
  Result<std::vector<StoredBlob>> MissingBlobs(ReleaseId release) override;
  Result<Activation> ActivateRelease(const std::string& site, ReleaseId release,
                                     const Announce& announce, const DraftReceipt& draft) override;
  Result<std::vector<Release>> Releases(const std::string& site, size_t limit) override;
  Result<Release> FindRelease(const std::string& site, ReleaseId release) override;

  Result<std::optional<Asset>> FindAsset(ReleaseId release, const std::string& path) override;
  Result<std::vector<Asset>> ListAssets(ReleaseId release, const AssetRange& range) override;
  Result<AssetChange> PutAsset(const std::string& site, const Asset& asset,
                               const Precondition& precondition, const Announce& announce) override;
  Result<AssetChange> RemoveAsset(const std::string& site, const std::string& path,
                                  const Precondition& precondition,
                                  const Announce& announce) override;

  Status AddBlob(const StoredBlob& blob, const BlobStore& store) override;
  Result<std::optional<uint64_t>> FindBlob(const BlobId& id) override;

  Result<std::vector<BlobVariant>> Variants(const BlobId& content) override;
  Status AddVariant(const BlobId& content, const BlobVariant& variant,
                    const BlobStore& store) override;
  Result<std::vector<Asset>> UncodedAssets(const UncodedRange& range) override;

  Result<std::optional<Asset>> FindEarlierAsset(const std::string& site, const std::string& path,
                                                const Retention& kept) override;
  Result<std::vector<DroppedRelease>> DropReleases(const Retention& kept, size_t limit) override;
  Result<size_t> TrimDropped(size_t rows) override;
  Result<CondemnedBlobs> CondemnBlobs(const BlobStretch& stretch) override;
  Result<CollectedBlobs> CollectBlobs(BlobStore& store, const BlobsToCollect& which) override;
  Result<CollectedBlobs> SweepFiles(BlobStore& store, std::span<const BlobId> files,
                                    WallTime landed_before) override;

  Status CreateUpload(const MultipartUpload& upload) override;
  Result<MultipartUpload> FindUpload(const std::string& site, const std::string& path,
                                     const std::string& id) override;
  Result<std::vector<MultipartUpload>> ListUploads(const std::string& site,
                                                   const UploadRange& range) override;
  Result<std::vector<MultipartUpload>> UploadsBefore(WallTime begun, size_t limit) override;
  Result<std::optional<BlobId>> PutPart(const std::string& upload, const UploadPart& part,
                                        const BlobStore& store) override;
  Result<std::vector<UploadPart>> Parts(const std::string& upload, int after,
                                        size_t limit) override;
  Result<UploadCompletion> CompleteUpload(const MultipartUpload& upload,
                                          const Precondition& precondition,
                                          const Announce& announce) override;
  Result<std::vector<BlobId>> RemoveUpload(const std::string& upload) override;

  Status CreateResumable(const ResumableUpload& upload, const ResumableLimits& limits) override;
  Result<ResumableUpload> FindResumable(const std::string& site, const std::string& id) override;
  Status KeepResumable(const ResumableUpload& upload) override;
  Result<AssetChange> CompleteResumable(const ResumableUpload& upload,
                                        const Precondition& precondition,
                                        const Announce& announce) override;
  Status RemoveResumable(const std::string& id) override;
  Result<std::vector<ResumableUpload>> ExpiredResumables(WallTime now, size_t limit,
                                                         size_t skip) override;
  Result<std::vector<std::string>> UnknownResumables(std::span<const std::string> ids) override;
  Result<uint64_t> CountResumables() override;

  Result<LogState> Log() override;
  Result<LogPosition> Append(std::span<const NewEvent> events) override;
  Result<std::vector<Event>> Events(uint64_t after, size_t limit) override;

  Status BackUp(const std::string& file) override;
  Status CheckWhole() override;
  Status RenewLog() override;
  Result<std::vector<StoredBlob>> NamedBlobs(const std::string& after, size_t limit) override;

  Status ReportEdge(const EdgeReport& report) override;
  Result<std::vector<EdgeReport>> Edges() override;
  Status RemoveEdge(const std::string& name) override;

  Result<PublishReceipt> FindReceipt(int64_t id) override;
  Result<std::vector<PublishReceipt>> Receipts(const std::string& site, size_t limit) override;
  Result<int64_t> NoteProof(const std::string& site, LogPosition position,
                            const EdgeProof& proof) override;
  Status SetReceiptDigest(int64_t id, const std::string& digest) override;

  Result<Token> CreateToken(const Token& draft, const AuditEntry& audit) override;
  Result<std::vector<Token>> Tokens() override;
  Result<Token> FindToken(const std::string& id) override;
  Result<Token> RevokeToken(const std::string& id, const AuditEntry& audit) override;
  Status NoteTokenUse(const std::string& id, WallTime used) override;

  Result<Account> CreateAccount(const Account& draft, const AuditEntry& audit) override;
  Result<std::vector<Account>> Accounts(const AccountRange& range) override;
  Result<uint64_t> AccountCount() override;
  Result<Account> FindAccount(const std::string& name) override;
  Result<Account> FindAccountById(const std::string& id) override;
  Status ChangePassword(const PasswordChange& change,
                        const std::optional<AuditEntry>& audit) override;
  Status EndSessions(const std::string& account, int64_t generation,
                     const AuditEntry& audit) override;
  Result<Account> ReplaceGrants(const std::string& name, const std::vector<AccountGrant>& grants,
                                const AuditEntry& audit) override;
  Result<Account> DeleteAccount(const std::string& name, const AuditEntry& audit) override;
  Status NoteSignIn(const std::string& account, WallTime when) override;

  Status AddAudit(const AuditEntry& entry) override;
  Result<std::vector<AuditRecord>> Audit(const AuditRange& range) override;

 private:
  /// A session borrowed from the pool for one call.
  class Borrowed;
  using SessionPointer = std::unique_ptr<SqlSession>;

  SqlMetadata(std::string file, const MetadataOptions& options)
      : file_(std::move(file)), options_(options) {}
  WallTime Now() const { return options_.clock(); }
  Result<SessionPointer> Take();
  void Give(SessionPointer session);

  /// `work(SqlSession&) → Result<T>` with a session of its own.
  template <typename Work>
  auto Reading(Work work) -> decltype(work(std::declval<SqlSession&>()));
  /// The same inside a write transaction, committed when `work` succeeds. Writers of this process
  /// queue here, so that only other processes are met by the database's busy timeout.
  template <typename Work>
  auto Writing(Work work) -> decltype(work(std::declval<SqlSession&>()));

  Status AddBlobIn(SqlSession& session, const StoredBlob& blob, const BlobStore& store);
  Result<LogPosition> AppendIn(SqlSession& session, std::span<const NewEvent> events);
  static Result<int64_t> AddReceiptIn(SqlSession& session, const PublishReceipt& draft);
  Status TrimIn(SqlSession& session, const LogState& state);
  /// `event` is the number of the last event that announced the change, 0 when none did.
  Status AuditIn(SqlSession& session, const AuditEntry& entry, uint64_t event);
  Status TrimAuditIn(SqlSession& session, int64_t keep);
  Status MakeRoomForToken(SqlSession& session, const std::string& site);
  Result<AssetChange> PutAssetIn(SqlSession& session, const std::string& site, const Asset& asset,
                                 const Precondition& precondition, const Announce& announce);
  Result<LogPosition> DeleteSiteIn(SqlSession& session, const Site& site, const Announce& announce);
  Status RevokeTokensOfSite(SqlSession& session, const std::string& site);
  /// The active release, made editable in place: see the head of metadata.h.
  Result<ReleaseId> LiveReleaseIn(SqlSession& session, const Site& site);

  const std::string file_;
  const MetadataOptions options_;
  std::mutex pool_mutex_;
  std::vector<SessionPointer> pool_;
  std::mutex write_mutex_;
  std::mutex reports_mutex_;
  SessionPointer reports_;  ///< commits without fsync: edges' reports come again within a second
};

// Pieces shared by the files that implement SqlMetadata; all run inside the caller's transaction.
Result<Site> ReadSite(SqlSession& session, const std::string& name);
Result<LogState> ReadLog(SqlSession& session);
Result<std::optional<Asset>> ReadAsset(SqlSession& session, ReleaseId release,
                                       const std::string& path);
/// The columns of an asset, from a table that the statement calls `a`, and such a row.
inline constexpr std::string_view kAssetColumns =
    "a.path, a.blob, a.bytes, a.content_type, a.headers, a.tags, a.notes, a.modified";
Result<Asset> ReadAssetRow(const SqlRow& row);
/// Error: kSelf blob_collected.
Status RequireFile(const BlobStore& store, const BlobId& blob);
Result<Release> ReadRelease(SqlSession& session, const std::string& site, ReleaseId release);
Result<ReleaseId> NextReleaseId(SqlSession& session);
/// Notes that `release` is the site's active one from now on.
Status SwitchRelease(SqlSession& session, const std::string& site, ReleaseId release, WallTime now);
Status InsertAssets(SqlSession& session, ReleaseId release, std::span<const Asset> assets,
                    WallTime now);
/// What a transaction has just added to a site.
struct QuotaCheck {
  ReleaseId files_of = kNoRelease;   ///< whose files may have become more
  bool bytes = true;                 ///< whether the site may hold more bytes
  uint64_t added_bytes = 0;          ///< of contents, at most
  uint64_t wanted_bytes = 0;         ///< so many more, for the error's text …
  ReleaseId wanted_by = kNoRelease;  ///< … or as many as this release alone has
};
/// Error: kClient quota_exceeded. The transaction is to be given up then.
Status CheckQuota(SqlSession& session, const Site& site, const QuotaCheck& check);
/// Whether an asset of one of the site's releases has this content.
Result<bool> SiteNames(SqlSession& session, const std::string& site, const BlobId& blob);
tl::unexpected<Error> NoSuchSite(const std::string& name);

template <typename Work>
auto SqlMetadata::Reading(Work work) -> decltype(work(std::declval<SqlSession&>())) {
  Result<SessionPointer> session = Take();
  if (!session) return unexpected(std::move(session.error()));
  auto result = work(**session);
  Give(std::move(*session));
  return result;
}

template <typename Work>
auto SqlMetadata::Writing(Work work) -> decltype(work(std::declval<SqlSession&>())) {
  std::lock_guard lock(write_mutex_);
  return Reading([&](SqlSession& session) -> decltype(work(session)) {
    Result<SqlTransaction> transaction = SqlTransaction::Begin(session);
    if (!transaction) return unexpected(std::move(transaction.error()));
    auto result = work(session);
    if (!result) return result;
    if (Status committed = transaction->Commit(); !committed) {
      return unexpected(std::move(committed.error()));
    }
    return result;
  });
}

}  // namespace nearside::storage
