#pragma once

// Numbers of the DNS (IANA "Domain Name System Parameters") and their names in zone files.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nearside::dns {

namespace type {
inline constexpr uint16_t kA = 1;
inline constexpr uint16_t kNs = 2;
inline constexpr uint16_t kCname = 5;
inline constexpr uint16_t kSoa = 6;
inline constexpr uint16_t kPtr = 12;
inline constexpr uint16_t kHinfo = 13;
inline constexpr uint16_t kMx = 15;
inline constexpr uint16_t kTxt = 16;
inline constexpr uint16_t kRp = 17;
inline constexpr uint16_t kAfsdb = 18;
inline constexpr uint16_t kAaaa = 28;
inline constexpr uint16_t kSrv = 33;
inline constexpr uint16_t kNaptr = 35;
inline constexpr uint16_t kDname = 39;
inline constexpr uint16_t kOpt = 41;
inline constexpr uint16_t kDs = 43;
inline constexpr uint16_t kSshfp = 44;
inline constexpr uint16_t kRrsig = 46;
inline constexpr uint16_t kNsec = 47;
inline constexpr uint16_t kDnskey = 48;
inline constexpr uint16_t kNsec3 = 50;
inline constexpr uint16_t kNsec3Param = 51;
inline constexpr uint16_t kTlsa = 52;
inline constexpr uint16_t kSmimea = 53;
inline constexpr uint16_t kCds = 59;
inline constexpr uint16_t kCdnskey = 60;
inline constexpr uint16_t kOpenPgpKey = 61;
inline constexpr uint16_t kSvcb = 64;
inline constexpr uint16_t kHttps = 65;
inline constexpr uint16_t kSpf = 99;
inline constexpr uint16_t kNxname =
    128;  ///< in NSEC bitmaps only: the name does not exist (RFC 9824)
inline constexpr uint16_t kIxfr = 251;
inline constexpr uint16_t kAxfr = 252;
inline constexpr uint16_t kAny = 255;
inline constexpr uint16_t kUri = 256;
inline constexpr uint16_t kCaa = 257;
/// Of zone files only: A and AAAA are those of the name in it. The number is PowerDNS's.
inline constexpr uint16_t kAlias = 65'401;
}  // namespace type

namespace rr_class {
inline constexpr uint16_t kIn = 1;
inline constexpr uint16_t kChaos = 3;
inline constexpr uint16_t kAny = 255;
}  // namespace rr_class

enum class Opcode : uint8_t { kQuery = 0, kStatus = 2, kNotify = 4, kUpdate = 5 };

/// The lower four bits stand in the header, the rest in OPT (RFC 6891 §6.1.3).
enum class Rcode : uint8_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVers = 16,
  kBadCookie = 23,  ///< RFC 7873 §8
};

/// "NOERROR", "FORMERR" and so on.
std::string_view RcodeName(Rcode rcode);

/// How one part of a record's data looks, in a zone file and on the wire.
enum class Field : uint8_t {
  kName,  ///< a domain name, uncompressed
  kU8,
  kU16,
  kU32,
  kSeconds,  ///< 32 bits; a zone file may write "1h30m"
  kIpv4,
  kIpv6,
  kString,     ///< one character-string (length octet)
  kStrings,    ///< one or more of them, to the end
  kTag,        ///< letters and digits behind a length octet (CAA)
  kText,       ///< bytes to the end without a length (CAA's value)
  kHex,        ///< to the end
  kBase64,     ///< to the end
  kSvcParams,  ///< keys and values to the end (dns/svc_params.h)
};

/// One row for each type whose data we can read and print field by field; all others are written as
/// RFC 3597 says (TYPE123 \# 4 0A000001).
struct RecordLayout {
  uint16_t type;
  std::string_view name;
  std::span<const Field> fields;
  /// RFC 1035's own types may have the names in their data compressed, later ones must not (RFC
  /// 3597 §4).
  bool compressible;
};

/// The row of a type, or nullptr.
const RecordLayout* LayoutOf(uint16_t type);

/// "A", "TYPE65280".
std::string TypeToText(uint16_t type);
/// Reads what TypeToText writes, in any case, and the names of types that are questions only (ANY,
/// AXFR).
std::optional<uint16_t> TypeFromText(std::string_view text);

/// OPT and 128 to 255 are no types of records but of questions and transactions (RFC 6895 §3.1).
constexpr bool IsMetaType(uint16_t type) {
  return type == 0 || type == type::kOpt || (type >= 128 && type <= 255);
}

}  // namespace nearside::dns
