#include "storage/store_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "runtime/crypto.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace nearside::storage {

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMapGrain = 64 << 10;  // whole pages on any machine
/// Heads take a fifth of the disk: between the 2 % that large bodies need and the third of bodies
/// of one page. When small bodies fill it, they go to the chunks' environment (StoreWriter).
constexpr uint64_t kHeadsShare = 5;
constexpr uint64_t kLeastHeadsBytes = 4 << 20;
constexpr uint64_t kMostBatchBytes = 4 << 20;
constexpr uint64_t kLeastBatchBytes = 128 << 10;
/// Three batches and what a reader pins have to fit into the tenth of the map above the eviction's
/// mark.
constexpr uint64_t kBatchesInMap = 50;
/// A head operation changes about two pages of the heads' map, and those of three batches are in
/// use at a time.
constexpr uint64_t kPagesPerHead = 128;
constexpr uint64_t kMostUnsoundOpens = 5;

constexpr std::string_view kHeadsFile = "heads.mdb";
constexpr std::string_view kChunksFile = "chunks.mdb";
constexpr std::string_view kUnsoundFile = "unsound-opens";
constexpr std::string_view kBrokenMark = ".broken-";

/// The N of "NAME.mdb.broken-N"; 0 for any other name.
unsigned BrokenNumber(std::string_view name) {
  const size_t mark = name.find(kBrokenMark);
  unsigned number = 0;
  if (mark == std::string_view::npos) return 0;
  name.remove_prefix(mark + kBrokenMark.size());
  std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

std::vector<std::string> BrokenFiles(const std::string& path) {
  std::vector<std::string> names;
  DIR* folder = opendir(path.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = readdir(folder)) {
    if (BrokenNumber(entry->d_name) > 0) names.emplace_back(entry->d_name);
  }
  closedir(folder);
  return names;
}

Error ForOperator(Error error, std::string_view reason, std::string_view advice) {
  error.fault = Fault::kOperator;
  error.reason = reason;
  error.message += "; ";
  error.message += advice;
  return error;
}

}  // namespace

Result<StoreLayout> PlanStore(ByteSize disk) {
  if (disk < kLeastDisk) {
    return Fail(Fault::kOperator, "disk_too_small",
                "the cache's disk limit is " + FormatSize(disk) + ", the least is " +
                    FormatSize(kLeastDisk));
  }
  StoreLayout layout;
  layout.heads_map_bytes =
      std::max(kLeastHeadsBytes, disk.bytes / kHeadsShare) / kMapGrain * kMapGrain;
  layout.chunks_map_bytes = (disk.bytes - layout.heads_map_bytes) / kMapGrain * kMapGrain;
  layout.batch_bytes =
      std::clamp(layout.chunks_map_bytes / kBatchesInMap, kLeastBatchBytes, kMostBatchBytes);
  layout.batch_heads =
      std::clamp<uint64_t>(layout.heads_map_bytes / kPage / kPagesPerHead, 8, 2048);
  return layout;
}

StoreDisk::StoreDisk(StoreDiskOptions options, StoreLayout layout)
    : options_(std::move(options)), layout_(layout) {}

StoreDisk::~StoreDisk() {
  CloseBoth();
  if (lock_descriptor_ >= 0) close(lock_descriptor_);
}

Result<std::unique_ptr<StoreDisk>> StoreDisk::Open(const StoreDiskOptions& options) {
  const Result<StoreLayout> layout = PlanStore(options.disk);
  if (!layout) return tl::unexpected(layout.error());
  if (Status made = MakeFolders(options.path); !made) {
    return tl::unexpected(ForOperator(made.error(), "folder_unwritable",
                                      "the cache's path must be a folder that can be made"));
  }
  std::unique_ptr<StoreDisk> disk(new StoreDisk(options, *layout));
  if (Status locked = disk->Lock(); !locked) return tl::unexpected(locked.error());
  disk->CountOpen();
  if (Status opened = disk->OpenOrReplace(); !opened) return tl::unexpected(opened.error());
  return disk;
}

Status StoreDisk::Lock() {
  const std::string file = File("lock");
  lock_descriptor_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_descriptor_ < 0) {
    return tl::unexpected(ForOperator(FailErrno(file, errno).value(), "folder_unwritable",
                                      "the cache's folder must be writable"));
  }
  if (flock(lock_descriptor_, LOCK_EX | LOCK_NB) != 0) {
    return Fail(
        Fault::kOperator, "in_use",
        options_.path + " is in use by another process; give each edge a folder of its own");
  }
  return {};
}

/// A damaged page can make LMDB crash whoever reads it. The process cannot tell afterwards, but the
/// next one can count: the number is deleted once the whole store has been walked, and when the
/// store is closed in order.
void StoreDisk::CountOpen() {
  uint64_t opens = 0;
  if (const Result<std::string> text = ReadFile(File(kUnsoundFile), 64_KiB); text) {
    std::from_chars(text->data(), text->data() + text->size(), opens);
  }
  if (opens >= kMostUnsoundOpens) {
    MoveAside(std::to_string(opens) + " starts in a row ended before the store had been read");
    opens = 0;
  }
  // Not being able to count is no reason not to open.
  (void)WriteFileAtomically(File(kUnsoundFile), std::to_string(opens + 1), 0600);
}

void StoreDisk::MarkSound() { (void)unlink(File(kUnsoundFile).c_str()); }

Status StoreDisk::OpenOrReplace() {
  Status opened = OpenBoth();
  if (!opened && (IsDamage(opened.error()) || opened.error().reason == "unknown_version")) {
    MoveAside(opened.error().message);
    opened = OpenBoth();
  }
  if (!opened && opened.error().reason == "too_large") {
    Log(Level::kWarning, "store_emptied",
        {{"path", options_.path}, {"reason", opened.error().message}});
    CloseBoth();
    for (const std::string_view name : {kHeadsFile, kChunksFile}) unlink(File(name).c_str());
    opened = OpenBoth();
  }
  if (!opened && opened.error().fault != Fault::kOperator) {
    const bool full = opened.error().reason == "ENOSPC";
    opened =
        tl::unexpected(full ? ForOperator(opened.error(), "disk_too_small",
                                          "the cache needs " + FormatSize(options_.disk) + " in " +
                                              options_.path + ": make room, or lower cache.disk")
                            : ForOperator(opened.error(), "folder_unwritable",
                                          "the cache's files must be readable and writable"));
  }
  if (!opened) CloseBoth();
  return opened;
}

Result<std::unique_ptr<LmdbEnv>> StoreDisk::OpenOne(const std::string& file, uint64_t map_bytes,
                                                    bool read_ahead) const {
  // The folder's lock says that no other process is here: what a killed one left in LMDB's lock
  // file is void.
  unlink((file + "-lock").c_str());
  return LmdbEnv::Open({.file = file,
                        .map_bytes = map_bytes,
                        .readers = 2 * options_.readers + 8,
                        .read_ahead = read_ahead});
}

Status StoreDisk::OpenBoth() {
  CloseBoth();
  auto heads = OpenOne(File(kHeadsFile), layout_.heads_map_bytes, /*read_ahead=*/true);
  if (!heads) return tl::unexpected(heads.error());
  heads_ = std::move(*heads);
  // A cold chunk is read as a whole; the kernel's guess would read its neighbours, other objects.
  auto chunks = OpenOne(File(kChunksFile), layout_.chunks_map_bytes, /*read_ahead=*/false);
  if (!chunks) return tl::unexpected(chunks.error());
  chunks_ = std::move(*chunks);
  if (Status s = CheckSize(); !s) return s;
  if (Status s = ReserveBoth(); !s) return s;
  if (Status s = OpenTables(); !s) return s;
  if (Status s = ReadState(); !s) return s;
  files_in_use_ = true;
  return {};
}

Status StoreDisk::CheckSize() const {
  if (heads_->HighWaterBytes() > layout_.heads_map_bytes ||
      chunks_->HighWaterBytes() > layout_.chunks_map_bytes) {
    return Fail(Fault::kSelf, "too_large",
                "the store's files have grown beyond the limit of " + FormatSize(options_.disk));
  }
  // What a larger limit had reserved is given back.
  const std::pair<std::string_view, uint64_t> files[] = {{kHeadsFile, layout_.heads_map_bytes},
                                                         {kChunksFile, layout_.chunks_map_bytes}};
  for (const auto& [name, bytes] : files) {
    const int descriptor = open(File(name).c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return FailErrno(File(name), errno);
    const off_t size = lseek(descriptor, 0, SEEK_END);
    const bool cut =
        size <= static_cast<off_t>(bytes) || ftruncate(descriptor, static_cast<off_t>(bytes)) == 0;
    const int error_number = errno;
    close(descriptor);
    if (!cut) return FailErrno(File(name), error_number);
  }
  return {};
}

Status StoreDisk::ReserveBoth() {
  if (!options_.reserve) return {};
  for (LmdbEnv* env : {heads_.get(), chunks_.get()}) {
    Status reserved = env->Reserve();
    if (!reserved && reserved.error().reason == "ENOSPC") {
      DeleteBroken();
      reserved = env->Reserve();
    }
    if (reserved) continue;
    if (reserved.error().reason != "EOPNOTSUPP") return reserved;
    // Then a full disk shows when a batch is committed, and the store passes through until there is
    // room.
    Log(Level::kWarning, "store_not_reserved",
        {{"path", options_.path}, {"reason", "the file system cannot reserve space"}});
    return {};
  }
  return {};
}

Status StoreDisk::OpenTables() {
  // A new pair is given its id in both; a pair whose ids differ was never one store.
  StoreMeta fresh;
  RandomBytes(fresh.store_id);

  Result<LmdbWriteTxn> head_txn = heads_->BeginWrite();
  if (!head_txn) return tl::unexpected(head_txn.error());
  Result<HeadTables> head_tables = MakeHeadTables(*head_txn);
  if (!head_tables) return tl::unexpected(head_tables.error());
  Result<std::optional<StoreMeta>> head_meta = ReadMeta(*head_txn, head_tables->meta);
  if (!head_meta) return tl::unexpected(head_meta.error());

  Result<LmdbWriteTxn> chunk_txn = chunks_->BeginWrite();
  if (!chunk_txn) return tl::unexpected(chunk_txn.error());
  Result<ChunkTables> chunk_tables = MakeChunkTables(*chunk_txn);
  if (!chunk_tables) return tl::unexpected(chunk_tables.error());
  Result<std::optional<StoreMeta>> chunk_meta = ReadMeta(*chunk_txn, chunk_tables->meta);
  if (!chunk_meta) return tl::unexpected(chunk_meta.error());

  // One of them may have its id already: the process was killed while it made the store.
  const bool both_new =
      (!*head_meta || !*chunk_meta) && head_txn->Entries(head_tables->heads) == 0 &&
      chunk_txn->Entries(chunk_tables->chunks) == 0 && chunk_txn->Entries(chunk_tables->tails) == 0;
  if (both_new) {
    if (Status s = WriteMeta(*chunk_txn, chunk_tables->meta, fresh); !s) return s;
    if (Status s = WriteMeta(*head_txn, head_tables->meta, fresh); !s) return s;
  } else if (!*head_meta || !*chunk_meta || (*head_meta)->store_id != (*chunk_meta)->store_id) {
    return Fail(Fault::kSelf, "damaged", "heads.mdb and chunks.mdb do not belong together");
  }
  if (Status s = chunk_txn->Commit(); !s) return s;
  if (Status s = head_txn->Commit(); !s) return s;
  head_tables_ = *head_tables;
  chunk_tables_ = *chunk_tables;
  return {};
}

Status StoreDisk::ReadState() {
  Result<LmdbReadTxn> head_txn = heads_->BeginRead();
  if (!head_txn) return tl::unexpected(head_txn.error());
  Result<LmdbReadTxn> chunk_txn = chunks_->BeginRead();
  if (!chunk_txn) return tl::unexpected(chunk_txn.error());
  const Result<std::optional<StoreMeta>> meta = ReadMeta(*head_txn, head_tables_.meta);
  if (!meta) return tl::unexpected(meta.error());
  const Result<uint64_t> last_position = LastPosition(*head_txn, head_tables_.queue);
  if (!last_position) return tl::unexpected(last_position.error());
  const Result<uint64_t> last_id = LastChunkId(*chunk_txn, chunk_tables_);
  if (!last_id) return tl::unexpected(last_id.error());
  auto marks = ReadMarks(*head_txn, head_tables_.purges);
  if (!marks) return tl::unexpected(marks.error());

  meta_ = **meta;
  // Chunks are committed before the heads that count them: the row of facts may be behind a kill.
  meta_.next_id = std::max({meta_.next_id, *last_position + 1, *last_id + 1});
  marks_ = std::move(*marks);
  stored_heads_ = head_txn->Entries(head_tables_.heads);
  return {};
}

void StoreDisk::CloseBoth() {
  heads_.reset();
  chunks_.reset();
}

void StoreDisk::DeleteBroken() {
  for (const std::string& name : BrokenFiles(options_.path)) unlink(File(name).c_str());
}

/// What an attempt to begin anew has left is no content: it goes, and the pair kept before stays.
void StoreDisk::MoveAside(std::string_view why) {
  CloseBoth();
  const std::string files[] = {File(kHeadsFile), File(kChunksFile)};
  if (!files_in_use_) {
    for (const std::string& file : files) unlink(file.c_str());
  } else if (std::ranges::any_of(
                 files, [](const auto& file) { return access(file.c_str(), F_OK) == 0; })) {
    RenameFiles(why);
  }
  files_in_use_ = false;
}

void StoreDisk::RenameFiles(std::string_view why) {
  unsigned number = 1;
  for (const std::string& name : BrokenFiles(options_.path)) {
    number = std::max(number, BrokenNumber(name) + 1);
  }
  DeleteBroken();
  bool unused = true;
  for (const std::string_view name : {kHeadsFile, kChunksFile}) {
    const std::string file = File(name);
    unused = unused && IsUnused(file);
    const std::string aside = file + std::string(kBrokenMark) + std::to_string(number);
    if (rename(file.c_str(), aside.c_str()) != 0) unlink(file.c_str());
  }
  // The power went while the store was made: nothing is lost.
  Log(unused ? Level::kInfo : Level::kError, "store_moved_aside",
      {{"path", options_.path},
       {"reason", why},
       {"held_nothing", unused},
       {"kept_as", "*.mdb" + std::string(kBrokenMark) + std::to_string(number)}});
}

Status StoreDisk::StartOver(std::string_view why) {
  MoveAside(why);
  return OpenOrReplace();
}

Status StoreDisk::Reopen() {
  Status opened = OpenBoth();
  if (!opened) CloseBoth();
  return opened;
}

}  // namespace nearside::storage
