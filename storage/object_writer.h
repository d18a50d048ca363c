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
/// Queues an object of one chunk at most, its body inline in `head`, to be stored as a whole. Under
/// the lock of the key's slot. Nothing, or why not.
std::optional<NotStored> PushWhole(StoreParts& parts, const HeadRef& head, HeadIndex::Slot& slot,
                                   std::shared_ptr<Fill> fill);
/// Has the writer thread store an unwritten object, whose head is the one in RAM. Where the disk
/// takes nothing now it stays unwritten.
void WriteUnwritten(StoreParts& parts, const HeadRef& head);
/// Of a body: what of it goes into the head's record.
size_t InlineBytes(const ChunkRef& body);
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
  void WriteAtOnce() override { at_once_ = true; }
  HeadRef Commit(Head head) override;

 private:
  void Queue(ChunkRef chunk);
  void GiveUp(NotStored reason);
  void Abandon();
  bool MayStayInMemory(const Key256& key);
  HeadRef CommitInMemory(std::shared_ptr<StoredHead> stored);
  HeadRef CommitHead(HeadRef head);

  StoreParts& parts_;
  const std::shared_ptr<Fill> fill_;
  ChunkRef small_;  ///< the first chunk while it may be the whole of a body that stays inline
  uint64_t body_bytes_ = 0;
  uint32_t queued_ = 0;     ///< chunks given to RAM and to the writer thread
  bool last_seen_ = false;  ///< a chunk that is not full has come
  bool at_once_ = false;    ///< must go to disk
  bool finished_ = false;   ///< committed or given up
};

}  // namespace nearside::storage
