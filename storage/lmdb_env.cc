#include "storage/lmdb_env.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace nearside::storage {

namespace {

constexpr unsigned kMaxTables = 8;
constexpr unsigned kFreeTable = 0;  // LMDB's own: the free list
constexpr unsigned kMainTable = 1;  // LMDB's own: names of tables
constexpr mode_t kFileMode = 0600;

std::string_view ReasonOf(int code) {
  switch (code) {
    case MDB_MAP_FULL:
      return "map_full";
    case MDB_TXN_FULL:
      return "txn_full";
    case MDB_PANIC:
      return "panic";
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_VERSION_MISMATCH:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
    // A table's root that is no page fails before the call that reports it; and we use no
    // transaction after another error.
    case MDB_BAD_TXN:
      return "damaged";
    default:
      return "lmdb";
  }
}

tl::unexpected<Error> FailLmdb(std::string_view what, int code) {
  if (code > 0) return FailErrno(what, code);
  return Fail(Fault::kSelf, ReasonOf(code), std::string(what) + ": " + mdb_strerror(code));
}

MDB_val ToValue(Bytes bytes) {
  // LMDB's values are not const, but it writes to none that it is given.
  return {bytes.size(), const_cast<uint8_t*>(bytes.data())};
}

Bytes ToBytes(const MDB_val& value) {
  return {static_cast<const uint8_t*>(value.mv_data), value.mv_size};
}

/// Reads all of `bytes` at `offset`. A file that ends before is one that cannot be read there.
Status ReadFully(int descriptor, uint8_t* out, size_t bytes, uint64_t offset) {
  while (bytes > 0) {
    const ssize_t count = pread(descriptor, out, bytes, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return FailErrno("reading the store's file", count < 0 ? errno : EIO);
    out += count;
    bytes -= static_cast<size_t>(count);
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

uint64_t PagesOf(MDB_txn* txn, unsigned table) {
  MDB_stat stat;
  if (mdb_stat(txn, table, &stat) != MDB_SUCCESS) return 0;
  return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

}  // namespace

/// LMDB's format, data version 1: a header of 16 bytes, then the meta page's own.
bool IsUnused(const std::string& file) {
  constexpr uint32_t kMagic = 0xBEEFC0DE;
  constexpr size_t kMagicAt = 16;
  constexpr size_t kCommitAt = 144;
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno == ENOENT;
  bool unused = true;
  for (const off_t page : {off_t{0}, static_cast<off_t>(sysconf(_SC_PAGESIZE))}) {
    std::array<uint8_t, kCommitAt + sizeof(size_t)> meta{};  // zeroes where the file has ended
    uint32_t magic = 0;
    size_t commit = 0;
    const bool read = pread(descriptor, meta.data(), meta.size(), page) >= 0;
    std::memcpy(&magic, meta.data() + kMagicAt, sizeof magic);
    std::memcpy(&commit, meta.data() + kCommitAt, sizeof commit);
    const bool empty = std::ranges::all_of(meta, [](uint8_t byte) { return byte == 0; });
    unused = unused && read && (empty || (magic == kMagic && commit <= 1));
  }
  close(descriptor);
  return unused;
}

bool IsDamage(const Error& error) { return error.reason == "damaged"; }
bool IsPanic(const Error& error) { return error.reason == "panic"; }

// ---- LmdbCursor

LmdbCursor::LmdbCursor(LmdbCursor&& other) noexcept
    : cursor_(std::exchange(other.cursor_, nullptr)) {}

LmdbCursor::~LmdbCursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

Result<std::optional<LmdbEntry>> LmdbCursor::Move(int operation, Bytes key) {
  MDB_val key_value = ToValue(key);
  MDB_val value{};
  const int code =
      mdb_cursor_get(cursor_, &key_value, &value, static_cast<MDB_cursor_op>(operation));
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != MDB_SUCCESS) return FailLmdb("reading the store by cursor", code);
  return LmdbEntry{.key = ToBytes(key_value), .value = ToBytes(value)};
}

Result<std::optional<LmdbEntry>> LmdbCursor::First() { return Move(MDB_FIRST, {}); }
Result<std::optional<LmdbEntry>> LmdbCursor::Last() { return Move(MDB_LAST, {}); }
Result<std::optional<LmdbEntry>> LmdbCursor::AtOrAfter(Bytes key) {
  return Move(MDB_SET_RANGE, key);
}
Result<std::optional<LmdbEntry>> LmdbCursor::Next() { return Move(MDB_NEXT, {}); }
Result<std::optional<LmdbEntry>> LmdbCursor::Previous() { return Move(MDB_PREV, {}); }

Status LmdbCursor::Erase() {
  const int code = mdb_cursor_del(cursor_, 0);
  if (code != MDB_SUCCESS) return FailLmdb("erasing from the store", code);
  return {};
}

// ---- LmdbTxn

LmdbTxn::LmdbTxn(LmdbTxn&& other) noexcept
    : env_(other.env_), txn_(std::exchange(other.txn_, nullptr)) {}

LmdbTxn& LmdbTxn::operator=(LmdbTxn&& other) noexcept {
  std::swap(env_, other.env_);
  std::swap(txn_, other.txn_);
  return *this;
}

LmdbTxn::~LmdbTxn() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

Result<std::optional<Bytes>> LmdbTxn::Get(LmdbTable table, Bytes key) const {
  MDB_val key_value = ToValue(key);
  MDB_val value{};
  const int code = mdb_get(txn_, table.handle, &key_value, &value);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != MDB_SUCCESS) return FailLmdb("reading the store", code);
  return ToBytes(value);
}

Result<LmdbCursor> LmdbTxn::Open(LmdbTable table) const {
  MDB_cursor* cursor = nullptr;
  const int code = mdb_cursor_open(txn_, table.handle, &cursor);
  if (code != MDB_SUCCESS) return FailLmdb("opening a cursor", code);
  return LmdbCursor(cursor);
}

uint64_t LmdbTxn::Entries(LmdbTable table) const {
  MDB_stat stat;
  return mdb_stat(txn_, table.handle, &stat) == MDB_SUCCESS ? stat.ms_entries : 0;
}

uint64_t LmdbTxn::UsedPages() const {
  uint64_t pages = 2 + PagesOf(txn_, kFreeTable) + PagesOf(txn_, kMainTable);
  const std::lock_guard lock(env_->mutex_);
  for (const unsigned table : env_->tables_) pages += PagesOf(txn_, table);
  return pages;
}

uint64_t LmdbTxn::id() const { return mdb_txn_id(txn_); }

Status LmdbTxn::Copy(Bytes view, uint8_t* out) const { return env_->Copy(view, out); }

void LmdbReadTxn::Reset() { mdb_txn_reset(txn_); }

Status LmdbReadTxn::Renew() {
  const int code = mdb_txn_renew(txn_);
  if (code != MDB_SUCCESS) return FailLmdb("renewing a reader", code);
  return {};
}

// ---- LmdbWriteTxn

Result<LmdbTable> LmdbWriteTxn::MakeTable(const char* name) {
  MDB_dbi handle = 0;
  const int code = mdb_dbi_open(txn_, name, MDB_CREATE, &handle);
  if (code != MDB_SUCCESS) return FailLmdb(std::string("opening table ") + name, code);
  const std::lock_guard lock(env_->mutex_);
  auto& tables = env_->tables_;
  if (std::find(tables.begin(), tables.end(), handle) == tables.end()) tables.push_back(handle);
  return LmdbTable{handle};
}

Status LmdbWriteTxn::Put(LmdbTable table, Bytes key, Bytes value) {
  MDB_val key_value = ToValue(key);
  MDB_val data = ToValue(value);
  const int code = mdb_put(txn_, table.handle, &key_value, &data, 0);
  if (code != MDB_SUCCESS) return FailLmdb("writing to the store", code);
  return {};
}

Status LmdbWriteTxn::PutLast(LmdbTable table, Bytes key, Bytes value) {
  MDB_val key_value = ToValue(key);
  MDB_val data = ToValue(value);
  const int code = mdb_put(txn_, table.handle, &key_value, &data, MDB_APPEND);
  if (code == MDB_KEYEXIST) return Put(table, key, value);  // a larger one is there
  if (code != MDB_SUCCESS) return FailLmdb("writing to the store", code);
  return {};
}

Result<bool> LmdbWriteTxn::Erase(LmdbTable table, Bytes key) {
  MDB_val key_value = ToValue(key);
  const int code = mdb_del(txn_, table.handle, &key_value, nullptr);
  if (code == MDB_NOTFOUND) return false;
  if (code != MDB_SUCCESS) return FailLmdb("erasing from the store", code);
  return true;
}

Status LmdbWriteTxn::Clear(LmdbTable table) {
  const int code = mdb_drop(txn_, table.handle, 0);
  if (code != MDB_SUCCESS) return FailLmdb("emptying a table", code);
  return {};
}

Status LmdbWriteTxn::Commit() {
  const int code = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (code != MDB_SUCCESS) return FailLmdb("committing to the store", code);
  return {};
}

// ---- LmdbEnv

LmdbEnv::~LmdbEnv() { mdb_env_close(env_); }

Result<std::unique_ptr<LmdbEnv>> LmdbEnv::Open(const LmdbOptions& options) {
  MDB_env* raw = nullptr;
  if (const int code = mdb_env_create(&raw); code != MDB_SUCCESS) {
    return FailLmdb("making an LMDB environment", code);
  }
  std::unique_ptr<LmdbEnv> env(new LmdbEnv(raw, options.map_bytes));
  mdb_env_set_maxdbs(raw, kMaxTables);
  mdb_env_set_maxreaders(raw, options.readers);
  if (const int code = mdb_env_set_mapsize(raw, options.map_bytes); code != MDB_SUCCESS) {
    return FailLmdb(options.file, code);
  }
  // NOTLS: a snapshot belongs to its object, not to its thread. No WRITEMAP: p99 of 71 ms in the
  // trial, and a stray write of ours could reach the file.
  const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | (options.read_ahead ? 0u : MDB_NORDAHEAD);
  if (const int code = mdb_env_open(raw, options.file.c_str(), flags, kFileMode);
      code != MDB_SUCCESS) {
    return FailLmdb(options.file, code);
  }
  if (Status status = env->CheckFile(); !status) {
    return tl::unexpected(std::move(status.error()).In(options.file));
  }
  int dead = 0;
  if (const int code = mdb_reader_check(raw, &dead); code != MDB_SUCCESS) {
    return FailLmdb(options.file, code);
  }
  // MDB_NORDAHEAD is of the map alone. Bodies of 5 chunks, cold: p99 of 1.9 ms without, 0.7 with.
  // Advice: a refusal costs time, not correctness.
  if (!options.read_ahead) (void)posix_fadvise(env->Descriptor(), 0, 0, POSIX_FADV_RANDOM);
  return env;
}

Status LmdbEnv::CheckFile() const {
  struct stat file {};
  if (fstat(Descriptor(), &file) != 0) return FailErrno("looking at the file", errno);
  const auto bytes = static_cast<uint64_t>(file.st_size);
  // An empty file is a new one: LMDB counts its two meta pages already, but has them in memory
  // alone.
  if (bytes != 0 && bytes < HighWaterBytes()) {
    return Fail(Fault::kSelf, "damaged",
                "the file has " + std::to_string(bytes) + " bytes, its pages need " +
                    std::to_string(HighWaterBytes()));
  }
  return {};
}

int LmdbEnv::Descriptor() const {
  int descriptor = -1;
  mdb_env_get_fd(env_, &descriptor);
  return descriptor;
}

uint64_t LmdbEnv::page_bytes() const {
  MDB_stat stat;
  mdb_env_stat(env_, &stat);
  return stat.ms_psize;
}

uint64_t LmdbEnv::HighWaterBytes() const {
  MDB_envinfo info;
  mdb_env_info(env_, &info);
  return (static_cast<uint64_t>(info.me_last_pgno) + 1) * page_bytes();
}

Result<LmdbReadTxn> LmdbEnv::BeginRead() {
  MDB_txn* txn = nullptr;
  const int code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code != MDB_SUCCESS) return FailLmdb("beginning to read", code);
  LmdbReadTxn snapshot(this, txn);
  if (map_.load(std::memory_order_relaxed) == nullptr) FindMap(txn);
  return snapshot;
}

/// LMDB does not tell where its map begins, but every page in it begins with its own number. What
/// follows from that is believed when the file has the same page at that place. The map is made
/// once, at open, and in one piece: a snapshot's pages are nowhere else.
void LmdbEnv::FindMap(MDB_txn* snapshot) {
  MDB_cursor* raw = nullptr;
  if (mdb_cursor_open(snapshot, kMainTable, &raw) != MDB_SUCCESS) return;
  MDB_val key{};
  MDB_val value{};
  const int code = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
  mdb_cursor_close(raw);
  if (code != MDB_SUCCESS) return;  // without a table there is no page yet
  const size_t bytes = page_bytes();
  const auto address = reinterpret_cast<uintptr_t>(key.mv_data);
  const uint8_t* page = static_cast<const uint8_t*>(key.mv_data) - address % bytes;
  size_t number = 0;
  std::memcpy(&number, page, sizeof number);
  if (number >= map_bytes_ / bytes) return;
  std::vector<uint8_t> stored(bytes);
  const Status read = ReadFully(Descriptor(), stored.data(), bytes, number * bytes);
  if (!read || std::memcmp(stored.data(), page, bytes) != 0) return;
  map_.store(page - number * bytes, std::memory_order_relaxed);
}

Status LmdbEnv::Copy(Bytes view, uint8_t* out) const {
  const auto map = reinterpret_cast<uintptr_t>(map_.load(std::memory_order_relaxed));
  const uint64_t offset = reinterpret_cast<uintptr_t>(view.data()) - map;
  // A page that a write transaction has changed is in memory of its own.
  const bool in_map = map != 0 && offset < map_bytes_ && view.size() <= map_bytes_ - offset;
  if (!in_map) {
    std::memcpy(out, view.data(), view.size());
    return {};
  }
  return ReadFully(Descriptor(), out, view.size(), offset);
}

Result<LmdbWriteTxn> LmdbEnv::BeginWrite() {
  MDB_txn* txn = nullptr;
  const int code = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (code != MDB_SUCCESS) return FailLmdb("beginning to write", code);
  return LmdbWriteTxn(this, txn);
}

Status LmdbEnv::Reserve() {
  const int descriptor = Descriptor();
  struct stat before {};
  if (fstat(descriptor, &before) != 0) return FailErrno("looking at the file", errno);
  // Not posix_fallocate: where the file system has no such call, it writes a byte into every block.
  while (fallocate(descriptor, 0, 0, static_cast<off_t>(map_bytes_)) != 0) {
    const int error_number = errno;
    if (error_number == EINTR) continue;
    // Some file systems keep what they got so far; it is somebody else's space.
    if (ftruncate(descriptor, before.st_size) != 0) return FailErrno("giving space back", errno);
    return FailErrno("reserving the store's space", error_number);
  }
  return {};
}

std::optional<LmdbReader> LmdbEnv::OldestReader() const {
  std::optional<LmdbReader> oldest;
  // One line a slot: process, thread (hexadecimal), snapshot or "-"; a heading before them.
  const auto note = [](const char* line, void* context) -> int {
    auto& least = *static_cast<std::optional<LmdbReader>*>(context);
    LmdbReader reader;
    unsigned long long thread = 0;
    unsigned long long snapshot = 0;
    if (std::sscanf(line, "%d %llx %llu", &reader.pid, &thread, &snapshot) != 3) return 0;
    reader.snapshot = snapshot;
    if (!least || reader.snapshot < least->snapshot) least = reader;
    return 0;
  };
  mdb_reader_list(env_, note, &oldest);
  return oldest;
}

uint64_t LmdbEnv::LastCommit() const {
  MDB_envinfo info;
  mdb_env_info(env_, &info);
  return info.me_last_txnid;
}

void LmdbEnv::FreeDeadReaders() {
  int dead = 0;
  // A failure leaves the slots as they are: the next call tries again.
  (void)mdb_reader_check(env_, &dead);
}

Result<LmdbSpace> LmdbEnv::MeasureSpace() {
  const std::optional<LmdbReader> reader = OldestReader();
  Result<LmdbReadTxn> txn = BeginRead();
  if (!txn) return tl::unexpected(txn.error());
  LmdbSpace space{.page_bytes = page_bytes(),
                  .map_pages = map_bytes_ / page_bytes(),
                  .used_pages = txn->UsedPages()};
  // The pages that the last commit freed are what the commit before it, LMDB's fallback, still
  // uses.
  const uint64_t newest = txn->id();
  const uint64_t oldest = std::min(reader ? reader->snapshot : newest, newest);
  Result<LmdbCursor> cursor = txn->Open(LmdbTable{kFreeTable});
  if (!cursor) return tl::unexpected(cursor.error());
  // A record of the free list: the id of the transaction that freed, then a count and the pages.
  for (auto entry = cursor->First();; entry = cursor->Next()) {
    if (!entry) return tl::unexpected(entry.error());
    if (!*entry) return space;
    size_t freed_by = 0;
    size_t count = 0;
    if ((*entry)->key.size() != sizeof freed_by || (*entry)->value.size() < sizeof count) continue;
    std::memcpy(&freed_by, (*entry)->key.data(), sizeof freed_by);
    std::memcpy(&count, (*entry)->value.data(), sizeof count);
    space.listed_pages += count;
    if (freed_by >= oldest) space.pinned_pages += count;
    if (freed_by >= oldest && freed_by < newest) space.pinned_by_readers += count;
  }
}

}  // namespace nearside::storage
