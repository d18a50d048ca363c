#include "geodns/alias_networks.h"

#include <algorithm>
#include <tuple>

namespace nearside::geodns {
namespace {

auto OrderOf(const Network& network) {
  return std::tie(network.address.is_ipv6, network.prefix_bits, network.address.bytes);
}

/// IPv4 networks that are not the Internet's; 224.0.0.0/3 is for groups and the future.
struct SpecialNetwork {
  uint32_t address;
  unsigned bits;
};
constexpr SpecialNetwork kSpecial[] = {
    {0x00'00'00'00, 8},   // 0.0.0.0
    {0x0A'00'00'00, 8},   // 10.0.0.0
    {0x64'40'00'00, 10},  // 100.64.0.0
    {0x7F'00'00'00, 8},   // 127.0.0.0
    {0xA9'FE'00'00, 16},  // 169.254.0.0
    {0xAC'10'00'00, 12},  // 172.16.0.0
    {0xC0'A8'00'00, 16},  // 192.168.0.0
    {0xE0'00'00'00, 3},   // 224.0.0.0
};

}  // namespace

bool AliasAsks::Put(const AliasAsk& ask) {
  const size_t end = end_.load(std::memory_order_relaxed);
  const size_t waiting = end - begin_.load(std::memory_order_acquire);
  if (waiting > 0 && ring_[(end - 1) % kSize] == ask) return true;
  if (waiting == kSize) return false;
  ring_[end % kSize] = ask;
  end_.store(end + 1, std::memory_order_release);
  return true;
}

bool AliasAsks::Take(AliasAsk* ask) {
  const size_t begin = begin_.load(std::memory_order_relaxed);
  if (begin == end_.load(std::memory_order_acquire)) return false;
  *ask = ring_[begin % kSize];
  begin_.store(begin + 1, std::memory_order_release);
  return true;
}

AliasNetworks::AliasNetworks(uint32_t target, std::vector<Answer> answers,
                             std::array<Family, 2> families, uint32_t interim_ttl)
    : target_(target),
      answers_(std::move(answers)),
      families_(families),
      interim_ttl_(interim_ttl) {
  const auto is_before = [](const Answer& a, const Answer& b) {
    return OrderOf(a.network) < OrderOf(b.network);
  };
  std::ranges::stable_sort(answers_, is_before);
  const auto is_same = [](const Answer& a, const Answer& b) { return a.network == b.network; };
  answers_.erase(std::unique(answers_.begin(), answers_.end(), is_same), answers_.end());
  for (const Answer& answer : answers_) {
    auto& lengths = lengths_[answer.network.address.is_ipv6];
    if (lengths.empty() || lengths.back() != answer.network.prefix_bits) {
      lengths.push_back(answer.network.prefix_bits);
    }
  }
  for (auto& lengths : lengths_) std::ranges::reverse(lengths);
}

AliasNetworks::Found AliasNetworks::Find(const IpAddress& client, uint8_t known_bits) const {
  const Family& family = families_[client.is_ipv6];
  for (const uint8_t length : lengths_[client.is_ipv6]) {
    if (length > known_bits) continue;
    const Network network = Network::Of(client, length);
    const auto at = std::ranges::lower_bound(
        answers_, OrderOf(network), {}, [](const Answer& each) { return OrderOf(each.network); });
    if (at == answers_.end() || at->network != network || known_bits > at->most_known) continue;
    return {&*at, length, false};
  }
  const bool may_ask = family.wants_asks && known_bits > 0 && IsGlobal(client);
  return {nullptr, family.is_tailored ? known_bits : uint8_t{0}, may_ask};
}

bool IsGlobal(const IpAddress& address) {
  if (address.is_ipv6) return address.bytes[0] >> 5 == 1;  // 2000::/3
  const uint32_t ipv4 = uint32_t{address.bytes[0]} << 24 | uint32_t{address.bytes[1]} << 16 |
                        uint32_t{address.bytes[2]} << 8 | address.bytes[3];
  return std::ranges::none_of(kSpecial, [&](const SpecialNetwork& special) {
    return (ipv4 ^ special.address) >> (32 - special.bits) == 0;
  });
}

}  // namespace nearside::geodns
