#include "dns/writer.h"

#include <algorithm>
#include <cstring>

#include "dns/wire.h"

namespace nearside::dns {
namespace {

constexpr size_t kMaxPointerOffset = 0x3FFF;
constexpr size_t kOptFixedBytes = 11;  // root, type, class, TTL, length

/// Returns where the next option begins.
uint8_t* PutOption(uint8_t* p, uint16_t code, std::span<const uint8_t> content) {
  Store16(p, code);
  Store16(p + 2, static_cast<uint16_t>(content.size()));
  return std::copy(content.begin(), content.end(), p + option::kHeaderBytes);
}

uint8_t* PutOptions(uint8_t* p, const EdnsAnswer& edns) {
  if (edns.subnet) p += EncodeClientSubnet(*edns.subnet, p);
  if (edns.cookie) p = PutOption(p, option::kCookie, *edns.cookie);
  if (edns.keepalive) {
    uint8_t timeout[2];
    Store16(timeout, *edns.keepalive);
    p = PutOption(p, option::kTcpKeepalive, timeout);
  }
  if (!edns.nsid.empty()) p = PutOption(p, option::kNsid, edns.nsid);
  return p;
}

/// Where names stand in the data of types that may be compressed: after `fixed` bytes, `names` of
/// them.
struct NamesInRdata {
  size_t fixed = 0;
  size_t names = 0;
};

NamesInRdata CompressibleNames(uint16_t type) {
  switch (type) {
    case type::kNs:
    case type::kCname:
    case type::kPtr:
      return {0, 1};
    case type::kMx:
      return {2, 1};
    case type::kSoa:
      return {0, 2};
    default:
      return {};
  }
}

/// The name at the beginning of rdata that the zone's builder has checked.
NameView NameAt(std::span<const uint8_t> rdata) {
  size_t end = 0;
  while (rdata[end] != 0) end += rdata[end] + size_t{1};
  return {rdata.data(), end + 1};
}

}  // namespace

size_t EdnsAnswer::wire_bytes() const {
  size_t bytes = kOptFixedBytes;
  if (subnet) bytes += subnet->option_bytes();
  if (cookie) bytes += option::kHeaderBytes + cookie->size();
  if (keepalive) bytes += option::kHeaderBytes + sizeof *keepalive;
  if (!nsid.empty()) bytes += option::kHeaderBytes + nsid.size();
  return bytes;
}

MessageWriter::MessageWriter(std::span<uint8_t> buffer)
    : data_(buffer.data()), capacity_(buffer.size()), limit_(buffer.size()) {}

bool MessageWriter::AddQuestion(const Question& question) {
  if (!PutBytes({question.name.data(), question.wire_bytes})) return false;
  question_name_ = question.name;
  has_question_ = true;
  return true;
}

bool MessageWriter::Add(Section section, NameView owner, const RecordView& record) {
  Place before = Mark();
  if (!PutName(owner) || !Fits(8)) {
    Rollback(before);
    return false;
  }
  uint8_t* fixed = data_ + size_;
  Store16(fixed, record.type);
  Store16(fixed + 2, record.record_class);
  Store32(fixed + 4, record.ttl);
  size_ += 8;
  if (!PutRdata(record)) {
    Rollback(before);
    return false;
  }
  ++counts_[static_cast<size_t>(section)];
  return true;
}

bool MessageWriter::AddRendered(Section section, std::span<const uint8_t> records, uint16_t count) {
  if (!PutBytes(records)) return false;
  counts_[static_cast<size_t>(section)] =
      static_cast<uint16_t>(counts_[static_cast<size_t>(section)] + count);
  return true;
}

bool MessageWriter::AddEdns(const EdnsAnswer& edns) {
  limit_ = capacity_;
  if (!Fits(edns.wire_bytes())) return false;
  uint8_t* p = data_ + size_;
  p[0] = 0;  // owner: the root
  Store16(p + 1, type::kOpt);
  Store16(p + 3, kUdpPayloadBytes);
  p[5] = static_cast<uint8_t>(static_cast<unsigned>(edns.rcode) >> 4);
  p[6] = 0;  // version
  unsigned flags = (edns.dnssec_ok ? 0x8000U : 0U) | (edns.compact_ok ? 0x4000U : 0U);
  Store16(p + 7, static_cast<uint16_t>(flags));
  const uint8_t* end = PutOptions(p + kOptFixedBytes, edns);
  const auto whole_bytes = static_cast<size_t>(end - p);
  Store16(p + 9, static_cast<uint16_t>(whole_bytes - kOptFixedBytes));
  size_ += whole_bytes;
  ++counts_[static_cast<size_t>(Section::kAdditional)];
  return true;
}

void MessageWriter::Rollback(const Place& place) {
  size_ = place.size;
  counts_ = place.counts;
  names_ = place.names;
  if (names_ == 0) question_known_ = false;
}

size_t MessageWriter::Finish(uint16_t id, uint16_t flags, Rcode rcode) {
  Store16(data_, id);
  Store16(data_ + 2, static_cast<uint16_t>(flags | (static_cast<unsigned>(rcode) & 0xF)));
  Store16(data_ + 4, has_question_ ? 1 : 0);
  for (size_t i = 0; i < counts_.size(); ++i) Store16(data_ + 6 + 2 * i, counts_[i]);
  return size_;
}

void MessageWriter::LearnQuestion() {
  question_known_ = true;
  size_t offset = kHeaderBytes;
  for (NameView name = question_name_; !name.is_root(); name = name.Parent()) {
    Learn(offset, name.size());
    offset += name.first_label().size() + 1;
  }
}

void MessageWriter::Learn(size_t offset, size_t name_bytes) {
  if (names_ == kMaxKnownNames || offset > kMaxPointerOffset) return;
  known_[names_++] = {static_cast<uint16_t>(offset), static_cast<uint8_t>(name_bytes)};
}

/// Whether the name that begins at `offset` of our own message is `name`. Our pointers lead
/// backwards.
bool MessageWriter::SameAt(size_t offset, NameView name) const {
  const uint8_t* wanted = name.data();
  for (;;) {
    uint8_t length = data_[offset];
    if (length >= 0xC0) {
      offset = Load16(data_ + offset) & kMaxPointerOffset;
      continue;
    }
    if (length != *wanted) return false;
    if (length == 0) return true;
    for (size_t i = 1; i <= length; ++i) {
      const uint8_t byte = data_[offset + i];
      if (byte == wanted[i]) continue;  // most are, case included
      if (FoldCase(byte) != FoldCase(wanted[i])) return false;
    }
    offset += length + size_t{1};
    wanted += length + size_t{1};
  }
}

const MessageWriter::KnownName* MessageWriter::Lookup(NameView name) const {
  for (size_t i = 0; i < names_; ++i) {
    if (known_[i].size == name.size() && SameAt(known_[i].offset, name)) return &known_[i];
  }
  return nullptr;
}

bool MessageWriter::PutName(NameView name) {
  if (!question_known_ && has_question_) LearnQuestion();
  for (NameView rest = name;; rest = rest.Parent()) {
    if (rest.is_root()) return PutBytes(rest.bytes());
    if (const KnownName* known = Lookup(rest)) {
      uint8_t pointer[2];
      Store16(pointer, static_cast<uint16_t>(0xC000 | known->offset));
      return PutBytes(pointer);
    }
    // A rest is shorter than what it is a rest of, so what is learnt here cannot match before the
    // end.
    size_t label_at = size_;
    if (!PutBytes({rest.data(), rest.data()[0] + size_t{1}})) return false;
    Learn(label_at, rest.size());
  }
}

bool MessageWriter::PutRdata(const RecordView& record) {
  size_t length_at = size_;
  if (!Fits(2)) return false;
  size_ += 2;
  std::span<const uint8_t> rest = record.rdata;
  NamesInRdata layout = CompressibleNames(record.type);
  if (layout.names != 0) {
    if (!PutBytes(rest.first(layout.fixed))) return false;
    rest = rest.subspan(layout.fixed);
    for (size_t i = 0; i < layout.names; ++i) {
      NameView name = NameAt(rest);
      if (!PutName(name)) return false;
      rest = rest.subspan(name.size());
    }
  }
  if (!PutBytes(rest)) return false;
  Store16(data_ + length_at, static_cast<uint16_t>(size_ - length_at - 2));
  return true;
}

bool MessageWriter::PutBytes(std::span<const uint8_t> bytes) {
  if (!Fits(bytes.size())) return false;
  if (!bytes.empty()) std::memcpy(data_ + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

}  // namespace nearside::dns
