#include "dns/rdata.h"

#include <gtest/gtest.h>

#include <random>

#include "dns/record_type.h"
#include "runtime/crypto.h"
#include "tests/dns/wire_query.h"
#include "tests/dns/words.h"

namespace nearside::dns {
namespace {

/// The data in hexadecimal, or the error's message.
std::string Read(std::string_view type, std::string_view text) {
  auto origin = Name::FromText("o.");
  auto rdata = RdataFromWords(*TypeFromText(type), Words(text), *origin);
  return rdata ? HexEncode(*rdata) : rdata.error().message;
}

TEST(RdataTest, EveryTypeIsReadAndWrittenBack) {
  const struct {
    std::string_view type, text, hex, canonical;
  } kRows[] = {
      {"A", "192.0.2.1", "c0000201", ""},
      {"AAAA", "2001:db8::1", "20010db8000000000000000000000001", ""},
      {"NS", "ns1", "036e7331016f00", "ns1.o."},
      {"CNAME", "a.b.", "0161016200", ""},
      {"PTR", "@", "016f00", "o."},
      {"MX", "10 mx.", "000a026d7800", ""},
      {"SOA", "a. b. 7 2h 30m 1w 5",
       "016100016200"
       "00000007"
       "00001c20"
       "00000708"
       "00093a80"
       "00000005",
       "a. b. 7 7200 1800 604800 5"},
      {"TXT", "\"v=1 x\" two",
       "0576"
       "3d312078"
       "0374776f",
       "\"v=1 x\" \"two\""},
      {"TXT", "\"\"", "00", ""},
      {"TXT", "a\\\"b\\010",
       "0461226"
       "20a",
       "\"a\\\"b\\010\""},
      {"HINFO", "\"RFC8482\" \"\"",
       "0752464338343832"
       "00",
       ""},
      {"SRV", "1 2 443 t.", "0001000201bb017400", ""},
      {"RP", "a. b", "0161000162016f00", "a. b.o."},
      {"AFSDB", "1 a.", "0001016100", ""},
      {"SMIMEA", "3 1 1 00ff", "03010100ff", ""},
      {"OPENPGPKEY", "AAEC Aw==", "00010203", "AAECAw=="},
      {"URI", "1 2 \"https://a/\"", "0001000268747470733a2f2f612f", ""},
      {"ALIAS", "a.", "016100", ""},
      {"NAPTR", "1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
       "00010002"
       "0175"
       "074532552b736970"
       "0e215e2e2a24217369703a61406221"
       "00",
       ""},
      {"DS", "60485 5 1 2BB183AF 5F22", "ec4505012bb183af5f22", "60485 5 1 2bb183af5f22"},
      {"SSHFP", "4 2 00ff", "040200ff", ""},
      {"TLSA", "3 1 1 abcd", "030101abcd", ""},
      {"CAA", "0 issue \"letsencrypt.org\"",
       "00056973737565"
       "6c657473656e63727970742e6f7267",
       ""},
      {"CAA", "128 iodef \"\"", "8005696f646566", ""},
      {"SPF", "\"v=spf1 -all\"", "0b763d73706631202d616c6c", ""},
      {"TYPE65280", "\\# 3 0a0b 0c", "0a0b0c", "\\# 3 0a0b0c"},
      {"TYPE65280", "\\# 0", "", "\\# 0"},
      {"A", "\\# 4 c0000201", "c0000201", "192.0.2.1"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Read(row.type, row.text), row.hex) << row.type << ' ' << row.text;
    auto bytes = FromHex(row.hex);
    std::string text = RdataToText(*TypeFromText(row.type), bytes);
    EXPECT_EQ(text, row.canonical.empty() ? row.text : row.canonical);
    EXPECT_EQ(Read(row.type, text), row.hex) << text;
  }
}

TEST(RdataTest, WrongDataSaysWhatWasExpected) {
  const struct {
    std::string_view type, text, want;
  } kRows[] = {
      {"A", "192.0.2", "expected an IPv4 address, got \"192.0.2\""},
      {"A", "::1", "expected an IPv4 address, got \"::1\""},
      {"AAAA", "192.0.2.1", "expected an IPv6 address, got \"192.0.2.1\""},
      {"A", "", "data is missing at the end of the record"},
      {"MX", "10", "data is missing at the end of the record"},
      {"A", "192.0.2.1 192.0.2.2", "there is more data than type A has"},
      {"MX", "65536 mx.", "expected a number from 0 to 65535, got \"65536\""},
      {"MX", "ten mx.", "expected a number from 0 to 65535, got \"ten\""},
      {"MX", "-1 mx.", "expected a number from 0 to 65535, got \"-1\""},
      {"CAA", "256 issue \"\"", "expected a number from 0 to 255, got \"256\""},
      {"CAA", "0 is-sue \"\"", "expected a tag of letters and digits like issue, got \"is-sue\""},
      {"NS", "a..b.", "\"a..b.\" is no domain name: a label is empty"},
      {"TXT", "a\\", "\\ must be followed by a character or three digits up to 255"},
      {"TXT", "a\\999", "\\ must be followed by a character or three digits up to 255"},
      {"TXT", "a\\12", "\\ must be followed by a character or three digits up to 255"},
      {"DS", "1 2 3 0g", "expected pairs of hexadecimal digits, got \"0g\""},
      {"DS", "1 2 3 012", "expected pairs of hexadecimal digits, got \"012\""},
      {"SOA", "a. b. 1 1x 1 1 1", "expected a time up to 2147483647 like 300 or 1h30m, got \"1x\""},
      {"RRSIG", "A 13 2 300 0 0 1 o. x",
       "data of type RRSIG is written as \\# LENGTH HEXADECIMAL (RFC 3597)"},
      {"HTTPS", "\\# 5 0001000003", "these bytes are no data of type HTTPS"},
      {"HTTPS", "1", "data is missing at the end of the record"},
      {"A", "\\# 3 c00002", "these bytes are no data of type A"},
      {"NS", "\\# 2 0161", "these bytes are no data of type NS"},
      {"A", "\\# 5 c0000201", "expected 5 bytes of hexadecimal digits after \\#"},
      {"A", "\\#", "expected the number of bytes after \\#"},
  };
  for (const auto& row : kRows) EXPECT_EQ(Read(row.type, row.text), row.want) << row.text;
  EXPECT_EQ(Read("TXT", std::string(256, 'x')),
            "a string has 256 bytes and may have 255: write it as several strings");
}

TEST(RdataTest, TimesMayCarryUnits) {
  const struct {
    std::string_view text;
    int64_t want;
  } kRows[] = {{"0", 0},
               {"300", 300},
               {"1h30m", 5400},
               {"2D", 172800},
               {"1w1d1h1m1s", 694861},
               {"1h5", 3605},
               {"2147483647", 2147483647},
               {"2147483648", -1},
               {"99999999999999999999", -1},
               {"3551w", -1},
               {"", -1},
               {"h", -1},
               {"1x", -1},
               {"1h-1", -1},
               {"1 ", -1}};
  for (const auto& row : kRows) {
    auto seconds = SecondsFromText(row.text);
    EXPECT_EQ(seconds ? int64_t{*seconds} : -1, row.want) << row.text;
  }
}

TEST(RdataTest, EveryShorterLengthIsInvalid) {
  const struct {
    uint16_t type;
    std::string_view hex;
  } kRows[] = {{type::kA, "c0000201"},
               {type::kAaaa, "20010db8000000000000000000000001"},
               {type::kNs, "016101620161016200"},
               {type::kMx, "000a026d7800"},
               {type::kSoa,
                "016100016200"
                "0000000700001c200000070800093a8000000005"},
               {type::kTxt, "0376313203616263"},
               {type::kSrv, "0001000201bb017400"}};
  for (const auto& row : kRows) {
    auto bytes = FromHex(row.hex);
    EXPECT_TRUE(RdataIsValid(row.type, bytes));
    for (size_t size = 0; size < bytes.size(); ++size) {
      if (row.type == type::kTxt && size == 4) continue;  // a whole string ends there
      EXPECT_FALSE(RdataIsValid(row.type, std::span(bytes).first(size))) << row.type << ' ' << size;
    }
    bytes.push_back(0x50);
    EXPECT_FALSE(RdataIsValid(row.type, bytes)) << row.type;
  }
}

TEST(RdataTest, ACaaTagIsLettersAndDigits) {
  const auto valid = [](std::string_view rdata) {
    return RdataIsValid(type::kCaa, {reinterpret_cast<const uint8_t*>(rdata.data()), rdata.size()});
  };
  EXPECT_TRUE(valid({"\0\5issue;", 8}));
  EXPECT_TRUE(valid({"\0\2a1", 4}));
  EXPECT_FALSE(valid({"\0\0value", 7}));
  EXPECT_FALSE(valid({"\0\2a-x", 5}));
  EXPECT_FALSE(valid({"\0\2a", 3}));
}

TEST(RdataTest, RandomBytesPrintAndReadBackTheSame) {
  std::mt19937 random(3);
  size_t valid = 0;
  for (int round = 0; round < 20'000; ++round) {
    uint16_t type = static_cast<uint16_t>(random() % 70);
    std::vector<uint8_t> bytes(random() % 40);
    for (auto& byte : bytes)
      byte = static_cast<uint8_t>(random() % 8 == 0 ? random() : random() % 5);
    std::string text = RdataToText(type, bytes);
    // Malformed data of a known type is printed, but not accepted.
    if (!RdataIsValid(type, bytes)) {
      EXPECT_EQ(text.substr(0, 3), "\\# ");
      continue;
    }
    ++valid;
    EXPECT_EQ(Read(TypeToText(type), text), HexEncode(bytes)) << text;
  }
  EXPECT_GT(valid, 1000U);
}

TEST(RecordTypeTest, NamesAndNumbersGoBothWays) {
  for (int type = 0; type <= 65'535; ++type) {
    std::string text = TypeToText(static_cast<uint16_t>(type));
    ASSERT_EQ(TypeFromText(text), type) << text;
  }
  EXPECT_EQ(TypeFromText("aaaa"), type::kAaaa);
  EXPECT_EQ(TypeFromText("type1"), type::kA);
  EXPECT_EQ(TypeFromText("https"), type::kHttps);
  for (std::string_view text : {"", "B", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "AA"}) {
    EXPECT_FALSE(TypeFromText(text)) << text;
  }
  EXPECT_TRUE(IsMetaType(type::kAny) && IsMetaType(type::kOpt) && IsMetaType(0));
  EXPECT_FALSE(IsMetaType(type::kCaa) || IsMetaType(type::kA) || IsMetaType(type::kSpf));
}

}  // namespace
}  // namespace nearside::dns
