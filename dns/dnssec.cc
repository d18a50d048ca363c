#include "dns/dnssec.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dns/record_type.h"
#include "dns/wire.h"
#include "runtime/crypto.h"

namespace nearside::dns {
namespace {

constexpr size_t kDnskeyFixedBytes = 4;
constexpr size_t kDsFixedBytes = 4;
constexpr uint8_t kProtocol = 3;  // the only one (RFC 4034 §2.1.2)
constexpr uint8_t kDigestSha256 = 2;

/// Where names stand: behind `fixed` bytes and `strings` character-strings, `names` of them.
struct NamePlaces {
  uint16_t type;
  uint8_t fixed;
  uint8_t strings;
  uint8_t names;
};

/// RFC 4034 §6.2, less what RFC 6840 §5.1 took out (NSEC), what has no names (HINFO), and what is
/// obsolete (SIG, NXT, A6) or never signed (RRSIG).
constexpr std::array kNamePlaces = {
    NamePlaces{type::kNs, 0, 0, 1},
    NamePlaces{3, 0, 0, 1},  // MD
    NamePlaces{4, 0, 0, 1},  // MF
    NamePlaces{type::kCname, 0, 0, 1},
    NamePlaces{type::kSoa, 0, 0, 2},
    NamePlaces{7, 0, 0, 1},
    NamePlaces{8, 0, 0, 1},  // MB, MG
    NamePlaces{9, 0, 0, 1},
    NamePlaces{14, 0, 0, 2},  // MR, MINFO
    NamePlaces{type::kPtr, 0, 0, 1},
    NamePlaces{type::kMx, 2, 0, 1},
    NamePlaces{17, 0, 0, 2},
    NamePlaces{18, 2, 0, 1},  // RP, AFSDB
    NamePlaces{21, 2, 0, 1},
    NamePlaces{26, 2, 0, 2},  // RT, PX
    NamePlaces{type::kSrv, 6, 0, 1},
    NamePlaces{type::kNaptr, 4, 3, 1},
    NamePlaces{36, 2, 0, 1},  // KX
    NamePlaces{type::kDname, 0, 0, 1},
};

const NamePlaces* PlacesOf(uint16_t type) {
  for (const NamePlaces& places : kNamePlaces) {
    if (places.type == type) return &places;
  }
  return nullptr;
}

/// Makes a label the next of its length or shorter, in canonical order, and returns its length; 0
/// when there is none.
size_t Increment(std::span<uint8_t> label) {
  size_t size = label.size();
  while (size > 0 && label[size - 1] == 0xFF) --size;
  if (size == 0) return 0;
  uint8_t& last = label[size - 1];
  // Behind '@' come the upper case letters, which are ordered as lower case ones.
  last = last == '@' ? '[' : static_cast<uint8_t>(last + 1);
  return size;
}

}  // namespace

std::string_view AlgorithmName(uint8_t algorithm) {
  switch (algorithm) {
    case kAlgorithmEcdsaP256:
      return "ECDSAP256SHA256";
    case kAlgorithmEd25519:
      return "ED25519";
    default:
      return "";
  }
}

std::vector<uint8_t> DnskeyRdata(uint8_t algorithm, std::span<const uint8_t> public_key) {
  std::vector<uint8_t> rdata(kDnskeyFixedBytes + public_key.size());
  Store16(rdata.data(), kKeyFlags);
  rdata[2] = kProtocol;
  rdata[3] = algorithm;
  std::ranges::copy(public_key, rdata.begin() + kDnskeyFixedBytes);
  return rdata;
}

uint16_t KeyTag(std::span<const uint8_t> dnskey) {
  uint32_t sum = 0;
  for (size_t i = 0; i < dnskey.size(); ++i) {
    sum += i % 2 == 0 ? static_cast<uint32_t>(dnskey[i]) << 8 : dnskey[i];
  }
  return static_cast<uint16_t>(sum + (sum >> 16));
}

std::vector<uint8_t> DsRdata(NameView zone, std::span<const uint8_t> dnskey) {
  Name folded(zone);
  folded.Fold();
  Sha256 sha;
  sha.Update(folded.view().bytes());
  sha.Update(dnskey);
  const Sha256Digest digest = sha.Finish();
  std::vector<uint8_t> rdata(kDsFixedBytes + digest.size());
  Store16(rdata.data(), KeyTag(dnskey));
  rdata[2] = dnskey[3];
  rdata[3] = kDigestSha256;
  std::ranges::copy(digest, rdata.begin() + kDsFixedBytes);
  return rdata;
}

bool HasNamesToFold(uint16_t type) { return PlacesOf(type) != nullptr; }

void FoldNames(uint16_t type, std::span<uint8_t> rdata) {
  const NamePlaces* places = PlacesOf(type);
  if (places == nullptr) return;
  size_t at = places->fixed;
  for (int i = 0; i < places->strings; ++i) {
    if (at >= rdata.size()) return;
    at += rdata[at] + size_t{1};
  }
  for (int i = 0; i < places->names; ++i) {
    for (;;) {
      if (at >= rdata.size() || rdata[at] > kMaxLabelBytes) return;
      const size_t length = rdata[at++];
      if (length == 0) break;
      if (rdata.size() - at < length) return;
      for (uint8_t& c : rdata.subspan(at, length)) c = FoldCase(c);
      at += length;
    }
  }
}

int CompareRdata(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  const size_t common = std::min(a.size(), b.size());
  const int order = common == 0 ? 0 : std::memcmp(a.data(), b.data(), common);
  if (order != 0 || a.size() == b.size()) return order;
  return a.size() < b.size() ? -1 : 1;
}

uint8_t SignedLabels(NameView owner) {
  const bool has_star = !owner.is_root() && owner.data()[0] == 1 && owner.data()[1] == '*';
  return static_cast<uint8_t>(owner.labels() - (has_star ? 1 : 0));
}

size_t EncodeRrsigHead(const RrsigHead& head, NameView signer, uint8_t* out) {
  Store16(out, head.type_covered);
  out[2] = head.algorithm;
  out[3] = head.labels;
  Store32(out + 4, head.original_ttl);
  Store32(out + 8, head.expiration);
  Store32(out + 12, head.inception);
  Store16(out + 16, head.key_tag);
  FoldBytes(signer.bytes(), out + kRrsigFixedBytes);
  return kRrsigFixedBytes + signer.size();
}

size_t MostTypeBitmapBytes(std::span<const uint16_t> types) {
  constexpr size_t kWindowBytes = 2 + 32;
  size_t windows = 0;
  for (size_t i = 0; i < types.size(); ++i) {
    if (i == 0 || types[i] >> 8 != types[i - 1] >> 8) ++windows;
  }
  return windows * kWindowBytes;
}

size_t EncodeTypeBitmap(std::span<const uint16_t> types, uint8_t* out) {
  uint8_t* window = out;  // its number, its length, its bits
  size_t bytes = 0;
  for (const uint16_t type : types) {
    const auto number = static_cast<uint8_t>(type >> 8);
    if (bytes == 0 || window[0] != number) {
      if (bytes != 0) window += 2 + window[1];
      window[0] = number;
      window[1] = 0;
    }
    const auto octet = static_cast<uint8_t>((type & 0xFF) / 8);
    while (window[1] <= octet) window[2 + window[1]++] = 0;
    window[2 + octet] = static_cast<uint8_t>(window[2 + octet] | 0x80 >> type % 8);
    bytes = static_cast<size_t>(window - out) + 2 + window[1];
  }
  return bytes;
}

Name NextName(NameView name, NameView apex) {
  constexpr uint8_t kZeroLabel[1] = {0};
  Name next(name);
  if (next.Prepend(kZeroLabel)) return next;
  return NextNameBeside(name, apex);  // nothing can be below a name of this length
}

Name NextNameBeside(NameView name, NameView apex) {
  for (; name.size() > apex.size(); name = name.Parent()) {
    std::array<uint8_t, kMaxLabelBytes + 1> bytes{};  // the label, and a zero behind it
    std::ranges::copy(name.first_label(), bytes.begin());
    const std::span label = std::span(bytes).first(name.first_label().size());
    Name next(name.Parent());
    if (next.Prepend(std::span(bytes).first(label.size() + 1))) return next;
    if (next.Prepend(label.first(Increment(label)))) return next;
  }
  return Name(apex);
}

}  // namespace nearside::dns
