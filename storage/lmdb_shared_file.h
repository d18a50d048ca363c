#pragma once

// One LMDB file that several processes of one machine (and one PID namespace) have open: what the
// origin's engines for small state share.

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/clock.h"
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
  using Table = std::pair<const char*, LmdbTable*>;
  /// Opens it, and makes the tables that are missing. A file that is damaged is put aside as
  /// "….damaged" and a new one made, unless another process has it open. Errors: kSelf damaged, and
  /// those of LmdbEnv; kSelf with errno's name.
  Status Open(const LmdbSharedOptions& options, std::span<const Table> tables);
  bool is_open() const { return env_ != nullptr; }
  /// What `work` returns, which has begun and ended all its transactions. After a write to its
  /// first pages that failed LMDB gives an environment up for good, though what is in it is sound:
  /// it is opened anew then, once a second at most, and `work` done again. Not from inside `work`.
  /// Error: kSelf panic.
  template <typename Work>
  std::invoke_result_t<Work> Do(const Work& work);

  // From inside Do, or before others know of it.
  LmdbEnv& env() const { return *env_; }
  /// When all readers' slots are taken, those of processes that were killed are freed first.
  Result<LmdbReadTxn> BeginRead();
  Result<LmdbWriteTxn> BeginWrite() { return env_->BeginWrite(); }

 private:
  Status OpenTables();
  Status OpenAgain(uint64_t opened);
  tl::unexpected<Error> NotOpen() const;

  FolderLock lock_;  // before the environment, which it tells of
  LmdbSharedOptions options_;
  std::vector<Table> tables_;
  std::shared_mutex mutex_;  ///< alone: while the environment is opened anew
  std::unique_ptr<LmdbEnv> env_;
  uint64_t opened_ = 0;  ///< how often it was, after the first time
  MonoTime next_try_;
};

template <typename Work>
std::invoke_result_t<Work> LmdbSharedFile::Do(const Work& work) {
  uint64_t opened = 0;
  {
    std::shared_lock lock(mutex_);
    opened = opened_;
    if (env_ != nullptr) {
      std::invoke_result_t<Work> result = work();
      if (result || !IsPanic(result.error())) return result;
    }
  }
  if (Status again = OpenAgain(opened); !again) return tl::unexpected<Error>(again.error());
  std::shared_lock lock(mutex_);
  if (env_ == nullptr) return NotOpen();
  return work();
}

}  // namespace nearside::storage
