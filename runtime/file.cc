#include "runtime/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace nearside {

namespace {

/// Closes a file descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Removes a temporary file unless it was kept.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  void Keep() { path_.clear(); }

 private:
  std::string path_;
};

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FailErrno(path + ": cannot write", errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status SyncFolder(const std::string& folder) {
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return FailErrno(folder + ": cannot open the folder", errno);
  if (fsync(fd.get()) != 0) return FailErrno(folder + ": cannot sync the folder", errno);
  return {};
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, ByteSize limit) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return FailErrno(path + ": cannot open", errno);
  std::string bytes;
  char block[16 * 1024];
  while (true) {
    const ssize_t got = read(fd.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno(path + ": cannot read", errno);
    if (got == 0) return bytes;
    bytes.append(block, static_cast<size_t>(got));
    if (bytes.size() > limit.bytes) {
      return Fail(Fault::kSelf, "too_large", path + ": larger than " + FormatSize(limit));
    }
  }
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes, mode_t mode) {
  std::string beside = path + ".XXXXXX";
  const Descriptor fd(mkostemp(beside.data(), O_CLOEXEC));
  if (fd.get() < 0) return FailErrno(path + ": cannot make a temporary file beside it", errno);
  Temporary temporary(beside);
  if (Status written = WriteAll(fd.get(), bytes, path); !written) return written;
  if (fchmod(fd.get(), mode) != 0) return FailErrno(path + ": cannot set its mode", errno);
  if (fsync(fd.get()) != 0) return FailErrno(path + ": cannot sync", errno);
  if (rename(beside.c_str(), path.c_str()) != 0) return FailErrno(path + ": cannot replace", errno);
  temporary.Keep();
  return SyncFolder(FolderOf(path));
}

Status CheckFolder(const std::string& path) {
  const auto refuse = [&path](const std::string& what) {
    return Fail(Fault::kOperator, "folder_unwritable",
                path + ": " + what + "; expected a folder that can be made and written");
  };
  // The deepest part of the path that exists decides.
  std::string existing = path;
  while (true) {
    struct stat status {};
    if (::stat(existing.c_str(), &status) == 0) {
      if (!S_ISDIR(status.st_mode)) return refuse(existing + " is no folder");
      break;
    }
    if (errno != ENOENT && errno != ENOTDIR) {
      return refuse(existing + ": " + std::generic_category().message(errno));
    }
    existing = FolderOf(existing);
  }
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return refuse(existing + ": " + std::generic_category().message(errno));
  }
  return {};
}

FileStamp StampOf(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return {};
  // Not the time of its content: a file that could not be read may be made readable.
  return {about.st_ino, about.st_ctim.tv_sec, about.st_ctim.tv_nsec};
}

Status MakeFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && !std::filesystem::is_directory(path, error)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (error) return FailErrno(path + ": cannot make the folder", error.value());
  return {};
}

}  // namespace nearside
