#include "net/address_ranges.h"

#include <gtest/gtest.h>

namespace nearside::net {
namespace {

bool Contains(const std::vector<std::string>& ranges, std::string_view ip) {
  return AddressRanges::Parse(ranges).value().Contains(
      SocketAddress::FromLiteral(ip, 4711).value());
}

TEST(AddressRangesTest, WhatLiesInside) {
  struct Row {
    std::string_view range, ip;
    bool inside;
  };
  constexpr Row kRows[] = {
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "9.255.255.255", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7/32", "192.0.2.6", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "203.0.113.9", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::1", "::1", true},
      {"::1", "::2", false},
      // An IPv4 address mapped into IPv6 is what it is.
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
      {"::ffff:10.1.2.3", "10.1.2.3", true},
      {"::/0", "::ffff:10.1.2.3", false},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(Contains({std::string(row.range)}, row.ip), row.inside) << row.range << " " << row.ip;
  }
}

TEST(AddressRangesTest, AnyOfThem) {
  EXPECT_TRUE(Contains({"10.0.0.0/8", "::1"}, "::1"));
  EXPECT_TRUE(Contains({"10.0.0.0/8", "::1"}, "10.0.0.1"));
  EXPECT_FALSE(Contains({}, "10.0.0.1"));
  EXPECT_TRUE(AddressRanges().empty());
  EXPECT_FALSE(AddressRanges().Contains(SocketAddress()));
  EXPECT_FALSE(AddressRanges::Parse({"0.0.0.0/0"}).value().Contains(SocketAddress()));
}

TEST(AddressRangesTest, WhatIsNoneIsRefused) {
  for (const char* text : {"", "x", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x",
                           "10.0.0.0/ 8", "10.0.0.1/8", "::1/64", "2001:db8::/129", "[::1]",
                           "10.0.0.0:80", "10.0.0", "10.0.0.0/8/8", "10.0.0.0/99999999999"}) {
    const auto ranges = AddressRanges::Parse({text});
    ASSERT_FALSE(ranges) << text;
    EXPECT_EQ(ranges.error().reason, "bad_range") << text;
    EXPECT_EQ(ranges.error().fault, Fault::kOperator);
  }
}

}  // namespace
}  // namespace nearside::net
