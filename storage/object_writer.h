#pragma once

// One object on its way into the LMDB store.

#include <memory>
#include <optional>

#include "storage/store_parts.h"

namespace nearside::storage {

/// Makes the head that RAM and the disk share: ids, payload, inline body. Null when the decoder
/// refuses it.
std::shared_ptr<StoredHead> MakeStoredHead(const StoreParts& parts, Head head,
                                           ChunkRef inline_body);
/// Whether the head's record would be too long to be stored.
bool HeadTooLong(const Head& head, size_t inline_bytes);
/// The largest object that these options allow, where the tier that keeps whole objects has `room`.
uint64_t LargestObject(const CacheOptions& options, ByteSize room);
/// `chunk`, or a copy without its unused capacity when that is a good part of it: RAM is counted by
/// capacity.
ChunkRef Trimmed(ChunkRef chunk);

/// One thread at a time. `parts` outlives it.
class LmdbObjectWriter final : public ObjectWriter {
 public:
  explicit LmdbObjectWriter(StoreParts& parts);
  ~LmdbObjectWriter() override;
  void Append(ChunkRef chunk) override;
  bool WaitsForRoom(Executor& executor, std::function<void()> room) override;
  bool given_up() const override { return finished_; }
  HeadRef Commit(Head head) override;

 private:
  void Queue(ChunkRef chunk);
  void GiveUp(NotStored reason);
  void Abandon();
  void TakeBack(const CachedHead& head);
  HeadRef CommitHead(std::shared_ptr<StoredHead> stored, bool inline_on_disk);

  StoreParts& parts_;
  const std::shared_ptr<Fill> fill_;
  ChunkRef small_;  ///< the first chunk while it may be the whole of a small body
  uint64_t body_bytes_ = 0;
  uint32_t queued_ = 0;     ///< chunks given to RAM and to the writer thread
  bool last_seen_ = false;  ///< a chunk that is not full has come
  bool finished_ = false;   ///< committed or given up
};

}  // namespace nearside::storage
