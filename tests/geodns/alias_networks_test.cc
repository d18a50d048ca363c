#include "geodns/alias_networks.h"

#include <gtest/gtest.h>

#include <thread>

namespace nearside::geodns {
namespace {

AliasNetworks::Answer NetworkAnswer(std::string_view network, uint8_t most_known = UINT8_MAX) {
  return {.network = *Network::Parse(network),
          .most_known = most_known,
          .addresses = {*IpAddress::Parse("192.0.2.1")},
          .ttl = 30,
          .asked = std::make_shared<std::atomic<bool>>(false)};
}

/// "198.51.100.0/24 scope 24", "all scope 24 wanted".
std::string FoundIn(const AliasNetworks& networks, std::string_view client, uint8_t known_bits) {
  const AliasNetworks::Found found = networks.Find(*IpAddress::Parse(client), known_bits);
  return (found.answer == nullptr ? "all" : found.answer->network.ToText()) + " scope " +
         std::to_string(found.scope) + (found.is_wanted ? " wanted" : "");
}

TEST(AliasNetworksTest, TheLongestNetworkThatIsKnownCounts) {
  const AliasNetworks networks(
      7,
      {NetworkAnswer("198.51.100.0/24"), NetworkAnswer("198.51.0.0/16", 16),
       NetworkAnswer("203.0.0.0/10"), NetworkAnswer("2001:db8::/48")},
      {}, 5);
  const struct {
    std::string_view client;
    uint8_t known_bits;
    std::string_view want;
  } kRows[] = {
      {"198.51.100.0", 24, "198.51.100.0/24 scope 24"},
      {"198.51.101.0", 24, "all scope 24 wanted"},  // the answer of /16 is for who tells no more
      {"198.51.0.0", 16, "198.51.0.0/16 scope 16"},
      {"198.51.0.0", 12, "all scope 12 wanted"},
      {"203.5.6.0", 24, "203.0.0.0/10 scope 10"},
      {"203.5.6.0", 10, "203.0.0.0/10 scope 10"},
      {"8.8.8.0", 24, "all scope 24 wanted"},
      {"10.0.0.0", 24, "all scope 24"},
      {"8.8.8.0", 0, "all scope 0"},
      {"2001:db8::", 56, "2001:db8::/48 scope 48"},
      {"2001:db8:1::", 56, "all scope 56 wanted"},
      {"fd00::", 56, "all scope 56"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(FoundIn(networks, row.client, row.known_bits), row.want)
        << row.client << '/' << int{row.known_bits};
  }
  EXPECT_EQ(networks.size(), 4U);
}

TEST(AliasNetworksTest, WhoIsNotToldApartIsToldSo) {
  const AliasNetworks::Family same{.is_tailored = false, .wants_asks = false};
  const AliasNetworks networks(7, {}, {same, {}}, 5);
  EXPECT_EQ(FoundIn(networks, "198.51.100.0", 24), "all scope 0");
  EXPECT_EQ(FoundIn(networks, "2001:db8::", 56), "all scope 56 wanted");
}

TEST(AliasNetworksTest, TheFirstOfSeveralAnswersCounts) {
  AliasNetworks::Answer second = NetworkAnswer("198.51.100.0/24");
  second.ttl = 99;
  const AliasNetworks networks(7, {NetworkAnswer("198.51.100.0/24"), second}, {}, 5);
  EXPECT_EQ(networks.size(), 1U);
  EXPECT_EQ(networks.Find(*IpAddress::Parse("198.51.100.0"), 24).answer->ttl, 30U);
}

TEST(AliasNetworksTest, AddressesOfNobodyElseAreNotTold) {
  for (std::string_view text : {"8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2001:db8::1",
                                "223.255.255.255", "192.169.0.1"}) {
    EXPECT_TRUE(IsGlobal(*IpAddress::Parse(text))) << text;
  }
  for (std::string_view text : {"0.0.0.1", "10.1.2.3", "127.0.0.1", "169.254.1.1", "172.16.0.1",
                                "172.31.255.255", "192.168.1.1", "100.64.0.1", "224.0.0.1",
                                "255.255.255.255", "::1", "fe80::1", "fd00::1", "ff02::1"}) {
    EXPECT_FALSE(IsGlobal(*IpAddress::Parse(text))) << text;
  }
}

TEST(AliasAsksTest, WhatFindsNoRoomIsLost) {
  AliasAsks asks;
  const auto ask = [](uint32_t target) {
    return AliasAsk{target, *Network::Parse("198.51.100.0/24")};
  };
  EXPECT_TRUE(asks.Put(ask(0)));
  EXPECT_TRUE(asks.Put(ask(0))) << "is there";
  for (uint32_t i = 1; i < 256; ++i) EXPECT_TRUE(asks.Put(ask(i)));
  EXPECT_FALSE(asks.Put(ask(256)));
  AliasAsk taken;
  for (uint32_t i = 0; i < 256; ++i) {
    ASSERT_TRUE(asks.Take(&taken));
    EXPECT_EQ(taken, ask(i));
  }
  EXPECT_FALSE(asks.Take(&taken));
  EXPECT_TRUE(asks.Put(ask(255))) << "the last one has been taken";
  EXPECT_TRUE(asks.Take(&taken));
}

TEST(AliasAsksTest, OneThreadPutsAndAnotherTakes) {
  AliasAsks asks;
  constexpr uint32_t kAsks = 50'000;
  std::thread worker([&] {
    for (uint32_t i = 0; i < kAsks;) {
      if (asks.Put({i, {}})) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (uint32_t i = 0; i < kAsks;) {
    AliasAsk taken;
    if (!asks.Take(&taken)) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(taken.target, i);
    ++i;
  }
  worker.join();
}

}  // namespace
}  // namespace nearside::geodns
