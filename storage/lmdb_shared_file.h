#pragma once

// One LMDB file that several processes of one machine (and one PID namespace) have open: what the
// origin's engines for small state share.

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "storage/lmdb_env.h"

namespace nearside::storage {

/// Says by a lock on a file how many processes have a folder open; a value.
class FolderLock {
 public:
  FolderLock() = default;
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();
  /// With others. Error: kSelf with errno's name.
  Status Share(const std::string& path);
  /// Alone; false when others have it.
  bool TryAlone();
  void ShareAgain();

 private:
  int file_ = -1;
};

struct LmdbSharedOptions {
  std::string folder;  ///< made when absent
  std::string name;    ///< of the file in it
  /// Address space, not memory: the file grows with what is in it. The same in every process,
  /// whatever its settings say, so that none meets pages beyond its map.
  uint64_t map_bytes = 0;
  std::string event;  ///< logged as an error when the file was damaged and put aside
};

/// Any thread, once it is open.
class LmdbSharedFile {
 public:
  /// Opens it, and makes the tables that are missing. A file that is damaged is put aside as
  /// "….damaged" and a new one made, unless another process has it open. Errors: kSelf damaged, and
  /// those of LmdbEnv; kSelf with errno's name.
  Status Open(const LmdbSharedOptions& options,
              std::span<const std::pair<const char*, LmdbTable*>> tables);
  bool is_open() const { return env_ != nullptr; }
  LmdbEnv& env() const { return *env_; }
  /// When all readers' slots are taken, those of processes that were killed are freed first.
  Result<LmdbReadTxn> BeginRead();
  Result<LmdbWriteTxn> BeginWrite() { return env_->BeginWrite(); }

 private:
  Status OpenTables(const std::string& file, uint64_t map_bytes,
                    std::span<const std::pair<const char*, LmdbTable*>> tables);

  FolderLock lock_;  // before the environment, which it tells of
  std::unique_ptr<LmdbEnv> env_;
};

}  // namespace nearside::storage
