#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/fields.h"

namespace nearside::http {

/// The content codings that we can make (RFC 9110 §8.4.1, RFC 7932, RFC 8878); the later one is
/// preferred.
enum class Coding : uint8_t { kIdentity, kGzip, kZstd, kBr };
inline constexpr int kCodingCount = 4;
/// As in Content-Encoding; "identity" never stands there.
std::string_view CodingName(Coding coding);

/// Codings that a request accepts beside the identity. A value.
class CodingSet {
 public:
  void Add(Coding coding) { bits_ |= BitOf(coding); }
  void Remove(CodingSet others) { bits_ &= static_cast<uint8_t>(~others.bits_); }
  bool Has(Coding coding) const { return (bits_ & BitOf(coding)) != 0; }
  /// The one that we prefer; kIdentity of none.
  Coding best() const;
  /// One text a set, as a field has it: "br, gzip, zstd", or "identity".
  std::string_view text() const;
  bool operator==(const CodingSet&) const = default;

 private:
  static uint8_t BitOf(Coding coding) {
    return static_cast<uint8_t>((1U << static_cast<unsigned>(coding)) >> 1);
  }
  uint8_t bits_ = 0;
};

/// RFC 9110 §12.5.3, for the codings above. A request without the field could be sent any; who does
/// not name a coding is taken to want none.
CodingSet AcceptedCodings(const Fields& request);

}  // namespace nearside::http
