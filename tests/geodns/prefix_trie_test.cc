#include "geodns/prefix_trie.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace nearside::geodns {
namespace {

Network Net(std::string_view text) { return *Network::Parse(text); }
IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

std::string FindTags(const PrefixTrie& trie, const std::vector<uint64_t>& sets,
                     std::string_view address) {
  auto match = trie.Find(Ip(address).bytes.data());
  std::string text;
  for (int tag = 0; tag < 64; ++tag) {
    if ((sets[match.value] >> tag & 1) != 0) text += std::to_string(tag) + " ";
  }
  return text + "/" + std::to_string(match.scope);
}

TEST(PrefixTrieTest, EverythingIsZeroAtFirst) {
  PrefixTrie trie;
  EXPECT_EQ(trie.Find(Ip("192.0.2.1").bytes.data()).value, 0U);
  EXPECT_EQ(trie.Find(Ip("192.0.2.1").bytes.data()).scope, 0);
}

TEST(PrefixTrieTest, OverlappingNetworksGiveSetsOfTags) {
  std::vector<TaggedNetwork> networks = {{Net("10.0.0.0/8"), 1},
                                         {Net("10.1.0.0/16"), 2},
                                         {Net("10.1.2.3/32"), 3},
                                         {Net("0.0.0.0/0"), 4},
                                         {Net("2001:db8::/32"), 5}};
  std::vector<uint64_t> sets;
  auto ipv4 = TrieOfTags(networks, false, &sets);
  EXPECT_EQ(FindTags(ipv4, sets, "10.2.0.1"), "1 4 /15");
  EXPECT_EQ(FindTags(ipv4, sets, "10.1.2.3"), "1 2 3 4 /32");
  EXPECT_EQ(FindTags(ipv4, sets, "10.1.2.2"), "1 2 4 /32");
  EXPECT_EQ(FindTags(ipv4, sets, "192.0.2.1"), "4 /1");
  auto ipv6 = TrieOfTags(networks, true, &sets);
  EXPECT_EQ(FindTags(ipv6, sets, "2001:db8::1"), "5 /32");
  EXPECT_EQ(FindTags(ipv6, sets, "8000::1"), "/1");
}

TEST(PrefixTrieTest, NeighboursThatAreAlikeAreOneLeaf) {
  std::vector<TaggedNetwork> networks;
  for (int i = 0; i < 256; ++i) networks.push_back({Net("10.0." + std::to_string(i) + ".0/24"), 7});
  std::vector<uint64_t> sets;
  auto trie = TrieOfTags(networks, false, &sets);
  EXPECT_EQ(FindTags(trie, sets, "10.0.77.1"), "7 /16");
  EXPECT_EQ(trie.node_count(), 16U);
}

TEST(PrefixTrieTest, GroupsWidenTheScopeAndKeepTheValues) {
  TrieBuilder leaves;
  auto root = leaves.Join(leaves.Join(leaves.Leaf(0), leaves.Leaf(1)),
                          leaves.Join(leaves.Leaf(2), leaves.Leaf(0)));
  PrefixTrie trie = leaves.Finish(root);
  // 0 and 1 are one group, 2 is another.
  std::vector<uint32_t> groups = {0, 0, 1};
  auto grouped = PrefixTrie::Combine(
      trie, PrefixTrie(), [](uint32_t a, uint32_t) { return a; }, &groups);
  auto at = [&](std::string_view address) {
    auto match = grouped.Find(Ip(address).bytes.data());
    return std::to_string(match.value) + "/" + std::to_string(match.scope);
  };
  EXPECT_EQ(at("0.0.0.0"), "0/1");
  EXPECT_EQ(at("64.0.0.0"), "1/1");
  EXPECT_EQ(at("128.0.0.0"), "2/2");
  EXPECT_EQ(at("192.0.0.0"), "0/2");
  groups = {0, 0, 0};
  auto all_alike = PrefixTrie::Combine(
      trie, PrefixTrie(), [](uint32_t a, uint32_t) { return a; }, &groups);
  EXPECT_EQ(all_alike.Find(Ip("128.0.0.0").bytes.data()).scope, 0);
  EXPECT_EQ(all_alike.Find(Ip("128.0.0.0").bytes.data()).value, 2U);
}

/// Random networks: Combine and scopes against a slow reading of the definition.
TEST(PrefixTrieTest, AgreesWithASearchThroughAllNetworks) {
  constexpr unsigned kSeed = 99;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 10; ++round) {
    std::vector<TaggedNetwork> a, b;
    for (auto* list : {&a, &b}) {
      for (unsigned i = 0; i < random() % 12; ++i) {
        // All in 10.0.0.0/24, so that they overlap.
        IpAddress address = Ip("10.0.0." + std::to_string(random() % 256));
        list->push_back({Network::Of(address, static_cast<uint8_t>(24 + random() % 9)),
                         static_cast<uint8_t>(random() % 3)});
      }
    }
    std::vector<uint64_t> sets_a, sets_b;
    auto trie_a = TrieOfTags(a, false, &sets_a);
    auto trie_b = TrieOfTags(b, false, &sets_b);
    auto both = PrefixTrie::Combine(trie_a, trie_b, [&](uint32_t x, uint32_t y) {
      return static_cast<uint32_t>(sets_a[x] << 8 | sets_b[y]);
    });
    auto want = [&](int last) {
      IpAddress address = Ip("10.0.0." + std::to_string(last));
      uint32_t tags[2] = {0, 0};
      for (int i = 0; i < 2; ++i) {
        for (const auto& tagged : i == 0 ? a : b) {
          if (tagged.network.Contains(address)) tags[i] |= 1U << tagged.tag;
        }
      }
      return tags[0] << 8 | tags[1];
    };
    for (int last = 0; last < 256; ++last) {
      auto match = both.Find(Ip("10.0.0." + std::to_string(last)).bytes.data());
      ASSERT_EQ(match.value, want(last)) << "seed " << kSeed << " round " << round;
      // The scope is the widest network around the address with one value.
      int bits = 32;
      for (; bits > 24; --bits) {
        int size = 1 << (33 - bits);
        int begin = last / size * size;
        bool alike = true;
        for (int other = begin; other < begin + size; ++other) alike &= want(other) == want(last);
        if (!alike) break;
      }
      ASSERT_TRUE(bits == 24 || match.scope == bits) << round << " " << last;
    }
  }
}

/// A large trie, against a small one of the
/// same networks.
TEST(PrefixTrieTest, LargeTriesFindTheSame) {
  std::mt19937 random(17);
  std::vector<TaggedNetwork> networks;
  for (int i = 0; i < 12'000; ++i) {
    uint32_t bits = static_cast<uint32_t>(random());
    uint8_t bytes[4] = {static_cast<uint8_t>(bits >> 24), static_cast<uint8_t>(bits >> 16),
                        static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits)};
    uint8_t length = static_cast<uint8_t>(i % 50 == 0 ? 3 + random() % 14 : 17 + random() % 16);
    networks.push_back(
        {Network::Of(IpAddress::V4(bytes), length), static_cast<uint8_t>(random() % 5)});
  }
  std::vector<uint64_t> sets;
  PrefixTrie trie = TrieOfTags(networks, false, &sets);
  std::vector<uint32_t> groups;
  for (uint32_t i = 0; i < sets.size(); ++i) groups.push_back(i % 2);
  auto same = [](uint32_t a, uint32_t) { return a; };
  PrefixTrie grouped = PrefixTrie::Combine(trie, PrefixTrie(), same, &groups);
  ASSERT_GT(grouped.node_count(), 10'000U);
  for (int i = 0; i < 20'000; ++i) {
    // Near the networks' edges, where mistakes would be.
    IpAddress address = networks[random() % networks.size()].network.address;
    address.bytes[random() % 4] ^= static_cast<uint8_t>(1U << random() % 8);
    PrefixTrie::Match plain = trie.Find(address.bytes.data());
    PrefixTrie::Match match = grouped.Find(address.bytes.data());
    ASSERT_EQ(match.value, plain.value);
    // All addresses that differ only beyond the scope are of the same group, and one beside them is
    // not.
    ASSERT_LE(match.scope, plain.scope);
    for (int j = 0; j < 4; ++j) {
      IpAddress other = address;
      for (unsigned bit = match.scope; bit < 32; ++bit) {
        if (random() % 2) other.bytes[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
      }
      ASSERT_EQ(grouped.Find(other.bytes.data()).scope, match.scope) << other.ToText();
      ASSERT_EQ(groups[trie.Find(other.bytes.data()).value], groups[plain.value]);
    }
  }
}

TEST(NetworkTest, ParsesAndRefuses) {
  const struct {
    std::string_view text, want;
  } kRows[] = {{"10.0.0.0/8", "10.0.0.0/8"},
               {"192.0.2.1", "192.0.2.1/32"},
               {"::/0", "::/0"},
               {"2001:db8::1", "2001:db8::1/128"},
               {"10.0.0.1/8", ""},
               {"10.0.0.0/33", ""},
               {"10.0.0.0/", ""},
               {"10.0.0.0/-1", ""},
               {"10.0.0/8", ""},
               {"2001:db8::/129", ""},
               {"", ""},
               {"/8", ""},
               {"10.0.0.0/8x", ""}};
  for (const auto& row : kRows) {
    auto network = Network::Parse(row.text);
    EXPECT_EQ(network ? network->ToText() : "", row.want) << row.text;
  }
  EXPECT_TRUE(Net("10.0.0.0/8").Contains(Ip("10.255.0.1")));
  EXPECT_FALSE(Net("10.0.0.0/8").Contains(Ip("11.0.0.1")));
  EXPECT_FALSE(Net("::/0").Contains(Ip("11.0.0.1")));
}

TEST(IpAddressTest, MappedIpv4IsIpv4) {
  auto mapped = Ip("::ffff:192.0.2.1");
  EXPECT_TRUE(mapped.is_ipv6);
  EXPECT_EQ(IpAddress::V6(mapped.bytes.data()), Ip("192.0.2.1"));
  EXPECT_EQ(IpAddress::V6(Ip("2001:db8::1").bytes.data()).ToText(), "2001:db8::1");
}

}  // namespace
}  // namespace nearside::geodns
