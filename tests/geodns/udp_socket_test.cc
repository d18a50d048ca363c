#include "geodns/udp_socket.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

namespace nearside::geodns {
namespace {

constexpr unsigned kInterface = 3;

/// The control message of a query, and what TurnAround makes of it.
template <typename Info>
Info TurnedAround(int level, int type, Info info) {
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(Info))] = {};
  msghdr header{};
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(c), &info, sizeof info);
  TurnAround(&header);
  std::memcpy(&info, CMSG_DATA(c), sizeof info);
  return info;
}

in6_pktinfo QueryTo(const char* address) {
  in6_pktinfo info{};
  EXPECT_EQ(inet_pton(AF_INET6, address, &info.ipi6_addr), 1);
  info.ipi6_ifindex = kInterface;
  return info;
}

TEST(TurnAroundTest, Ipv4AnswersLeaveByWhateverInterfaceRoutingSays) {
  in_pktinfo query{};
  query.ipi_addr.s_addr = htonl(0xC0000201);
  query.ipi_ifindex = kInterface;
  in_pktinfo answer = TurnedAround(IPPROTO_IP, IP_PKTINFO, query);
  EXPECT_EQ(answer.ipi_spec_dst.s_addr, htonl(0xC0000201));
  EXPECT_EQ(answer.ipi_ifindex, 0);
}

TEST(TurnAroundTest, Ipv6AnswersLeaveByWhateverInterfaceRoutingSays) {
  for (const char* address : {"2001:db8::1", "fd00::1", "::1"}) {
    in6_pktinfo query = QueryTo(address);
    in6_pktinfo answer = TurnedAround(IPPROTO_IPV6, IPV6_PKTINFO, query);
    EXPECT_EQ(std::memcmp(&answer.ipi6_addr, &query.ipi6_addr, sizeof query.ipi6_addr), 0);
    EXPECT_EQ(answer.ipi6_ifindex, 0U) << address;
  }
}

TEST(TurnAroundTest, LinkLocalAnswersLeaveByTheInterfaceOfTheQuery) {
  in6_pktinfo answer = TurnedAround(IPPROTO_IPV6, IPV6_PKTINFO, QueryTo("fe80::1"));
  EXPECT_EQ(answer.ipi6_ifindex, kInterface);
}

}  // namespace
}  // namespace nearside::geodns
