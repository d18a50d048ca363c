#pragma once

// Zone files as RFC 1035 §5 describes them, with $ORIGIN, $TTL (RFC 2308 §4) and BIND's time units.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"
#include "runtime/result.h"

namespace nearside::geodns {

inline constexpr size_t kMaxZoneFileBytes = size_t{256} << 20;
/// Errors reported of one zone file; reading ends at the last of them.
inline constexpr size_t kMaxZoneErrors = 20;

/// One record as it stood in the file.
struct ZoneRecord {
  std::vector<uint8_t> owner;  ///< wire form, case as written
  uint16_t type = 0;
  uint32_t ttl = 0;
  std::vector<uint8_t> rdata;  ///< names uncompressed
  int line = 0;

  dns::NameView owner_name() const { return {owner.data(), owner.size()}; }
};

/// Reads every record of a zone file; owners outside `origin` are errors. Error: kOperator bad_zone
/// with all errors, one a line, each "demo.test.zone:12: …".
Result<std::vector<ZoneRecord>> ParseZoneFile(std::string_view text, std::string_view file_name,
                                              dns::NameView origin);

}  // namespace nearside::geodns
