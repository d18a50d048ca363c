#include "storage/lmdb_shared_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "runtime/file.h"
#include "runtime/log.h"

namespace nearside::storage {
namespace {

/// A slot for each thread that reads, of all processes.
constexpr unsigned kSharedReaders = 1024;

}  // namespace

FolderLock::~FolderLock() {
  if (file_ >= 0) ::close(file_);
}

Status FolderLock::Share(const std::string& path) {
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file_ < 0 || ::flock(file_, LOCK_SH) != 0) return FailErrno(path, errno);
  return {};
}

bool FolderLock::TryAlone() { return ::flock(file_, LOCK_EX | LOCK_NB) == 0; }

void FolderLock::ShareAgain() { (void)::flock(file_, LOCK_SH); }

Status LmdbSharedFile::Open(const LmdbSharedOptions& options,
                            std::span<const std::pair<const char*, LmdbTable*>> tables) {
  if (Status made = MakeFolders(options.folder); !made) return made;
  if (Status shared = lock_.Share(options.folder + "/users.lock"); !shared) return shared;
  const std::string file = options.folder + "/" + options.name;
  Status opened = OpenTables(file, options.map_bytes, tables);
  if (opened || !IsDamage(opened.error())) return opened;
  env_.reset();
  if (!lock_.TryAlone()) {
    lock_.ShareAgain();
    return Fail(Fault::kSelf, "damaged",
                opened.error().message + ": stop the other origins that use it, then start again");
  }
  const std::string aside = file + ".damaged";
  if (std::rename(file.c_str(), aside.c_str()) != 0) return FailErrno(aside, errno);
  Log(Level::kError, options.event,
      {{"file", file}, {"kept_as", aside}, {"error", opened.error().message}});
  opened = OpenTables(file, options.map_bytes, tables);
  lock_.ShareAgain();
  return opened;
}

Status LmdbSharedFile::OpenTables(const std::string& file, uint64_t map_bytes,
                                  std::span<const std::pair<const char*, LmdbTable*>> tables) {
  auto env = LmdbEnv::Open({.file = file, .map_bytes = map_bytes, .readers = kSharedReaders});
  if (!env) return unexpected(std::move(env.error()));
  env_ = std::move(*env);
  Result<LmdbWriteTxn> txn = env_->BeginWrite();
  if (!txn) return unexpected(std::move(txn.error()));
  for (const auto& [name, table] : tables) {
    Result<LmdbTable> made = txn->MakeTable(name);
    if (!made) return unexpected(std::move(made.error()));
    *table = *made;
  }
  return txn->Commit();
}

Result<LmdbReadTxn> LmdbSharedFile::BeginRead() {
  Result<LmdbReadTxn> txn = env_->BeginRead();
  if (txn) return txn;
  env_->FreeDeadReaders();
  return env_->BeginRead();
}

}  // namespace nearside::storage
