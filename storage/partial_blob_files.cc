#include "storage/partial_blob_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/file.h"
#include "storage/blob_folder.h"

namespace nearside::storage {
namespace {

class PartialFile final : public PartialBlob {
 public:
  PartialFile(std::string root, std::string path, FileDescriptor fd, uint64_t bytes)
      : root_(std::move(root)), path_(std::move(path)), fd_(std::move(fd)), bytes_(bytes) {}

  Status Append(std::span<const uint8_t> bytes) override {
    if (Status written = WriteAll(fd_, path_, bytes); !written) return written;
    bytes_ += bytes.size();
    return {};
  }

  Status Sync() override {
    if (::fdatasync(fd_.get()) != 0) return FailErrno(path_, errno);
    if (std::exchange(entry_synced_, true)) return {};
    return SyncFolder(path_.substr(0, path_.rfind('/')));
  }

  uint64_t bytes() const override { return bytes_; }

  Status Truncate(uint64_t bytes) override {
    const auto size = static_cast<off_t>(bytes);
    if (::ftruncate(fd_.get(), size) != 0) return FailErrno(path_, errno);
    bytes_ = bytes;
    return {};
  }

  Status Land(const BlobId& id) override { return LandBlob(root_, path_, fd_, id); }

  Status Remove() override {
    if (::unlink(path_.c_str()) == 0 || errno == ENOENT) return {};
    return FailErrno(path_, errno);
  }

 private:
  const std::string root_;
  const std::string path_;
  FileDescriptor fd_;
  uint64_t bytes_;
  bool entry_synced_ = false;
};

/// Whether the path still leads to the open file: it may have been renamed or removed before the
/// lock was ours, and then it is somebody else's, or a blob.
bool IsStillAt(const std::string& path, const struct stat& opened) {
  struct stat there {};
  return ::stat(path.c_str(), &there) == 0 && there.st_ino == opened.st_ino &&
         there.st_dev == opened.st_dev;
}

}  // namespace

Status PartialBlobFiles::Start() const { return MakeFolders(folder_); }

Result<std::unique_ptr<PartialBlob>> PartialBlobFiles::Open(const std::string& name,
                                                            bool make) const {
  const std::string path = folder_ + "/" + name;
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_APPEND | (make ? O_CREAT : 0);
  FileDescriptor fd(::open(path.c_str(), flags, 0600));
  if (!fd && errno == ENOENT) {
    return Fail(Fault::kClient, "no_such_partial", path + ": nothing has come of this upload");
  }
  if (!fd) return FailErrno(path, errno);
  struct stat about {};
  const bool locked = ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return FailErrno(path, errno);
  if (::fstat(fd.get(), &about) != 0) return FailErrno(path, errno);
  if (!locked || !IsStillAt(path, about)) {
    return Fail(Fault::kClient, "upload_locked",
                "another request is at work on this upload: try again in a moment");
  }
  return std::make_unique<PartialFile>(root_, path, std::move(fd),
                                       static_cast<uint64_t>(about.st_size));
}

Result<std::vector<std::string>> PartialBlobFiles::Names() const {
  std::vector<std::string> names;
  DIR* opened = ::opendir(folder_.c_str());
  if (opened == nullptr) return FailErrno(folder_, errno);
  while (const dirent* entry = ::readdir(opened)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  ::closedir(opened);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace nearside::storage
