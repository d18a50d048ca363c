#pragma once

// LMDB's handles as values that close themselves: the one sight of lmdb.h in Nearside. Views that a
// transaction hands out point into the map: they are valid until its next write, its Reset or its
// end.
//
// Errors are kSelf: map_full, txn_full, damaged (the file is not a sound LMDB file), panic (the
// environment must be reopened), or errno's name.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/result.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace nearside::storage {

using Bytes = std::span<const uint8_t>;

/// A named B-tree of an environment; valid as long as the environment.
struct LmdbTable {
  unsigned handle = 0;
};

struct LmdbEntry {
  Bytes key;
  Bytes value;
};

/// A snapshot that is held, by any process that has the file open.
struct LmdbReader {
  int pid = 0;
  uint64_t snapshot = 0;  ///< LmdbTxn::id() of it
};

/// The map as a batch sees it before it writes. `free()` pages can be taken now.
struct LmdbSpace {
  uint64_t page_bytes = 0;
  uint64_t map_pages = 0;
  uint64_t used_pages = 0;         ///< live: tables, free list, the two meta pages
  uint64_t pinned_pages = 0;       ///< freed, but a reader or the last commit still needs them
  uint64_t pinned_by_readers = 0;  ///< of these, what would be free without readers
  uint64_t listed_pages = 0;       ///< on the free list, pinned ones included
  uint64_t free() const {
    const uint64_t held = used_pages + pinned_pages;
    return held < map_pages ? map_pages - held : 0;
  }
};

/// Walks one table. Ends before its transaction does. One thread.
class LmdbCursor {
 public:
  LmdbCursor(LmdbCursor&& other) noexcept;
  LmdbCursor& operator=(LmdbCursor&&) = delete;
  ~LmdbCursor();

  /// Each answers the entry it moved to, or nothing past the last.
  Result<std::optional<LmdbEntry>> First();
  Result<std::optional<LmdbEntry>> Last();
  Result<std::optional<LmdbEntry>> AtOrAfter(Bytes key);
  Result<std::optional<LmdbEntry>> Next();
  Result<std::optional<LmdbEntry>> Previous();
  /// Erases the entry last moved to; Next() then gives the one after it. Write transactions only.
  Status Erase();

 private:
  friend class LmdbTxn;
  explicit LmdbCursor(MDB_cursor* cursor) : cursor_(cursor) {}
  Result<std::optional<LmdbEntry>> Move(int operation, Bytes key);
  MDB_cursor* cursor_;
};

class LmdbEnv;

/// What reading and writing transactions share. One thread at a time.
class LmdbTxn {
 public:
  LmdbTxn(LmdbTxn&& other) noexcept;
  LmdbTxn& operator=(LmdbTxn&& other) noexcept;
  ~LmdbTxn();

  Result<std::optional<Bytes>> Get(LmdbTable table, Bytes key) const;
  Result<LmdbCursor> Open(LmdbTable table) const;
  uint64_t Entries(LmdbTable table) const;
  /// Pages in use by all tables as this transaction sees them: branch, leaf and overflow pages.
  uint64_t UsedPages() const;
  uint64_t id() const;
  /// Copies a value, or a part of one, that this transaction handed out to `out`, by read(2): a
  /// sector that cannot be read is an error (errno's name) then, where the map raises SIGBUS.
  Status Copy(Bytes view, uint8_t* out) const;

 protected:
  LmdbTxn(LmdbEnv* env, MDB_txn* txn) : env_(env), txn_(txn) {}
  friend class LmdbEnv;
  LmdbEnv* env_;
  MDB_txn* txn_;
};

class LmdbReadTxn : public LmdbTxn {
 public:
  /// Lets go of the snapshot, keeps the reader's slot. No view survives it.
  void Reset();
  /// Takes the newest snapshot. After Reset only.
  Status Renew();

 private:
  friend class LmdbEnv;
  using LmdbTxn::LmdbTxn;
};

class LmdbWriteTxn : public LmdbTxn {
 public:
  /// Makes the table when it is missing.
  Result<LmdbTable> MakeTable(const char* name);
  Status Put(LmdbTable table, Bytes key, Bytes value);
  /// The same for a key that is likely to be the table's largest: pages are then filled to the end
  /// instead of split in half.
  Status PutLast(LmdbTable table, Bytes key, Bytes value);
  /// Whether there was something to erase.
  Result<bool> Erase(LmdbTable table, Bytes key);
  /// Empties the table.
  Status Clear(LmdbTable table);
  /// Durable when it returns without error. The transaction is over either way.
  Status Commit();

 private:
  friend class LmdbEnv;
  using LmdbTxn::LmdbTxn;
};

struct LmdbOptions {
  std::string file;
  uint64_t map_bytes = 0;
  unsigned readers = 16;
  bool read_ahead = true;  ///< false: of what is asked for, nothing more
};

/// One file. Transactions of any number of reading threads, one writing at a time (LMDB's own
/// lock). A file must not be opened twice in one process. Outlives its transactions.
class LmdbEnv {
 public:
  /// Opens or makes `file` (and `file`-lock). Slots of dead readers are freed. A file that is
  /// shorter than the pages it counts is damaged: reading it would end in SIGBUS.
  static Result<std::unique_ptr<LmdbEnv>> Open(const LmdbOptions& options);
  ~LmdbEnv();
  LmdbEnv(const LmdbEnv&) = delete;
  LmdbEnv& operator=(const LmdbEnv&) = delete;

  Result<LmdbReadTxn> BeginRead();
  Result<LmdbWriteTxn> BeginWrite();

  /// Gives the whole map its blocks on disk, or none. Errors: ENOSPC, EOPNOTSUPP (the file system
  /// cannot), others.
  Status Reserve();
  /// Bytes up to the last page ever used: the file cannot be cut below it.
  uint64_t HighWaterBytes() const;
  /// Pages by use.
  Result<LmdbSpace> MeasureSpace();
  /// Who holds the oldest snapshot; nothing when none is held.
  std::optional<LmdbReader> OldestReader() const;
  /// The id of the newest snapshot.
  uint64_t LastCommit() const;
  /// Frees the slots of processes that died with a snapshot.
  void FreeDeadReaders();
  uint64_t map_bytes() const { return map_bytes_; }
  uint64_t page_bytes() const;

 private:
  friend class LmdbTxn;
  friend class LmdbWriteTxn;
  explicit LmdbEnv(MDB_env* env, uint64_t map_bytes) : env_(env), map_bytes_(map_bytes) {}
  Status CheckFile() const;
  int Descriptor() const;
  void FindMap(MDB_txn* snapshot);
  Status Copy(Bytes view, uint8_t* out) const;

  MDB_env* env_;
  uint64_t map_bytes_;
  /// Where the file's first byte is mapped; null as long as no snapshot had a page to tell by.
  std::atomic<const uint8_t*> map_{nullptr};
  mutable std::mutex mutex_;
  std::vector<unsigned> tables_;  ///< handles whose pages UsedPages counts; guarded by mutex_
};

/// Whether the file, not opened, tells of no commit after the first: what a power cut leaves of one
/// that was being made. True for one that is missing.
bool IsUnused(const std::string& file);

/// The file's content is at fault: starting empty helps.
bool IsDamage(const Error& error);
/// LMDB has given the environment up, as a meta page could not be written: opening it anew helps,
/// and the content stays.
bool IsPanic(const Error& error);

}  // namespace nearside::storage
