#include <cstdint>
#include <cstdlib>
#include <vector>

#include "dns/message.h"
#include "dns/reply.h"

using namespace nearside;

/// Any bytes as an answer to our question: with the question in front they are read or refused, and
/// what is read has whole addresses and a TTL of 31 bits.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const dns::Name kName = *dns::Name::FromText("www.example.");
  const std::span<const uint8_t> input(data, size);
  for (uint16_t type : {dns::type::kA, dns::type::kAaaa}) {
    dns::IsReplyTo(input, 7, kName, type);
    // Header and question as we asked; flags, counts and records from the input.
    std::vector<uint8_t> message = dns::EncodeQuery(7, kName, type);
    message.resize(dns::kHeaderBytes + kName.view().size() + 4);
    const size_t head = std::min<size_t>(size, 6);
    for (size_t i = 0; i < head; ++i) message[i < 1 ? 3 : 5 + i] = data[i];
    message[2] |= 0x80;
    message.insert(message.end(), input.begin() + static_cast<ptrdiff_t>(head), input.end());
    if (!dns::IsReplyTo(message, 7, kName, type)) std::abort();
    const dns::ClientSubnet subnet{
        .family = dns::ClientSubnet::kIpv4, .source = 24, .address = {192, 0, 2}};
    // What the options say is one more reason to refuse an answer and changes nothing else in it.
    const auto tailored = dns::ParseAddressReply(message, kName, type, subnet);
    auto reply = dns::ParseAddressReply(message, kName, type);
    if (tailored && (!reply || tailored->addresses != reply->addresses)) std::abort();
    if (!reply) continue;
    const size_t address_bytes = type == dns::type::kA ? 4 : 16;
    if (reply->addresses.size() % address_bytes != 0 || reply->ttl > INT32_MAX) std::abort();
    if (reply->addresses.size() > dns::kMaxReplyAddresses * address_bytes) std::abort();
  }
  return 0;
}
