#pragma once

// Uploads that come in several goes (storage/resumable_upload.h): their bytes and how far they are,
// whatever protocol is spoken. An offset that anybody is told stands for bytes that are on the
// disk, hashed, and noted in the database, in this order; so any origin over the same state, after
// any crash, goes on from there.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "origin/node.h"
#include "origin/request_body.h"
#include "origin/settled_clock.h"
#include "origin/upload_fields.h"
#include "runtime/resumable_sha256.h"
#include "storage/resumable_upload.h"

namespace nearside::origin {

/// What others who are at work on the same upload are done with.
enum class Others {
  kLeave,      ///< they go on, and we fail
  kInterrupt,  ///< their connection is broken, if it is of this process: its client has left it
};

class UploadsAtWork;

/// One upload in the hands of one request. One thread.
class UploadInHand {
 public:
  UploadInHand(UploadsAtWork& table, storage::ResumableUpload upload,
               std::unique_ptr<storage::PartialBlob> partial, ResumableSha256 hash);
  ~UploadInHand();
  UploadInHand(const UploadInHand&) = delete;
  UploadInHand& operator=(const UploadInHand&) = delete;

  storage::ResumableUpload upload;
  std::unique_ptr<storage::PartialBlob> partial;  ///< null: nothing can be added any more
  ResumableSha256 hash;                           ///< of the first upload.offset bytes

  /// Whoever interrupts us cuts off `body` while this is called for it; null: nothing any more.
  void Reads(RequestBody* body);

 private:
  UploadsAtWork& table_;
  const uint64_t holder_;
};

/// Who of this process holds which upload. Any thread.
class UploadsAtWork {
 public:
  /// One more holder of an upload; the number that it is known by. There may be several, of whom
  /// one has its bytes.
  uint64_t Enter(const std::string& id);
  /// The content that a holder reads; null when it does not any more.
  void Read(const std::string& id, uint64_t holder, RequestBody* body);
  void Leave(const std::string& id, uint64_t holder);
  /// Cuts off what those who hold it now read of it, or are about to, and waits until they have let
  /// it go, `patience` at most. Whether there was anybody.
  bool Interrupt(const std::string& id, milliseconds patience);

 private:
  struct Work {
    RequestBody* body = nullptr;
    bool interrupted = false;
  };
  using Holder = std::pair<std::string, uint64_t>;

  std::mutex mutex_;
  std::condition_variable left_;
  uint64_t last_holder_ = 0;
  std::map<Holder, Work> work_;
};

/// Any thread; blocks on disk and on contents.
class ResumableUploads {
 public:
  struct Clocks {
    std::function<MonoTime()> mono = MonoNow;
    std::function<WallTime()> wall = WallNow;
  };
  explicit ResumableUploads(Node& node) : ResumableUploads(node, Clocks()) {}
  ResumableUploads(Node& node, Clocks clocks);

  /// Makes a new one: gives it its id and expiry. Errors: kClient no_such_site, too_many_uploads.
  Status Create(storage::ResumableUpload* upload);
  /// Errors: kClient no_such_upload, upload_expired.
  Result<storage::ResumableUpload> Find(const std::string& site, const std::string& id);
  /// Errors: those of Find, and kClient upload_locked, upload_lost (its bytes are gone, and it with
  /// them).
  Result<std::unique_ptr<UploadInHand>> Take(const std::string& site, const std::string& id,
                                             Others others);

  struct Content {
    RequestBody& body;
    /// What makes the upload whole: the end of this content, or the last byte of its length.
    bool last = false;
    bool whole_by_length = false;
    std::optional<ContentCheck> check = {};  ///< then nothing counts until it holds
    std::function<void(uint64_t)> on_kept = [](uint64_t) {};  ///< told each offset that counts
  };
  /// Appends the content. Whether the upload is whole: then Finish is to follow, and only that
  /// makes the last bytes count. What has come of a content that fails counts as well, unless it
  /// had a check; `upload.offset` tells. Errors: those of the body, kClient upload_length_exceeded,
  /// body_too_large, inconsistent_length, checksum_mismatch, digest_mismatch; kSelf of disk and
  /// database, after which FindResumable alone knows the offset.
  Result<bool> Append(UploadInHand* in_hand, const Content& content);

  /// The content is whole: puts the asset as a PUT would. After a kClient error the upload is gone;
  /// after a kSelf one it waits for Finish to be tried again. Errors: kClient digest_mismatch,
  /// bad_rules, upload_lost, and those of `precondition`; upload_locked (somebody else has finished
  /// it, or removed it: nothing was changed by us); kSelf.
  struct Put {
    storage::Precondition precondition;
    std::function<storage::Announce(const storage::Asset&)> announce;
  };
  Result<storage::AssetChange> Finish(UploadInHand* in_hand, const Put& put);

  /// Removing what is not there succeeds. Error: kSelf.
  Status Remove(UploadInHand* in_hand);
  /// Gives back what has expired, and bytes that are no upload's.
  void Sweep(WallTime now);
  /// The same, now: a clock that is set forward makes nothing expire at once (settled_clock.h).
  void Expire() { Sweep(SettledNow()); }

 private:
  WallTime SettledNow() { return settled_.Read(clocks_.mono(), clocks_.wall()); }
  Result<std::unique_ptr<storage::PartialBlob>> Lock(const storage::ResumableUpload& upload,
                                                     Others others);
  Result<std::unique_ptr<UploadInHand>> WithoutBytes(storage::ResumableUpload upload);
  Status Keep(UploadInHand* in_hand);
  Status ReadInto(UploadInHand* in_hand, const Content& content, Digest* digest);
  Status Seal(UploadInHand* in_hand);
  Status Land(UploadInHand* in_hand);
  Status RemoveExpired(const storage::ResumableUpload& upload, WallTime now);
  void SweepPartials();

  Node& node_;
  const Clocks clocks_;
  SettledClock settled_;
  UploadsAtWork at_work_;
};

}  // namespace nearside::origin
