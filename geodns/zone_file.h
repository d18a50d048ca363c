#pragma once

// Zone files as RFC 1035 §5 describes them, with $ORIGIN, $INCLUDE, $TTL (RFC 2308 §4) and BIND's
// time units.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"
#include "runtime/result.h"

namespace nearside::geodns {

inline constexpr size_t kMaxZoneFileBytes = size_t{256} << 20;
/// Of all files of a zone together.
inline constexpr size_t kMaxZoneBytes = kMaxZoneFileBytes;
inline constexpr size_t kMaxIncludes = 1000;   ///< in one zone
inline constexpr size_t kMaxIncludeDepth = 8;  ///< files inside one another
/// Errors reported of one zone file; reading ends at the last of them.
inline constexpr size_t kMaxZoneErrors = 20;

/// One record as it stood in the file.
struct ZoneRecord {
  std::vector<uint8_t> owner;  ///< wire form, case as written
  uint16_t type = 0;
  uint32_t ttl = 0;
  std::vector<uint8_t> rdata;  ///< names uncompressed
  int line = 0;
  std::shared_ptr<const std::string> file;  ///< where that line is

  dns::NameView owner_name() const { return {owner.data(), owner.size()}; }
};

/// "FILE:LINE" of a record; `file_name` is that of records which name none.
std::string PlaceInFile(const ZoneRecord& record, std::string_view file_name);

/// Gives the text of a file that $INCLUDE names; its path is relative to the folder of the file
/// that names it, and already put together. Error: any.
using IncludeReader = std::function<Result<std::string>(const std::string& path)>;

/// Reads every record of a zone file and of what it includes; owners outside `origin` are errors.
/// Without a reader $INCLUDE is an error. Error: kOperator bad_zone with all errors, one a line,
/// each "demo.test.zone:12: …".
Result<std::vector<ZoneRecord>> ParseZoneFile(std::string_view text, std::string_view file_name,
                                              dns::NameView origin,
                                              const IncludeReader& includes = {});

}  // namespace nearside::geodns
