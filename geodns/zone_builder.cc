#include "geodns/zone_builder.h"

#include <algorithm>
#include <bit>

#include "dns/dnssec.h"
#include "dns/message.h"
#include "dns/svc_params.h"
#include "dns/wire.h"
#include "runtime/hash.h"

namespace nearside::geodns {
namespace {

namespace type = dns::type;

constexpr size_t kSoaMinimumBytes = 4;  // the last field
constexpr size_t kSoaSerialFromEnd = 20;
constexpr size_t kRecordFixedBytes = 12;  // pointer, type, class, TTL, length
/// What a set may take of an answer over TCP, so that question, owner and the rest fit beside it.
constexpr size_t kMaxSetBytes = dns::kMaxMessageBytes - 2048;
/// Of a record whose hints steering replaces: the answer is put together on the stack.
constexpr size_t kMaxHintedBytes = 2048;

std::vector<uint8_t> Folded(dns::NameView name) {
  dns::Name folded(name);
  folded.Fold();
  auto bytes = folded.view().bytes();
  return {bytes.begin(), bytes.end()};
}

dns::NameView ViewOf(const std::vector<uint8_t>& wire) { return {wire.data(), wire.size()}; }

/// Names in these types' data may be compressed, so they are written record by record.
bool IsRendered(uint16_t record_type) {
  const dns::RecordLayout* layout = dns::LayoutOf(record_type);
  return layout == nullptr || !layout->compressible;
}

/// Names in data are the same in any case where signatures say so.
bool IsSameData(const ZoneRecord& a, const ZoneRecord& b) {
  if (a.type != b.type || a.rdata.size() != b.rdata.size()) return false;
  if (!dns::HasNamesToFold(a.type)) return a.rdata == b.rdata;
  std::vector<uint8_t> folded_a = a.rdata;
  std::vector<uint8_t> folded_b = b.rdata;
  dns::FoldNames(a.type, folded_a);
  dns::FoldNames(b.type, folded_b);
  return folded_a == folded_b;
}

bool HoldsAddresses(const std::vector<ZoneRecord>& records) {
  return std::any_of(records.begin(), records.end(), [](const ZoneRecord& r) {
    return r.type == type::kA || r.type == type::kAaaa;
  });
}

bool Holds(const std::vector<ZoneRecord>& records, uint16_t record_type) {
  return std::any_of(records.begin(), records.end(),
                     [&](const ZoneRecord& r) { return r.type == record_type; });
}

}  // namespace

ZoneBuilder::ZoneBuilder(dns::NameView origin, std::string_view file_name)
    : origin_(origin), file_name_(file_name) {
  At(origin_);
}

ZoneBuilder::Content& ZoneBuilder::At(dns::NameView name) {
  Content& content = contents_[Folded(name)];
  if (content.owner.empty()) content.owner.assign(name.data(), name.data() + name.size());
  return content;
}

const ZoneBuilder::Content* ZoneBuilder::Lookup(dns::NameView name) const {
  auto at = contents_.find(Folded(name));
  return at == contents_.end() ? nullptr : &at->second;
}

std::string ZoneBuilder::PlaceOf(const ZoneRecord& record) const {
  return PlaceInFile(record, file_name_);
}

void ZoneBuilder::AddError(const ZoneRecord& record, std::string_view message) {
  AddError(PlaceOf(record), message);
}

void ZoneBuilder::AddError(std::string_view where, std::string_view message) {
  if (error_count_ == kMaxZoneErrors) return;
  if (error_count_++ > 0) errors_ += '\n';
  errors_ += std::string(where) + ": " + std::string(message);
}

void ZoneBuilder::Add(std::vector<ZoneRecord> records) {
  for (ZoneRecord& record : records) {
    Content& content = At(record.owner_name());
    auto& list = record.type == type::kAlias ? content.aliases : content.records;
    list.push_back(std::move(record));
  }
}

void ZoneBuilder::Add(std::vector<SteeredName> steered) {
  for (SteeredName& name : steered) {
    if (!ViewOf(name.name).IsAtOrBelow(origin_)) {
      AddError(name.where, ViewOf(name.name).ToText() + " is not in the zone " + origin_.ToText());
      continue;
    }
    Content& content = At(ViewOf(name.name));
    if (content.steer != Zone::kNone) {
      AddError(name.where,
               ViewOf(name.name).ToText() + " is already steered at " + content.steered_where);
    }
    content.steer = name.steer;
    content.steered_where = name.where;
  }
}

Result<Zone> ZoneBuilder::Build() {
  AddAncestors();
  CheckApex();
  CheckContents();
  if (error_count_ > 0) return Fail(Fault::kOperator, "bad_zone", std::move(errors_));
  PlaceNodes();
  Digest();
  LinkCutsAndWildcards();
  LinkGlue();
  FillTable();
  return std::move(zone_);
}

/// Every name between a record's owner and the apex exists (RFC 4592 §2.2.2).
void ZoneBuilder::AddAncestors() {
  std::vector<std::vector<uint8_t>> owners;
  for (const auto& [folded, content] : contents_) owners.push_back(content.owner);
  for (const auto& owner : owners) {
    dns::NameView name = ViewOf(owner);
    while (name.size() > origin_.view().size()) {
      name = name.Parent();
      if (Lookup(name) != nullptr) break;
      At(name);
    }
  }
}

void ZoneBuilder::CheckApex() {
  const Content& apex = *Lookup(origin_);
  if (!Holds(apex.records, type::kSoa)) {
    AddError(file_name_ + ":1",
             "expected an SOA record at " + origin_.ToText() + ", and the file has none");
  }
  if (!Holds(apex.records, type::kNs)) {
    AddError(file_name_ + ":1",
             "expected an NS record at " + origin_.ToText() + ", and the file has none");
  }
}

void ZoneBuilder::CheckContents() {
  for (auto& [folded, content] : contents_) {
    // Sets stand together, in the order of the file; the same record twice is one record (RFC 2181
    // §5).
    std::stable_sort(content.records.begin(), content.records.end(),
                     [](const ZoneRecord& a, const ZoneRecord& b) { return a.type < b.type; });
    std::vector<ZoneRecord> unique;
    for (ZoneRecord& record : content.records) {
      bool twice = std::any_of(unique.begin(), unique.end(),
                               [&](const ZoneRecord& u) { return IsSameData(u, record); });
      if (!twice) unique.push_back(std::move(record));
    }
    content.records = std::move(unique);
    CheckContent(content);
  }
}

void ZoneBuilder::CheckContent(Content& content) {
  bool is_apex = content.owner.size() == origin_.view().size();
  std::string name = ViewOf(content.owner).ToText();
  bool has_cname = Holds(content.records, type::kCname);
  int soa_count = 0;
  for (const ZoneRecord& record : content.records) {
    if (record.type == type::kSoa && !is_apex) AddError(record, "a SOA record below the apex");
    if (record.type == type::kSoa && ++soa_count == 2) AddError(record, "a second SOA record");
    if (record.type == type::kNs && ViewOf(content.owner).is_wildcard()) {
      AddError(record, "a wildcard cannot be delegated (RFC 4592 §4.2)");
    } else if (record.type == type::kNs) {
      CheckNameServer(record, content);
    }
    if (record.type == type::kDs) CheckDs(record, content);
    if (has_cname && content.records.size() > 1 && &record == &content.records[1]) {
      AddError(record, name + " has a CNAME beside other records (RFC 1034 §3.6.2)");
    }
  }
  CheckSets(content);
  CheckAlias(content);
  if (content.steer == Zone::kNone) return;
  if (has_cname)
    AddError(content.steered_where, name + " is a CNAME in the zone file: remove it there");
  for (dns::NameView at = ViewOf(content.owner); at.size() > origin_.view().size();
       at = at.Parent()) {
    if (!Holds(Lookup(at)->records, type::kNs)) continue;
    AddError(content.steered_where, name + " is delegated away at " + at.ToText());
  }
}

/// What no answer could hold is refused here instead of by every client.
void ZoneBuilder::CheckSets(const Content& content) {
  size_t bytes = 0;
  for (size_t i = 0; i < content.records.size(); ++i) {
    const ZoneRecord& record = content.records[i];
    if (i == 0 || content.records[i - 1].type != record.type) bytes = 0;
    bool fitted = bytes <= kMaxSetBytes;
    bytes += kRecordFixedBytes + record.rdata.size();
    if (fitted && bytes > kMaxSetBytes) {
      AddError(record, "the " + dns::TypeToText(record.type) + " records of " +
                           ViewOf(content.owner).ToText() + " do not fit into one answer");
    }
    if (SteerOfHints(record, content) != Zone::kNone && record.rdata.size() > kMaxHintedBytes) {
      AddError(record, "the data of a record whose hints are steered may have 2048 bytes");
    }
  }
}

/// A name server of this zone, or below the cut that it serves, that nobody could ask (RFC 1034
/// §4.2.1). What lies below another cut is that zone's business.
void ZoneBuilder::CheckNameServer(const ZoneRecord& record, const Content& owner) {
  const dns::NameView name(record.rdata.data(), record.rdata.size());
  if (!name.IsAtOrBelow(origin_)) return;
  const dns::NameView zone = ViewOf(owner.owner);
  const Content* serving = Serving(name);
  for (dns::NameView at = name; at.size() > origin_.view().size(); at = at.Parent()) {
    const Content* content = Lookup(at);
    if (content == nullptr || !Holds(content->records, type::kNs)) continue;
    if (content != &owner) return;
    serving = Lookup(name);  // glue, which no wildcard gives
  }
  const bool has_address =
      serving != nullptr && (HoldsAddresses(serving->records) || serving->steer != Zone::kNone ||
                             !serving->aliases.empty());
  if (has_address) return;
  AddError(record, name.ToText() + ", a name server of " + zone.ToText() +
                       ", has no address here: add an A or AAAA record for it");
}

void ZoneBuilder::CheckDs(const ZoneRecord& record, const Content& owner) {
  constexpr size_t kDigestAt = 4, kDigestTypeAt = 3;
  const bool is_apex = owner.owner.size() == origin_.view().size();
  if (is_apex) {
    AddError(record, "a DS record at the apex belongs into the zone above (RFC 4035 §2.4)");
  } else if (!Holds(owner.records, type::kNs)) {
    AddError(record, "a DS record where nothing is delegated: expected an NS record beside it");
  }
  size_t wanted = 0;
  switch (record.rdata[kDigestTypeAt]) {
    case 1:
      wanted = 20;
      break;  // SHA-1, RFC 4034 §5.1.4
    case 2:
      wanted = 32;
      break;  // SHA-256, RFC 4509 §2.1
    case 4:
      wanted = 48;
      break;  // SHA-384, RFC 6605 §2
    default:
      return;
  }
  const size_t bytes = record.rdata.size() - kDigestAt;
  if (bytes == wanted) return;
  AddError(record, "expected a digest of " + std::to_string(wanted) + " bytes for its type, got " +
                       std::to_string(bytes));
}

void ZoneBuilder::CheckAlias(const Content& content) {
  if (content.aliases.empty()) return;
  const ZoneRecord& alias = content.aliases[0];
  std::string name = ViewOf(content.owner).ToText();
  if (content.aliases.size() > 1) AddError(content.aliases[1], name + " has a second ALIAS");
  if (HoldsAddresses(content.records)) {
    AddError(alias, name + " has an ALIAS beside A or AAAA: its addresses come from one of them");
  }
  if (Holds(content.records, type::kCname)) AddError(alias, name + " has an ALIAS beside a CNAME");
  if (content.steer != Zone::kNone) {
    AddError(alias, name + " has an ALIAS and is steered at " + content.steered_where);
  }
  bool is_apex = content.owner.size() == origin_.view().size();
  if (!is_apex && Holds(content.records, type::kNs)) {
    AddError(alias, name + " has an ALIAS and is delegated away");
  }
}

uint32_t ZoneBuilder::Keep(std::span<const uint8_t> bytes) {
  auto at = static_cast<uint32_t>(zone_.bytes_.size());
  zone_.bytes_.insert(zone_.bytes_.end(), bytes.begin(), bytes.end());
  return at;
}

void ZoneBuilder::PlaceNodes() {
  std::vector<uint8_t> apex = Folded(origin_);
  PlaceNode(apex, contents_[apex]);
  for (auto& [folded, content] : contents_) {
    if (content.node == Zone::kNone) PlaceNode(folded, content);
  }
  dns::RecordView soa = zone_.Record(*zone_.Find(zone_.apex(), type::kSoa), 0);
  const uint8_t* end = soa.rdata.data() + soa.rdata.size();
  zone_.serial_ = dns::Load32(end - kSoaSerialFromEnd);
  zone_.negative_ttl_ = std::min(soa.ttl, dns::Load32(end - kSoaMinimumBytes));
}

void ZoneBuilder::PlaceNode(const std::vector<uint8_t>& folded, Content& content) {
  content.node = static_cast<uint32_t>(zone_.nodes_.size());
  Zone::Node node;
  node.name_at = Keep(content.owner);
  node.folded_at = Keep(folded);
  node.name_bytes = static_cast<uint8_t>(folded.size());
  node.first_rrset = static_cast<uint32_t>(zone_.rrsets_.size());
  node.steer = content.steer;
  std::span<const ZoneRecord> rest = content.records;
  while (!rest.empty()) {
    size_t count = 1;
    while (count < rest.size() && rest[count].type == rest[0].type) ++count;
    PlaceRrSet(rest.first(count), content);
    rest = rest.subspan(count);
    ++node.rrset_count;
  }
  PlaceAlias(content, &node);
  zone_.nodes_.push_back(node);
  zone_.most_labels_ = std::max(zone_.most_labels_, ViewOf(folded).labels());
}

void ZoneBuilder::PlaceAlias(const Content& content, Zone::Node* node) {
  if (content.aliases.empty()) return;
  const ZoneRecord& alias = content.aliases[0];
  std::vector<uint8_t> target = Folded(ViewOf(alias.rdata));
  node->alias = static_cast<uint32_t>(zone_.aliases_.size());
  zone_.aliases_.push_back(
      {content.node, Keep(target), static_cast<uint8_t>(target.size()), alias.ttl});
  zone_.alias_places_.push_back(PlaceOf(alias));
}

/// What stands for a name of this zone, perhaps a wildcard (RFC 4592 §3.3.1); nullptr: nothing.
const ZoneBuilder::Content* ZoneBuilder::Serving(dns::NameView name) const {
  if (const Content* exact = Lookup(name)) return exact;
  for (dns::NameView at = name; at.size() > origin_.view().size();) {
    at = at.Parent();
    if (Lookup(at) == nullptr) continue;
    std::vector<uint8_t> wildcard = {1, '*'};
    wildcard.insert(wildcard.end(), at.data(), at.data() + at.size());
    return Lookup(ViewOf(wildcard));
  }
  return nullptr;
}

/// The steer of a name, also where it has one by an ALIAS or a CNAME in this zone.
uint32_t ZoneBuilder::SteerOf(const Content* content) const {
  constexpr int kMostHops = 8;  // as an answer follows
  for (int hop = 0; content != nullptr && hop <= kMostHops; ++hop) {
    if (content->steer != Zone::kNone) return content->steer;
    const ZoneRecord* next = nullptr;
    if (!content->aliases.empty()) next = &content->aliases[0];
    for (const ZoneRecord& record : content->records) {
      if (record.type == type::kCname) next = &record;
    }
    if (next == nullptr) break;
    content = Serving(ViewOf(next->rdata));
  }
  return Zone::kNone;
}

/// The steer of the name that a service record leads to, when the record has hints for it.
uint32_t ZoneBuilder::SteerOfHints(const ZoneRecord& record, const Content& owner) const {
  bool is_service = record.type == type::kHttps || record.type == type::kSvcb;
  // RFC 9460 §2.4.2: priority 0 is AliasMode, in which parameters mean nothing.
  if (!is_service || dns::Load16(record.rdata.data()) == 0) return Zone::kNone;
  if (!dns::HasAddressHints(record.rdata)) return Zone::kNone;
  dns::NameView target(record.rdata.data() + 2, record.rdata.size() - 2);
  if (target.data()[0] == 0) return SteerOf(&owner);  // "." is the owner (RFC 9460 §2.5.2)
  size_t bytes = 0;
  while (target.data()[bytes] != 0) bytes += target.data()[bytes] + size_t{1};
  return SteerOf(Serving({target.data(), bytes + 1}));
}

void ZoneBuilder::PlaceRrSet(std::span<const ZoneRecord> records, const Content& owner) {
  Zone::RrSet set;
  set.type = records[0].type;
  set.count = static_cast<uint16_t>(records.size());
  set.ttl = UINT32_MAX;
  for (const ZoneRecord& record : records) set.ttl = std::min(set.ttl, record.ttl);
  set.first_record = static_cast<uint32_t>(zone_.records_.size());
  for (const ZoneRecord& record : records) {
    uint32_t steer = SteerOfHints(record, owner);
    set.has_steered_hints |= steer != Zone::kNone;
    zone_.records_.push_back(
        {Keep(record.rdata), static_cast<uint16_t>(record.rdata.size()), steer});
  }
  if (IsRendered(set.type) && !set.has_steered_hints) {
    set.rendered_at = static_cast<uint32_t>(zone_.bytes_.size());
    for (const ZoneRecord& record : records) {
      uint8_t fixed[kRecordFixedBytes];
      std::copy(dns::kPointerToQuestion.begin(), dns::kPointerToQuestion.end(), fixed);
      dns::Store16(fixed + 2, set.type);
      dns::Store16(fixed + 4, dns::rr_class::kIn);
      dns::Store32(fixed + 6, set.ttl);
      dns::Store16(fixed + 10, static_cast<uint16_t>(record.rdata.size()));
      Keep(fixed);
      Keep(record.rdata);
    }
    set.rendered_bytes = static_cast<uint32_t>(zone_.bytes_.size()) - set.rendered_at;
  }
  zone_.rrsets_.push_back(set);
}

/// Names, data and TTLs all stand in bytes_ or in the sets.
void ZoneBuilder::Digest() {
  std::vector<uint8_t> rest;
  auto put = [&](uint32_t number) {
    uint8_t bytes[4];
    dns::Store32(bytes, number);
    rest.insert(rest.end(), bytes, bytes + 4);
  };
  for (const Zone::RrSet& set : zone_.rrsets_) {
    put(set.type);
    put(set.ttl);
    put(set.count);
  }
  for (const Zone::AliasDatum& alias : zone_.aliases_) put(alias.ttl);
  zone_.digest_ = Xxh64(rest, Xxh64(zone_.bytes_));
}

void ZoneBuilder::LinkCutsAndWildcards() {
  for (auto& [folded, content] : contents_) {
    Zone::Node& node = zone_.nodes_[content.node];
    dns::NameView name = ViewOf(folded);
    // The highest cut on the way to the apex hides what is below it.
    for (dns::NameView at = name; at.size() > origin_.view().size(); at = at.Parent()) {
      const Content* above = Lookup(at);
      if (Holds(above->records, type::kNs)) node.cut = above->node;
    }
    if (name.is_wildcard() && content.node != 0) {
      zone_.nodes_[Lookup(name.Parent())->node].wildcard = content.node;
    }
  }
}

void ZoneBuilder::LinkGlue() {
  for (auto& [folded, content] : contents_) {
    Zone::Node& node = zone_.nodes_[content.node];
    if (node.cut != content.node) continue;
    node.first_glue = static_cast<uint32_t>(zone_.glue_.size());
    for (const ZoneRecord& record : content.records) {
      if (record.type != type::kNs) continue;
      const Content* target = Lookup(ViewOf(record.rdata));
      if (target != nullptr && HoldsAddresses(target->records)) zone_.glue_.push_back(target->node);
    }
    node.glue_count = static_cast<uint32_t>(zone_.glue_.size()) - node.first_glue;
  }
}

void ZoneBuilder::FillTable() {
  zone_.slots_.resize(std::bit_ceil(contents_.size() * 2));
  for (const auto& [folded, content] : contents_) {
    uint64_t hash = Xxh64(folded);
    size_t i = hash & (zone_.slots_.size() - 1);
    while (zone_.slots_[i].node != Zone::kNone) i = (i + 1) & (zone_.slots_.size() - 1);
    zone_.slots_[i] = {static_cast<uint32_t>(hash >> 32), content.node};
  }
}

}  // namespace nearside::geodns
