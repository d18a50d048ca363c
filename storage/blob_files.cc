#include "storage/blob_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/crypto.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "storage/blob_folder.h"
#include "storage/partial_blob_files.h"

namespace nearside::storage {
namespace {

WallTime TimeOf(const timespec& time) {
  return FromUnixMillis(int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000);
}

/// The names of a length in a folder, sorted; none when there is no such folder.
Result<std::vector<std::string>> NamesIn(const std::string& folder, size_t length) {
  std::vector<std::string> names;
  DIR* opened = ::opendir(folder.c_str());
  if (opened == nullptr && errno == ENOENT) return names;
  if (opened == nullptr) return FailErrno(folder, errno);
  while (const dirent* entry = ::readdir(opened)) {
    std::string name = entry->d_name;
    if (name.size() == length && name[0] != '.') names.push_back(std::move(name));
  }
  ::closedir(opened);
  std::sort(names.begin(), names.end());
  return names;
}

class FileReader final : public BlobReader {
 public:
  FileReader(FileDescriptor fd, uint64_t size) : fd_(std::move(fd)), size_(size) {}

  uint64_t size() const override { return size_; }

  Result<size_t> ReadAt(uint64_t offset, std::span<uint8_t> out) const override {
    const uint64_t left = offset < size_ ? size_ - offset : 0;
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(left, out.size()));
    size_t done = 0;
    while (done < wanted) {
      const ssize_t n =
          ::pread(fd_.get(), out.data() + done, wanted - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FailErrno("reading a blob", errno);
      if (n == 0) {
        return Fail(Fault::kSelf, "blob_truncated",
                    "a blob's file is shorter than when it was opened");
      }
      done += static_cast<size_t>(n);
    }
    return done;
  }

 private:
  FileDescriptor fd_;
  uint64_t size_;
};

class FileWriter final : public BlobWriter {
 public:
  FileWriter(std::string root, std::string temporary, FileDescriptor fd)
      : root_(std::move(root)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  ~FileWriter() override {
    // Unlinked while the lock is still held: a sweeper never meets the name unlocked.
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  Status Append(std::span<const uint8_t> bytes) override {
    if (Status written = WriteAll(fd_, temporary_, bytes); !written) return written;
    hash_.Update(bytes);
    bytes_ += bytes.size();
    return {};
  }

  uint64_t bytes() const override { return bytes_; }

  Result<StoredBlob> Commit(const BlobExpectation& expected) override {
    StoredBlob stored;
    stored.id.bytes = hash_.Finish();
    stored.bytes = bytes_;
    if (Status fits = CheckExpectation(stored, expected); !fits) {
      return unexpected(std::move(fits.error()));
    }
    if (Status landed = Land(stored.id); !landed) return unexpected(std::move(landed.error()));
    return stored;
  }

 private:
  static Status CheckExpectation(const StoredBlob& stored, const BlobExpectation& expected) {
    if (expected.bytes && *expected.bytes != stored.bytes) {
      return Fail(Fault::kClient, "length_mismatch",
                  "the content has " + std::to_string(stored.bytes) + " bytes, but " +
                      std::to_string(*expected.bytes) + " were announced");
    }
    if (expected.id && *expected.id != stored.id) {
      return Fail(Fault::kClient, "digest_mismatch",
                  "the content's SHA-256 is " + BlobName(stored.id) + ", but " +
                      BlobName(*expected.id) + " was announced");
    }
    return {};
  }

  Status Land(const BlobId& id) {
    if (Status landed = LandBlob(root_, temporary_, fd_, id); !landed) return landed;
    temporary_.clear();
    fd_.Close();
    return {};
  }

  const std::string root_;
  std::string temporary_;  ///< "" once it has been renamed
  FileDescriptor fd_;
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

class BlobFiles final : public BlobStore {
 public:
  explicit BlobFiles(std::string root)
      : root_(std::move(root)), incoming_(root_ + "/incoming"), partials_(root_) {}

  Status Start() {
    if (Status made = MakeFolders(incoming_); !made) return made;
    if (::access(incoming_.c_str(), W_OK | X_OK) != 0) return FailErrno(incoming_, errno);
    if (Status made = partials_.Start(); !made) return made;
    return Sweep();
  }

  Result<std::unique_ptr<PartialBlob>> OpenPartial(const std::string& name, bool make) override {
    return partials_.Open(name, make);
  }

  Result<std::vector<std::string>> Partials() const override { return partials_.Names(); }

  Result<std::unique_ptr<BlobWriter>> Begin() override {
    constexpr int kTries = 100;  // each lost to a sweeper that met our file before we had locked it
    for (int i = 0; i < kTries; ++i) {
      std::array<uint8_t, 16> random;
      RandomBytes(random);
      std::string path = incoming_ + "/" + HexEncode(random);
      FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (!fd) return FailErrno(path, errno);
      struct stat about {};
      if (::flock(fd.get(), LOCK_EX) == 0 && ::fstat(fd.get(), &about) == 0 && about.st_nlink > 0) {
        return std::make_unique<FileWriter>(root_, std::move(path), std::move(fd));
      }
    }
    return Fail(Fault::kSelf, "no_temporary_file", incoming_ + ": cannot lock a temporary file");
  }

  Result<std::shared_ptr<const BlobReader>> Read(const BlobId& id) const override {
    const std::string path = PathOfBlob(root_, id).file;
    FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) {
      return Fail(Fault::kClient, "no_such_blob", "no blob " + BlobName(id) + " is stored");
    }
    struct stat about {};
    if (!fd || ::fstat(fd.get(), &about) != 0) return FailErrno(path, errno);
    return std::make_shared<const FileReader>(std::move(fd), static_cast<uint64_t>(about.st_size));
  }

  Result<std::optional<uint64_t>> Find(const BlobId& id) const override {
    const std::string path = PathOfBlob(root_, id).file;
    struct stat about {};
    if (::stat(path.c_str(), &about) == 0) return static_cast<uint64_t>(about.st_size);
    if (errno == ENOENT) return std::nullopt;
    return FailErrno(path, errno);
  }

  Status Remove(const BlobId& id) override {
    const std::string path = PathOfBlob(root_, id).file;
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return FailErrno(path, errno);
  }

  Result<bool> RemoveStoredBefore(const BlobId& id, WallTime before) override {
    const std::string path = PathOfBlob(root_, id).file;
    struct stat about {};
    if (::stat(path.c_str(), &about) != 0) {
      if (errno == ENOENT) return true;
      return FailErrno(path, errno);
    }
    // Of its last change, which is the rename that made it visible: the content may be older.
    if (TimeOf(about.st_ctim) >= before) return false;
    if (Status removed = Remove(id); !removed) return unexpected(std::move(removed.error()));
    return true;
  }

  Result<std::vector<BlobId>> List(const std::optional<BlobId>& after,
                                   size_t limit) const override {
    const std::string start = after ? BlobName(*after) : std::string();
    std::vector<BlobId> found;
    Result<std::vector<std::string>> outer = NamesIn(root_, 2);
    if (!outer) return unexpected(std::move(outer.error()));
    for (const std::string& first : *outer) {
      if (first < start.substr(0, 2)) continue;
      Result<std::vector<std::string>> inner = NamesIn(root_ + "/" + first, 2);
      if (!inner) return unexpected(std::move(inner.error()));
      for (const std::string& second : *inner) {
        if (first + second < start.substr(0, 4)) continue;
        Status listed = ListFolder(root_ + "/" + first + "/" + second, start, &found);
        if (!listed) return unexpected(std::move(listed.error()));
        if (found.size() < limit) continue;
        found.resize(limit);
        return found;
      }
    }
    return found;
  }

 private:
  /// Appends the blobs of one folder behind `start`.
  static Status ListFolder(const std::string& folder, const std::string& start,
                           std::vector<BlobId>* found) {
    Result<std::vector<std::string>> names = NamesIn(folder, 2 * sizeof(BlobId));
    if (!names) return unexpected(std::move(names.error()));
    for (const std::string& name : *names) {
      Result<BlobId> id = ParseBlobName(name);
      if (id && name > start) found->push_back(*id);
    }
    return {};
  }

  Status Sweep() {
    DIR* folder = ::opendir(incoming_.c_str());
    if (folder == nullptr) return FailErrno(incoming_, errno);
    uint64_t removed = 0;
    while (const dirent* entry = ::readdir(folder)) {
      if (entry->d_name[0] != '.' && SweepOne(incoming_ + "/" + entry->d_name)) ++removed;
    }
    ::closedir(folder);
    if (removed > 0) {
      Log(Level::kInfo, "uploads_swept", {{"folder", incoming_}, {"files", removed}});
    }
    return {};
  }

  /// Removes a file whose writer is dead: a living one holds its lock.
  static bool SweepOne(const std::string& path) {
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return false;
    return ::unlink(path.c_str()) == 0;
  }

  const std::string root_;
  const std::string incoming_;
  const PartialBlobFiles partials_;
};

}  // namespace

Result<std::unique_ptr<BlobStore>> OpenBlobFiles(std::string folder) {
  auto store = std::make_unique<BlobFiles>(folder);
  if (Status started = store->Start(); !started) {
    return Fail(Fault::kOperator, "folder_unwritable",
                started.error().message + ": expected a folder for blobs that can be written");
  }
  return std::unique_ptr<BlobStore>(std::move(store));
}

}  // namespace nearside::storage
