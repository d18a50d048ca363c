#include "geodns/answer_signer.h"

#include <algorithm>

#include "dns/dnssec.h"

namespace nearside::geodns {

namespace type = dns::type;
using dns::NameView;
using dns::RecordView;
using dns::Section;

void AnswerSigner::Enter(const Zone& zone, const Zone::Found& found) {
  zone_ = &zone;
  const bool made_up =
      found.match == Zone::Match::kNoSuchName || found.match == Zone::Match::kWildcard;
  origin_ = made_up ? Signer::Origin::kMadeUp : Signer::Origin::kZone;
}

/// What stands at the apex is of the zone, whatever name was asked for.
void AnswerSigner::StartSet(NameView owner, uint16_t type, uint32_t ttl, bool is_drawn) {
  const bool is_apex = owner.size() == zone_->origin().size();
  Signer::Origin origin = is_apex ? Signer::Origin::kZone : origin_;
  if (is_drawn && origin == Signer::Origin::kZone) origin = Signer::Origin::kDrawn;
  signer_->Start(*zone_->keys(), owner, type, ttl, origin);
}

AnswerSigner::Outcome AnswerSigner::Sign(Section section, NameView owner, const Zone::RrSet& set) {
  if (!signs()) return Outcome::kSigned;
  StartSet(owner, set.type, set.ttl);
  for (size_t i = 0; i < set.count; ++i) signer_->Add(zone_->Record(set, i).rdata);
  return signer_->Finish(section, owner, writer_);
}

AnswerSigner::Outcome AnswerSigner::Sign(Section section, NameView owner,
                                         const RecordView& record) {
  if (!signs()) return Outcome::kSigned;
  StartSet(owner, record.type, record.ttl);
  signer_->Add(record.rdata);
  return signer_->Finish(section, owner, writer_);
}

void AnswerSigner::Start(NameView owner, uint16_t type, uint32_t ttl, bool is_drawn) {
  if (signs()) StartSet(owner, type, ttl, is_drawn);
}

void AnswerSigner::Add(std::span<const uint8_t> rdata) {
  if (signs()) signer_->Add(rdata);
}

AnswerSigner::Outcome AnswerSigner::Finish(Section section, NameView owner) {
  return signs() ? signer_->Finish(section, owner, writer_) : Outcome::kSigned;
}

/// The types for a bitmap, in order. At a zone cut only what the parent has a say in counts (RFC
/// 4034 §4.1.2). Null: of a name that does not exist (RFC 9824 §3.1).
void AnswerSigner::TypesAt(const Zone::Node* node) {
  auto& types = signer_->nsec_types();
  types.assign({type::kRrsig, type::kNsec});
  if (node == nullptr) return types.push_back(type::kNxname);
  for (const Zone::RrSet& set : zone_->RrSets(*node)) {
    const bool counts = node->cut == Zone::kNone || set.type == type::kNs || set.type == type::kDs;
    if (counts) types.push_back(set.type);
  }
  // Which families are there depends on who asks, on health and on other zones: a bit says that
  // they may be.
  if (node->steer != Zone::kNone || node->alias != Zone::kNone)
    types.insert(types.end(), {type::kA, type::kAaaa});
  std::ranges::sort(types);
  types.erase(std::unique(types.begin(), types.end()), types.end());
}

/// Of the types in nsec_types(). The data is valid until the next one is made.
RecordView AnswerSigner::MakeNsec(NameView owner, bool is_cut, uint32_t ttl) {
  dns::Name folded(owner);
  folded.Fold();
  // Below a cut names may exist that we do not know of (RFC 9824 §3.4).
  const dns::Name next = is_cut ? dns::NextNameBeside(folded, zone_->origin())
                                : dns::NextName(folded, zone_->origin());
  auto& rdata = signer_->nsec_rdata();
  const auto name = next.view().bytes();
  rdata.assign(name.begin(), name.end());
  // No more than it takes: every byte is written twice, and there is room for 8,704.
  rdata.resize(name.size() + dns::MostTypeBitmapBytes(signer_->nsec_types()));
  rdata.resize(name.size() +
               dns::EncodeTypeBitmap(signer_->nsec_types(), rdata.data() + name.size()));
  return {type::kNsec, ttl, rdata};
}

AnswerSigner::Outcome AnswerSigner::AddNsec(Section section, NameView owner,
                                            const RecordView& nsec) {
  if (!writer_->Add(section, owner, nsec)) return Outcome::kNoRoom;
  return Sign(section, owner, nsec);
}

AnswerSigner::Outcome AnswerSigner::DenyName(NameView owner, uint32_t ttl) {
  if (!signs()) return Outcome::kSigned;
  TypesAt(nullptr);
  return AddNsec(Section::kAuthority, owner, MakeNsec(owner, false, ttl));
}

AnswerSigner::Outcome AnswerSigner::DenyType(NameView owner, const Zone::Node& node, uint16_t type,
                                             uint32_t ttl) {
  if (!signs()) return Outcome::kSigned;
  TypesAt(&node);
  std::erase(signer_->nsec_types(), type);
  return AddNsec(Section::kAuthority, owner, MakeNsec(owner, node.cut != Zone::kNone, ttl));
}

AnswerSigner::Outcome AnswerSigner::AnswerNsec(NameView owner, const Zone::Node* node,
                                               uint32_t ttl) {
  TypesAt(node);
  return AddNsec(Section::kAnswer, owner, MakeNsec(owner, false, ttl));
}

AnswerSigner::Outcome AnswerSigner::AnswerRrsig(NameView owner, const Zone::Node* node,
                                                uint32_t ttl) {
  TypesAt(node);
  const RecordView nsec = MakeNsec(owner, false, ttl);
  StartSet(owner, nsec.type, nsec.ttl);
  signer_->Add(nsec.rdata);
  return signer_->Finish(Section::kAnswer, owner, writer_);
}

}  // namespace nearside::geodns
