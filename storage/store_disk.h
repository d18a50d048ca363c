#pragma once

// The store's folder: who may use it, its two environments, and what is done with content that is
// no good.
//
//   lock                      held (flock) by the one process that has the store open
//   heads.mdb, chunks.mdb     the environments, each with its -lock
//   *.mdb.broken-N            moved aside; the newest pair is kept for whoever wants to know why
//   unsound-opens             how many opens in a row did not live to see the whole store walked

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/result.h"
#include "runtime/units.h"
#include "storage/chunk_table.h"
#include "storage/head_table.h"
#include "storage/lmdb_env.h"
#include "storage/store_meta.h"

namespace nearside::storage {

inline constexpr ByteSize kLeastDisk = 16_MiB;

/// How the disk's bytes are divided, and the batches that fit it.
struct StoreLayout {
  uint64_t heads_map_bytes = 0;
  uint64_t chunks_map_bytes = 0;
  uint64_t batch_bytes = 0;  ///< of chunks in one commit
  size_t batch_heads = 0;    ///< head operations in one commit
};
/// Pure. Error kOperator: disk_too_small.
Result<StoreLayout> PlanStore(ByteSize disk);

struct StoreDiskOptions {
  std::string path;
  ByteSize disk;
  bool reserve = true;
  unsigned readers = 8;
};

/// Opened by one thread; afterwards the environments are for any thread by their own rules.
class StoreDisk {
 public:
  /// Makes the folder and the files that are missing. Content that is damaged, foreign or larger
  /// than a limit made smaller is moved aside or deleted, logged, and the store starts empty.
  /// Errors (kOperator): folder_unwritable, disk_too_small, in_use.
  static Result<std::unique_ptr<StoreDisk>> Open(const StoreDiskOptions& options);
  ~StoreDisk();
  StoreDisk(const StoreDisk&) = delete;
  StoreDisk& operator=(const StoreDisk&) = delete;

  LmdbEnv& heads() { return *heads_; }
  LmdbEnv& chunks() { return *chunks_; }
  const HeadTables& head_tables() const { return head_tables_; }
  const ChunkTables& chunk_tables() const { return chunk_tables_; }
  const StoreLayout& layout() const { return layout_; }

  /// As they were when the environments were opened. `meta.next_id` is above every id and position
  /// on disk.
  const StoreMeta& meta() const { return meta_; }
  std::vector<std::pair<ScopeHash, PurgeMark>> TakeMarks() { return std::move(marks_); }
  uint64_t stored_heads() const { return stored_heads_; }

  /// Closes both environments, moves their files aside, opens empty ones. No transaction may be
  /// open. After an error there are none until a later call succeeds.
  Status StartOver(std::string_view why);
  /// Closes both environments and opens them again, for one that LMDB has given up: the content
  /// stays, the state is read anew, nothing is moved aside. No transaction may be open. After an
  /// error there are none until a later call of this or of StartOver succeeds.
  Status Reopen();
  bool is_open() const { return heads_ != nullptr && chunks_ != nullptr; }
  /// Every head has been read once: the file does not kill whoever reads it.
  void MarkSound();

 private:
  explicit StoreDisk(StoreDiskOptions options, StoreLayout layout);
  Status Lock();
  Status OpenOrReplace();
  Status OpenBoth();
  Result<std::unique_ptr<LmdbEnv>> OpenOne(const std::string& file, uint64_t map_bytes,
                                           bool read_ahead) const;
  Status OpenTables();
  Status ReadState();
  Status ReserveBoth();
  Status CheckSize() const;
  void CountOpen();
  void MoveAside(std::string_view why);
  void RenameFiles(std::string_view why);
  void DeleteBroken();
  void CloseBoth();
  std::string File(std::string_view name) const { return options_.path + "/" + std::string(name); }

  StoreDiskOptions options_;
  StoreLayout layout_;
  int lock_descriptor_ = -1;
  std::unique_ptr<LmdbEnv> heads_;
  std::unique_ptr<LmdbEnv> chunks_;
  HeadTables head_tables_;
  ChunkTables chunk_tables_;
  StoreMeta meta_;
  std::vector<std::pair<ScopeHash, PurgeMark>> marks_;
  uint64_t stored_heads_ = 0;
  /// The files were here before, or have been opened since they were made: worth keeping.
  bool files_in_use_ = true;
};

}  // namespace nearside::storage
