#include "dns/cookie.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/dns/wire_query.h"

namespace nearside::dns {
namespace {

CookieSecret SecretOf(std::string_view hex) {
  const auto bytes = FromHex(hex);
  CookieSecret secret{};
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

std::vector<uint8_t> AddressBytes(const std::string& text) {
  const bool is_ipv6 = text.find(':') != std::string::npos;
  std::vector<uint8_t> bytes(is_ipv6 ? 16 : 4);
  EXPECT_EQ(inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()), 1);
  return bytes;
}

std::string_view StateName(CookieState state) {
  constexpr std::string_view kNames[] = {"none", "client only", "bad", "good"};
  return kNames[static_cast<size_t>(state)];
}

const CookieSecret kFirst = SecretOf("e5e973e5a6b2a43f48e7dc849e37bfcf");
const CookieSecret kOld = SecretOf("dd3bdf9344b678b185a6f5cb60fca715");
const CookieSecret kNew = SecretOf("445536bcd2513298075a5d379663c962");

/// RFC 9018 appendix A, as far as it gives the numbers.
TEST(CookieTest, VectorsOfTheRfc) {
  const struct {
    std::string_view row;
    CookieSecrets secrets;
    std::string address;
    uint32_t now;
    std::string_view query;
    CookieState state;
    std::string_view answer;
  } kRows[] = {
      {"A.1 a new client",
       {kFirst, {}},
       "198.51.100.100",
       1559731985,
       "2464c4abcf10c957",
       CookieState::kClientOnly,
       "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
      {"A.2 forty minutes later",
       {kFirst, {}},
       "198.51.100.100",
       1559734385,
       "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
       CookieState::kGood,
       "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
      {"A.3 reserved bytes, when it was made",
       {kFirst, {}},
       "203.0.113.203",
       1559727985,
       "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
       CookieState::kGood,
       "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"},
      // The appendix calls it valid at this time, almost two hours later; §4.3 has one hour.
      {"A.3 answer",
       {kFirst, {}},
       "203.0.113.203",
       1559734700,
       "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
       CookieState::kBad,
       "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
      {"A.4 the secret has changed",
       {kNew, kOld},
       "2001:db8:220:1:59de:d0f4:8769:82b8",
       1559741961,
       "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
       CookieState::kGood,
       "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
      {"the old secret is forgotten",
       {kNew, {}},
       "2001:db8:220:1:59de:d0f4:8769:82b8",
       1559741961,
       "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
       CookieState::kBad,
       "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
  };
  for (const auto& row : kRows) {
    const auto query = FromHex(row.query);
    const auto received = ReceiveCookie(query, AddressBytes(row.address), row.secrets, row.now);
    EXPECT_EQ(StateName(received.state), StateName(row.state)) << row.row;
    EXPECT_TRUE(std::ranges::equal(received.answer, FromHex(row.answer))) << row.row;
  }
}

TEST(CookieTest, TimeHasAWindow) {
  constexpr uint32_t kMade = 0xFFFFFF00;  // near the end of the clock's 32 bits
  const uint8_t client[kClientCookieBytes] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto address = AddressBytes("192.0.2.1");
  const CookieSecrets secrets{kFirst, kOld};
  const Cookie made = MakeCookie(client, address, kFirst, kMade);
  const Cookie made_with_old = MakeCookie(client, address, kOld, kMade);
  const struct {
    int32_t age;
    CookieState state;
    bool is_renewed;
  } kRows[] = {
      {-301, CookieState::kBad, true},  {-300, CookieState::kGood, false},
      {0, CookieState::kGood, false},   {1800, CookieState::kGood, false},
      {1801, CookieState::kGood, true}, {3600, CookieState::kGood, true},
      {3601, CookieState::kBad, true},
  };
  for (const auto& row : kRows) {
    const uint32_t now = kMade + static_cast<uint32_t>(row.age);
    const auto received = ReceiveCookie(made, address, secrets, now);
    EXPECT_EQ(StateName(received.state), StateName(row.state)) << row.age;
    EXPECT_EQ(received.answer != made, row.is_renewed) << row.age;
    const auto with_old = ReceiveCookie(made_with_old, address, secrets, now);
    EXPECT_EQ(StateName(with_old.state), StateName(row.state)) << row.age;
    EXPECT_EQ(with_old.answer, MakeCookie(client, address, kFirst, now)) << "always a new one";
  }
}

TEST(CookieTest, EveryBitCounts) {
  const uint8_t client[kClientCookieBytes] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto address = AddressBytes("192.0.2.1");
  const CookieSecrets secrets{kFirst, {}};
  constexpr uint32_t kNow = 1559731985;
  const Cookie made = MakeCookie(client, address, kFirst, kNow);
  ASSERT_EQ(ReceiveCookie(made, address, secrets, kNow).state, CookieState::kGood);
  for (size_t bit = 0; bit < made.size() * 8; ++bit) {
    Cookie changed = made;
    changed[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_EQ(ReceiveCookie(changed, address, secrets, kNow).state, CookieState::kBad) << bit;
  }
  EXPECT_EQ(ReceiveCookie(made, AddressBytes("192.0.2.2"), secrets, kNow).state, CookieState::kBad);
}

TEST(CookieTest, CookiesOfOtherMakersAreNotOurs) {
  const CookieSecrets secrets{kFirst, {}};
  for (size_t size : {16, 17, 23, 25, 32, 40}) {
    const std::vector<uint8_t> cookie(size, 1);
    EXPECT_EQ(ReceiveCookie(cookie, AddressBytes("::1"), secrets, 0x01010101).state,
              CookieState::kBad)
        << size;
  }
  EXPECT_EQ(ReceiveCookie({}, AddressBytes("::1"), secrets, 1).state, CookieState::kNone);
}

}  // namespace
}  // namespace nearside::dns
