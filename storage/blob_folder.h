#pragma once

// Where a blob lies below the folder of a store of files, and how a file comes to lie there.

#include <string>
#include <utility>

#include "runtime/result.h"
#include "storage/blob_store.h"

namespace nearside::storage {

/// An open file, or none. One owner.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~FileDescriptor() { Close(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_;
};

struct BlobPath {
  std::string outer;   ///< FOLDER/ab
  std::string folder;  ///< FOLDER/ab/cd
  std::string file;    ///< FOLDER/ab/cd/abcd…
};
BlobPath PathOfBlob(const std::string& root, const BlobId& id);

/// Error: kSelf with errno's name.
Status SyncFolder(const std::string& folder);

/// All bytes at the end of what is written already. Error: kSelf with errno's name, after which
/// some may have been written.
Status WriteAll(const FileDescriptor& fd, const std::string& path, std::span<const uint8_t> bytes);

/// Makes the open file `temporary`, whose bytes have that digest, the blob: fsync before rename, so
/// that after a power loss the name never stands for other bytes than its digest's. Error: kSelf
/// with errno's name; `temporary` is then still there.
Status LandBlob(const std::string& root, const std::string& temporary, const FileDescriptor& fd,
                const BlobId& id);

}  // namespace nearside::storage
