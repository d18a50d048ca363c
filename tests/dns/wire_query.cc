#include "tests/dns/wire_query.h"

#include <arpa/inet.h>

#include <cstdlib>

namespace nearside::dns {
namespace {

void Put16(std::vector<uint8_t>* bytes, unsigned v) {
  bytes->push_back(static_cast<uint8_t>(v >> 8));
  bytes->push_back(static_cast<uint8_t>(v));
}

}  // namespace

std::vector<uint8_t> WireName(std::string_view text) {
  std::vector<uint8_t> wire;
  while (!text.empty() && text != ".") {
    size_t dot = text.find('.');
    std::string_view label = text.substr(0, dot);
    wire.push_back(static_cast<uint8_t>(label.size()));
    wire.insert(wire.end(), label.begin(), label.end());
    text = dot == std::string_view::npos ? "" : text.substr(dot + 1);
  }
  wire.push_back(0);
  return wire;
}

std::vector<uint8_t> FromHex(std::string_view hex) {
  std::vector<uint8_t> bytes;
  std::string digits;
  for (char c : hex) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() == 2) {
      bytes.push_back(static_cast<uint8_t>(std::strtoul(digits.c_str(), nullptr, 16)));
      digits.clear();
    }
  }
  return bytes;
}

WireQuery::WireQuery(std::string_view name, uint16_t type, uint16_t rr_class) {
  bytes_ = {0x12, 0x34, 0x00, 0x00, 0, 1, 0, 0, 0, 0, 0, 0};
  auto wire = WireName(name);
  bytes_.insert(bytes_.end(), wire.begin(), wire.end());
  Put16(&bytes_, type);
  Put16(&bytes_, rr_class);
}

WireQuery& WireQuery::Id(uint16_t id) {
  bytes_[0] = static_cast<uint8_t>(id >> 8);
  bytes_[1] = static_cast<uint8_t>(id);
  return *this;
}

WireQuery& WireQuery::Flags(uint16_t flags) {
  bytes_[2] = static_cast<uint8_t>(flags >> 8);
  bytes_[3] = static_cast<uint8_t>(flags);
  return *this;
}

WireQuery& WireQuery::Opcode(unsigned opcode) {
  bytes_[2] = static_cast<uint8_t>((bytes_[2] & 0x87) | opcode << 3);
  return *this;
}

WireQuery& WireQuery::Count(size_t section, uint16_t count) {
  bytes_[4 + 2 * section] = static_cast<uint8_t>(count >> 8);
  bytes_[5 + 2 * section] = static_cast<uint8_t>(count);
  return *this;
}

void WireQuery::Bump(size_t section) {
  unsigned count = static_cast<unsigned>(bytes_[4 + 2 * section] << 8 | bytes_[5 + 2 * section]);
  Count(section, static_cast<uint16_t>(count + 1));
}

WireQuery& WireQuery::Edns(uint16_t payload, uint8_t version, bool dnssec_ok) {
  Bump(3);
  bytes_.push_back(0);
  Put16(&bytes_, 41);
  Put16(&bytes_, payload);
  bytes_.push_back(0);
  bytes_.push_back(version);
  Put16(&bytes_, dnssec_ok ? 0x8000 : 0);
  opt_length_at_ = bytes_.size();
  Put16(&bytes_, 0);
  return *this;
}

WireQuery& WireQuery::Option(uint16_t code, std::span<const uint8_t> content) {
  if (opt_length_at_ == 0) Edns();
  Put16(&bytes_, code);
  Put16(&bytes_, static_cast<unsigned>(content.size()));
  bytes_.insert(bytes_.end(), content.begin(), content.end());
  size_t length = bytes_.size() - opt_length_at_ - 2;
  bytes_[opt_length_at_] = static_cast<uint8_t>(length >> 8);
  bytes_[opt_length_at_ + 1] = static_cast<uint8_t>(length);
  return *this;
}

WireQuery& WireQuery::Subnet(std::string_view prefix) {
  size_t slash = prefix.find('/');
  std::string address(prefix.substr(0, slash));
  unsigned bits = static_cast<unsigned>(std::atoi(std::string(prefix.substr(slash + 1)).c_str()));
  bool is_ipv6 = address.find(':') != std::string::npos;
  uint8_t raw[16] = {};
  inet_pton(is_ipv6 ? AF_INET6 : AF_INET, address.c_str(), raw);
  std::vector<uint8_t> content = {0, static_cast<uint8_t>(is_ipv6 ? 2 : 1),
                                  static_cast<uint8_t>(bits), 0};
  content.insert(content.end(), raw, raw + (bits + 7) / 8);
  return Option(8, content);
}

WireQuery& WireQuery::Raw(std::span<const uint8_t> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

WireQuery& WireQuery::Record(size_t section, std::string_view owner, uint16_t type,
                             std::span<const uint8_t> rdata, uint32_t ttl) {
  Bump(section);
  auto wire = WireName(owner);
  bytes_.insert(bytes_.end(), wire.begin(), wire.end());
  Put16(&bytes_, type);
  Put16(&bytes_, 1);
  Put16(&bytes_, ttl >> 16);
  Put16(&bytes_, ttl & 0xFFFF);
  Put16(&bytes_, static_cast<unsigned>(rdata.size()));
  bytes_.insert(bytes_.end(), rdata.begin(), rdata.end());
  return *this;
}

}  // namespace nearside::dns
