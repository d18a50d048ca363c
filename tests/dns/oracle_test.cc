// What we encode, ldns decodes to the same; what ldns encodes, we read.

#include <gtest/gtest.h>
#include <ldns/ldns.h>

#include <memory>
#include <random>

#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/writer.h"
#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"

namespace nearside::dns {
namespace {

constexpr unsigned kSeed = 20261120;

std::string RandomName(std::mt19937& random) {
  static const char* const kLabels[] = {"www", "demo", "test", "a", "EDGE", "x-1", "_sip"};
  std::string name;
  for (unsigned i = 0; i < 1 + random() % 5; ++i) name += std::string(kLabels[random() % 7]) + ".";
  return name;
}

std::vector<Word> RandomWords(uint16_t type, std::mt19937& random) {
  auto number = [&](uint32_t below) { return Word{std::to_string(random() % below)}; };
  switch (type) {
    case type::kA:
      return {{"192.0.2." + std::to_string(random() % 256)}};
    case type::kAaaa:
      return {{"2001:db8::" + std::to_string(random() % 9999)}};
    case type::kMx:
      return {number(65536), {RandomName(random)}};
    case type::kSoa:
      return {{RandomName(random)}, {RandomName(random)}, number(1U << 31), number(99999),
              number(99999),        number(99999),        number(99999)};
    case type::kTxt:
      return {{std::string(random() % 99, 'x'), true}, {"a b", true}};
    case type::kSrv:
      return {number(65536), number(65536), number(65536), {RandomName(random)}};
    case type::kCaa:
      return {number(256), {"issue"}, {"ca.test", true}};
    default:
      return {{RandomName(random)}};
  }
}

TEST(OracleTest, LdnsReadsWhatWeWrite) {
  std::mt19937 random(kSeed);
  const uint16_t kTypes[] = {type::kA,  type::kAaaa, type::kNs,  type::kCname, type::kPtr,
                             type::kMx, type::kSoa,  type::kTxt, type::kSrv,   type::kCaa};
  for (int round = 0; round < 2000; ++round) {
    auto query_bytes = WireQuery(RandomName(random)).Bytes();
    Query query;
    ASSERT_EQ(ParseQuery(query_bytes, &query), Malformed::kNone);
    std::vector<uint8_t> buffer(kMaxMessageBytes);
    MessageWriter writer(buffer);
    ASSERT_TRUE(writer.AddQuestion(*query.question));
    std::string want = "NOERROR qr\n? " + query.question->name.ToText() + " A\n";
    for (unsigned i = 0; i < random() % 30; ++i) {
      std::string owner = RandomName(random);
      uint16_t type = kTypes[random() % std::size(kTypes)];
      auto rdata = RdataFromWords(type, RandomWords(type, random), {});
      ASSERT_TRUE(rdata);
      ASSERT_TRUE(writer.Add(Section::kAnswer, *Name::FromText(owner), {type, i, *rdata}));
      want += "answer: " + owner + " " + std::to_string(i) + " " + TypeToText(type) + " " +
              RdataToText(type, *rdata) + "\n";
    }
    size_t size = writer.Finish(1, flag::kResponse, Rcode::kNoError);
    std::string got = Decoded(std::span(buffer).first(size));
    // Compression may give a name the case it first had in the message.
    auto fold = [](std::string text) {
      for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      return text;
    };
    ASSERT_EQ(fold(got), fold(want)) << "seed " << kSeed << " round " << round;
  }
}

TEST(OracleTest, WeReadWhatLdnsWrites) {
  std::mt19937 random(kSeed);
  for (int round = 0; round < 2000; ++round) {
    std::string name = RandomName(random);
    uint16_t type = static_cast<uint16_t>(1 + random() % 300);
    std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)> packet(
        ldns_pkt_query_new(ldns_dname_new_frm_str(name.c_str()), static_cast<ldns_rr_type>(type),
                           LDNS_RR_CLASS_IN, LDNS_RD),
        ldns_pkt_free);
    uint16_t id = static_cast<uint16_t>(random());
    ldns_pkt_set_id(packet.get(), id);
    bool edns = random() % 2 == 0;
    if (edns) ldns_pkt_set_edns_udp_size(packet.get(), 1400);
    if (edns) ldns_pkt_set_edns_do(packet.get(), true);
    uint8_t* wire = nullptr;
    size_t size = 0;
    ASSERT_EQ(ldns_pkt2wire(&wire, packet.get(), &size), LDNS_STATUS_OK);
    Query query;
    ASSERT_EQ(ParseQuery({wire, size}, &query), Malformed::kNone) << name;
    EXPECT_EQ(query.question->name.ToText(), name);
    EXPECT_EQ(query.question->type, type);
    EXPECT_EQ(query.header.id, id);
    EXPECT_EQ(query.header.flags, flag::kRecursionDesired);
    ASSERT_EQ(query.edns.has_value(), edns);
    if (edns) {
      EXPECT_EQ(query.edns->payload_bytes, 1400);
      EXPECT_TRUE(query.edns->dnssec_ok);
    }
    std::free(wire);
  }
}

/// Record data given to ldns as text must come out as the same bytes as ours.
TEST(OracleTest, LdnsAgreesOnRecordData) {
  for (std::string_view line : {"x. 60 IN A 192.0.2.1",
                                "x. 60 IN AAAA 2001:db8::1",
                                "x. 60 IN MX 10 mail.x.",
                                "x. 60 IN SRV 1 2 443 t.x.",
                                "x. 60 IN CAA 0 issue \"ca.test; a=b\"",
                                "x. 60 IN TXT \"one two\" three \"\\\"\\\\\\001\"",
                                "x. 60 IN SOA ns. h. 1 2h 3 4w 5",
                                "x. 60 IN TLSA 3 1 1 00ff",
                                "x. 60 IN SSHFP 4 2 00ff",
                                "x. 60 IN DS 1 13 2 00ff",
                                "x. 60 IN NAPTR 1 2 \"u\" \"E2U\" \"!a!b!\" .",
                                "x. 60 IN PTR y.x.",
                                "x. 60 IN NS a\\.b.x.",
                                "x. 60 IN TYPE65280 \\# 2 0aff",
                                "x. 60 IN HINFO \"a b\" c",
                                "x. 60 IN RP a. b.x.",
                                "x. 60 IN AFSDB 1 a.x.",
                                "x. 60 IN SMIMEA 3 1 1 00ff",
                                "x. 60 IN OPENPGPKEY AAECAw==",
                                "x. 60 IN URI 1 2 \"https://a/\"",
                                "x. 60 IN CAA 128 issuewild \";\"",
                                "x. 60 IN SPF \"v=spf1 -all\"",
                                "x. 60 IN CNAME \\001\\.a.x."}) {
    ldns_rr* record = nullptr;
    ASSERT_EQ(ldns_rr_new_frm_str(&record, std::string(line).c_str(), 0, nullptr, nullptr),
              LDNS_STATUS_OK)
        << line;
    std::vector<uint8_t> want;
    for (size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
      const ldns_rdf* rdf = ldns_rr_rdf(record, i);
      want.insert(want.end(), ldns_rdf_data(rdf), ldns_rdf_data(rdf) + ldns_rdf_size(rdf));
    }
    auto type = static_cast<uint16_t>(ldns_rr_get_type(record));
    ldns_rr_free(record);
    std::vector<Word> words;
    size_t at = 0;
    for (int skip = 0; skip < 4; ++skip) at = line.find(' ', at) + 1;
    while (at < line.size()) {
      bool quoted = line[at] == '"';
      std::string word;
      for (at += quoted; at < line.size() && line[at] != (quoted ? '"' : ' '); ++at) {
        word += line[at];
        if (line[at] == '\\') word += line[++at];
      }
      at += quoted ? 2 : 1;
      words.push_back({word, quoted});
    }
    auto rdata = RdataFromWords(type, words, {});
    ASSERT_TRUE(rdata) << line << rdata.error().message;
    EXPECT_EQ(*rdata, want) << line;
  }
}

}  // namespace
}  // namespace nearside::dns
