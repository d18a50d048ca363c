#include "net/address_ranges.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace nearside::net {

namespace {

constexpr std::string_view kMappedPrefix("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);

/// The address's bytes, 4 for a mapped IPv4 address as well.
std::string_view PlainBytes(const SocketAddress& address) {
  std::string_view bytes = address.bytes();
  if (bytes.starts_with(kMappedPrefix)) bytes.remove_prefix(kMappedPrefix.size());
  return bytes;
}

/// Bit `place` of `bytes`, the first one being the highest.
bool BitOf(std::string_view bytes, unsigned place) {
  return (static_cast<uint8_t>(bytes[place / 8]) & (0x80u >> (place % 8))) != 0;
}

tl::unexpected<Error> BadRange(std::string_view text, std::string_view why) {
  return Fail(Fault::kOperator, "bad_range",
              "\"" + std::string(text) + "\": expected " + std::string(why));
}

}  // namespace

Result<AddressRanges::Range> AddressRanges::ParseOne(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const auto address = SocketAddress::FromLiteral(text.substr(0, slash), 0);
  if (!address) return BadRange(text, "a network like \"10.0.0.0/8\" or an address");
  Range range{.network = std::string(PlainBytes(*address)), .bits = 0};
  const auto most = static_cast<unsigned>(range.network.size() * 8);
  range.bits = most;
  if (slash < text.size()) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), range.bits);
    if (error != std::errc() || end != digits.data() + digits.size() || range.bits > most) {
      return BadRange(text, "a prefix of 0 to " + std::to_string(most) + " bits");
    }
  }
  for (unsigned place = range.bits; place < most; ++place) {
    if (BitOf(range.network, place)) return BadRange(text, "no bits behind the prefix");
  }
  return range;
}

Result<AddressRanges> AddressRanges::Parse(const std::vector<std::string>& texts) {
  AddressRanges ranges;
  for (const std::string& text : texts) {
    auto range = ParseOne(text);
    if (!range) return unexpected(range.error());
    ranges.ranges_.push_back(std::move(*range));
  }
  return ranges;
}

bool AddressRanges::Contains(const SocketAddress& address) const {
  const std::string_view bytes = PlainBytes(address);
  return std::any_of(ranges_.begin(), ranges_.end(), [bytes](const Range& range) {
    if (range.network.size() != bytes.size()) return false;
    const size_t whole = range.bits / 8;
    if (bytes.substr(0, whole) != std::string_view(range.network).substr(0, whole)) return false;
    for (unsigned place = static_cast<unsigned>(whole) * 8; place < range.bits; ++place) {
      if (BitOf(bytes, place) != BitOf(range.network, place)) return false;
    }
    return true;
  });
}

}  // namespace nearside::net
