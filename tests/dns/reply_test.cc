#include "dns/reply.h"

#include <gtest/gtest.h>

#include <random>

#include "dns/edns.h"
#include "dns/message.h"
#include "dns/rdata.h"
#include "tests/dns/wire_query.h"
#include "tests/dns/words.h"

namespace nearside::dns {
namespace {

Name ReplyName(std::string_view text) { return *Name::FromText(text); }

std::vector<uint8_t> ReplyData(uint16_t type, std::string_view text) {
  return *RdataFromWords(type, Words(text), {});
}

/// A response about www.example., built byte by byte.
class ReplyMessage {
 public:
  explicit ReplyMessage(uint16_t type = type::kA, uint16_t rcode = 0)
      : query_("www.example.", type), type_(type) {
    query_.Id(7).Flags(static_cast<uint16_t>(0x8180 | rcode));
  }
  ReplyMessage& Answer(std::string_view owner, uint32_t ttl, uint16_t type, std::string_view data) {
    return Add(1, owner, ttl, type, data);
  }
  ReplyMessage& Authority(std::string_view owner, uint32_t ttl, std::string_view soa) {
    return Add(2, owner, ttl, type::kSoa, soa);
  }
  std::vector<uint8_t> Bytes() const { return query_.Bytes(); }
  /// "192.0.2.1 ttl 60" or the error.
  std::string Read() const { return ReadReply(Bytes(), type_); }

  static std::string ReadReply(std::span<const uint8_t> bytes, uint16_t type) {
    auto reply = ParseAddressReply(bytes, ReplyName("www.example."), type);
    if (!reply) return reply.error().reason;
    std::string text = reply->exists ? "" : "none ";
    const size_t step = type == type::kA ? 4 : 16;
    for (size_t at = 0; at < reply->addresses.size(); at += step) {
      text += RdataToText(type, std::span(reply->addresses).subspan(at, step)) + " ";
    }
    return text + "ttl " + std::to_string(reply->ttl);
  }

 private:
  ReplyMessage& Add(size_t section, std::string_view owner, uint32_t ttl, uint16_t type,
                    std::string_view data) {
    query_.Record(section, owner, type, ReplyData(type, data), ttl);
    return *this;
  }
  WireQuery query_;
  uint16_t type_;
};

TEST(ReplyTest, AQueryIsOneThatWeReadOurselves) {
  const std::vector<uint8_t> bytes = EncodeQuery(0x1234, ReplyName("Www.Example."), type::kAaaa);
  Query query;
  ASSERT_EQ(ParseQuery(bytes, &query), Malformed::kNone);
  EXPECT_EQ(query.header.id, 0x1234);
  EXPECT_EQ(query.header.flags, flag::kRecursionDesired);
  EXPECT_EQ(query.question->name.ToText(), "Www.Example.");
  EXPECT_EQ(query.question->type, type::kAaaa);
  ASSERT_TRUE(query.edns);
  EXPECT_EQ(query.edns->payload_bytes, kUdpPayloadBytes);
}

const ClientSubnet kAskedSubnet{
    .family = ClientSubnet::kIpv4, .source = 24, .address = {198, 51, 100}};

TEST(ReplyTest, AQueryTellsTheSubnetThatItIsFor) {
  const std::vector<uint8_t> bytes = EncodeQuery(1, ReplyName("a."), type::kA, kAskedSubnet);
  Query query;
  ASSERT_EQ(ParseQuery(bytes, &query), Malformed::kNone);
  ASSERT_TRUE(query.edns && query.edns->subnet);
  EXPECT_EQ(*query.edns->subnet, kAskedSubnet);
}

TEST(ReplyTest, TheScopeOfAnAnswerIsReadAndAnotherSubnetsAnswerIsNot) {
  const struct {
    std::string_view name;
    std::string_view options;  ///< of the answer's OPT record
    std::string_view want;
  } kRows[] = {
      {"as it was asked", "0008 0007 0001 18 10 c63364", "16"},
      {"narrower than it was asked", "0008 0007 0001 18 20 c63364", "32"},
      {"for everybody", "0008 0007 0001 18 00 c63364", "0"},
      {"behind others", "000a 0002 ffff 0008 0007 0001 18 15 c63364", "21"},
      {"not told", "", "0"},
      {"another address", "0008 0007 0001 18 10 c63365", "bad_reply"},
      {"another source", "0008 0006 0001 10 10 c633", "bad_reply"},
      {"another family", "0008 0007 0002 18 10 c63364", "bad_reply"},
      {"cut off", "0008 0007 0001 18 10 c633", "bad_reply"},
      {"less than an option", "0008 00", "bad_reply"},
  };
  for (const auto& row : kRows) {
    ReplyMessage message;
    message.Answer("www.example.", 60, type::kA, "192.0.2.1");
    std::vector<uint8_t> bytes = message.Bytes();
    const std::vector<uint8_t> options = FromHex(row.options);
    const uint8_t opt[] = {0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, uint8_t(options.size())};
    bytes.insert(bytes.end(), std::begin(opt), std::end(opt));
    bytes.insert(bytes.end(), options.begin(), options.end());
    bytes[11] = 1;  // one additional record
    auto reply = ParseAddressReply(bytes, ReplyName("www.example."), type::kA, kAskedSubnet);
    EXPECT_EQ(reply ? std::to_string(reply->scope) : reply.error().reason, row.want) << row.name;
    EXPECT_TRUE(ParseAddressReply(bytes, ReplyName("www.example."), type::kA))
        << row.name << ": who did not ask does not look";
  }
}

TEST(ReplyTest, AddressesAreFollowedThroughCnamesWithTheLeastTtl) {
  EXPECT_EQ(ReplyMessage().Answer("WWW.example.", 60, type::kA, "192.0.2.1").Read(),
            "192.0.2.1 ttl 60");
  EXPECT_EQ(ReplyMessage()
                .Answer("b.example.", 60, type::kA, "192.0.2.1")
                .Answer("www.example.", 30, type::kCname, "a.example.")
                .Answer("b.example.", 50, type::kA, "192.0.2.2")
                .Answer("a.example.", 40, type::kCname, "B.example.")
                .Answer("c.example.", 1, type::kA, "192.0.2.9")
                .Read(),
            "192.0.2.1 192.0.2.2 ttl 30");
  EXPECT_EQ(ReplyMessage(type::kAaaa).Answer("www.example.", 9, type::kAaaa, "2001:db8::1").Read(),
            "2001:db8::1 ttl 9");
  EXPECT_EQ(ReplyMessage().Answer("www.example.", 0x80000000, type::kA, "192.0.2.1").Read(),
            "192.0.2.1 ttl 0")
      << "RFC 2181: the first bit makes it 0";
}

TEST(ReplyTest, NothingThereCountsAsLongAsItsSoaSays) {
  EXPECT_EQ(ReplyMessage().Authority("example.", 600, "a. b. 1 2 3 4 50").Read(), "ttl 50");
  EXPECT_EQ(ReplyMessage(type::kA, 3).Authority("example.", 40, "a. b. 1 2 3 4 50").Read(),
            "none ttl 40");
  EXPECT_EQ(ReplyMessage()
                .Answer("www.example.", 30, type::kCname, "a.example.")
                .Authority("example.", 40, "a. b. 1 2 3 4 50")
                .Read(),
            "ttl 30");
  EXPECT_EQ(ReplyMessage().Read(), "ttl 0") << "no SOA";
  const auto has_ttl = [](const ReplyMessage& message) {
    return ParseAddressReply(message.Bytes(), ReplyName("www.example."), type::kA)->has_ttl;
  };
  EXPECT_FALSE(has_ttl(ReplyMessage()));
  EXPECT_TRUE(has_ttl(ReplyMessage().Authority("example.", 0, "a. b. 1 2 3 4 0")));
  EXPECT_TRUE(has_ttl(ReplyMessage().Answer("www.example.", 0, type::kA, "192.0.2.1")));
}

TEST(ReplyTest, FailuresHaveNames) {
  EXPECT_EQ(ReplyMessage(type::kA, 2).Read(), "servfail");
  EXPECT_EQ(ReplyMessage(type::kA, 5).Read(), "refused");
  EXPECT_EQ(ReplyMessage(type::kA, 4).Read(), "bad_rcode");
  EXPECT_EQ(ReplyMessage(type::kA, 0x200).Answer("www.example.", 1, type::kA, "192.0.2.1").Read(),
            "truncated");
  ReplyMessage loop;
  loop.Answer("www.example.", 1, type::kCname, "a.example.");
  loop.Answer("a.example.", 1, type::kCname, "www.example.");
  EXPECT_EQ(loop.Read(), "bad_reply");
}

TEST(ReplyTest, OnlyTheRightQuestionAndIdAreAReply) {
  const std::vector<uint8_t> bytes = ReplyMessage().Bytes();
  const Name name = ReplyName("www.EXAMPLE.");
  EXPECT_TRUE(IsReplyTo(bytes, 7, name, type::kA));
  EXPECT_FALSE(IsReplyTo(bytes, 8, name, type::kA));
  EXPECT_FALSE(IsReplyTo(bytes, 7, name, type::kAaaa));
  EXPECT_FALSE(IsReplyTo(bytes, 7, ReplyName("ww.example."), type::kA));
  EXPECT_FALSE(IsReplyTo(WireQuery("www.example.").Id(7).Bytes(), 7, name, type::kA)) << "a query";
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(IsReplyTo(std::span(bytes).first(size), 7, name, type::kA)) << size;
  }
}

TEST(ReplyTest, EveryShortLengthAndRandomBytesAreSurvived) {
  const std::vector<uint8_t> bytes = ReplyMessage()
                                         .Answer("www.example.", 30, type::kCname, "a.example.")
                                         .Answer("a.example.", 40, type::kA, "192.0.2.1")
                                         .Authority("example.", 40, "a. b. 1 2 3 4 50")
                                         .Bytes();
  for (size_t size = kHeaderBytes; size < bytes.size(); ++size) {
    EXPECT_EQ(ReplyMessage::ReadReply(std::span(bytes).first(size), type::kA), "bad_reply") << size;
  }
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> mutated = bytes;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      mutated[4 + random() % (mutated.size() - 4)] = static_cast<uint8_t>(random());
    }
    ReplyMessage::ReadReply(mutated, type::kA);
  }
}

}  // namespace
}  // namespace nearside::dns
