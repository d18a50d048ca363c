#pragma once

// What an origin knows beside bytes: sites, releases with their manifests, the event log, the
// edges' reports, tokens, accounts, and who changed what. Every change that visitors can see and
// the events that tell the edges of it are one transaction.
//
// Releases. A published release never changes. A change of a single asset (PutAsset, RemoveAsset)
// needs a *live* release: when the active one is published, or has been returned to by a rollback,
// the change first makes a live copy of it, active from then on; further changes edit that copy in
// place. So a rollback to any release that was active before brings back exactly what it held when
// it was left.
//
// Times are milliseconds since 1970, paths are as people write them ("docs/index.html": UTF-8, no
// leading slash); texts hold no NUL. The folder knows neither HTTP nor JSON: event bodies, settings
// and reports are opaque.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"
#include "storage/account.h"
#include "storage/asset.h"
#include "storage/blob_store.h"
#include "storage/blob_variant.h"
#include "storage/cache_store.h"
#include "storage/collection.h"
#include "storage/event_log.h"
#include "storage/multipart_upload.h"
#include "storage/publish_receipt.h"
#include "storage/resumable_upload.h"
#include "storage/site_quota.h"
#include "storage/token.h"

namespace nearside::storage {

using ReleaseId = int64_t;
inline constexpr ReleaseId kNoRelease = 0;

struct SiteDraft {
  std::string name;
  std::vector<std::string> hosts;  ///< lower case, no port; a host belongs to one site
  std::string settings;            ///< opaque
  std::optional<SiteQuota> quota = std::nullopt;  ///< nullopt: as it is; of a new one: none
};

struct Site {
  std::string name;
  std::vector<std::string> hosts;
  std::string settings;
  ReleaseId active = kNoRelease;
  /// Releases that were active before, the last one first, kEarlierReleases at most.
  std::vector<ReleaseId> earlier;
  SiteQuota quota;
  WallTime created;
  WallTime changed;
};
inline constexpr size_t kEarlierReleases = 16;

enum class ReleaseKind { kPublished, kLive };
enum class ReleaseState {
  kOpen,  ///< never activated
  kActive,
  kPast,
};

struct Release {
  ReleaseId id = kNoRelease;
  std::string site;
  ReleaseKind kind = ReleaseKind::kPublished;
  ReleaseState state = ReleaseState::kOpen;
  WallTime created;
  WallTime activated;  ///< the last time; 0 when never
  uint64_t assets = 0;
  uint64_t bytes = 0;
};

/// What a transaction is about to change, for the events that announce it.
struct Change {
  const Site& site;                       ///< as it will be
  ReleaseId release = kNoRelease;         ///< active after the change
  const std::vector<std::string>& paths;  ///< whose answer changes, appears or disappears
};
/// Makes the events of a change, inside its transaction: must be quick, and calls nothing of the
/// store.
using Announce = std::function<std::vector<NewEvent>(const Change&)>;
/// Looks at the asset that stands at a path (if any) inside the transaction that would replace it;
/// its error is the transaction's.
using Precondition = std::function<Status(const std::optional<Asset>&)>;

struct Activation {
  LogPosition position;
  ReleaseId previous = kNoRelease;
  uint64_t changed_paths = 0;
  std::optional<int64_t> receipt;  ///< the id of the one that was asked for
};

/// What is to be known of a switch that has just been made, in its own transaction: kept with it or
/// not at all. Of the draft the names of the edges alone are taken, and no digest.
using DraftReceipt = std::function<PublishReceipt(const Activation&)>;

struct AssetChange {
  LogPosition position;
  bool replaced = false;  ///< something stood at the path before
  WallTime modified;
};

struct AssetRange {
  std::string prefix;
  std::string after;  ///< exclusive
  size_t limit = 1000;
};

struct MetadataOptions {
  uint64_t keep_events = 100'000;
  /// Of each site, and of the changes that belong to none: so many of contents, and so many of the
  /// site and its tokens. Nobody's volume pushes out another's records.
  uint64_t keep_audit = 100'000;
  /// In all; those over one site may be a tenth, so that none takes the room of the others.
  uint64_t most_tokens = 10'000;
  uint64_t most_accounts = 10'000;
  std::function<WallTime()> clock = WallNow;
  /// False: an older schema stays as it is, for what every version has.
  bool migrate = true;
};

struct UploadCompletion {
  AssetChange change;
  std::vector<BlobId> parts;  ///< blobs that nothing names any more
};

/// Any thread; calls block on the disk. Several processes may share one store. Errors beside those
/// named: kSelf database_failed, database_busy (another process held the write lock for 10 s).
class Metadata : public EventLog {
 public:
  /// By URL: "sqlite:FILE" (made when absent, migrated when older). Errors: kOperator bad_url,
  /// cannot_open, newer_schema.
  static Result<std::unique_ptr<Metadata>> Open(std::string_view url,
                                                const MetadataOptions& options);
  /// Errors: kClient site_exists, host_taken.
  virtual Result<LogPosition> CreateSite(const SiteDraft& draft, const Announce& announce) = 0;
  /// Replaces hosts and settings. Errors: kClient no_such_site, host_taken.
  virtual Result<LogPosition> ReplaceSite(const SiteDraft& draft, const Announce& announce) = 0;
  /// With its releases; its tokens are revoked, and no account may do anything to it any more.
  /// Error: kClient no_such_site.
  virtual Result<LogPosition> DeleteSite(const std::string& name, const Announce& announce) = 0;
  /// The same, of a site whose active release holds nothing. Errors: kClient no_such_site,
  /// site_not_empty.
  virtual Result<LogPosition> DeleteEmptySite(const std::string& name,
                                              const Announce& announce) = 0;
  virtual Result<std::vector<Site>> Sites() = 0;
  /// Error: kClient no_such_site.
  virtual Result<Site> FindSite(const std::string& name) = 0;
  /// Counted anew. What adds to it (PutAsset, CreateRelease, ActivateRelease of one that never was
  /// active, PutPart, the three of resumable uploads) fails with kClient quota_exceeded, and
  /// changes nothing, where the site's quota would be passed. Error: kClient no_such_site.
  virtual Result<SiteUsage> UsageOf(const std::string& site) = 0;

  /// A new, open release; paths are distinct. Errors: kClient no_such_site, bytes_mismatch (a blob
  /// is stored with another length).
  virtual Result<Release> CreateRelease(const std::string& site, std::span<const Asset> assets) = 0;
  /// Blobs that the release names and nobody has stored, each once.
  virtual Result<std::vector<StoredBlob>> MissingBlobs(ReleaseId release) = 0;
  /// `draft`: asked once, unless the release is active already; null: no receipt. Errors: kClient
  /// no_such_site, no_such_release, missing_blobs, bytes_mismatch.
  virtual Result<Activation> ActivateRelease(const std::string& site, ReleaseId release,
                                             const Announce& announce,
                                             const DraftReceipt& draft = nullptr) = 0;
  /// The newest first. Error: kClient no_such_site.
  virtual Result<std::vector<Release>> Releases(const std::string& site, size_t limit) = 0;
  /// Error: kClient no_such_release (also when it is another site's).
  virtual Result<Release> FindRelease(const std::string& site, ReleaseId release) = 0;

  virtual Result<std::optional<Asset>> FindAsset(ReleaseId release, const std::string& path) = 0;
  /// In the order of the paths' bytes.
  virtual Result<std::vector<Asset>> ListAssets(ReleaseId release, const AssetRange& range) = 0;
  /// In the active release; the blob must have been added. Errors: kClient no_such_site,
  /// missing_blobs, and the precondition's. No event announces a change of notes alone, which no
  /// visitor can tell, unless it made another release the active one.
  virtual Result<AssetChange> PutAsset(const std::string& site, const Asset& asset,
                                       const Precondition& precondition,
                                       const Announce& announce) = 0;
  /// Errors: kClient no_such_site, no_such_asset, and the precondition's.
  virtual Result<AssetChange> RemoveAsset(const std::string& site, const std::string& path,
                                          const Precondition& precondition,
                                          const Announce& announce) = 0;

  /// Says that `store` holds the blob, which is looked at in the transaction. Error: kSelf
  /// blob_collected (it was taken for an old one at this very moment: store it again).
  virtual Status AddBlob(const StoredBlob& blob, const BlobStore& store) = 0;
  /// Its length; nullopt when nobody has added it, or it is condemned.
  virtual Result<std::optional<uint64_t>> FindBlob(const BlobId& id) = 0;

  // storage/blob_variant.h

  /// All that are known of a content, those without a blob among them; none of a content that is
  /// not here.
  virtual Result<std::vector<BlobVariant>> Variants(const BlobId& content) = 0;
  /// In the place of the one of that coding. That `store` holds its blob is looked at in the
  /// transaction. Errors: kClient no_such_blob (nobody has added the content, or it was collected);
  /// kSelf blob_collected.
  virtual Status AddVariant(const BlobId& content, const BlobVariant& variant,
                            const BlobStore& store) = 0;
  /// Assets with fewer variants than there are codings, by path.
  virtual Result<std::vector<Asset>> UncodedAssets(const UncodedRange& range) = 0;

  // storage/collection.h

  /// The asset at a path of the last kept release that was active before and has one.
  virtual Result<std::optional<Asset>> FindEarlierAsset(const std::string& site,
                                                        const std::string& path,
                                                        const Retention& kept) = 0;
  /// Takes releases that are not kept out of their sites: nobody finds them any more.
  virtual Result<std::vector<DroppedRelease>> DropReleases(const Retention& kept, size_t limit) = 0;
  /// Forgets what dropped releases name, `rows` at most; the answer is how many there were.
  virtual Result<size_t> TrimDropped(size_t rows) = 0;
  /// Condemns those of a stretch that no release and no asset names.
  virtual Result<CondemnedBlobs> CondemnBlobs(const BlobStretch& stretch) = 0;
  /// Removes condemned ones from `store`, then from here. Within a transaction: the fewer the
  /// better.
  virtual Result<CollectedBlobs> CollectBlobs(BlobStore& store, const BlobsToCollect& which) = 0;
  /// Removes those of `files` that nothing here names: they were stored by a process that died
  /// before it could say so.
  virtual Result<CollectedBlobs> SweepFiles(BlobStore& store, std::span<const BlobId> files,
                                            WallTime landed_before) = 0;

  /// Uploads in parts: storage/multipart_upload.h. Error: kClient no_such_site.
  virtual Status CreateUpload(const MultipartUpload& upload) = 0;
  /// Error: kClient no_such_upload (also when it is another site's or path's).
  virtual Result<MultipartUpload> FindUpload(const std::string& site, const std::string& path,
                                             const std::string& id) = 0;
  /// By path, then by id.
  virtual Result<std::vector<MultipartUpload>> ListUploads(const std::string& site,
                                                           const UploadRange& range) = 0;
  /// Those begun before `begun`, of all sites.
  virtual Result<std::vector<MultipartUpload>> UploadsBefore(WallTime begun, size_t limit) = 0;
  /// Replaces the part of that number, and gives the blob of the one that was there. That `store`
  /// holds the new one is looked at in the transaction. Errors: kClient no_such_upload; kSelf
  /// blob_collected.
  virtual Result<std::optional<BlobId>> PutPart(const std::string& upload, const UploadPart& part,
                                                const BlobStore& store) = 0;
  /// In the order of their numbers, behind `after`.
  virtual Result<std::vector<UploadPart>> Parts(const std::string& upload, int after,
                                                size_t limit) = 0;
  /// Its asset, with the joined content, is put as by PutAsset, and the upload goes with its parts:
  /// both, or neither. Errors: those of PutAsset, and kClient no_such_upload (completed, or aborted
  /// meanwhile).
  virtual Result<UploadCompletion> CompleteUpload(const MultipartUpload& upload,
                                                  const Precondition& precondition,
                                                  const Announce& announce) = 0;
  /// With its parts, whose blobs are the answer. Removing what is not there succeeds.
  virtual Result<std::vector<BlobId>> RemoveUpload(const std::string& upload) = 0;

  /// Uploads in several goes: storage/resumable_upload.h. Errors: kClient no_such_site,
  /// too_many_uploads.
  virtual Status CreateResumable(const ResumableUpload& upload, const ResumableLimits& limits) = 0;
  /// Error: kClient no_such_upload (also when it is another site's).
  virtual Result<ResumableUpload> FindResumable(const std::string& site, const std::string& id) = 0;
  /// Length, offset, hash, state, digest and expiry as they are now. Error: kClient no_such_upload
  /// (removed meanwhile, or done).
  virtual Status KeepResumable(const ResumableUpload& upload) = 0;
  /// Its asset is put as by PutAsset, and the upload is done: both, or neither. Errors: those of
  /// PutAsset, and kClient no_such_upload (removed meanwhile, or done).
  virtual Result<AssetChange> CompleteResumable(const ResumableUpload& upload,
                                                const Precondition& precondition,
                                                const Announce& announce) = 0;
  /// Removing what is not there succeeds.
  virtual Status RemoveResumable(const std::string& id) = 0;
  /// Of all sites, whatever their state, those first that expired first, `skip` of them left out.
  virtual Result<std::vector<ResumableUpload>> ExpiredResumables(WallTime now, size_t limit,
                                                                 size_t skip) = 0;
  /// Those of `ids` that no upload has.
  virtual Result<std::vector<std::string>> UnknownResumables(std::span<const std::string> ids) = 0;
  /// Those that are open or sealed.
  virtual Result<uint64_t> CountResumables() = 0;

  /// A copy of everything as it is at one moment, by Open("sqlite:…") of the new `file`; others go
  /// on meanwhile. Error: kOperator cannot_write, also when the file is there.
  virtual Status BackUp(const std::string& file) = 0;
  /// Reads all of it: for a copy that may have been damaged or cut off. Error: kOperator
  /// not_whole.
  virtual Status CheckWhole() = 0;
  /// For what was restored from a copy: the log gets another epoch, so that no edge takes what it
  /// knows of the log as it was for what the log will say. Contents that no asset names, variants,
  /// and uploads in parts or goes, are forgotten: NamedBlobs has not named them, so that they are
  /// not there.
  virtual Status RenewLog() = 0;
  /// Stored blobs that an asset names, in the order of their names, behind `after` ("": all).
  virtual Result<std::vector<StoredBlob>> NamedBlobs(const std::string& after, size_t limit) = 0;

  /// Error: kClient no_such_receipt.
  virtual Result<PublishReceipt> FindReceipt(int64_t id) = 0;
  /// The newest first, of a site or ("") of all, without their edges.
  virtual Result<std::vector<PublishReceipt>> Receipts(const std::string& site, size_t limit) = 0;
  /// What an edge tells of the release that was announced at `position`: the id of its receipt, or
  /// 0 when there is none. Times of 0 are not known yet. Not made durable at once.
  virtual Result<int64_t> NoteProof(const std::string& site, LogPosition position,
                                    const EdgeProof& proof) = 0;
  /// Not made durable at once. A receipt that is not there is none to set.
  virtual Status SetReceiptDigest(int64_t id, const std::string& digest) = 0;

  /// The caller has made id and digest. Of tokens that open nothing any more the oldest are dropped
  /// when there is no room. Errors: kClient no_such_site, token_exists, too_many_tokens.
  virtual Result<Token> CreateToken(const Token& draft, const AuditEntry& audit) = 0;
  /// The oldest first, also those that open nothing any more.
  virtual Result<std::vector<Token>> Tokens() = 0;
  /// Error: kClient no_such_token.
  virtual Result<Token> FindToken(const std::string& id) = 0;
  /// Once more changes nothing. Error: kClient no_such_token.
  virtual Result<Token> RevokeToken(const std::string& id, const AuditEntry& audit) = 0;
  /// Not made durable at once. A token that is not there is none to note.
  virtual Status NoteTokenUse(const std::string& id, WallTime used) = 0;

  // storage/account.h

  /// The caller has made id, hash and generation; its sites must be there. Errors: kClient
  /// account_exists, too_many_accounts, no_such_site.
  virtual Result<Account> CreateAccount(const Account& draft, const AuditEntry& audit) = 0;
  /// In the order of their names' bytes.
  virtual Result<std::vector<Account>> Accounts(const AccountRange& range) = 0;
  virtual Result<uint64_t> AccountCount() = 0;
  /// Error: kClient no_such_account.
  virtual Result<Account> FindAccount(const std::string& name) = 0;
  virtual Result<Account> FindAccountById(const std::string& id) = 0;
  /// Without `audit` for a hash of the same password: then generation and time stay as they are,
  /// whatever has happened to them meanwhile. Errors: kClient no_such_account,
  /// password_changed (it is not the one of before any more).
  virtual Status ChangePassword(const PasswordChange& change,
                                const std::optional<AuditEntry>& audit) = 0;
  /// By another generation. Error: kClient no_such_account.
  virtual Status EndSessions(const std::string& account, int64_t generation,
                             const AuditEntry& audit) = 0;
  /// What the account may do from now on; one a site. Errors: kClient no_such_account,
  /// no_such_site.
  virtual Result<Account> ReplaceGrants(const std::string& name,
                                        const std::vector<AccountGrant>& grants,
                                        const AuditEntry& audit) = 0;
  /// As it was. Error: kClient no_such_account.
  virtual Result<Account> DeleteAccount(const std::string& name, const AuditEntry& audit) = 0;
  /// Not made durable at once. An account that is not there is none to note.
  virtual Status NoteSignIn(const std::string& account, WallTime when) = 0;

  /// For a change that no event announces (NewEvent::audit is for the others).
  virtual Status AddAudit(const AuditEntry& entry) = 0;
  /// In their order: behind `after`, or the last `limit` ones.
  virtual Result<std::vector<AuditRecord>> Audit(const AuditRange& range) = 0;
};

}  // namespace nearside::storage
