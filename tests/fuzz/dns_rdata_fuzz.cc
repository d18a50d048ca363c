#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dns/rdata.h"
#include "dns/record_type.h"
#include "geodns/zone_file.h"

using namespace nearside;

/// Two bytes of type, then its data: what is valid prints as a line of a zone file that reads back
/// the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  auto type = static_cast<uint16_t>(data[0] << 8 | data[1]);
  std::span<const uint8_t> rdata(data + 2, size - 2);
  std::string text = dns::RdataToText(type, rdata);
  if (!dns::RdataIsValid(type, rdata) || dns::IsMetaType(type)) return 0;
  std::string line = "x. 60 IN " + dns::TypeToText(type) + " " + text + "\n";
  auto records = geodns::ParseZoneFile(line, "z", dns::NameView());
  if (!records) {
    // What a zone file of ours may not have: some types, times beyond 2^31 - 1 seconds.
    const std::string& message = records.error().message;
    bool refused = message.find("signed zone") != std::string::npos ||
                   message.find("not supported") != std::string::npos ||
                   message.find("expected a time up to") != std::string::npos;
    if (!refused) std::abort();
    return 0;
  }
  if (records->size() != 1 || !std::ranges::equal((*records)[0].rdata, rdata)) std::abort();
  return 0;
}
