#include "origin/resumable_uploads.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "origin/rules_files.h"
#include "runtime/crypto.h"
#include "runtime/log.h"
#include "runtime/text_bytes.h"
#include "storage/blob_store.h"

namespace nearside::origin {
namespace {

constexpr size_t kIdBytes = 24;
constexpr size_t kContentPiece = 256 << 10;
// So much is to be sent again after a crash, at most; each time costs two fsyncs.
constexpr uint64_t kKeptBytes = 16 << 20;
constexpr milliseconds kKeptAfter = seconds(5);
/// A request that was cut off writes down what it has within this.
constexpr milliseconds kLettingGo = seconds(10);
constexpr int kInterruptions = 3;
/// How long the client of a finished upload may ask what became of it.
constexpr milliseconds kDoneFor = std::chrono::hours(1);
constexpr size_t kExpiredAtOnce = 100;

std::string RandomId() {
  std::array<uint8_t, kIdBytes> random;
  RandomBytes(random);
  return HexEncode(random);
}

Status CompareDigest(const ContentCheck& check, Digest* digest) {
  const std::string found = digest->Finish();
  if (found == check.digest) return {};
  return Fail(Fault::kClient, check.tus ? "checksum_mismatch" : "digest_mismatch",
              "the content's digest is " + Base64Encode(AsBytes(found)) +
                  ", another was announced: nothing of it was taken");
}

bool IsTooMuch(const Error& error) {
  return error.reason == "upload_length_exceeded" || error.reason == "body_too_large";
}

tl::unexpected<Error> Lost() {
  return Fail(Fault::kClient, "upload_lost",
              "what had come of this upload is no longer there: begin it anew");
}

bool IsWhole(const storage::ResumableUpload& upload, const ResumableUploads::Content& content,
             bool ended) {
  return (content.last && ended) || (content.whole_by_length && upload.length == upload.offset);
}

}  // namespace

UploadInHand::UploadInHand(UploadsAtWork& table, storage::ResumableUpload u,
                           std::unique_ptr<storage::PartialBlob> p, ResumableSha256 h)
    : upload(std::move(u)),
      partial(std::move(p)),
      hash(std::move(h)),
      table_(table),
      holder_(table.Enter(upload.id)) {}

UploadInHand::~UploadInHand() {
  partial.reset();  // whoever waits for us finds it free
  table_.Leave(upload.id, holder_);
}

void UploadInHand::Reads(RequestBody* body) { table_.Read(upload.id, holder_, body); }

uint64_t UploadsAtWork::Enter(const std::string& id) {
  std::lock_guard lock(mutex_);
  work_[{id, ++last_holder_}] = {};
  return last_holder_;
}

void UploadsAtWork::Read(const std::string& id, uint64_t holder, RequestBody* body) {
  std::lock_guard lock(mutex_);
  Work& work = work_[{id, holder}];
  work.body = body;
  if (body != nullptr && work.interrupted) body->CutOff();
}

void UploadsAtWork::Leave(const std::string& id, uint64_t holder) {
  {
    std::lock_guard lock(mutex_);
    work_.erase({id, holder});
  }
  left_.notify_all();
}

bool UploadsAtWork::Interrupt(const std::string& id, milliseconds patience) {
  std::unique_lock lock(mutex_);
  const auto first = work_.lower_bound({id, 0});
  const Holder last{id, last_holder_};
  for (auto at = first; at != work_.end() && at->first <= last; ++at) {
    at->second.interrupted = true;
    if (at->second.body != nullptr) at->second.body->CutOff();
  }
  const auto is_held = [&] {
    const auto at = work_.lower_bound({id, 0});
    return at != work_.end() && at->first <= last;
  };
  if (!is_held()) return false;
  left_.wait_for(lock, patience, [&] { return !is_held(); });
  return true;
}

ResumableUploads::ResumableUploads(Node& node, Clocks clocks)
    : node_(node), clocks_(std::move(clocks)), settled_("uploads", node.settings.uploads.expiry) {
  (void)SettledNow();
}

Status ResumableUploads::Create(storage::ResumableUpload* upload) {
  const UploadSettings& settings = node_.settings.uploads;
  upload->id = RandomId();
  upload->hash = ResumableSha256().Save();
  upload->expires = clocks_.wall() + settings.expiry;
  Status made = node_.metadata->CreateResumable(
      *upload, {.of_site = static_cast<uint64_t>(settings.open_of_site),
                .in_all = static_cast<uint64_t>(settings.open)});
  if (made) ++node_.counters.begun_uploads;
  return made;
}

Result<storage::ResumableUpload> ResumableUploads::Find(const std::string& site,
                                                        const std::string& id) {
  Result<storage::ResumableUpload> upload = node_.metadata->FindResumable(site, id);
  if (!upload || upload->expires > SettledNow()) return upload;
  return Fail(Fault::kClient, "upload_expired",
              "this upload has expired (uploads.expiry): begin it anew");
}

Result<std::unique_ptr<storage::PartialBlob>> ResumableUploads::Lock(
    const storage::ResumableUpload& upload, Others others) {
  // Before its first byte counts there may be no file.
  const bool make = upload.offset == 0 && upload.state == storage::ResumableState::kOpen;
  auto partial = node_.blobs->OpenPartial(upload.id, make);
  // Who is interrupted may come back at once, and be there before us.
  for (int tries = 0; tries < kInterruptions && others == Others::kInterrupt; ++tries) {
    if (partial || partial.error().reason != "upload_locked") break;
    if (!at_work_.Interrupt(upload.id, kLettingGo)) break;
    partial = node_.blobs->OpenPartial(upload.id, make);
  }
  return partial;
}

Result<std::unique_ptr<UploadInHand>> ResumableUploads::WithoutBytes(
    storage::ResumableUpload upload) {
  return std::make_unique<UploadInHand>(at_work_, std::move(upload), nullptr, ResumableSha256());
}

Result<std::unique_ptr<UploadInHand>> ResumableUploads::Take(const std::string& site,
                                                             const std::string& id, Others others) {
  Result<storage::ResumableUpload> upload = Find(site, id);
  if (!upload) return unexpected(std::move(upload.error()));
  if (upload->state == storage::ResumableState::kDone) return WithoutBytes(std::move(*upload));
  auto partial = Lock(*upload, others);
  const bool none = !partial && partial.error().reason == "no_such_partial";
  if (!partial && !none) return unexpected(std::move(partial.error()));
  // Only now does nobody change it any more.
  upload = Find(site, id);
  if (!upload) {
    if (partial && upload.error().reason == "no_such_upload") (void)(*partial)->Remove();
    return unexpected(std::move(upload.error()));
  }
  if (upload->state == storage::ResumableState::kDone) {
    if (partial) (void)(*partial)->Remove();
    return WithoutBytes(std::move(*upload));
  }
  const bool short_of_bytes = none || (*partial)->bytes() < upload->offset;
  if (short_of_bytes && upload->state == storage::ResumableState::kSealed) {
    // Its file is among the blobs already: Finish looks. An empty one is of our making.
    if (partial) (void)(*partial)->Remove();
    return WithoutBytes(std::move(*upload));
  }
  if (short_of_bytes) {
    Log(Level::kError, "upload_lost", {{"site", site}, {"path", upload->asset.path}});
    if (partial) (void)(*partial)->Remove();
    (void)node_.metadata->RemoveResumable(id);
    return Lost();
  }
  // What is behind was never said to be there: nobody knows whether it is right.
  if (Status cut = (*partial)->Truncate(upload->offset); !cut) {
    return unexpected(std::move(cut.error()));
  }
  Result<ResumableSha256> hash = ResumableSha256();  // of a sealed one the digest is known
  if (upload->state == storage::ResumableState::kOpen) {
    hash = ResumableSha256::Restore(upload->hash, upload->offset);
  }
  if (!hash) return unexpected(std::move(hash.error()));
  return std::make_unique<UploadInHand>(at_work_, std::move(*upload), std::move(*partial),
                                        std::move(*hash));
}

/// What has come counts from now on: bytes, then what is said of them.
Status ResumableUploads::Keep(UploadInHand* in_hand) {
  if (Status synced = in_hand->partial->Sync(); !synced) return synced;
  in_hand->upload.hash = in_hand->hash.Save();
  in_hand->upload.expires = clocks_.wall() + node_.settings.uploads.expiry;
  return node_.metadata->KeepResumable(in_hand->upload);
}

Status ResumableUploads::ReadInto(UploadInHand* in_hand, const Content& content, Digest* digest) {
  storage::ResumableUpload& upload = in_hand->upload;
  const uint64_t limit = node_.settings.limits.asset.bytes;
  const auto check_room = [&](uint64_t more) -> Status {
    if (upload.length && more > *upload.length - upload.offset) {
      return Fail(Fault::kClient, "upload_length_exceeded",
                  "there is more content than the " + std::to_string(*upload.length) +
                      " bytes of Upload-Length");
    }
    if (more <= limit - std::min(limit, upload.offset)) return {};
    return Fail(Fault::kClient, "body_too_large",
                "the content is larger than limits.asset allows: " +
                    FormatSize(node_.settings.limits.asset));
  };
  if (Status room = check_room(content.body.announced_bytes().value_or(0)); !room) return room;
  std::vector<uint8_t> piece(kContentPiece);
  uint64_t kept_at = upload.offset;
  MonoTime kept_when = MonoNow();
  while (true) {
    Result<size_t> n = content.body.Read(piece);
    if (!n) return unexpected(std::move(n.error()));
    if (*n == 0) return {};
    if (Status room = check_room(*n); !room) return room;
    const std::span<const uint8_t> bytes = std::span<const uint8_t>(piece).first(*n);
    if (Status written = in_hand->partial->Append(bytes); !written) return written;
    in_hand->hash.Update(bytes);
    upload.offset += *n;
    if (digest != nullptr) digest->Update(bytes);
    const bool due = upload.offset - kept_at >= kKeptBytes || MonoNow() - kept_when >= kKeptAfter;
    if (!due || digest != nullptr || IsWhole(upload, content, /*ended=*/false)) continue;
    if (Status kept = Keep(in_hand); !kept) return kept;
    content.on_kept(upload.offset);
    kept_at = upload.offset;
    kept_when = MonoNow();
  }
}

Result<bool> ResumableUploads::Append(UploadInHand* in_hand, const Content& content) {
  storage::ResumableUpload& upload = in_hand->upload;
  const uint64_t begun = upload.offset;
  std::optional<Digest> digest;
  if (content.check) digest.emplace(content.check->kind);
  in_hand->Reads(&content.body);
  Status taken = ReadInto(in_hand, content, digest ? &*digest : nullptr);
  in_hand->Reads(nullptr);
  if (taken && digest) taken = CompareDigest(*content.check, &*digest);
  if (taken && content.last && upload.length.value_or(upload.offset) != upload.offset) {
    taken = Fail(Fault::kClient, "inconsistent_length",
                 "the content ends at " + std::to_string(upload.offset) + " of " +
                     std::to_string(*upload.length) + " bytes");
  }
  if (!taken && digest) upload.offset = begun;  // whoever comes next cuts off what was written
  if (!taken && (digest || taken.error().fault == Fault::kSelf || IsTooMuch(taken.error()))) {
    return unexpected(std::move(taken.error()));
  }
  // The last bytes do not count before the upload is sealed: an offset that is its length tells
  // clients of tus that all is done.
  if (IsWhole(upload, content, /*ended=*/taken.has_value())) return true;
  if (Status kept = Keep(in_hand); !kept) return unexpected(std::move(kept.error()));
  if (!taken) return unexpected(std::move(taken.error()));
  return false;
}

/// From here on the digest is known, and Finish can be tried by whoever comes.
Status ResumableUploads::Seal(UploadInHand* in_hand) {
  storage::ResumableUpload& upload = in_hand->upload;
  if (upload.state == storage::ResumableState::kSealed) return {};
  if (Status synced = in_hand->partial->Sync(); !synced) return synced;
  const storage::BlobId digest{in_hand->hash.Finish()};
  if (upload.expected && *upload.expected != digest) {
    return Fail(Fault::kClient, "digest_mismatch",
                "the content's SHA-256 is " + storage::BlobName(digest) + ", but " +
                    storage::BlobName(*upload.expected) + " was announced");
  }
  storage::ResumableUpload sealed = upload;
  sealed.state = storage::ResumableState::kSealed;
  sealed.length = upload.offset;
  sealed.asset.blob = digest;
  sealed.asset.bytes = upload.offset;
  sealed.hash.clear();
  sealed.expires = clocks_.wall() + node_.settings.uploads.expiry;
  if (Status kept = node_.metadata->KeepResumable(sealed); !kept) return kept;
  upload = std::move(sealed);
  return {};
}

/// The bytes become a blob that is known.
Status ResumableUploads::Land(UploadInHand* in_hand) {
  const storage::Asset& asset = in_hand->upload.asset;
  if (in_hand->partial != nullptr) {
    if (Status landed = in_hand->partial->Land(asset.blob); !landed) return landed;
    in_hand->partial.reset();
    ++node_.counters.stored_blobs;
    node_.counters.stored_bytes += asset.bytes;
  } else {
    Result<std::optional<uint64_t>> landed = node_.blobs->Find(asset.blob);
    if (!landed) return unexpected(std::move(landed.error()));
    if (!*landed) return Lost();
  }
  return node_.metadata->AddBlob({asset.blob, asset.bytes}, *node_.blobs);
}

Result<storage::AssetChange> ResumableUploads::Finish(UploadInHand* in_hand, const Put& put) {
  storage::ResumableUpload& upload = in_hand->upload;
  const auto fail = [&](Error error) -> Result<storage::AssetChange> {
    ++node_.counters.failed_uploads;
    if (error.reason == "no_such_upload") {
      return Fail(Fault::kClient, "upload_locked",
                  "another request has just finished or removed this upload: look again");
    }
    if (error.fault == Fault::kClient) (void)Remove(in_hand);
    return unexpected(std::move(error));
  };
  if (Status sealed = Seal(in_hand); !sealed) return fail(std::move(sealed.error()));
  if (Status landed = Land(in_hand); !landed) return fail(std::move(landed.error()));
  if (Status good = CheckRulesAsset(*node_.blobs, upload.asset); !good) {
    return fail(std::move(good.error()));
  }
  storage::ResumableUpload done = upload;
  done.expires = clocks_.wall() + std::min(kDoneFor, node_.settings.uploads.expiry);
  Result<storage::AssetChange> change =
      node_.metadata->CompleteResumable(done, put.precondition, put.announce(upload.asset));
  if (!change) return fail(std::move(change.error()));
  upload = std::move(done);
  upload.state = storage::ResumableState::kDone;
  upload.asset.modified = change->modified;
  return change;
}

Status ResumableUploads::Remove(UploadInHand* in_hand) {
  if (Status gone = node_.metadata->RemoveResumable(in_hand->upload.id); !gone) return gone;
  if (in_hand->partial == nullptr) return {};
  Status removed = in_hand->partial->Remove();
  in_hand->partial.reset();
  return removed;
}

/// Unless it is at work, or has been since it was found.
Status ResumableUploads::RemoveExpired(const storage::ResumableUpload& upload, WallTime now) {
  auto partial = node_.blobs->OpenPartial(upload.id, /*make=*/false);
  if (!partial && partial.error().reason != "no_such_partial") {
    return unexpected(std::move(partial.error()));
  }
  Result<storage::ResumableUpload> there = node_.metadata->FindResumable(upload.site, upload.id);
  if (there && there->expires > now) return {};
  if (!there && there.error().reason != "no_such_upload") {
    return unexpected(std::move(there.error()));
  }
  if (Status gone = node_.metadata->RemoveResumable(upload.id); !gone) return gone;
  return partial ? (*partial)->Remove() : Status();
}

void ResumableUploads::Sweep(WallTime now) {
  uint64_t removed = 0;
  uint64_t left = 0;  // somebody is at work on them
  while (true) {
    const auto expired = node_.metadata->ExpiredResumables(now, kExpiredAtOnce, left);
    if (!expired) break;
    for (const storage::ResumableUpload& upload : *expired) {
      if (!RemoveExpired(upload, now)) {
        ++left;
      } else if (upload.state != storage::ResumableState::kDone) {
        ++removed;
      }
    }
    if (expired->size() < kExpiredAtOnce) break;
  }
  node_.counters.expired_uploads += removed;
  if (removed > 0) Log(Level::kInfo, "uploads_expired", {{"count", removed}});
  SweepPartials();
}

/// An upload is in the database before its file is there, so a file without one has lost it: a
/// process died between the two steps of a removal.
void ResumableUploads::SweepPartials() {
  Result<std::vector<std::string>> names = node_.blobs->Partials();
  if (!names) return;
  Result<std::vector<std::string>> unknown = node_.metadata->UnknownResumables(*names);
  if (!unknown) return;
  uint64_t removed = 0;
  for (const std::string& name : *unknown) {
    auto partial = node_.blobs->OpenPartial(name, /*make=*/false);
    if (partial && (*partial)->Remove()) ++removed;
  }
  if (removed > 0) Log(Level::kInfo, "partial_uploads_swept", {{"files", removed}});
}

}  // namespace nearside::origin
