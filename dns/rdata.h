#pragma once

// A record's data between a zone file's words and the wire, by the layouts of record_type.h.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"
#include "runtime/result.h"

namespace nearside::dns {

inline constexpr size_t kMaxStringBytes = 255;  ///< of one character-string (RFC 1035 §3.3)
inline constexpr size_t kMaxRdataBytes = 65'535;

/// One word of a zone file with its escapes as written; quotes are taken off and told.
struct Word {
  std::string text;
  bool quoted = false;
  bool glued = false;  ///< quoted, and no blank before it: alpn="h2,h3" is two words
};

/// Reads the data of one record; names are completed by `origin` and left uncompressed. Any type
/// may be written as RFC 3597 §5 says: \# LENGTH HEX…, and known types are then checked against
/// their layout. Error: kOperator bad_rdata, saying what was expected.
Result<std::vector<uint8_t>> RdataFromWords(uint16_t type, std::span<const Word> words,
                                            NameView origin);

/// Whether `rdata` is well-formed for `type`: whole fields, names that end, nothing left over.
/// Types without a layout always are.
bool RdataIsValid(uint16_t type, std::span<const uint8_t> rdata);

/// Presentation form, which RdataFromWords reads back; malformed data and unknown types as RFC 3597
/// says.
std::string RdataToText(uint16_t type, std::span<const uint8_t> rdata);

/// "300", "1h30m", "2w": TTLs and the times of SOA as BIND writes them. Error: kOperator bad_time.
Result<uint32_t> SecondsFromText(std::string_view text);

}  // namespace nearside::dns
