#include "dns/message.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/dns/wire_query.h"

namespace nearside::dns {
namespace {

Malformed Parse(const std::vector<uint8_t>& bytes) {
  Query query;
  return ParseQuery(bytes, &query);
}

TEST(QueryTest, HeaderQuestionAndEdnsAreRead) {
  auto bytes = WireQuery("Www.Demo.test.", type::kAaaa)
                   .Id(0xBEEF)
                   .Flags(flag::kRecursionDesired)
                   .Edns(4096, 0, true)
                   .Option(option::kNsid, {})
                   .Option(65001, FromHex("0102"))
                   .Option(option::kCookie, FromHex("0102030405060708"))
                   .Subnet("133.11.0.0/17")
                   .Bytes();
  Query query;
  ASSERT_EQ(ParseQuery(bytes, &query), Malformed::kNone);
  EXPECT_EQ(query.header.id, 0xBEEF);
  EXPECT_EQ(query.header.flags, flag::kRecursionDesired);
  EXPECT_EQ(query.header.opcode(), Opcode::kQuery);
  EXPECT_EQ(query.question->name.ToText(), "Www.Demo.test.");
  EXPECT_EQ(query.question->type, type::kAaaa);
  EXPECT_EQ(query.question->rr_class, rr_class::kIn);
  EXPECT_EQ(query.question->wire_bytes, 15 + 4);
  EXPECT_EQ(query.edns->payload_bytes, 4096);
  EXPECT_TRUE(query.edns->dnssec_ok);
  EXPECT_TRUE(query.edns->wants_nsid);
  EXPECT_EQ(query.edns->cookie.size(), 8U);
  EXPECT_EQ(query.edns->subnet->family, ClientSubnet::kIpv4);
  EXPECT_EQ(query.edns->subnet->source, 17);
  EXPECT_EQ(query.edns->subnet->address[0], 133);
}

TEST(QueryTest, AnnouncedPayloadBelow512CountsAs512) {
  Query query;
  ASSERT_EQ(ParseQuery(WireQuery().Edns(100).Bytes(), &query), Malformed::kNone);
  EXPECT_EQ(query.edns->payload_bytes, 512);
}

TEST(QueryTest, EveryMalformedMessageHasItsOwnError) {
  const auto opt = FromHex("00 0029 04d0 00000000 0000");
  const auto kSubnet = [](std::string_view hex) {
    return WireQuery().Option(option::kClientSubnet, FromHex(hex)).Bytes();
  };
  const struct {
    std::string_view row;
    std::vector<uint8_t> bytes;
    Malformed want;
  } kRows[] = {
      {"empty", {}, Malformed::kHeaderCutOff},
      {"response", WireQuery().Flags(flag::kResponse).Bytes(), Malformed::kIsResponse},
      {"no question", WireQuery().Count(0, 0).Bytes(), Malformed::kNoQuestion},
      {"two questions", WireQuery().Count(0, 2).Bytes(), Malformed::kSeveralQuestions},
      {"question missing", FromHex("1234 0000 0001 0000 0000 0000"), Malformed::kNameCutOff},
      {"label cut off", FromHex("1234 0000 0001 0000 0000 0000 03 7777"), Malformed::kNameCutOff},
      {"pointer", FromHex("1234 0000 0001 0000 0000 0000 c00c 0001 0001"),
       Malformed::kPointerInQuestion},
      {"reserved", FromHex("1234 0000 0001 0000 0000 0000 40 0001 0001"),
       Malformed::kReservedLabel},
      {"type cut off", FromHex("1234 0000 0001 0000 0000 0000 00 0001 00"),
       Malformed::kQuestionCutOff},
      {"trailing", WireQuery().Raw(FromHex("00")).Bytes(), Malformed::kTrailingBytes},
      {"record missing", WireQuery().Count(3, 1).Bytes(), Malformed::kNameCutOff},
      {"record cut off", WireQuery().Count(3, 1).Raw(FromHex("00 0029 04d0 0000")).Bytes(),
       Malformed::kRecordCutOff},
      {"rdata cut off", WireQuery().Count(3, 1).Raw(FromHex("00 0029 04d0 00000000 0001")).Bytes(),
       Malformed::kRdataCutOff},
      {"opt owner", WireQuery().Record(3, "a.", type::kOpt, {}).Bytes(), Malformed::kOptOwner},
      {"opt in answer", WireQuery().Record(1, ".", type::kOpt, {}).Bytes(),
       Malformed::kOptMisplaced},
      {"opt in authority", WireQuery().Record(2, ".", type::kOpt, {}).Bytes(),
       Malformed::kOptMisplaced},
      {"two opts", WireQuery().Edns().Raw(opt).Count(3, 2).Bytes(), Malformed::kSeveralOpts},
      {"option header", WireQuery().Record(3, ".", type::kOpt, FromHex("0008 00")).Bytes(),
       Malformed::kOptionCutOff},
      {"option content", WireQuery().Record(3, ".", type::kOpt, FromHex("0008 0004 00")).Bytes(),
       Malformed::kOptionCutOff},
      {"subnet cut off", kSubnet("0001 10"), Malformed::kSubnetCutOff},
      {"subnet family 3", kSubnet("0003 00 00"), Malformed::kSubnetFamily},
      {"subnet source 33", kSubnet("0001 21 00 0102030405"), Malformed::kSubnetSource},
      {"subnet source 129", kSubnet("0002 81 00"), Malformed::kSubnetSource},
      {"no family, source 8", kSubnet("0000 08 00 01"), Malformed::kSubnetSource},
      {"subnet scope", kSubnet("0001 10 10 0102"), Malformed::kSubnetScope},
      {"subnet short", kSubnet("0001 10 00 01"), Malformed::kSubnetLength},
      {"subnet long", kSubnet("0001 10 00 010203"), Malformed::kSubnetLength},
      {"subnet bits", kSubnet("0001 0f 00 0103"), Malformed::kSubnetBits},
      {"two subnets", WireQuery().Subnet("1.0.0.0/8").Subnet("1.0.0.0/8").Bytes(),
       Malformed::kSeveralSubnets},
      {"no question, no cookie",
       FromHex("1234 0000 0000 0000 0000 0001 00 0029 04d0 00000000 0000"), Malformed::kNoQuestion},
      {"no question, bad cookie",
       FromHex("1234 0000 0000 0000 0000 0001 00 0029 04d0 00000000 0005 000a 0001 ff"),
       Malformed::kNoQuestion},
      {"cookie after a bad one",
       WireQuery()
           .Option(option::kCookie, FromHex("01"))
           .Option(option::kCookie, FromHex("0102030405060708"))
           .Bytes(),
       Malformed::kCookieLength},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(MalformedName(Parse(row.bytes)), MalformedName(row.want)) << row.row;
  }
}

TEST(QueryTest, CookiesHaveTheLengthsOfTheirRfc) {
  for (size_t size = 0; size <= 48; ++size) {
    const std::vector<uint8_t> kContent(size, 7);
    const bool fits = size == 8 || (size >= 16 && size <= 40);
    EXPECT_EQ(MalformedName(Parse(WireQuery().Option(option::kCookie, kContent).Bytes())),
              MalformedName(fits ? Malformed::kNone : Malformed::kCookieLength))
        << size;
  }
}

TEST(QueryTest, OptionsAreTakenAsTheyCome) {
  Query query;
  const auto bytes = WireQuery()
                         .Option(option::kTcpKeepalive, {})
                         .Option(option::kCookie, FromHex("0102030405060708"))
                         .Option(option::kCookie, FromHex("ff"))
                         .Option(option::kNsid, {})
                         .Bytes();
  ASSERT_EQ(ParseQuery(bytes, &query), Malformed::kNone) << "only the first cookie counts";
  EXPECT_TRUE(query.edns->wants_keepalive);
  EXPECT_TRUE(query.edns->wants_nsid);
  ASSERT_EQ(query.edns->cookie.size(), 8U);
  EXPECT_EQ(query.edns->cookie[7], 8);
}

TEST(QueryTest, AQuestionMayBeMissingWhereACookieIsAskedFor) {
  Query query;
  const auto bytes = FromHex(
      "1234 0000 0000 0000 0000 0001 00 0029 04d0 00000000 000c 000a 0008 0102030405060708");
  ASSERT_EQ(ParseQuery(bytes, &query), Malformed::kNone);
  EXPECT_FALSE(query.question);
  EXPECT_EQ(query.edns->cookie.size(), 8U);
}

TEST(QueryTest, WellFormedOddities) {
  const struct {
    std::string_view row;
    std::vector<uint8_t> bytes;
  } kRows[] = {
      {"root", WireQuery(".").Bytes()},
      {"unknown class and type", WireQuery("a.", 65280, 4711).Bytes()},
      {"records before the OPT", WireQuery()
                                     .Record(1, "a.", 1, FromHex("01020304"))
                                     .Record(3, "b.", 250, FromHex("00"))
                                     .Edns()
                                     .Bytes()},
      {"subnet of nobody", WireQuery().Option(8, FromHex("0000 00 00")).Bytes()},
      {"subnet /0", WireQuery().Subnet("0.0.0.0/0").Bytes()},
      {"subnet /128", WireQuery().Subnet("2001:db8::1/128").Bytes()},
      {"unknown version with strange options",
       WireQuery().Edns(1232, 1).Option(8, FromHex("ff")).Bytes()},
  };
  for (const auto& row : kRows) EXPECT_EQ(MalformedName(Parse(row.bytes)), "none") << row.row;
}

TEST(QueryTest, EveryShorterLengthOfAValidQueryIsRefused) {
  auto whole = WireQuery("www.demo.test.")
                   .Record(1, "answer.test.", 1, FromHex("01020304"))
                   .Edns()
                   .Option(65001, FromHex("0102"))
                   .Subnet("2001:db8:1200::/40")
                   .Bytes();
  ASSERT_EQ(Parse(whole), Malformed::kNone);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(Parse({whole.begin(), whole.begin() + static_cast<long>(size)}), Malformed::kNone)
        << size;
  }
  whole.push_back(0);
  EXPECT_EQ(Parse(whole), Malformed::kTrailingBytes);
}

TEST(QueryTest, WhatWasReadBeforeAnErrorIsKept) {
  Query query;
  auto bytes = WireQuery().Edns().Option(8, FromHex("0009 00 00")).Bytes();
  EXPECT_EQ(ParseQuery(bytes, &query), Malformed::kSubnetFamily);
  EXPECT_TRUE(query.question);
  EXPECT_TRUE(query.edns);
  bytes = WireQuery().Count(0, 2).Bytes();
  EXPECT_EQ(ParseQuery(bytes, &query), Malformed::kSeveralQuestions);
  EXPECT_FALSE(query.question);
  EXPECT_EQ(query.header.id, 0x1234);
}

TEST(QueryTest, RandomAndMutatedBytesNeverReadOutside) {
  std::mt19937 random(7);
  auto valid = WireQuery("www.demo.test.").Edns().Subnet("2001:db8::/56").Bytes();
  size_t accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    auto bytes = valid;
    if (round % 4 == 0) {
      bytes.resize(random() % 100);
      for (auto& byte : bytes) byte = static_cast<uint8_t>(random());
    } else {
      for (unsigned i = 0; i < 1 + random() % 3; ++i) {
        bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
      }
    }
    // An exact copy on the heap, so that a sanitizer sees every byte too far.
    std::vector<uint8_t> exact(bytes.begin(), bytes.end());
    accepted += Parse(exact) == Malformed::kNone;
  }
  EXPECT_GT(accepted, 100U);
}

TEST(MalformedTest, EveryCaseHasADistinctName) {
  std::vector<std::string_view> names;
  for (int i = 0; i < kMalformedCount; ++i) {
    std::string_view name = MalformedName(static_cast<Malformed>(i));
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 0) << name;
    EXPECT_NE(name, "unknown");
    names.push_back(name);
  }
}

TEST(ClientSubnetTest, EncodesWhatItReads) {
  for (std::string_view hex : {"0000 00 00", "0001 00 00", "0001 18 00 c00002", "0001 11 00 850b80",
                               "0002 38 00 20010db8123400", "0001 20 00 01020304"}) {
    auto content = FromHex(hex);
    ClientSubnet subnet;
    ASSERT_EQ(ParseClientSubnet(content, &subnet), Malformed::kNone) << hex;
    std::vector<uint8_t> encoded(subnet.option_bytes());
    ASSERT_EQ(EncodeClientSubnet(subnet, encoded.data()), encoded.size());
    EXPECT_EQ(std::vector<uint8_t>(encoded.begin() + 4, encoded.end()), content) << hex;
    EXPECT_EQ(encoded[1], option::kClientSubnet);
    EXPECT_EQ(encoded[3], content.size());
  }
}

}  // namespace
}  // namespace nearside::dns
