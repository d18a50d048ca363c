#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "dns/rdata.h"
#include "dns/record_type.h"
#include "geodns/zone.h"

using namespace nearside;

/// Any text as a zone file: it is refused with lines, or what it gave prints and reads back the
/// same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  static const dns::Name kOrigin = *dns::Name::FromText("demo.test.");
  auto records = geodns::ParseZoneFile(text, "z", kOrigin);
  if (!records) {
    if (records.error().message.find("z:") == std::string::npos) std::abort();
    return 0;
  }
  std::string printed;
  for (const geodns::ZoneRecord& record : *records) {
    if (!dns::RdataIsValid(record.type, record.rdata)) std::abort();
    printed += record.owner_name().ToText() + " " + std::to_string(record.ttl) + " " +
               dns::TypeToText(record.type) + " " + dns::RdataToText(record.type, record.rdata) +
               "\n";
  }
  auto again = geodns::ParseZoneFile(printed, "z", kOrigin);
  if (!again || again->size() != records->size()) std::abort();
  for (size_t i = 0; i < records->size(); ++i) {
    if ((*again)[i].rdata != (*records)[i].rdata || (*again)[i].owner != (*records)[i].owner)
      std::abort();
  }
  // Complete the zone, so that the builder sees more than its first refusal.
  auto more = geodns::ParseZoneFile("@ 60 SOA n h 1 1 1 1 1\n@ 60 NS n\n", "z", kOrigin);
  records->insert(records->end(), more->begin(), more->end());
  auto zone = geodns::Zone::Build(kOrigin, "z", *records, {});
  if (!zone) return 0;
  for (const geodns::ZoneRecord& record : *records) {
    dns::Name name(record.owner_name());
    name.Fold();
    auto found = zone->Find(name);
    if (found.match == geodns::Zone::Match::kNoSuchName) std::abort();
    if (found.match == geodns::Zone::Match::kWildcard) std::abort();
  }
  return 0;
}
