#include "geodns/signer.h"

#include <algorithm>
#include <set>

#include "dns/dnssec.h"
#include "dns/wire.h"
#include "runtime/hash.h"

namespace nearside::geodns {
namespace {

constexpr size_t kRdataLengthBytes = 2;
constexpr size_t kTypeAndTtlBytes = 6;
/// Before a record's data where it is signed: type, class, TTL, length.
constexpr size_t kFixedBytes = 10;
/// Sets of more records than this have the vectors grow, once.
constexpr size_t kRecordsReserved = 256;
constexpr size_t kTypesReserved = 64;
/// Signatures for the zone's own names are worth more: they are asked for again. The other origins
/// have this part of the memory each.
constexpr size_t kOtherShare = 4;

uint32_t SecondsOf(WallTime t) {
  return static_cast<uint32_t>(std::chrono::floor<seconds>(t).time_since_epoch().count());
}

template <typename Bytes>
void Append(const Bytes& bytes, std::vector<uint8_t>* out) {
  out->insert(out->end(), std::begin(bytes), std::end(bytes));
}

}  // namespace

Signer::Signer(const SignerOptions& options)
    : options_(options),
      caches_{SignatureCache(options.cache_size.bytes - options.cache_size.bytes / kOtherShare * 2),
              SignatureCache(options.cache_size.bytes / kOtherShare),
              SignatureCache(options.cache_size.bytes / kOtherShare)} {
  content_.reserve(dns::kMaxMessageBytes);
  ordered_.reserve(dns::kMaxMessageBytes);
  records_.reserve(kRecordsReserved);
  nsec_rdata_.reserve(dns::kMaxNameBytes + dns::kMaxTypeBitmapBytes);
  nsec_types_.reserve(kTypesReserved);
  for (auto& lanes : buckets_) {
    for (Bucket& bucket : lanes) bucket.tokens = options.made_up_a_second;
  }
}

void Signer::Begin(WallTime now, size_t lane) {
  now_ = now;
  now_seconds_ = SecondsOf(now);
  lane_ = lane;
  tally_ = SigningTally();
}

void Signer::Start(const ZoneKeys& keys, dns::NameView owner, uint16_t type, uint32_t ttl,
                   Origin origin) {
  keys_ = &keys;
  origin_ = origin;
  type_ = type;
  ttl_ = ttl;
  owner_bytes_ = owner.size();
  labels_ = dns::SignedLabels(owner);
  records_.clear();
  content_.resize(owner_bytes_ + kTypeAndTtlBytes);
  dns::FoldBytes(owner.bytes(), content_.data());
  dns::Store16(content_.data() + owner_bytes_, type);
  dns::Store32(content_.data() + owner_bytes_ + 2, ttl);
}

void Signer::Add(std::span<const uint8_t> rdata) {
  const size_t at = content_.size();
  content_.resize(at + kRdataLengthBytes + rdata.size());
  uint8_t* record = content_.data() + at;
  dns::Store16(record, static_cast<uint16_t>(rdata.size()));
  std::ranges::copy(rdata, record + kRdataLengthBytes);
  if (dns::HasNamesToFold(type_)) dns::FoldNames(type_, {record + kRdataLengthBytes, rdata.size()});
  records_.push_back({at, rdata.size()});
}

std::span<const uint8_t> Signer::RdataOf(const Record& record) const {
  return {content_.data() + record.at + kRdataLengthBytes, record.size};
}

/// RFC 4034 §6.3. One record, or a set that is in order as it came, costs no copy.
void Signer::PutInOrder() {
  bool in_order = true;
  for (size_t i = 1; i < records_.size(); ++i) {
    in_order &= dns::CompareRdata(RdataOf(records_[i - 1]), RdataOf(records_[i])) < 0;
  }
  if (in_order) return;
  std::ranges::sort(records_, [this](const Record& a, const Record& b) {
    return dns::CompareRdata(RdataOf(a), RdataOf(b)) < 0;
  });
  const auto is_same = [this](const Record& a, const Record& b) {
    return dns::CompareRdata(RdataOf(a), RdataOf(b)) == 0;
  };
  records_.erase(std::unique(records_.begin(), records_.end(), is_same), records_.end());
  ordered_.assign(content_.begin(),
                  content_.begin() + static_cast<ptrdiff_t>(owner_bytes_ + kTypeAndTtlBytes));
  for (Record& record : records_) {
    const size_t at = ordered_.size();
    Append(std::span(content_).subspan(record.at, kRdataLengthBytes + record.size), &ordered_);
    record.at = at;
  }
  content_.swap(ordered_);
}

Signer::Outcome Signer::Finish(dns::Section section, dns::NameView owner,
                               dns::MessageWriter* writer) {
  PutInOrder();
  // Names are what anybody may choose: nobody can tell where in the table theirs lead, or make two
  // contents one.
  const uint64_t content_hash =
      SipHash({reinterpret_cast<const char*>(content_.data()), content_.size()});
  const auto before = writer->Mark();
  for (const ZoneKey& key : keys_->keys) {
    const SignatureCache::Entry* entry = EntryFor(key, content_hash);
    if (entry == nullptr) {
      writer->Rollback(before);
      return Outcome::kRefused;
    }
    std::array<uint8_t, dns::kRrsigFixedBytes + dns::kMaxNameBytes + kSignatureBytes> rdata;
    const size_t head_bytes = dns::EncodeRrsigHead(HeadFor(key, *entry), keys_->zone, rdata.data());
    std::ranges::copy(entry->signature, rdata.begin() + head_bytes);
    const std::span whole = std::span(rdata).first(head_bytes + kSignatureBytes);
    if (!writer->Add(section, owner, {dns::type::kRrsig, ttl_, whole})) {
      writer->Rollback(before);
      return Outcome::kNoRoom;
    }
  }
  return Outcome::kSigned;
}

/// The signature by one key, remembered or made; nullptr when the budget does not allow it.
const SignatureCache::Entry* Signer::EntryFor(const ZoneKey& key, uint64_t content_hash) {
  SignatureCache& cache = caches_[static_cast<size_t>(origin_)];
  const SignatureCache::Key name{content_hash, Xxh64(content_, key.id)};
  const auto half = static_cast<int64_t>(options_.validity.count() / 2);
  SignatureCache::Entry* entry = cache.Find(name, now_seconds_);
  // A clock that was put back must not have signatures of the future given out.
  if (entry != nullptr && int64_t{entry->expiration} - now_seconds_ > half &&
      entry->inception <= now_seconds_) {
    ++tally_.remembered;
    return entry;
  }
  if (origin_ != Origin::kZone && !TakeToken()) {
    tally_.refused = true;
    return nullptr;
  }
  entry = cache.Place(name, now_seconds_);
  const auto began = std::chrono::steady_clock::now();
  const auto validity = static_cast<uint32_t>(options_.validity.count());
  entry->inception = now_seconds_ - static_cast<uint32_t>(kInceptionSkew.count());
  entry->expiration =
      now_seconds_ + validity - static_cast<uint32_t>(name.first % (validity / 8 + 1));
  SignAnew(key, entry);
  ++tally_.made;
  tally_.took += std::chrono::steady_clock::now() - began;
  return entry;
}

/// A bucket that a second fills.
bool Signer::TakeToken() {
  Bucket& bucket = buckets_[static_cast<size_t>(origin_)][lane_];
  const double rate = options_.made_up_a_second;
  const double passed = static_cast<double>((now_ - bucket.filled).count()) / 1000;
  if (passed != 0) bucket.tokens += rate * std::clamp(passed, 0.0, 1.0);
  bucket.tokens = std::min(bucket.tokens, rate);
  bucket.filled = now_;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

dns::RrsigHead Signer::HeadFor(const ZoneKey& key, const SignatureCache::Entry& entry) const {
  return {.type_covered = type_,
          .algorithm = key.algorithm,
          .labels = labels_,
          .original_ttl = ttl_,
          .expiration = entry.expiration,
          .inception = entry.inception,
          .key_tag = key.tag};
}

/// RFC 4034 §3.1.8.1: the RRSIG's data without the signature, then the records.
void Signer::SignAnew(const ZoneKey& key, SignatureCache::Entry* entry) {
  to_sign_.resize(dns::kRrsigFixedBytes + dns::kMaxNameBytes);
  to_sign_.resize(dns::EncodeRrsigHead(HeadFor(key, *entry), keys_->zone, to_sign_.data()));
  uint8_t fixed[kFixedBytes];
  dns::Store16(fixed, type_);
  dns::Store16(fixed + 2, dns::rr_class::kIn);
  dns::Store32(fixed + 4, ttl_);
  for (const Record& record : records_) {
    dns::Store16(fixed + 8, static_cast<uint16_t>(record.size));
    Append(std::span(content_).first(owner_bytes_), &to_sign_);
    Append(fixed, &to_sign_);
    Append(RdataOf(record), &to_sign_);
  }
  entry->signature = CopyOf(key.secret).Sign(to_sign_);
}

const SigningKey& Signer::CopyOf(const std::shared_ptr<const SigningKey>& secret) {
  auto at = copies_.find(secret);
  if (at == copies_.end()) at = copies_.emplace(secret, secret->Copy()).first;
  return at->second;
}

void Signer::DropUnusedKeys(std::span<const std::shared_ptr<const Zone>> zones) {
  std::set<const SigningKey*> in_force;
  for (const auto& zone : zones) {
    if (zone->keys() == nullptr) continue;
    for (const ZoneKey& key : zone->keys()->keys) in_force.insert(key.secret.get());
  }
  std::erase_if(copies_, [&](const auto& copy) { return !in_force.contains(copy.first.get()); });
}

}  // namespace nearside::geodns
