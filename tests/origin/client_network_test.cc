#include "origin/client_network.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

TEST(ClientNetworkTest, AddressesOfOneClientAreOne) {
  EXPECT_EQ(ClientNetwork("192.0.2.1"), std::string("\xc0\x00\x02\x01", 4));
  EXPECT_NE(ClientNetwork("192.0.2.1"), ClientNetwork("192.0.2.2"));
  EXPECT_EQ(ClientNetwork("::ffff:192.0.2.1"), ClientNetwork("192.0.2.1"));
  EXPECT_EQ(ClientNetwork("2001:db8:0:1::1"), ClientNetwork("2001:db8:0:1:ffff::2"));
  EXPECT_NE(ClientNetwork("2001:db8:0:1::1"), ClientNetwork("2001:db8:0:2::1"));
  EXPECT_EQ(ClientNetwork("alice"), "alice");
  EXPECT_EQ(ClientNetwork(""), "");
}

}  // namespace
}  // namespace nearside::origin
