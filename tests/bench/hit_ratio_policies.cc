#include "tests/bench/hit_ratio_policies.h"

#include <algorithm>
#include <cstring>

#include "storage/ram_tier.h"

namespace nearside::bench {

namespace {

using storage::CachedHead;
using storage::ChunkName;
using storage::HeadRef;
using storage::RamTier;

constexpr uint32_t kNone = UINT32_MAX;

struct Node {
  uint32_t newer = kNone;
  uint32_t older = kNone;
  uint64_t charge = 0;
  uint8_t frequency = 0;
  uint8_t queue = 0;  ///< 0: in none
};

/// A queue through a table of nodes.
struct Queue {
  std::vector<Node>& nodes;
  uint8_t number;
  uint32_t newest = kNone;
  uint32_t oldest = kNone;
  uint64_t bytes = 0;

  void Push(uint32_t object) {
    Node& node = nodes[object];
    node.older = newest;
    node.newer = kNone;
    node.queue = number;
    (newest != kNone ? nodes[newest].newer : oldest) = object;
    newest = object;
    bytes += node.charge;
  }
  void Remove(uint32_t object) {
    Node& node = nodes[object];
    (node.newer != kNone ? nodes[node.newer].older : newest) = node.older;
    (node.older != kNone ? nodes[node.older].newer : oldest) = node.newer;
    node.queue = 0;
    bytes -= node.charge;
  }
};

class Lru final : public Policy {
 public:
  Lru(uint64_t limit_bytes, uint32_t objects) : limit_bytes_(limit_bytes), nodes_(objects) {}

  bool Ask(uint32_t object, uint32_t bytes) override {
    Node& node = nodes_[object];
    const bool found = node.queue != 0;
    if (found) {
      queue_.Remove(object);
    } else {
      node.charge = bytes + OverheadBytes();
      if (node.charge > limit_bytes_) return false;
      while (queue_.bytes + node.charge > limit_bytes_) queue_.Remove(queue_.oldest);
    }
    queue_.Push(object);
    return found;
  }

 private:
  uint64_t limit_bytes_;
  std::vector<Node> nodes_;
  Queue queue_{.nodes = nodes_, .number = 1};
};

class Sieve final : public Policy {
 public:
  Sieve(uint64_t limit_bytes, uint32_t objects) : limit_bytes_(limit_bytes), nodes_(objects) {}

  bool Ask(uint32_t object, uint32_t bytes) override {
    Node& node = nodes_[object];
    if (node.queue != 0) {
      node.frequency = 1;
      return true;
    }
    node.charge = bytes + OverheadBytes();
    if (node.charge > limit_bytes_) return false;
    while (queue_.bytes + node.charge > limit_bytes_) Evict();
    node.frequency = 0;
    queue_.Push(object);
    return false;
  }

 private:
  void Evict() {
    uint32_t at = hand_ != kNone ? hand_ : queue_.oldest;
    while (nodes_[at].frequency != 0) {
      nodes_[at].frequency = 0;
      at = nodes_[at].newer != kNone ? nodes_[at].newer : queue_.oldest;
    }
    hand_ = nodes_[at].newer;
    queue_.Remove(at);
  }

  uint64_t limit_bytes_;
  std::vector<Node> nodes_;
  Queue queue_{.nodes = nodes_, .number = 1};
  uint32_t hand_ = kNone;
};

class S3Fifo final : public Policy {
 public:
  S3Fifo(uint64_t limit_bytes, uint32_t objects) : limit_bytes_(limit_bytes), nodes_(objects) {}

  bool Ask(uint32_t object, uint32_t bytes) override {
    Node& node = nodes_[object];
    if (node.queue == kSmall || node.queue == kMain) {
      node.frequency = static_cast<uint8_t>(std::min(node.frequency + 1, 3));
      return true;
    }
    const bool known = node.queue == kGhost;
    if (known) ghost_.Remove(object);
    node.charge = bytes + OverheadBytes();
    if (node.charge > limit_bytes_) return false;
    while (small_.bytes + main_.bytes + node.charge > limit_bytes_) Evict();
    node.frequency = 0;
    (known ? main_ : small_).Push(object);
    return false;
  }

 private:
  static constexpr uint8_t kSmall = 1, kMain = 2, kGhost = 3;

  void Evict() {
    if (main_.bytes > limit_bytes_ / 10 * 9 || small_.oldest == kNone) return EvictMain();
    while (small_.oldest != kNone) {
      const uint32_t object = small_.oldest;
      small_.Remove(object);
      if (nodes_[object].frequency > 1) {
        nodes_[object].frequency = 0;
        main_.Push(object);
        continue;
      }
      ghost_.Push(object);
      while (ghost_.bytes > limit_bytes_ / 10 * 9) ghost_.Remove(ghost_.oldest);
      return;
    }
  }
  void EvictMain() {
    while (main_.oldest != kNone) {
      const uint32_t object = main_.oldest;
      main_.Remove(object);
      if (nodes_[object].frequency == 0) return;
      --nodes_[object].frequency;
      main_.Push(object);
    }
  }

  uint64_t limit_bytes_;
  std::vector<Node> nodes_;
  Queue small_{.nodes = nodes_, .number = kSmall};
  Queue main_{.nodes = nodes_, .number = kMain};
  Queue ghost_{.nodes = nodes_, .number = kGhost};
};

Key256 KeyOf(uint32_t object) {
  Key256 key{};
  uint64_t word = (object + 1ull) * 0x9e3779b97f4a7c15u;
  word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93u;
  word ^= word >> 32;
  std::memcpy(key.bytes.data(), &word, sizeof word);
  return key;
}

HeadRef HeadOf(uint32_t object) {
  auto head = std::make_shared<CachedHead>();
  head->head.key = KeyOf(object);
  head->head.object_id = object + 1ull;
  return head;
}

class Ours final : public Policy {
 public:
  explicit Ours(uint64_t limit_bytes) : tier_(ByteSize{limit_bytes}) {}

  bool Ask(uint32_t object, uint32_t bytes) override {
    if (tier_.FindHead(KeyOf(object)) != nullptr) return true;
    tier_.InsertHead(HeadOf(object), bytes);
    return false;
  }

 private:
  RamTier tier_;
};

class OursInChunks final : public Policy {
 public:
  explicit OursInChunks(uint64_t limit_bytes) : tier_(ByteSize{limit_bytes}) {}

  bool Ask(uint32_t object, uint32_t bytes) override {
    const bool is_inline = bytes <= storage::kInlineBody;
    bool whole = tier_.FindHead(KeyOf(object)) != nullptr;
    if (!whole) tier_.InsertHead(HeadOf(object), is_inline ? bytes : kHeadBytes);
    const auto chunks = is_inline ? 0 : static_cast<uint32_t>(storage::ChunkCount(bytes));
    for (uint32_t i = 0; i < chunks; ++i) {
      const ChunkName name{.object_id = object + 1ull, .index = i};
      if (tier_.FindChunk(name)) continue;
      whole = false;
      tier_.InsertChunk(name, Chunk::Make(storage::ChunkLength(bytes, i)));
    }
    return whole;
  }

 private:
  static constexpr uint64_t kHeadBytes = 600;
  RamTier tier_;
};

}  // namespace

uint64_t OverheadBytes() {
  static const uint64_t kOverhead = [] {
    RamTier probe(ByteSize{1 << 20});
    probe.InsertHead(HeadOf(0), 0);
    return probe.bytes();
  }();
  return kOverhead;
}

std::unique_ptr<Policy> MakeLru(uint64_t limit_bytes, uint32_t objects) {
  return std::make_unique<Lru>(limit_bytes, objects);
}
std::unique_ptr<Policy> MakeSieve(uint64_t limit_bytes, uint32_t objects) {
  return std::make_unique<Sieve>(limit_bytes, objects);
}
std::unique_ptr<Policy> MakeS3Fifo(uint64_t limit_bytes, uint32_t objects) {
  return std::make_unique<S3Fifo>(limit_bytes, objects);
}
std::unique_ptr<Policy> MakeOurs(uint64_t limit_bytes, uint32_t /*objects*/) {
  return std::make_unique<Ours>(limit_bytes);
}
std::unique_ptr<Policy> MakeOursInChunks(uint64_t limit_bytes, uint32_t /*objects*/) {
  return std::make_unique<OursInChunks>(limit_bytes);
}

}  // namespace nearside::bench
