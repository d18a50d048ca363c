#pragma once

// The records of DNSSEC and the form in which records are signed (RFC 4034), pure: bytes in, bytes
// out. Keys and signatures themselves are runtime/signing_key.h's.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dns/name.h"

namespace nearside::dns {

/// Algorithms that we sign with; the numbers are IANA's.
inline constexpr uint8_t kAlgorithmEcdsaP256 = 13;  ///< RFC 6605
inline constexpr uint8_t kAlgorithmEd25519 = 15;    ///< RFC 8080
/// "ECDSAP256SHA256", "ED25519"; "" for others.
std::string_view AlgorithmName(uint8_t algorithm);

/// A zone key that is a secure entry point (RFC 4034 §2.1.1): what a key has that signs all.
inline constexpr uint16_t kKeyFlags = 257;

/// The data of a DNSKEY record, which CDNSKEY repeats (RFC 7344 §3.2).
std::vector<uint8_t> DnskeyRdata(uint8_t algorithm, std::span<const uint8_t> public_key);
/// RFC 4034 appendix B. `dnskey` is a DNSKEY's data.
uint16_t KeyTag(std::span<const uint8_t> dnskey);
/// The data of the DS record for a key, with SHA-256 (RFC 4509); CDS repeats it.
std::vector<uint8_t> DsRdata(NameView zone, std::span<const uint8_t> dnskey);

/// Whether `type` is one of those whose data has names that are signed in lower case (RFC 4034
/// §6.2, RFC 6840 §5.1).
bool HasNamesToFold(uint16_t type);
/// Puts those names into lower case. Malformed data is left as it is from where it is malformed.
void FoldNames(uint16_t type, std::span<uint8_t> rdata);

/// Negative, 0 or positive: the order of records in a set that is signed, of whole octets (RFC 4034
/// §6.3).
int CompareRdata(std::span<const uint8_t> a, std::span<const uint8_t> b);

/// Labels without the root and without a "*" at the left (RFC 4034 §3.1.3).
uint8_t SignedLabels(NameView owner);

inline constexpr size_t kRrsigFixedBytes = 18;
/// An RRSIG's data up to the signer's name (RFC 4034 §3.1). Times are seconds since 1970, modulo
/// 2^32.
struct RrsigHead {
  uint16_t type_covered = 0;
  uint8_t algorithm = 0;
  uint8_t labels = 0;
  uint32_t original_ttl = 0;
  uint32_t expiration = 0;
  uint32_t inception = 0;
  uint16_t key_tag = 0;
};
/// Writes kRrsigFixedBytes and the signer's name in lower case; returns their number.
size_t EncodeRrsigHead(const RrsigHead& head, NameView signer, uint8_t* out);

/// Of a bitmap with all 65,536 types.
inline constexpr size_t kMaxTypeBitmapBytes = 256 * (2 + 32);
/// What the bitmap of these types takes at most; they ascend.
size_t MostTypeBitmapBytes(std::span<const uint16_t> types);
/// Writes the bitmap of an NSEC record (RFC 4034 §4.1.2) and returns its length. `types` ascend.
size_t EncodeTypeBitmap(std::span<const uint16_t> types, uint8_t* out);

/// The next name in canonical order, below or beside `name`: "\000.name" where that fits (RFC 4471
/// §3.1.1). `name` is in lower case and at or below `apex`, to which the last name leads back.
Name NextName(NameView name, NameView apex);
/// The next name that is not below `name`: "name\000.parent" where that fits (RFC 9824 §3.4).
Name NextNameBeside(NameView name, NameView apex);

}  // namespace nearside::dns
