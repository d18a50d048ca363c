#include "origin/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "net/descriptor.h"
#include "origin/s3_key.h"
#include "origin/settings.h"
#include "runtime/file.h"
#include "storage/blob_store.h"
#include "storage/metadata.h"

namespace nearside::origin {
namespace {

constexpr size_t kNamedAtOnce = 1000;
constexpr size_t kPieceBytes = 1 << 20;
constexpr mode_t kOwnerOnly = 0600;
constexpr const char* kDatabase = "meta.db";
constexpr const char* kKey = "s3.key";
constexpr const char* kAside = ".before-restore";
constexpr milliseconds kRedraw{200};

std::string PathOf(const std::string& url) { return url.substr(url.find(':') + 1); }

/// What is going on, redrawn on a terminal; one line at the end for everybody.
class Count {
 public:
  void Add(const storage::StoredBlob& blob, bool copied) {
    ++blobs_;
    if (copied) {
      ++copied_;
      bytes_ += blob.bytes;
    }
    if (!on_terminal_ || MonoNow() < next_) return;
    next_ = MonoNow() + kRedraw;
    std::fprintf(stderr, "\r%s\x1b[K", Text().c_str());
    std::fflush(stderr);
  }
  void Finish(const std::string& what) const {
    if (on_terminal_) std::fputs("\r\x1b[K", stderr);
    std::printf("%s: %s\n", what.c_str(), Text().c_str());
  }

 private:
  std::string Text() const {
    return std::to_string(blobs_) + " contents, " + std::to_string(copied_) + " copied (" +
           FormatSize(ByteSize{bytes_}) + ")";
  }
  const bool on_terminal_ = ::isatty(STDERR_FILENO) == 1;
  MonoTime next_;
  uint64_t blobs_ = 0, copied_ = 0, bytes_ = 0;
};

/// Its digest is checked on the way. Whether it was not there before.
Result<bool> CopyBlob(const storage::BlobStore& from, storage::BlobStore& to,
                      const storage::StoredBlob& blob) {
  const auto fail = [&](Error error) -> Result<bool> {
    error.message = "content " + storage::BlobName(blob.id) + ": " + error.message;
    return unexpected(std::move(error));
  };
  Result<std::optional<uint64_t>> known = to.Find(blob.id);
  if (!known) return fail(known.error());
  if (*known == blob.bytes) return false;
  Result<std::shared_ptr<const storage::BlobReader>> reader = from.Read(blob.id);
  if (!reader) return fail(reader.error());
  Result<std::unique_ptr<storage::BlobWriter>> writer = to.Begin();
  if (!writer) return fail(writer.error());
  std::vector<uint8_t> piece(kPieceBytes);
  for (uint64_t at = 0; at < (*reader)->size();) {
    Result<size_t> n = (*reader)->ReadAt(at, piece);
    if (!n) return fail(n.error());
    if (*n == 0) break;
    if (Status written = (*writer)->Append(std::span(piece).first(*n)); !written) {
      return fail(written.error());
    }
    at += *n;
  }
  auto stored = (*writer)->Commit({.id = blob.id, .bytes = blob.bytes});
  if (!stored) return fail(stored.error());
  return true;
}

/// All that the assets of `metadata` name.
Status CopyBlobs(storage::Metadata& metadata, const storage::BlobStore& from,
                 storage::BlobStore& to, Count* count) {
  std::string after;
  while (true) {
    Result<std::vector<storage::StoredBlob>> blobs = metadata.NamedBlobs(after, kNamedAtOnce);
    if (!blobs) return unexpected(std::move(blobs.error()));
    if (blobs->empty()) return {};
    for (const storage::StoredBlob& blob : *blobs) {
      Result<bool> copied = CopyBlob(from, to, blob);
      if (!copied) return unexpected(std::move(copied.error()));
      count->Add(blob, *copied);
    }
    after = storage::BlobName(blobs->back().id);
  }
}

/// A path's failure in the system's words.
Status Refused(const std::string& path, const std::error_code& error) {
  return Fail(Fault::kOperator, "cannot_write", path + ": " + error.message());
}

/// A file, or what a folder lists.
Status Sync(const std::string& path) {
  const net::Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (opened.is_open() && ::fsync(opened.get()) == 0) return {};
  return Refused(path, std::error_code(errno, std::generic_category()));
}

/// Durable when it has returned.
Status Rename(const std::string& from, const std::string& to) {
  if (Status synced = Sync(from); !synced) return synced;
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (error) return Refused(to, error);
  return Sync(std::filesystem::path(to).parent_path().string());
}

/// What is at `path`, if anything, gets a second name, in the place of what had that before.
Status KeepAs(const std::string& path, const std::string& kept) {
  if (::access(path.c_str(), F_OK) != 0) return {};
  ::unlink(kept.c_str());
  if (::link(path.c_str(), kept.c_str()) == 0) return {};
  return Refused(kept, std::error_code(errno, std::generic_category()));
}

Status CopyKey(const std::string& from, const std::string& to) {
  if (::access(from.c_str(), F_OK) != 0) return {};
  Result<std::string> key = ReadS3Key(from);
  if (!key) return unexpected(std::move(key.error()));
  // A file of root's (auth.s3_key_file) need not be written to be right.
  if (Result<std::string> there = ReadS3Key(to); there && *there == *key) return {};
  if (Status kept = KeepAs(to, to + kAside); !kept) return kept;
  return WriteFileAtomically(to, *key + "\n", kOwnerOnly);
}

void RemoveDatabase(const std::string& file) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((file + suffix).c_str());
}

Status RunBackup(const std::string& config, const CommandValues& values) {
  Result<OriginSettings> settings = ReadOriginSettings(config);
  if (!settings) return unexpected(std::move(settings.error()));
  const StorageSettings& storage = settings->storage;
  if (::access(PathOf(storage.metadata).c_str(), F_OK) != 0) {
    return storage.where.Refuse(
        "metadata", Error{Fault::kOperator, "no_database", "there is nothing to back up yet"});
  }
  const std::string folder = values.at("to");
  ::umask(0077);  // whoever may read the database knows the digests of all tokens
  if (Status made = MakeFolders(folder); !made) return made;
  // An origin of an older version may be serving from it.
  storage::MetadataOptions as_it_is;
  as_it_is.migrate = false;
  auto metadata = storage::Metadata::Open(storage.metadata, as_it_is);
  if (!metadata) return storage.where.Refuse("metadata", metadata.error());
  auto blobs = storage::BlobStore::Open(storage.blobs);
  if (!blobs) return storage.where.Refuse("blobs", blobs.error());
  auto kept = storage::BlobStore::Open("file:" + folder + "/blobs");
  if (!kept) return unexpected(std::move(kept.error()));
  // The contents after the database: what it names was there before it. The old copy stays until
  // the new one is whole.
  const std::string draft = folder + "/" + kDatabase + ".new";
  RemoveDatabase(draft);
  if (Status copied = (*metadata)->BackUp(draft); !copied) return copied;
  Count count;
  {
    auto copy = storage::Metadata::Open("sqlite:" + draft, as_it_is);
    if (!copy) return unexpected(std::move(copy.error()));
    if (Status copied = CopyBlobs(**copy, **blobs, **kept, &count); !copied) return copied;
  }
  const std::string key = S3KeyFile(settings->auth, storage);
  if (Status copied = CopyKey(key, folder + "/" + kKey); !copied) return copied;
  if (Status renamed = Rename(draft, folder + "/" + kDatabase); !renamed) return renamed;
  count.Finish("backed up to " + folder);
  return {};
}

/// Whether a process has the database open: SQLite keeps locks on its shared memory while it is.
bool IsInUse(const std::string& database) {
  const net::Descriptor shared(::open((database + "-shm").c_str(), O_RDWR | O_CLOEXEC));
  if (!shared.is_open()) return false;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(shared.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/// Files of root's in the folder of the daemon's user would stop it.
Status CheckUser(const std::string& folder) {
  struct stat about {};
  if (::geteuid() != 0 || ::stat(folder.c_str(), &about) != 0 || about.st_uid == 0) return {};
  return Fail(Fault::kOperator, "wrong_user",
              folder +
                  " belongs to another user, who could not use what root writes there: run "
                  "this as that user, as in: runuser -u nearside -- nearside-origin restore …");
}

/// `draft` takes the place of `database`, which stays as "….before-restore" with the log beside it.
/// At no moment is there no database: an origin would begin with an empty one.
Status Replace(const std::string& draft, const std::string& database) {
  // Where there is none, what an earlier restore has put aside may be all that is left.
  if (::access(database.c_str(), F_OK) == 0) {
    const std::string aside = database + kAside;
    RemoveDatabase(aside);
    for (const char* suffix : {"", "-wal"}) {
      if (Status kept = KeepAs(database + suffix, aside + suffix); !kept) return kept;
    }
  }
  // A log of what is gone would be read into what was restored.
  for (const char* suffix : {"-wal", "-shm", "-journal"}) ::unlink((database + suffix).c_str());
  return Rename(draft, database);
}

/// An empty file is a good database to SQLite, and would become an origin without a site.
Status CheckBackup(const std::string& database) {
  storage::MetadataOptions as_it_is;
  as_it_is.migrate = false;
  auto metadata = storage::Metadata::Open("sqlite:" + database, as_it_is);
  if (!metadata) return unexpected(std::move(metadata.error()));
  return (*metadata)->CheckWhole();
}

Status RunRestore(const std::string& config, const CommandValues& values) {
  Result<OriginSettings> settings = ReadOriginSettings(config);
  if (!settings) return unexpected(std::move(settings.error()));
  const StorageSettings& storage = settings->storage;
  const std::string folder = values.at("from");
  const std::string source = folder + "/" + kDatabase;
  if (::access(source.c_str(), R_OK) != 0) {
    return Fail(Fault::kOperator, "no_backup",
                source + ": " + std::generic_category().message(errno) +
                    "; expected the folder of a backup");
  }
  const std::string database = PathOf(storage.metadata);
  const std::string state = std::filesystem::path(database).parent_path().string();
  if (Status made = MakeFolders(state); !made) return made;
  if (Status may = CheckUser(state); !may) return may;
  const bool there = ::access(database.c_str(), F_OK) == 0;
  if (there && !values.contains("replace")) {
    return Fail(
        Fault::kOperator, "database_exists",
        database + " is there: --replace puts it aside, as " + database + ".before-restore");
  }
  if (IsInUse(database)) {
    return Fail(Fault::kOperator, "in_use",
                database + " is open: stop every origin that uses it first");
  }
  auto blobs = storage::BlobStore::Open(storage.blobs);
  if (!blobs) return storage.where.Refuse("blobs", blobs.error());
  const auto kept = storage::BlobStore::Open("file:" + folder + "/blobs");
  if (!kept) return unexpected(Error(kept.error()));
  const std::string draft = database + ".restored";
  RemoveDatabase(draft);
  std::error_code error;
  std::filesystem::copy_file(source, draft, error);
  if (error) return Refused(draft, error);
  if (Status whole = CheckBackup(draft); !whole) {
    return Fail(Fault::kOperator, "no_backup", source + ": " + whole.error().message);
  }
  Count count;
  {
    auto copy = storage::Metadata::Open("sqlite:" + draft, {});
    if (!copy) return unexpected(std::move(copy.error()));
    if (Status renewed = (*copy)->RenewLog(); !renewed) return renewed;
    if (Status copied = CopyBlobs(**copy, **kept, **blobs, &count); !copied) return copied;
  }
  if (Status copied = CopyKey(folder + "/" + kKey, S3KeyFile(settings->auth, storage)); !copied) {
    return copied;
  }
  if (Status replaced = Replace(draft, database); !replaced) return replaced;
  count.Finish("restored from " + folder);
  std::printf("Edges will validate everything once: the event log is another one now.\n");
  return {};
}

}  // namespace

std::vector<DaemonCommand> BackupCommands() {
  return {{"backup",
           "Copy everything that the origin holds into a folder, while it serves",
           {{.name = "to",
             .value = "FOLDER",
             .help = "Where it goes; what an earlier backup left there is used again",
             .required = true}},
           RunBackup},
          {"restore",
           "Bring back what a backup holds; the origin must be stopped",
           {{.name = "from", .value = "FOLDER", .help = "The backup", .required = true},
            {.name = "replace", .help = "Put a database that is there aside"}},
           RunRestore}};
}

}  // namespace nearside::origin
