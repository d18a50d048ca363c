#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "geodns/zone_keys.h"

namespace nearside::geodns {

/// An answer's sets of records as ldns verifies them at `now`, one a line:
///
///   answer: www.demo.test. A signed 1
///   authority: demo.test. SOA signed 1
///   authority: x.demo.test. NSEC \000.x.demo.test. RRSIG NSEC TYPE128 signed 1
///   authority: sub.demo.test. NS unsigned
///
/// where the number is that of good signatures, "bogus: …" stands for each that is not, and an
/// RRSIG without its set is "stray".
std::string Verified(std::span<const uint8_t> message, const ZoneKeys& keys, WallTime now);

}  // namespace nearside::geodns
