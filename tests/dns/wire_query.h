#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nearside::dns {

/// Builds a query byte by byte for tests, well-formed or not. Independent of the writer under test.
class WireQuery {
 public:
  explicit WireQuery(std::string_view name = "www.demo.test.", uint16_t type = 1,
                     uint16_t rr_class = 1);

  WireQuery& Id(uint16_t id);
  WireQuery& Flags(uint16_t flags);
  WireQuery& Opcode(unsigned opcode);
  /// Overwrites a count of the header: 0 questions, 1 answers, 2 authorities, 3 additionals.
  WireQuery& Count(size_t section, uint16_t count);
  /// Adds an OPT record; options follow by Option/Subnet.
  WireQuery& Edns(uint16_t payload = 1232, uint8_t version = 0, bool dnssec_ok = false);
  WireQuery& Option(uint16_t code, std::span<const uint8_t> content);
  /// "133.11.0.0/16" as RFC 7871 writes it, cut to the octets needed. Implies Edns().
  WireQuery& Subnet(std::string_view prefix);
  /// Any bytes at the end; no count changes.
  WireQuery& Raw(std::span<const uint8_t> bytes);
  /// One record in the section of the given count.
  WireQuery& Record(size_t section, std::string_view owner, uint16_t type,
                    std::span<const uint8_t> rdata, uint32_t ttl = 60);

  std::vector<uint8_t> Bytes() const { return bytes_; }

 private:
  void Bump(size_t section);
  std::vector<uint8_t> bytes_;
  size_t opt_length_at_ = 0;
};

std::vector<uint8_t> WireName(std::string_view text);
/// "0a 00 ff" to bytes.
std::vector<uint8_t> FromHex(std::string_view hex);

}  // namespace nearside::dns
