#include "dns/record_type.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace nearside::dns {
namespace {

using F = Field;

constexpr std::array kIpv4Data = {F::kIpv4};
constexpr std::array kIpv6Data = {F::kIpv6};
constexpr std::array kNameData = {F::kName};
constexpr std::array kSoaData = {F::kName,    F::kName,    F::kU32,    F::kSeconds,
                                 F::kSeconds, F::kSeconds, F::kSeconds};
constexpr std::array kMxData = {F::kU16, F::kName};
constexpr std::array kTxtData = {F::kStrings};
constexpr std::array kHinfoData = {F::kString, F::kString};
constexpr std::array kSrvData = {F::kU16, F::kU16, F::kU16, F::kName};
constexpr std::array kNaptrData = {F::kU16, F::kU16, F::kString, F::kString, F::kString, F::kName};
constexpr std::array kDsData = {F::kU16, F::kU8, F::kU8, F::kHex};
constexpr std::array kDnskeyData = {F::kU16, F::kU8, F::kU8, F::kBase64};
constexpr std::array kSshfpData = {F::kU8, F::kU8, F::kHex};
constexpr std::array kTlsaData = {F::kU8, F::kU8, F::kU8, F::kHex};
constexpr std::array kRpData = {F::kName, F::kName};
constexpr std::array kOpenPgpKeyData = {F::kBase64};
constexpr std::array kUriData = {F::kU16, F::kU16, F::kText};
constexpr std::array kSvcbData = {F::kU16, F::kName, F::kSvcParams};
constexpr std::array kCaaData = {F::kU8, F::kTag, F::kText};

/// Ascending by type.
constexpr std::array kLayouts = {
    RecordLayout{type::kA, "A", kIpv4Data, false},
    RecordLayout{type::kNs, "NS", kNameData, true},
    RecordLayout{type::kCname, "CNAME", kNameData, true},
    RecordLayout{type::kSoa, "SOA", kSoaData, true},
    RecordLayout{type::kPtr, "PTR", kNameData, true},
    RecordLayout{type::kHinfo, "HINFO", kHinfoData, false},
    RecordLayout{type::kMx, "MX", kMxData, true},
    RecordLayout{type::kTxt, "TXT", kTxtData, false},
    RecordLayout{type::kRp, "RP", kRpData, false},
    RecordLayout{type::kAfsdb, "AFSDB", kMxData, false},
    RecordLayout{type::kAaaa, "AAAA", kIpv6Data, false},
    RecordLayout{type::kSrv, "SRV", kSrvData, false},
    RecordLayout{type::kNaptr, "NAPTR", kNaptrData, false},
    RecordLayout{type::kDs, "DS", kDsData, false},
    RecordLayout{type::kSshfp, "SSHFP", kSshfpData, false},
    RecordLayout{type::kDnskey, "DNSKEY", kDnskeyData, false},
    RecordLayout{type::kTlsa, "TLSA", kTlsaData, false},
    RecordLayout{type::kSmimea, "SMIMEA", kTlsaData, false},
    RecordLayout{type::kCds, "CDS", kDsData, false},
    RecordLayout{type::kCdnskey, "CDNSKEY", kDnskeyData, false},
    RecordLayout{type::kOpenPgpKey, "OPENPGPKEY", kOpenPgpKeyData, false},
    RecordLayout{type::kSvcb, "SVCB", kSvcbData, false},
    RecordLayout{type::kHttps, "HTTPS", kSvcbData, false},
    RecordLayout{type::kSpf, "SPF", kTxtData, false},
    RecordLayout{type::kUri, "URI", kUriData, false},
    RecordLayout{type::kCaa, "CAA", kCaaData, false},
    RecordLayout{type::kAlias, "ALIAS", kNameData, false},
};

struct TypeName {
  uint16_t type;
  std::string_view name;
};

/// Names of types that have no layout of ours.
constexpr std::array kOtherNames = {
    TypeName{type::kDname, "DNAME"},   TypeName{type::kOpt, "OPT"},
    TypeName{type::kRrsig, "RRSIG"},   TypeName{type::kNsec, "NSEC"},
    TypeName{type::kNsec3, "NSEC3"},   TypeName{type::kNsec3Param, "NSEC3PARAM"},
    TypeName{type::kNxname, "NXNAME"}, TypeName{type::kIxfr, "IXFR"},
    TypeName{type::kAxfr, "AXFR"},     TypeName{type::kAny, "ANY"},
};

bool EqualIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    return upper(x) == upper(y);
  });
}

}  // namespace

std::string_view RcodeName(Rcode rcode) {
  switch (rcode) {
    case Rcode::kNoError:
      return "NOERROR";
    case Rcode::kFormErr:
      return "FORMERR";
    case Rcode::kServFail:
      return "SERVFAIL";
    case Rcode::kNxDomain:
      return "NXDOMAIN";
    case Rcode::kNotImp:
      return "NOTIMP";
    case Rcode::kRefused:
      return "REFUSED";
    case Rcode::kBadVers:
      return "BADVERS";
    case Rcode::kBadCookie:
      return "BADCOOKIE";
  }
  return "UNKNOWN";
}

const RecordLayout* LayoutOf(uint16_t type) {
  const auto* row = std::lower_bound(kLayouts.begin(), kLayouts.end(), type,
                                     [](const RecordLayout& l, uint16_t t) { return l.type < t; });
  return row != kLayouts.end() && row->type == type ? row : nullptr;
}

std::string TypeToText(uint16_t type) {
  if (const RecordLayout* layout = LayoutOf(type)) return std::string(layout->name);
  for (const TypeName& other : kOtherNames) {
    if (other.type == type) return std::string(other.name);
  }
  return "TYPE" + std::to_string(type);
}

std::optional<uint16_t> TypeFromText(std::string_view text) {
  for (const RecordLayout& layout : kLayouts) {
    if (EqualIgnoreCase(text, layout.name)) return layout.type;
  }
  for (const TypeName& other : kOtherNames) {
    if (EqualIgnoreCase(text, other.name)) return other.type;
  }
  constexpr size_t kPrefix = 4;
  if (text.size() <= kPrefix || !EqualIgnoreCase(text.substr(0, kPrefix), "TYPE")) return {};
  uint16_t number = 0;
  auto [end, error] = std::from_chars(text.data() + kPrefix, text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

}  // namespace nearside::dns
