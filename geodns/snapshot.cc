#include "geodns/snapshot.h"

#include "dns/record_type.h"
#include "dns/wire.h"
#include "dns/writer.h"

namespace nearside::geodns {

AddressRecords AddressRecords::Render(std::span<const IpAddress> addresses, bool is_ipv6,
                                      uint32_t ttl) {
  AddressRecords records{.ttl = ttl};
  for (const IpAddress& address : addresses) {
    if (address.is_ipv6 != is_ipv6) continue;
    uint8_t fixed[12];
    std::copy(dns::kPointerToQuestion.begin(), dns::kPointerToQuestion.end(), fixed);
    dns::Store16(fixed + 2, is_ipv6 ? dns::type::kAaaa : dns::type::kA);
    dns::Store16(fixed + 4, dns::rr_class::kIn);
    dns::Store32(fixed + 6, ttl);
    dns::Store16(fixed + 10, address.bits() / 8);
    records.rendered.insert(records.rendered.end(), fixed, fixed + sizeof fixed);
    auto end = address.bytes.begin() + address.bits() / 8;
    records.rendered.insert(records.rendered.end(), address.bytes.begin(), end);
    ++records.count;
  }
  return records;
}

std::vector<std::span<const uint8_t>> AddressRecords::Rdata() const {
  constexpr size_t kFixedBytes = 12;
  std::vector<std::span<const uint8_t>> list;
  for (size_t i = 0; i < count; ++i) {
    list.push_back(
        std::span(rendered).subspan(i * record_bytes(), record_bytes()).subspan(kFixedBytes));
  }
  return list;
}

}  // namespace nearside::geodns
