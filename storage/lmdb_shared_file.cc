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
/// Between two tries to open what LMDB has given up.
constexpr milliseconds kReopenPause{1000};

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

Status LmdbSharedFile::Open(const LmdbSharedOptions& options, std::span<const Table> tables) {
  options_ = options;
  tables_.assign(tables.begin(), tables.end());
  if (Status made = MakeFolders(options.folder); !made) return made;
  if (Status shared = lock_.Share(options.folder + "/users.lock"); !shared) return shared;
  Status opened = OpenTables();
  if (opened || !IsDamage(opened.error())) return opened;
  env_.reset();
  if (!lock_.TryAlone()) {
    lock_.ShareAgain();
    return Fail(Fault::kSelf, "damaged",
                opened.error().message + ": stop the other origins that use it, then start again");
  }
  const std::string file = options.folder + "/" + options.name;
  const std::string aside = file + ".damaged";
  if (std::rename(file.c_str(), aside.c_str()) != 0) return FailErrno(aside, errno);
  Log(Level::kError, options.event,
      {{"file", file}, {"kept_as", aside}, {"error", opened.error().message}});
  opened = OpenTables();
  lock_.ShareAgain();
  return opened;
}

Status LmdbSharedFile::OpenTables() {
  auto env = LmdbEnv::Open({.file = options_.folder + "/" + options_.name,
                            .map_bytes = options_.map_bytes,
                            .readers = kSharedReaders});
  if (!env) return unexpected(std::move(env.error()));
  env_ = std::move(*env);
  Result<LmdbWriteTxn> txn = env_->BeginWrite();
  if (!txn) return unexpected(std::move(txn.error()));
  for (const auto& [name, table] : tables_) {
    Result<LmdbTable> made = txn->MakeTable(name);
    if (!made) return unexpected(std::move(made.error()));
    *table = *made;
  }
  return txn->Commit();
}

/// Unless another thread has done so since it was opened for the `opened`th time.
Status LmdbSharedFile::OpenAgain(uint64_t opened) {
  std::lock_guard lock(mutex_);
  if (opened_ != opened) return {};
  const MonoTime now = MonoNow();
  if (now < next_try_) return NotOpen();
  next_try_ = now + kReopenPause;
  env_.reset();
  Status again = OpenTables();
  if (again) {
    ++opened_;
  } else {
    env_.reset();
  }
  Log(again ? Level::kWarning : Level::kError, "shared_file_reopened",
      {{"file", options_.folder + "/" + options_.name},
       {"error", again ? "" : again.error().ToString()}});
  return again;
}

tl::unexpected<Error> LmdbSharedFile::NotOpen() const {
  return Fail(
      Fault::kSelf, "panic",
      options_.folder + "/" + options_.name + ": its disk fails; it is opened again in a second");
}

Result<LmdbReadTxn> LmdbSharedFile::BeginRead() {
  Result<LmdbReadTxn> txn = env_->BeginRead();
  if (txn) return txn;
  env_->FreeDeadReaders();
  return env_->BeginRead();
}

}  // namespace nearside::storage
