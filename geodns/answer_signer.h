#pragma once

// What DNSSEC wants in an answer beside its records: signatures, and proofs that a name or a type
// is not there, by compact denial of existence (RFC 9824).

#include <cstdint>
#include <span>

#include "dns/name.h"
#include "dns/writer.h"
#include "geodns/signer.h"
#include "geodns/zone.h"

namespace nearside::geodns {

/// One answer's; lives on the stack beside its writer. What does not fit is refused, and the writer
/// is then somewhere inside the set: the answer is to be truncated.
class AnswerSigner {
 public:
  using Outcome = Signer::Outcome;

  /// Signs nothing.
  AnswerSigner() = default;
  /// `signer` may be null. `dnssec_ok`: the DO flag of the query.
  AnswerSigner(Signer* signer, dns::MessageWriter* writer, bool dnssec_ok)
      : signer_(signer), writer_(writer), dnssec_ok_(dnssec_ok) {}

  /// From now on names are answered from `zone`, where `found` is what the name led to.
  void Enter(const Zone& zone, const Zone::Found& found);
  bool zone_is_signed() const {
    return signer_ != nullptr && zone_ != nullptr && zone_->keys() != nullptr;
  }
  /// Whether answers have signatures in them.
  bool signs() const { return dnssec_ok_ && zone_is_signed(); }

  /// For all of the following, the names are: `owner`, whose records they are, as the answer shows
  /// it. They do nothing unless signs().
  Outcome Sign(dns::Section section, dns::NameView owner, const Zone::RrSet& set);
  Outcome Sign(dns::Section section, dns::NameView owner, const dns::RecordView& record);
  /// A set that comes record by record. `is_drawn`: one of many that clients get by their network.
  void Start(dns::NameView owner, uint16_t type, uint32_t ttl, bool is_drawn = false);
  void Add(std::span<const uint8_t> rdata);
  Outcome Finish(dns::Section section, dns::NameView owner);

  /// The name does not exist. In the authority section.
  Outcome DenyName(dns::NameView owner, uint32_t ttl);
  /// The name exists, or a wildcard `node` stands for it, and has nothing of `type`.
  Outcome DenyType(dns::NameView owner, const Zone::Node& node, uint16_t type, uint32_t ttl);

  /// The answers to queries for NSEC and RRSIG themselves, with or without DO, where
  /// zone_is_signed(). There is a signature for every set at the name: one is enough, as for ANY
  /// (RFC 8482 §4.1). Without a node for names that do not exist: what proves that says that they
  /// have these two types, so that an answer without them could not be proved.
  Outcome AnswerNsec(dns::NameView owner, const Zone::Node* node, uint32_t ttl);
  Outcome AnswerRrsig(dns::NameView owner, const Zone::Node* node, uint32_t ttl);

 private:
  void TypesAt(const Zone::Node* node);
  dns::RecordView MakeNsec(dns::NameView owner, bool is_cut, uint32_t ttl);
  void StartSet(dns::NameView owner, uint16_t type, uint32_t ttl, bool is_drawn = false);
  Outcome AddNsec(dns::Section section, dns::NameView owner, const dns::RecordView& nsec);

  Signer* signer_ = nullptr;
  dns::MessageWriter* writer_ = nullptr;
  bool dnssec_ok_ = false;
  const Zone* zone_ = nullptr;
  Signer::Origin origin_ = Signer::Origin::kZone;
};

}  // namespace nearside::geodns
