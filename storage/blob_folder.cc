#include "storage/blob_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace nearside::storage {
namespace {

/// Makes `folder` when it is absent, durably: its entry in `parent` is on the disk when this
/// returns.
Status MakeDurableFolder(const std::string& parent, const std::string& folder) {
  if (::mkdir(folder.c_str(), 0755) == 0) return SyncFolder(parent);
  if (errno == EEXIST) return {};
  return FailErrno(folder, errno);
}

}  // namespace

void FileDescriptor::Close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

BlobPath PathOfBlob(const std::string& root, const BlobId& id) {
  const std::string name = BlobName(id);
  BlobPath path;
  path.outer = root + "/" + name.substr(0, 2);
  path.folder = path.outer + "/" + name.substr(2, 2);
  path.file = path.folder + "/" + name;
  return path;
}

Status SyncFolder(const std::string& folder) {
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return FailErrno(folder, errno);
  return {};
}

Status WriteAll(const FileDescriptor& fd, const std::string& path, std::span<const uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(path, errno);
    done += static_cast<size_t>(n);
  }
  return {};
}

Status LandBlob(const std::string& root, const std::string& temporary, const FileDescriptor& fd,
                const BlobId& id) {
  const BlobPath path = PathOfBlob(root, id);
  if (::fsync(fd.get()) != 0) return FailErrno(temporary, errno);
  if (::fchmod(fd.get(), 0644) != 0) return FailErrno(temporary, errno);
  if (Status made = MakeDurableFolder(root, path.outer); !made) return made;
  if (Status made = MakeDurableFolder(path.outer, path.folder); !made) return made;
  if (::rename(temporary.c_str(), path.file.c_str()) != 0) return FailErrno(path.file, errno);
  return SyncFolder(path.folder);
}

}  // namespace nearside::storage
