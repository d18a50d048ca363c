#include "http/accept_encoding.h"

#include <array>

#include "http/characters.h"
#include "http/field_list.h"
#include "http/weight.h"

namespace nearside::http {
namespace {

constexpr std::array<Coding, 3> kCodings = {Coding::kBr, Coding::kZstd, Coding::kGzip};

std::optional<Coding> CodingOf(std::string_view name) {
  for (const Coding coding : kCodings) {
    if (EqualsIgnoringCase(name, CodingName(coding))) return coding;
  }
  // RFC 9110 §8.4.1.3: the same under an older name.
  if (EqualsIgnoringCase(name, "x-gzip")) return Coding::kGzip;
  return std::nullopt;
}

}  // namespace

std::string_view CodingName(Coding coding) {
  constexpr std::array<std::string_view, kCodingCount> kNames = {"identity", "gzip", "zstd", "br"};
  return kNames[static_cast<size_t>(coding)];
}

Coding CodingSet::best() const {
  for (const Coding coding : kCodings) {
    if (Has(coding)) return coding;
  }
  return Coding::kIdentity;
}

std::string_view CodingSet::text() const {
  // By the bits: gzip 1, zstd 2, br 4.
  constexpr std::array<std::string_view, 8> kTexts = {
      "identity", "gzip", "zstd", "gzip, zstd", "br", "br, gzip", "br, zstd", "br, gzip, zstd"};
  return kTexts[bits_];
}

CodingSet AcceptedCodings(const Fields& request) {
  CodingSet accepted, refused;
  for (const FieldLine& line : request.lines()) {
    if (line.name != "accept-encoding") continue;
    ListReader members(line.value);
    while (const auto member = members.Next()) {
      const WeightedMember weighted = SplitWeight(*member);
      const bool takes = weighted.thousandths.value_or(0) > 0;
      if (weighted.value == "*") {
        // All that are not named; those that are named and refused are taken out below.
        if (!takes) continue;
        for (const Coding coding : kCodings) accepted.Add(coding);
      } else if (const auto coding = CodingOf(weighted.value)) {
        (takes ? accepted : refused).Add(*coding);
      }
    }
  }
  accepted.Remove(refused);
  return accepted;
}

}  // namespace nearside::http
