// ldns reads the same records out of a zone file as we do.

#include <gtest/gtest.h>
#include <ldns/ldns.h>

#include <cstdio>
#include <memory>
#include <random>

#include "dns/record_type.h"
#include "geodns/zone_file.h"
#include "runtime/crypto.h"

namespace nearside::geodns {
namespace {

constexpr unsigned kOracleSeed = 20261130;

std::string LowerCase(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Every record as "owner TTL TYPE hexadecimal", one a line; or "refused".
std::string AsWeRead(const std::string& text) {
  auto records = ParseZoneFile(text, "z", *dns::Name::FromText("demo.test."));
  if (!records) return "refused: " + records.error().message;
  std::string out;
  for (const ZoneRecord& record : *records) {
    out += HexEncode(record.owner) + " " + std::to_string(record.ttl) + " " +
           std::to_string(record.type) + " " + HexEncode(record.rdata) + "\n";
  }
  return LowerCase(out);
}

std::string HexOf(const ldns_rdf* rdf) {
  return HexEncode({ldns_rdf_data(rdf), ldns_rdf_size(rdf)});
}

std::string AsLdnsReads(std::string text) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(fmemopen(text.data(), text.size(), "r"), fclose);
  uint32_t ttl = 0;
  int line = 0;
  ldns_rdf* origin = ldns_dname_new_frm_str("demo.test.");
  ldns_rdf* previous = nullptr;
  std::string out;
  while (std::feof(file.get()) == 0) {
    ldns_rr* record = nullptr;
    ldns_status status = ldns_rr_new_frm_fp_l(&record, file.get(), &ttl, &origin, &previous, &line);
    if (status == LDNS_STATUS_SYNTAX_TTL || status == LDNS_STATUS_SYNTAX_ORIGIN ||
        status == LDNS_STATUS_SYNTAX_EMPTY) {
      continue;
    }
    if (status != LDNS_STATUS_OK) {
      out = "refused: " + std::to_string(line) + " " + ldns_get_errorstr_by_id(status);
      break;
    }
    out += HexOf(ldns_rr_owner(record)) + " " + std::to_string(ldns_rr_ttl(record)) + " " +
           std::to_string(ldns_rr_get_type(record)) + " ";
    for (size_t i = 0; i < ldns_rr_rd_count(record); ++i) out += HexOf(ldns_rr_rdf(record, i));
    out += "\n";
    ldns_rr_free(record);
  }
  ldns_rdf_deep_free(origin);
  ldns_rdf_deep_free(previous);
  return LowerCase(out);
}

/// A zone file of many shapes. TTL stands before the class, which is the one order ldns knows.
class RandomZone {
 public:
  explicit RandomZone(unsigned seed) : random_(seed) {}

  std::string Text() {
    std::string text = "$TTL " + PositiveTime() + Blank() + "\n";
    for (unsigned i = 0; i < 1 + random_() % 25; ++i) text += Entry();
    return text;
  }

 private:
  unsigned Below(unsigned most) { return static_cast<unsigned>(random_() % most); }
  std::string Pick(std::initializer_list<const char*> list) {
    return *(list.begin() + Below(static_cast<unsigned>(list.size())));
  }
  std::string Blank() { return Pick({" ", "\t", "  ", " \t "}); }
  std::string Time() { return Below(7) == 0 ? "0" : PositiveTime(); }
  /// ldns takes `$TTL 0` for none.
  std::string PositiveTime() { return Pick({"60", "1h", "1h30m", "2W", "1d2h3m4s", "86400"}); }
  std::string Number(unsigned below) { return std::to_string(Below(below)); }
  std::string OwnName() {
    return Pick({"www", "a.b", "@", "*", "*.wild", "x.demo.test.", "EDGE", "_sip._tcp", "c\\.d",
                 "e\\032f", "g\\;h"});
  }
  std::string AnyName() {
    return Below(3) == 0 ? Pick({"other.example.", ".", "A.root.example."}) : OwnName();
  }
  std::string String() { return Below(4) == 0 ? Pick({"plain", "back\\\\slash"}) : Quoted(); }
  std::string Quoted() {
    return Pick({"\"two words\"", "\"\"", "\"semi;colon\"", "\"quo\\\"te\"", "\"par(en\"",
                 "\"\\001\\255\""});
  }

  std::string Entry() {
    switch (Below(12)) {
      case 0:
        return "; a comment with ( and \" in it\n";
      case 1:
        return "$ORIGIN " + Pick({"demo.test.", "sub.demo.test."}) + "\n";
      case 2:
        return "$TTL " + PositiveTime() + "\n";
      default:
        break;
    }
    std::string text = Below(4) > 0 || !has_owner_ ? OwnName() : "";
    has_owner_ = true;
    text += Blank();
    if (Below(2) == 0) text += Time() + Blank();
    if (Below(2) == 0) text += "IN" + Blank();
    return text + Data() + (Below(4) == 0 ? " ; the end" : "") + "\n";
  }

  std::string Data() {
    switch (Below(16)) {
      case 0:
        return "A" + Blank() + "192.0.2." + Number(256);
      case 1:
        return "aaaa" + Blank() +
               Pick({"2001:db8::1", "::", "2001:DB8:0:0:1::ffff", "::ffff:192.0.2.1"});
      case 2:
        return "NS" + Blank() + AnyName();
      case 3:
        return "CNAME" + Blank() + AnyName();
      case 4:
        return "MX" + Blank() + Number(65536) + Blank() + AnyName();
      case 5:
        return "TXT" + Blank() + String() + " (" + String() + "\n" + Blank() + String() + " )";
      case 6:
        return "SOA" + Blank() + AnyName() + Blank() + AnyName() + " (\n " + Number(1U << 31) +
               " ; serial\n\t" + Time() + Blank() + Time() + "\n" + Time() + " " + Time() + " )";
      case 7:
        return "SRV" + Blank() + Number(65536) + " " + Number(65536) + " " + Number(65536) + " " +
               AnyName();
      case 8:
        return "CAA" + Blank() + Number(256) + " issue " + Quoted();
      case 9:
        return "DS" + Blank() + Number(65536) + " 13 2 ( 00ff\n" + Blank() + "AA10 )";
      case 10:
        return "TLSA" + Blank() + "3 1 1 00ffAB";
      case 11:
        return "SSHFP" + Blank() + "4 2 00ff";
      case 12:
        return "NAPTR" + Blank() + Number(65536) + " 2 \"u\" \"E2U\" \"!a!b!\" " + AnyName();
      case 13:
        return "TYPE65280 \\# 3 00ff 0A";
      case 14:
        return "RP " + AnyName() + " " + AnyName();
      default:
        return "TYPE1 \\# 4 c0000201";
    }
  }

  std::mt19937 random_;
  bool has_owner_ = false;  ///< of an entry before
};

TEST(ZoneOracleTest, LdnsReadsTheSameRecords) {
  size_t records = 0;
  for (unsigned round = 0; round < 1000; ++round) {
    const std::string text = RandomZone(kOracleSeed + round).Text();
    const std::string ours = AsWeRead(text);
    ASSERT_EQ(ours, AsLdnsReads(text)) << "seed " << kOracleSeed + round << "\n" << text;
    records += static_cast<size_t>(std::count(ours.begin(), ours.end(), '\n'));
  }
  EXPECT_GT(records, 3'000U) << "zones with something in them";
}

}  // namespace
}  // namespace nearside::geodns
