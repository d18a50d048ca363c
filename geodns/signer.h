#pragma once

// Signs sets of records while they are answered, and remembers the signatures. No clock of its own,
// but for how long a signature took; no lock; no memory from the heap for a signature that is
// remembered.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dns/dnssec.h"
#include "dns/writer.h"
#include "geodns/signature_cache.h"
#include "geodns/zone.h"
#include "geodns/zone_keys.h"
#include "runtime/clock.h"
#include "runtime/units.h"

namespace nearside::geodns {

/// Clocks that are behind ours by less accept our signatures.
inline constexpr seconds kInceptionSkew{3600};

struct SignerOptions {
  ByteSize cache_size = 16_MiB;
  /// Of a signature from now on, less up to an eighth so that not all are made anew at once. A
  /// remembered one is made anew when half of this is left, which is more than kMaxSignedTtl.
  seconds validity = seconds(7 * 86'400);
  /// Signatures a second for names that queries make up (they do not exist, or a wildcard stands
  /// for them), and as many for sets that are drawn, over each transport: what anybody can have us
  /// do at will.
  uint32_t made_up_a_second = 5000;
};

/// What one answer cost.
struct SigningTally {
  uint16_t made = 0;
  uint16_t remembered = 0;
  bool refused = false;  ///< over made_up_a_second
  std::chrono::nanoseconds took{0};
};

/// Owned by one worker. For each query Begin, for each set Start, Add and Finish.
class Signer {
 public:
  /// Whether a name is of the zone, or of the question's making; kDrawn: the name is of the zone,
  /// and its data one of many sets that the client's network (which a query may claim) chooses.
  /// Each has a part of the memory, the latter two a budget each.
  enum class Origin : uint8_t { kZone, kMadeUp, kDrawn };
  enum class Outcome : uint8_t {
    kSigned,
    kNoRoom,   ///< the writer is as before
    kRefused,  ///< over made_up_a_second; the writer is as before
  };

  explicit Signer(const SignerOptions& options);

  /// `lane` has a budget of its own: 0 or 1.
  void Begin(WallTime now, size_t lane);
  /// A set to sign with all of `keys`, which outlive Finish. `ttl` is that of its records.
  void Start(const ZoneKeys& keys, dns::NameView owner, uint16_t type, uint32_t ttl, Origin origin);
  /// One record; the same one twice counts once.
  void Add(std::span<const uint8_t> rdata);
  /// Writes an RRSIG record for each key.
  Outcome Finish(dns::Section section, dns::NameView owner, dns::MessageWriter* writer);
  /// What was done since Begin.
  const SigningTally& tally() const { return tally_; }
  /// Forgets copies of keys that sign none of `zones`.
  void DropUnusedKeys(std::span<const std::shared_ptr<const Zone>> zones);
  size_t key_count() const { return copies_.size(); }

  /// Room for one NSEC record's data and the types in it, which need not live longer.
  std::vector<uint8_t>& nsec_rdata() { return nsec_rdata_; }
  std::vector<uint16_t>& nsec_types() { return nsec_types_; }

 private:
  struct Record {
    size_t at;  ///< into content_: its length in two bytes, then its data
    size_t size;
  };
  struct Bucket {
    double tokens = 0;
    WallTime filled;
  };

  void PutInOrder();
  std::span<const uint8_t> RdataOf(const Record& record) const;
  const SignatureCache::Entry* EntryFor(const ZoneKey& key, uint64_t content_hash);
  bool TakeToken();
  void SignAnew(const ZoneKey& key, SignatureCache::Entry* entry);
  dns::RrsigHead HeadFor(const ZoneKey& key, const SignatureCache::Entry& entry) const;
  const SigningKey& CopyOf(const std::shared_ptr<const SigningKey>& secret);

  SignerOptions options_;
  std::array<SignatureCache, 3> caches_;          ///< by origin
  std::array<std::array<Bucket, 2>, 3> buckets_;  ///< by origin and lane
  WallTime now_;
  uint32_t now_seconds_ = 0;
  size_t lane_ = 0;
  SigningTally tally_;
  // The set under way. content_ is what tells it from others: owner, type, TTL, and each record in
  // canonical form and order.
  const ZoneKeys* keys_ = nullptr;
  Origin origin_ = Origin::kZone;
  uint16_t type_ = 0;
  uint32_t ttl_ = 0;
  size_t owner_bytes_ = 0;
  uint8_t labels_ = 0;
  std::vector<uint8_t> content_;
  std::vector<uint8_t> ordered_;
  std::vector<Record> records_;
  std::vector<uint8_t> to_sign_;
  std::vector<uint8_t> nsec_rdata_;
  std::vector<uint16_t> nsec_types_;
  /// By the shared key: this thread's own copy.
  std::map<std::shared_ptr<const SigningKey>, SigningKey> copies_;
};

}  // namespace nearside::geodns
