#include "net/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace nearside::net {
namespace {

TEST(SocketAddressTest, ReadsBackWhatItWrites) {
  for (const char* text : {"127.0.0.1:8443", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:53",
                           "[2001:db8::1]:443", "[::]:1"}) {
    auto address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->ToString(), text);
    EXPECT_TRUE(address->is_set());
  }
}

TEST(SocketAddressTest, RefusesAllElse) {
  for (const char* text : {"",
                           ":",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:8443 ",
                           " 127.0.0.1:1",
                           "127.0.0.1:+1",
                           "127.0.0.1:080000",
                           "127.1:80",
                           "256.0.0.1:80",
                           "::1:53",
                           "::1",
                           "[::1]",
                           "[::1]53",
                           "[::1]:",
                           "[127.0.0.1]:80",
                           "[]:80",
                           "localhost:80",
                           "[::1:80",
                           "::1]:80",
                           "[::1%lo]:80",
                           "1.2.3.4:80:80",
                           "1.2.3.4:8x"}) {
    auto address = SocketAddress::Parse(text);
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_EQ(address.error().reason, "bad_address");
    EXPECT_EQ(address.error().fault, Fault::kOperator);
    EXPECT_NE(address.error().message.find("expected"), std::string::npos);
  }
}

TEST(SocketAddressTest, EveryShorterTextIsRefusedOrAnotherPort) {
  std::string text = "[2001:db8::17]:8443";
  for (size_t size = 0; size < text.size(); ++size) {
    auto address = SocketAddress::Parse(text.substr(0, size));
    bool has_port = size > text.find("]:") + 2;
    EXPECT_EQ(address.has_value(), has_port) << text.substr(0, size);
  }
  EXPECT_FALSE(SocketAddress::Parse(text + "0").has_value());
}

TEST(SocketAddressTest, LiteralsHaveNoBracketsAndNoPort) {
  EXPECT_EQ(SocketAddress::FromLiteral("::1", 53)->ToString(), "[::1]:53");
  EXPECT_EQ(SocketAddress::FromLiteral("10.1.2.3", 80)->ToString(), "10.1.2.3:80");
  EXPECT_FALSE(SocketAddress::FromLiteral("[::1]", 53).has_value());
  EXPECT_FALSE(SocketAddress::FromLiteral("", 53).has_value());
  EXPECT_FALSE(SocketAddress::FromLiteral(std::string("1.2.3.4\0", 8), 53).has_value());
  EXPECT_FALSE(SocketAddress::FromLiteral(std::string(500, '1'), 53).has_value());
  EXPECT_TRUE(IsIpLiteral("127.0.0.1"));
  EXPECT_TRUE(IsIpLiteral("::1"));
  EXPECT_FALSE(IsIpLiteral("[::1]"));
  EXPECT_FALSE(IsIpLiteral("www.demo.test"));
  EXPECT_FALSE(IsIpLiteral("127.1"));
}

TEST(SocketAddressTest, KnowsLoopback) {
  for (const char* ip : {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(SocketAddress::FromLiteral(ip, 0)->IsLoopback()) << ip;
  }
  for (const char* ip : {"128.0.0.1", "0.0.0.0", "::", "::2", "::ffff:10.0.0.1", "fe80::1"}) {
    EXPECT_FALSE(SocketAddress::FromLiteral(ip, 0)->IsLoopback()) << ip;
  }
}

TEST(SocketAddressTest, ComparesAddressAndPort) {
  auto a = *SocketAddress::Parse("10.0.0.1:80");
  EXPECT_EQ(a, *SocketAddress::Parse("10.0.0.1:80"));
  EXPECT_NE(a, *SocketAddress::Parse("10.0.0.1:81"));
  EXPECT_NE(a, *SocketAddress::Parse("10.0.0.2:80"));
  EXPECT_NE(a, *SocketAddress::Parse("[::ffff:10.0.0.1]:80"));
  EXPECT_NE(a, SocketAddress());
  EXPECT_EQ(SocketAddress(), SocketAddress());
  a.set_port(81);
  EXPECT_EQ(a.port(), 81);
  EXPECT_EQ(a, *SocketAddress::Parse("10.0.0.1:81"));
}

TEST(SocketAddressTest, GivesItsRawBytes) {
  EXPECT_EQ(SocketAddress::FromLiteral("1.2.3.4", 0)->bytes(), "\x01\x02\x03\x04");
  EXPECT_EQ(SocketAddress::FromLiteral("::1", 0)->bytes().size(), 16u);
  EXPECT_EQ(SocketAddress().bytes(), "");
  EXPECT_EQ(SocketAddress().ToString(), "");
  EXPECT_EQ(SocketAddress().port(), 0);
  EXPECT_FALSE(SocketAddress().IsLoopback());
}

TEST(SocketAddressTest, CopiesASockaddr) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(9000);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SocketAddress address(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  EXPECT_EQ(address.ToString(), "127.0.0.1:9000");
  EXPECT_EQ(address.length(), sizeof v4);
  EXPECT_FALSE(SocketAddress(nullptr, sizeof v4).is_set());
}

}  // namespace
}  // namespace nearside::net
