#include "geodns/responder.h"

#include <algorithm>

#include "dns/svc_params.h"
#include "dns/writer.h"
#include "geodns/answer_signer.h"
#include "geodns/hint_buffer.h"

namespace nearside::geodns {
namespace {

namespace type = dns::type;
using dns::Malformed;
using dns::NameView;
using dns::Rcode;
using dns::Section;

/// RFC 8482 §4.2: what stands for ANY. "RFC8482" and an empty string.
constexpr uint8_t kAnyHinfo[] = {7, 'R', 'F', 'C', '8', '4', '8', '2', 0};
constexpr uint32_t kAnyTtl = 3600;
// Names in wire form: the literals' own NUL is the root.
constexpr uint8_t kVersionBind[] = "\7version\4bind";
constexpr uint8_t kVersionServer[] = "\7version\6server";
constexpr uint8_t kIdServer[] = "\2id\6server";
constexpr uint8_t kHostnameBind[] = "\10hostname\4bind";
constexpr NameView kVersionNames[] = {{kVersionBind, sizeof kVersionBind},
                                      {kVersionServer, sizeof kVersionServer}};
constexpr NameView kIdentityNames[] = {{kIdServer, sizeof kIdServer},
                                       {kHostnameBind, sizeof kHostnameBind}};
/// What our OPT record may have that a query's has not: a cookie of ours and the nsid.
constexpr size_t kMostOptGrowth = 4 + dns::kCookieBytes + 4 + kMostNsidBytes;

/// One query on its way to an answer; lives on the stack.
class Response {
 public:
  Response(const Snapshot& snapshot, const Asker& asker, std::span<uint8_t> out, Tally* tally)
      : snapshot_(snapshot), asker_(asker), client_(asker.address), writer_(out), tally_(tally) {}

  size_t Write(const Arrival& arrival, Treatment treatment);

 private:
  enum class Step : uint8_t { kDone, kFollow };

  void SetEdns(const dns::Edns& edns, const Arrival& arrival);
  Rcode Slip(const Arrival& arrival);
  Rcode Answer(const Arrival& arrival);
  Rcode AnswerWithoutQuestion(const Arrival& arrival) const;
  Rcode AnswerChaos(const dns::Question& question);
  Rcode AnswerQuestion(const dns::Question& question);
  Rcode AnswerInZone(const Zone& first, NameView folded, NameView owner);
  Step AnswerAt(const Zone& zone, const Zone::Node& node);
  void AnswerAlias(const Zone& zone, const Zone::Node& node);
  AliasNetworks::Found FindNetwork(const AliasNetworks& networks);
  void AnswerNetwork(const Zone& zone, const Zone::Node& node, const AliasNetworks::Answer& answer,
                     uint32_t most_ttl);
  SteerTable::Answer ChooseFor(const Steer& steer, size_t family);
  HintBuffer::Answers ChooseBoth(const Steer& steer);
  void AnswerSteered(const Zone& zone, const Zone::Node& node, const Steer& steer, uint32_t ttl);
  void AddAddresses(const AddressRecords& records, uint32_t ttl);
  void AddSet(Section section, NameView owner, const Zone& zone, const Zone::RrSet& set);
  void AddSignedSet(Section section, NameView owner, const Zone& zone, const Zone::RrSet& set);
  void AddHinted(NameView owner, const Zone& zone, const Zone::RrSet& set);
  void Take(Signer::Outcome outcome);
  const Zone* ZoneFor(NameView folded) const;
  size_t ZoneNumberFor(NameView folded) const;
  uint32_t AddNegativeSoa(const Zone& zone, uint32_t most_ttl = UINT32_MAX);
  void AddNoData(const Zone& zone, const Zone::Node& node, uint32_t most_ttl = UINT32_MAX);
  void AnswerProof(const Zone& zone, const Zone::Node* node);
  Rcode AddNoName(const Zone& zone);
  void AddReferral(const Zone& zone, const Zone::Node& cut);
  bool AddGlue(const Zone& zone, const Zone::Node& node);
  void Truncate();

  const Snapshot& snapshot_;
  const Asker& asker_;
  const IpAddress& client_;
  dns::MessageWriter writer_;
  AnswerSigner signer_;
  Tally* tally_;
  dns::MessageWriter::Place after_question_{};
  const dns::Query* query_ = nullptr;
  uint16_t type_ = 0;
  NameView owner_;  ///< whose records are being answered: the question, or a CNAME's target
  bool at_question_ = true;  ///< owner_ is the question's name
  NameView target_;          ///< of the CNAME to follow
  bool authoritative_ = false;
  bool failed_ = false;  ///< nobody knows the answer at the moment
  dns::EdnsAnswer edns_;
};

size_t Response::Write(const Arrival& arrival, Treatment treatment) {
  const dns::Query& query = arrival.query;
  query_ = &query;
  Signer* signer = asker_.signer;
  signer_ = AnswerSigner(signer, &writer_, query.edns && query.edns->dnssec_ok);
  if (query.edns) {
    SetEdns(*query.edns, arrival);
    writer_.Reserve(edns_.wire_bytes());
  }
  if (query.question) {
    writer_.AddQuestion(*query.question);
    tally_->type = query.question->type;
  }
  after_question_ = writer_.Mark();
  Rcode rcode = treatment == Treatment::kSlip ? Slip(arrival) : Answer(arrival);
  if (signer != nullptr) tally_->signing = signer->tally();
  if (tally_->signing.refused && asker_.transport == Transport::kTcp) {
    tally_->truncated = authoritative_ = false;  // there is nowhere else to come
    rcode = Rcode::kServFail;
  }
  if (query.edns) {
    edns_.rcode = rcode;
    writer_.AddEdns(edns_);
  }
  // The opcode is repeated, and RD and CD as they came (RFC 1035 §4.1.1, RFC 4035 §3.1.6).
  unsigned flags = dns::flag::kResponse;
  flags |=
      query.header.flags & (0x7800 | dns::flag::kRecursionDesired | dns::flag::kCheckingDisabled);
  if (authoritative_) flags |= dns::flag::kAuthoritative;
  if (tally_->truncated) flags |= dns::flag::kTruncated;
  tally_->answered = true;
  tally_->rcode = rcode;
  tally_->malformed = arrival.malformed;
  tally_->cookie = arrival.cookie.state;
  tally_->has_subnet = edns_.subnet.has_value();
  return writer_.Finish(query.header.id, static_cast<uint16_t>(flags), rcode);
}

void Response::SetEdns(const dns::Edns& edns, const Arrival& arrival) {
  edns_.dnssec_ok = edns.dnssec_ok;
  if (arrival.malformed != Malformed::kNone) return;
  edns_.subnet = edns.subnet;
  const Protocol& protocol = snapshot_.protocol;
  if (arrival.cookie.state != dns::CookieState::kNone) edns_.cookie = arrival.cookie.answer;
  if (edns.wants_nsid) edns_.nsid = protocol.nsid;
  // RFC 7828 §3.3.2; over UDP the option is passed over.
  if (edns.wants_keepalive && asker_.transport == Transport::kTcp) {
    edns_.keepalive = protocol.keepalive;
  }
}

/// RFC 7873 §5.2.3 leaves it to us: BADCOOKIE comes only when a limit is passed, since it costs a
/// client a round trip.
Rcode Response::Slip(const Arrival& arrival) {
  // An error is short as it is, and says more.
  const bool is_question = arrival.malformed == Malformed::kNone && arrival.query.question &&
                           arrival.query.header.opcode() == dns::Opcode::kQuery;
  if (!is_question) return Answer(arrival);
  if (arrival.cookie.state != dns::CookieState::kNone) return Rcode::kBadCookie;
  tally_->truncated = true;
  return Rcode::kNoError;
}

/// RFC 7873 §5.4: such a query asks whether its cookie is good, or for one.
Rcode Response::AnswerWithoutQuestion(const Arrival& arrival) const {
  switch (arrival.cookie.state) {
    case dns::CookieState::kNone:
      return Rcode::kFormErr;  // cookies are not spoken here
    case dns::CookieState::kBad:
      return Rcode::kBadCookie;
    case dns::CookieState::kClientOnly:
    case dns::CookieState::kGood:
      break;
  }
  return Rcode::kNoError;
}

Rcode Response::Answer(const Arrival& arrival) {
  const dns::Query& query = arrival.query;
  // Other opcodes give the sections other meanings, so nothing in them can be called malformed.
  if (query.header.opcode() != dns::Opcode::kQuery) return Rcode::kNotImp;
  if (arrival.malformed != Malformed::kNone) return Rcode::kFormErr;
  if (query.edns && query.edns->version != 0) return Rcode::kBadVers;
  if (!query.question) return AnswerWithoutQuestion(arrival);
  return AnswerQuestion(*query.question);
}

Rcode Response::AnswerQuestion(const dns::Question& question) {
  type_ = question.type;
  owner_ = question.name;
  if (question.rr_class == dns::rr_class::kChaos) return AnswerChaos(question);
  if (question.rr_class != dns::rr_class::kIn) return Rcode::kRefused;
  if (type_ == type::kAxfr || type_ == type::kIxfr) return Rcode::kRefused;
  if (type_ == type::kNxname) return Rcode::kFormErr;  // RFC 9824 §3.5
  if (dns::IsMetaType(type_) && type_ != type::kAny) return Rcode::kNotImp;
  dns::Name folded(question.name);
  folded.Fold();
  const size_t number = ZoneNumberFor(folded);
  if (number == snapshot_.zones.zones().size()) return Rcode::kRefused;
  authoritative_ = true;
  tally_->zone = number;
  return AnswerInZone(*snapshot_.zones.zones()[number], folded, question.name);
}

/// What people ask a server about itself: the names of BIND, and those of RFC 4892.
Rcode Response::AnswerChaos(const dns::Question& question) {
  if (question.type != type::kTxt && question.type != type::kAny) return Rcode::kRefused;
  auto is_asked = [&](NameView name) { return question.name.Equals(name); };
  std::string_view text;
  if (std::ranges::any_of(kVersionNames, is_asked)) text = snapshot_.protocol.version;
  if (std::ranges::any_of(kIdentityNames, is_asked)) text = snapshot_.protocol.identity;
  if (text.empty()) return Rcode::kRefused;
  std::array<uint8_t, 256> rdata;
  rdata[0] = static_cast<uint8_t>(text.size());
  std::copy(text.begin(), text.end(), rdata.begin() + 1);
  authoritative_ = true;
  const dns::RecordView record{.type = type::kTxt,
                               .rdata = std::span(rdata).first(text.size() + 1),
                               .record_class = dns::rr_class::kChaos};
  if (!writer_.Add(Section::kAnswer, question.name, record)) Truncate();
  return Rcode::kNoError;
}

/// The zone that answers for a name, or nullptr.
const Zone* Response::ZoneFor(NameView folded) const {
  const auto& zones = snapshot_.zones.zones();
  const size_t number = ZoneNumberFor(folded);
  return number < zones.size() ? zones[number].get() : nullptr;
}

/// Its place among the zones; their number for none.
size_t Response::ZoneNumberFor(NameView folded) const {
  const auto& zones = snapshot_.zones.zones();
  const size_t number = snapshot_.zones.NumberOf(folded);
  // RFC 3658 §2.2.1.1: DS is a matter of the parent's zone, if that is ours as well.
  if (number < zones.size() && type_ == type::kDs &&
      zones[number]->origin().size() == folded.size() && !folded.is_root()) {
    const size_t parent = snapshot_.zones.NumberOf(folded.Parent());
    if (parent < zones.size()) return parent;
  }
  return number;
}

Rcode Response::AnswerInZone(const Zone& first, NameView folded, NameView owner) {
  const Zone* in = &first;
  dns::Name target;
  std::array<const Zone::Node*, kMaxCnameHops + 1> seen;
  for (size_t hop = 0;; ++hop) {
    const Zone& zone = *in;
    owner_ = owner;
    at_question_ = hop == 0;
    Zone::Found found = zone.Find(folded);
    signer_.Enter(zone, found);
    if (signer_.signs()) edns_.compact_ok = query_->edns->compact_ok;
    auto* seen_end = seen.begin() + hop;
    // The node of a name that does not exist is the one above it, which may lead here.
    if (found.match != Zone::Match::kNoSuchName &&
        std::find(seen.begin(), seen_end, found.node) != seen_end)
      return Rcode::kNoError;  // a loop
    *seen_end = found.node;
    // RFC 6604 §3: the rcode is that of the last name of a chain.
    if (found.match == Zone::Match::kNoSuchName) return AddNoName(zone);
    if (found.match == Zone::Match::kDelegated && !(found.at_cut && type_ == type::kDs)) {
      authoritative_ = hop > 0;  // AA speaks of the first owner (RFC 1034 §6.2.7, RFC 1035 §4.1.1)
      AddReferral(zone, *found.node);
      return Rcode::kNoError;
    }
    if (AnswerAt(zone, *found.node) == Step::kDone)
      return failed_ ? Rcode::kServFail : Rcode::kNoError;
    if (tally_->truncated || hop == kMaxCnameHops) return Rcode::kNoError;
    // What lies outside the question's zone no resolver believes, and the rcode would be wrong
    // there.
    if (!target_.IsAtOrBelow(first.origin())) return Rcode::kNoError;
    owner = target_;
    target = dns::Name(target_);
    target.Fold();
    folded = target;
    in = ZoneFor(folded);  // perhaps one below it (RFC 1034 §4.3.2 step 3a: back to step 1)
  }
}

/// Answers from a node that exists and is ours; kFollow leaves a CNAME's target in target_.
Response::Step Response::AnswerAt(const Zone& zone, const Zone::Node& node) {
  if (node.steer != Zone::kNone && (type_ == type::kA || type_ == type::kAaaa)) {
    const Steer& steer = snapshot_.steers[node.steer];
    AnswerSteered(zone, node, steer, steer.ttl);
    return Step::kDone;
  }
  if (signer_.zone_is_signed() && (type_ == type::kNsec || type_ == type::kRrsig)) {
    AnswerProof(zone, &node);
    return Step::kDone;
  }
  if (node.alias != Zone::kNone && (type_ == type::kA || type_ == type::kAaaa)) {
    AnswerAlias(zone, node);
    return Step::kDone;
  }
  const Zone::RrSet* set = zone.Find(node, type_);
  if (set == nullptr) set = zone.Find(node, type::kCname);
  if (set != nullptr) {
    AddSignedSet(Section::kAnswer, owner_, zone, *set);
    if (set->type != type::kCname || type_ == type::kCname || type_ == type::kAny)
      return Step::kDone;
    auto rdata = zone.Record(*set, 0).rdata;
    target_ = NameView(rdata.data(), rdata.size());
    return Step::kFollow;
  }
  bool has_data = node.rrset_count > 0 || node.steer != Zone::kNone || node.alias != Zone::kNone;
  if (type_ == type::kAny && has_data) {
    const dns::RecordView hinfo{type::kHinfo, kAnyTtl, kAnyHinfo};
    if (!writer_.Add(Section::kAnswer, owner_, hinfo)) {
      Truncate();
    } else {
      Take(signer_.Sign(Section::kAnswer, owner_, hinfo));
    }
  } else {
    AddNoData(zone, node);
  }
  return Step::kDone;
}

/// What the steer answers to who asks for a family, with the scope that this gives the answer.
SteerTable::Answer Response::ChooseFor(const Steer& steer, size_t family) {
  IpAddress place = client_;
  uint8_t known_bits = place.bits();
  // Source 0 says "not my client's place": the resolver's own is all that is left, for everybody.
  bool by_subnet = edns_.subnet && edns_.subnet->source > 0;
  if (by_subnet) {
    place.is_ipv6 = edns_.subnet->family == dns::ClientSubnet::kIpv6;
    place.bytes = edns_.subnet->address;
    known_bits = edns_.subnet->source;
  }
  SteerTable::Answer answer = steer.TableFor(family).Find(place, known_bits);
  if (by_subnet) edns_.subnet->scope = std::max(edns_.subnet->scope, answer.scope);
  tally_->steered = answer.reason;
  return answer;
}

HintBuffer::Answers Response::ChooseBoth(const Steer& steer) {
  const SteerTable::Answer first = ChooseFor(steer, 0);
  return {first, steer.has_one_table() ? first : ChooseFor(steer, 1)};
}

/// `node` is the owner's: what an ALIAS leads to may be elsewhere.
void Response::AnswerSteered(const Zone& zone, const Zone::Node& node, const Steer& steer,
                             uint32_t ttl) {
  const size_t family = type_ == type::kAaaa ? 1 : 0;
  SteerTable::Answer answer = ChooseFor(steer, family);
  uint16_t before = writer_.count(Section::kAnswer);
  signer_.Start(owner_, type_, ttl, steer.draws_many());
  for (size_t i = 0; i < answer.pops.count; ++i) {
    AddAddresses(steer.pops[answer.pops.pops[i]][family], ttl);
  }
  if (answer.pops.count == 0) AddAddresses(steer.fallback[family], ttl);
  if (tally_->truncated) return;
  if (writer_.count(Section::kAnswer) != before) {
    return Take(signer_.Finish(Section::kAnswer, owner_));
  }
  // No longer than an answer would be kept, since health may bring the family back, and for
  // everybody: negative answers are not to be tailored (RFC 7871 §7.4).
  AddNoData(zone, node, ttl);
  if (edns_.subnet) edns_.subnet->scope = 0;
}

/// All of it is the ALIAS's own, in its zone: the owner, the TTL, signatures, and what is denied.
void Response::AnswerAlias(const Zone& zone, const Zone::Node& node) {
  const AliasAnswer& alias = snapshot_.aliases[zone.first_alias() + node.alias];
  if (alias.node != nullptr && alias.node->steer != Zone::kNone) {
    const Steer& steer = snapshot_.steers[alias.node->steer];
    return AnswerSteered(zone, node, steer, std::min(steer.ttl, alias.ttl));
  }
  if (!alias.known) {
    failed_ = true;
    return;
  }
  uint32_t most_ttl = alias.ttl;
  if (alias.networks != nullptr) {
    const AliasNetworks::Found found = FindNetwork(*alias.networks);
    if (found.answer != nullptr) {
      return AnswerNetwork(zone, node, *found.answer, alias.most_ttl);
    }
    // Its own is on the way.
    if (found.is_wanted) most_ttl = std::min(most_ttl, alias.networks->interim_ttl());
  }
  const AddressRecords& resolved = alias.resolved[type_ == type::kAaaa ? 1 : 0];
  const Zone::RrSet* set = alias.node == nullptr ? nullptr : alias.zone->Find(*alias.node, type_);
  if (set == nullptr && resolved.count == 0) {
    if (edns_.subnet) edns_.subnet->scope = 0;  // RFC 7871 §7.4, as where a name is steered
    return AddNoData(zone, node, most_ttl);
  }
  const uint32_t ttl = set == nullptr ? most_ttl : std::min(set->ttl, most_ttl);
  signer_.Start(owner_, type_, ttl);
  if (set == nullptr) AddAddresses(resolved, ttl);
  for (size_t i = 0; set != nullptr && i < set->count; ++i) {
    const auto rdata = alias.zone->Record(*set, i).rdata;
    if (!writer_.Add(Section::kAnswer, owner_, {type_, ttl, rdata})) return Truncate();
    signer_.Add(rdata);
  }
  if (!tally_->truncated) Take(signer_.Finish(Section::kAnswer, owner_));
}

/// What is known of an ALIAS for the client's network, with the scope that this gives the answer. A
/// client that tells nothing (source 0) gets what all get, and nothing is asked about it.
AliasNetworks::Found Response::FindNetwork(const AliasNetworks& networks) {
  IpAddress place = client_;
  uint8_t known_bits = place.bits();
  if (edns_.subnet) {
    place.is_ipv6 = edns_.subnet->family == dns::ClientSubnet::kIpv6;
    place.bytes = edns_.subnet->address;
    known_bits = edns_.subnet->source;
  }
  known_bits = std::min(known_bits, AliasNetworks::MostBits(place.is_ipv6));
  const AliasNetworks::Found found = networks.Find(place, known_bits);
  if (edns_.subnet) edns_.subnet->scope = std::max(edns_.subnet->scope, found.scope);
  if (found.is_wanted) {
    tally_->alias_ask =
        AliasAsk{networks.target(), Network::Of(place, known_bits), SourceOf(client_)};
  }
  // Looked at first: threads that all write would wait for each other.
  if (found.answer != nullptr && !found.answer->asked->load(std::memory_order_relaxed)) {
    found.answer->asked->store(true, std::memory_order_relaxed);
  }
  return found;
}

void Response::AnswerNetwork(const Zone& zone, const Zone::Node& node,
                             const AliasNetworks::Answer& answer, uint32_t most_ttl) {
  const uint32_t ttl = std::min(most_ttl, answer.ttl);
  const bool is_ipv6 = type_ == type::kAaaa;
  signer_.Start(owner_, type_, ttl);
  size_t count = 0;
  for (const IpAddress& address : answer.addresses) {
    if (address.is_ipv6 != is_ipv6) continue;
    if (!writer_.Add(Section::kAnswer, owner_, {type_, ttl, address.raw()})) return Truncate();
    signer_.Add(address.raw());
    ++count;
  }
  if (count > 0) return Take(signer_.Finish(Section::kAnswer, owner_));
  if (edns_.subnet) edns_.subnet->scope = 0;
  AddNoData(zone, node, ttl);
}

void Response::AddAddresses(const AddressRecords& records, uint32_t ttl) {
  if (tally_->truncated) return;
  const bool is_ready = at_question_ && ttl == records.ttl;
  if (is_ready && !writer_.AddRendered(Section::kAnswer, records.rendered, records.count)) {
    return Truncate();
  }
  if (is_ready && !signer_.signs()) return;
  constexpr size_t kFixedBytes = 12;
  size_t step = records.record_bytes();
  for (size_t i = 0; i < records.count; ++i) {
    auto rdata = std::span(records.rendered).subspan(i * step, step).subspan(kFixedBytes);
    signer_.Add(rdata);
    if (is_ready) continue;
    if (!writer_.Add(Section::kAnswer, owner_, {type_, ttl, rdata})) return Truncate();
  }
}

void Response::AddSet(Section section, NameView owner, const Zone& zone, const Zone::RrSet& set) {
  if (tally_->truncated) return;
  bool owner_is_question = section == Section::kAnswer && at_question_;
  if (owner_is_question && set.rendered_bytes != 0) {
    if (!writer_.AddRendered(section, zone.Rendered(set), set.count)) Truncate();
    return;
  }
  for (size_t i = 0; i < set.count; ++i) {
    if (!writer_.Add(section, owner, zone.Record(set, i))) return Truncate();
  }
}

void Response::AddSignedSet(Section section, NameView owner, const Zone& zone,
                            const Zone::RrSet& set) {
  if (set.has_steered_hints) return AddHinted(owner, zone, set);
  AddSet(section, owner, zone, set);
  if (!tally_->truncated) Take(signer_.Sign(section, owner, set));
}

/// Service records whose address hints follow what their target is steered to, signed as
/// they are then.
void Response::AddHinted(NameView owner, const Zone& zone, const Zone::RrSet& set) {
  uint32_t ttl = set.ttl;
  bool is_drawn = false;
  for (size_t i = 0; i < set.count; ++i) {
    uint32_t number = zone.HintSteer(set, i);
    if (number == Zone::kNone) continue;
    ttl = std::min(ttl, snapshot_.steers[number].ttl);
    is_drawn |= snapshot_.steers[number].draws_many();
  }
  signer_.Start(owner, set.type, ttl, is_drawn);
  for (size_t i = 0; i < set.count; ++i) {
    dns::RecordView record = zone.Record(set, i);
    record.ttl = ttl;
    std::array<uint8_t, kMaxHintedRdata> rdata;
    if (uint32_t number = zone.HintSteer(set, i); number != Zone::kNone) {
      const Steer& steer = snapshot_.steers[number];
      HintBuffer hints;
      size_t size =
          dns::ReplaceAddressHints(record.rdata, hints.Of(steer, ChooseBoth(steer)), rdata);
      record.rdata = std::span(rdata).first(size);
    }
    if (!writer_.Add(Section::kAnswer, owner, record)) return Truncate();
    signer_.Add(record.rdata);
  }
  Take(signer_.Finish(Section::kAnswer, owner));
}

/// Over UDP the way out of a budget that is spent is TCP as well, where nobody can forge addresses.
void Response::Take(Signer::Outcome outcome) {
  if (outcome != Signer::Outcome::kSigned) Truncate();
}

/// Returns the TTL that everything negative has (RFC 9077 for NSEC).
uint32_t Response::AddNegativeSoa(const Zone& zone, uint32_t most_ttl) {
  dns::RecordView soa = zone.NegativeSoa();
  soa.ttl = std::min(soa.ttl, most_ttl);
  if (tally_->truncated) return soa.ttl;
  if (!writer_.Add(Section::kAuthority, zone.origin(), soa)) Truncate();
  if (!tally_->truncated) Take(signer_.Sign(Section::kAuthority, zone.origin(), soa));
  return soa.ttl;
}

void Response::AddNoData(const Zone& zone, const Zone::Node& node, uint32_t most_ttl) {
  uint32_t ttl = AddNegativeSoa(zone, most_ttl);
  if (!tally_->truncated) Take(signer_.DenyType(owner_, node, type_, ttl));
}

/// The answer to a query for NSEC or RRSIG themselves.
void Response::AnswerProof(const Zone& zone, const Zone::Node* node) {
  const uint32_t ttl = zone.NegativeSoa().ttl;
  Take(type_ == type::kNsec ? signer_.AnswerNsec(owner_, node, ttl)
                            : signer_.AnswerRrsig(owner_, node, ttl));
}

Rcode Response::AddNoName(const Zone& zone) {
  const bool asks_for_proof = type_ == type::kNsec || type_ == type::kRrsig;
  // Denied, these would be refused: the record that denies says that both are there.
  if (signer_.signs() && !edns_.compact_ok && asks_for_proof) {
    AnswerProof(zone, nullptr);
    tally_->denied_compactly = true;
    return Rcode::kNoError;
  }
  uint32_t ttl = AddNegativeSoa(zone);
  if (!signer_.signs()) return Rcode::kNxDomain;
  if (!tally_->truncated) Take(signer_.DenyName(owner_, ttl));
  // The proof says that the name is there and has nothing: the rcode of a client that does not know
  // better has to go with it (RFC 9824 §5).
  tally_->denied_compactly = !edns_.compact_ok;
  return edns_.compact_ok ? Rcode::kNxDomain : Rcode::kNoError;
}

void Response::AddReferral(const Zone& zone, const Zone::Node& cut) {
  NameView name = zone.name(cut);
  AddSet(Section::kAuthority, name, zone, *zone.Find(cut, type::kNs));
  if (const Zone::RrSet* ds = zone.Find(cut, type::kDs); ds != nullptr && signer_.signs()) {
    AddSignedSet(Section::kAuthority, name, zone, *ds);
  } else if (!tally_->truncated) {
    Take(signer_.DenyType(name, cut, type::kDs, zone.NegativeSoa().ttl));
  }
  for (size_t i = 0; i < zone.glue_count(cut) && !tally_->truncated; ++i) {
    const Zone::Node& node = zone.Glue(cut, i);
    bool whole = AddGlue(zone, node);
    // RFC 9471: without the addresses of servers inside the delegated zone nobody gets there.
    if (!whole && zone.name(node).IsAtOrBelow(zone.name(cut))) Truncate();
  }
}

bool Response::AddGlue(const Zone& zone, const Zone::Node& node) {
  for (uint16_t address_type : {type::kA, type::kAaaa}) {
    const Zone::RrSet* set = zone.Find(node, address_type);
    if (set == nullptr) continue;
    auto before = writer_.Mark();
    for (size_t i = 0; i < set->count; ++i) {
      if (writer_.Add(Section::kAdditional, zone.name(node), zone.Record(*set, i))) continue;
      writer_.Rollback(before);
      return false;
    }
  }
  return true;
}

/// RFC 2181 §9: what the question needs does not fit, so that the resolver has to come by TCP.
void Response::Truncate() {
  tally_->truncated = true;
  writer_.Rollback(after_question_);
}

}  // namespace

Arrival Receive(const Protocol& protocol, std::span<const uint8_t> query, const Asker& asker) {
  Arrival arrival;
  arrival.bytes = query.size();
  arrival.malformed = dns::ParseQuery(query, &arrival.query);
  const auto& edns = arrival.query.edns;
  if (protocol.cookies && edns && arrival.malformed == Malformed::kNone && !edns->cookie.empty()) {
    arrival.cookie =
        dns::ReceiveCookie(edns->cookie, asker.address.raw(), *protocol.cookies, asker.now);
  }
  return arrival;
}

size_t Answer(const Snapshot& snapshot, const Arrival& arrival, const Asker& asker,
              Treatment treatment, std::span<uint8_t> out, Tally* tally) {
  *tally = Tally();
  size_t limit = kTcpAnswerBytes;
  size_t unbounded = limit;
  if (asker.transport == Transport::kUdp) {
    const auto& edns = arrival.query.edns;
    unbounded = limit =
        edns ? std::min(edns->payload_bytes, dns::kUdpPayloadBytes) : dns::kLeastUdpPayloadBytes;
    const size_t factor = snapshot.protocol.most_amplification;
    if (factor != 0 && arrival.cookie.state != dns::CookieState::kGood) {
      limit = std::min(limit, std::max(arrival.bytes * factor, arrival.bytes + kMostOptGrowth));
    }
  }
  size_t size = Response(snapshot, asker, out.first(std::min(limit, out.size())), tally)
                    .Write(arrival, treatment);
  tally->kept_small = tally->truncated && treatment == Treatment::kAnswer &&
                      limit < std::min(unbounded, out.size());
  return size;
}

size_t Respond(const Snapshot& snapshot, std::span<const uint8_t> query, const Asker& asker,
               std::span<uint8_t> out, Tally* tally) {
  const Arrival arrival = Receive(snapshot.protocol, query, asker);
  if (arrival.is_answerable()) {
    return Answer(snapshot, arrival, asker, Treatment::kAnswer, out, tally);
  }
  *tally = Tally();
  tally->malformed = arrival.malformed;
  return 0;
}

}  // namespace nearside::geodns
