#pragma once

// Blobs: immutable byte strings named by their SHA-256. What is stored under a name either has
// exactly that digest or is not there: a writer that fails, is abandoned, or dies with its process
// leaves nothing behind.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "runtime/hash.h"
#include "runtime/result.h"

namespace nearside::storage {

/// The SHA-256 of a blob's bytes.
using BlobId = Key256;

/// 64 lower-case hexadecimal digits.
std::string BlobName(const BlobId& id);
/// Error: kClient bad_digest for anything but 64 hexadecimal digits.
Result<BlobId> ParseBlobName(std::string_view text);

/// What the sender said about the bytes; what is absent is not checked.
struct BlobExpectation {
  std::optional<BlobId> id;
  std::optional<uint64_t> bytes;
};

struct StoredBlob {
  BlobId id;
  uint64_t bytes = 0;
  bool operator==(const StoredBlob&) const = default;
};

/// Receives one blob in constant memory. One thread at a time. Destroying it without Commit gives
/// the space back.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  /// Error: kSelf with errno's name ("ENOSPC"); the writer can then only be destroyed.
  virtual Status Append(std::span<const uint8_t> bytes) = 0;
  /// Bytes appended so far.
  virtual uint64_t bytes() const = 0;
  /// Makes the blob durable and visible, in this order, or fails and leaves nothing. Once.
  /// Errors: kClient digest_mismatch, length_mismatch; kSelf with errno's name.
  virtual Result<StoredBlob> Commit(const BlobExpectation& expected) = 0;
};

/// A content that comes in several goes, under a name of its own until it is whole. While one is
/// open nobody else has it, in whichever process. One thread at a time. Destroying it leaves what
/// has come.
class PartialBlob {
 public:
  virtual ~PartialBlob() = default;
  /// Behind what is there. Error: kSelf with errno's name; some may have been written.
  virtual Status Append(std::span<const uint8_t> bytes) = 0;
  /// All that was appended is on the disk afterwards. Error: kSelf with errno's name.
  virtual Status Sync() = 0;
  /// How many are there, on the disk or not.
  virtual uint64_t bytes() const = 0;
  /// Forgets what is behind the first `bytes`. Error: kSelf with errno's name.
  virtual Status Truncate(uint64_t bytes) = 0;
  /// Makes it the blob `id`, durable and visible, of which the caller knows that it is the digest;
  /// then it can only be destroyed. Error: kSelf with errno's name.
  virtual Status Land(const BlobId& id) = 0;
  /// Gives the space back; then it can only be destroyed. Error: kSelf with errno's name.
  virtual Status Remove() = 0;
};

/// An open blob: readable to its end even when it is removed meanwhile. Any thread.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual uint64_t size() const = 0;
  /// Fills `out` from `offset` on; fewer bytes only at the end of the blob. Blocks on the disk.
  /// Error: kSelf with errno's name, or blob_truncated when the file is shorter than it was when
  /// opened.
  virtual Result<size_t> ReadAt(uint64_t offset, std::span<uint8_t> out) const = 0;
};

/// Any thread. Several processes may share one store.
class BlobStore {
 public:
  /// By URL: "file:FOLDER" (made when absent; what a killed process left half-written is removed).
  /// Errors: kOperator bad_url, folder_unwritable.
  static Result<std::unique_ptr<BlobStore>> Open(std::string_view url);
  virtual ~BlobStore() = default;

  /// Error: kSelf with errno's name.
  virtual Result<std::unique_ptr<BlobWriter>> Begin() = 0;
  /// The partial content of that name (file-name characters); when there is none it is made, or
  /// not. Errors: kClient upload_locked (somebody has it open), no_such_partial; kSelf with
  /// errno's name.
  virtual Result<std::unique_ptr<PartialBlob>> OpenPartial(const std::string& name, bool make) = 0;
  /// The names of all. Error: kSelf with errno's name.
  virtual Result<std::vector<std::string>> Partials() const = 0;
  /// Error: kClient no_such_blob; kSelf with errno's name.
  virtual Result<std::shared_ptr<const BlobReader>> Read(const BlobId& id) const = 0;
  /// Its length; nullopt when it is not stored.
  virtual Result<std::optional<uint64_t>> Find(const BlobId& id) const = 0;
  /// Removing what is not there succeeds.
  virtual Status Remove(const BlobId& id) = 0;
  /// The same for one that was stored before `before` by the machine's clock; a later one stays.
  /// Whether it is gone.
  virtual Result<bool> RemoveStoredBefore(const BlobId& id, WallTime before) = 0;
  /// Those behind `after` in the order of their names; fewer than `limit` only at the end.
  virtual Result<std::vector<BlobId>> List(const std::optional<BlobId>& after,
                                           size_t limit) const = 0;
};

}  // namespace nearside::storage
