#include "geodns/zone_file.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "dns/rdata.h"
#include "dns/record_type.h"

namespace nearside::geodns {
namespace {

dns::Name Origin() { return *dns::Name::FromText("demo.test."); }

/// Every record as "owner TTL TYPE data", one a line; or the error.
std::string Parse(std::string_view text) {
  auto records = ParseZoneFile(text, "z", Origin());
  if (!records) return records.error().message;
  std::string out;
  for (const ZoneRecord& record : *records) {
    out += record.owner_name().ToText() + " " + std::to_string(record.ttl) + " " +
           dns::TypeToText(record.type) + " " + dns::RdataToText(record.type, record.rdata) + "\n";
  }
  return out;
}

TEST(ZoneFileTest, AWholeZoneIsRead) {
  EXPECT_EQ(
      Parse("$TTL 1h\n"
            "$ORIGIN demo.test.\n"
            "@  IN SOA ns1 hostmaster (\n"
            "     2026112001 ; serial\n"
            "     2h 30m\n"
            "     2w 5m )\n"
            "   IN NS ns1\n"
            "   NS ns2.other.test.\n"
            "ns1 300 IN A 192.0.2.1\n"
            "    IN 60 AAAA 2001:db8::1\n"
            "www CNAME @ ; an alias\n"
            "\n"
            "$ORIGIN sub.demo.test.\n"
            "*.a TXT \"one; two\" (three\n\t\"f(o)ur\")\n"
            "b.demo.test. MX 10 mx\n"
            "c\\.d TYPE65280 \\# 2 00ff\n"),
      "demo.test. 3600 SOA ns1.demo.test. hostmaster.demo.test. 2026112001 7200 1800 1209600 300\n"
      "demo.test. 3600 NS ns1.demo.test.\n"
      "demo.test. 3600 NS ns2.other.test.\n"
      "ns1.demo.test. 300 A 192.0.2.1\n"
      "ns1.demo.test. 60 AAAA 2001:db8::1\n"
      "www.demo.test. 3600 CNAME demo.test.\n"
      "*.a.sub.demo.test. 3600 TXT \"one; two\" \"three\" \"f(o)ur\"\n"
      "b.demo.test. 3600 MX 10 mx.sub.demo.test.\n"
      "c\\.d.sub.demo.test. 3600 TYPE65280 \\# 2 00ff\n");
}

TEST(ZoneFileTest, TtlComesFromTheRecordThenTheDirectiveThenTheLastRecordThenSoa) {
  EXPECT_EQ(Parse("a 7 A 192.0.2.1\nb A 192.0.2.2\n$TTL 9\nc A 192.0.2.3\nd 5 A 192.0.2.4\n"
                  "e A 192.0.2.5\n"),
            "a.demo.test. 7 A 192.0.2.1\nb.demo.test. 7 A 192.0.2.2\nc.demo.test. 9 A 192.0.2.3\n"
            "d.demo.test. 5 A 192.0.2.4\ne.demo.test. 9 A 192.0.2.5\n");
  EXPECT_EQ(
      Parse("@ SOA n h 1 2 3 4 77\na A 192.0.2.1\n"),
      "demo.test. 77 SOA n.demo.test. h.demo.test. 1 2 3 4 77\na.demo.test. 77 A 192.0.2.1\n");
}

TEST(ZoneFileTest, LineEndsAndBlanksDoNotMatter) {
  EXPECT_EQ(Parse("a 5 A 192.0.2.1"), "a.demo.test. 5 A 192.0.2.1\n");
  EXPECT_EQ(Parse("a\t5\tIN\tA 192.0.2.1\r\n\r\n   \r\n; end\r\n"), "a.demo.test. 5 A 192.0.2.1\n");
  EXPECT_EQ(Parse(""), "");
  EXPECT_EQ(Parse("  ; only a comment\n( )\n"), "");
  EXPECT_EQ(Parse("a in 5 a 192.0.2.1 ;c"), "a.demo.test. 5 A 192.0.2.1\n");
  EXPECT_EQ(Parse("a 5 HTTPS 1 b alpn=\"h2,h3\" (\n port=8443 )\na 5 SVCB 0 c\n"),
            "a.demo.test. 5 HTTPS 1 b.demo.test. alpn=h2,h3 port=8443\n"
            "a.demo.test. 5 SVCB 0 c.demo.test.\n");
}

TEST(ZoneFileTest, ErrorsNameFileAndLine) {
  const struct {
    std::string_view text, want;
  } kRows[] = {
      {"a 5 A 192.0.2\n", "z:1: A: expected an IPv4 address, got \"192.0.2\""},
      {"\n\n  5 A 192.0.2.1\n",
       "z:3: expected a name: there is no record before whose name this one could have"},
      {"a 5 B 1\n", "z:1: expected a type like A or TXT, got \"B\""},
      {"a 5\n", "z:1: expected a type like A or TXT, and there is none"},
      {"a\n", "z:1: expected a type like A or TXT, and there is none"},
      {"a A 192.0.2.1\n", "z:1: no TTL: write $TTL 300 at the top of the file"},
      {"a 5x A 192.0.2.1\n", "z:1: expected a time up to 2147483647 like 300 or 1h30m, got \"5x\""},
      {"a 5 CH A 192.0.2.1\n", "z:1: class CH is not served: only IN is"},
      {"a.other. 5 A 192.0.2.1\n", "z:1: a.other. is not in the zone demo.test."},
      {"a..b 5 A 192.0.2.1\n", "z:1: \"a..b\" is no domain name: a label is empty"},
      {"$TTL\n", "z:1: expected one word after $TTL"},
      {"$TTL x\n", "z:1: expected a time up to 2147483647 like 300 or 1h30m, got \"x\""},
      {"$ORIGIN a b\n", "z:1: expected one word after $ORIGIN"},
      {"$ORIGIN a..b\n", "z:1: \"a..b\" is no domain name: a label is empty"},
      {"$INCLUDE x\n", "z:1: $INCLUDE cannot be read here"},
      {"$GENERATE 1-2 a$ A 192.0.2.$\n",
       "z:1: $GENERATE is not supported: $ORIGIN, $TTL and $INCLUDE are"},
      {"a 5 CLASS3 A 192.0.2.1\n", "z:1: expected a type like A or TXT, got \"CLASS3\""},
      {"a 5 OPENPGPKEY ?\n", "z:1: OPENPGPKEY: expected base64, got \"?\""},
      {"a 5 TXT \"open\n", "z:1: a quote that is not closed on its line"},
      {"a 5 TXT \"open", "z:1: a quote that is not closed on its line"},
      {"\na 5 A ( 192.0.2.1\n\n", "z:4: the parenthesis of line 2 is never closed"},
      {"a 5 A ) 192.0.2.1\n", "z:1: a closing parenthesis without an opening one"},
      {"a 5 A (( 192.0.2.1 ))\n", "z:1: a parenthesis inside parentheses"},
      {"a 5 RRSIG x\n", "z:1: RRSIG comes from a signed zone: give the unsigned one"},
      {"a 5 DNAME b\n",
       "z:1: DNAME is not supported: write the names out, or use a wildcard CNAME"},
      {"a 5 ANY x\n", "z:1: ANY is a type of question, not of record"},
      {"a 5 HTTPS 1 . alpn= \"h2\"\n",
       "z:1: HTTPS: alpn: expected items with commas between them, got \"\""},
      // Several errors, and the line where an entry of several lines begins.
      {"a 5 A x\nb 5 MX (10\n a b)\nc 5 A 192.0.2.1\nd 5 A y\n",
       "z:1: A: expected an IPv4 address, got \"x\"\n"
       "z:2: MX: there is more data than type MX has\n"
       "z:5: A: expected an IPv4 address, got \"y\""},
  };
  for (const auto& row : kRows) EXPECT_EQ(Parse(row.text), row.want) << row.text;
}

/// Files that may be included, by path.
using IncludedFiles = std::map<std::string, std::string>;

std::string ParseIncluding(std::string_view text, const IncludedFiles& files) {
  auto reader = [&](const std::string& path) -> Result<std::string> {
    auto at = files.find(path);
    if (at == files.end()) return Fail(Fault::kSelf, "ENOENT", path + ": No such file");
    return at->second;
  };
  auto records = ParseZoneFile(text, "/zones/z", Origin(), reader);
  if (!records) return records.error().message;
  std::string out;
  for (const ZoneRecord& record : *records) {
    out += *record.file + ":" + std::to_string(record.line) + " " + record.owner_name().ToText() +
           " " + std::to_string(record.ttl) + " " + dns::RdataToText(record.type, record.rdata) +
           "\n";
  }
  return out;
}

TEST(ZoneFileTest, IncludedFilesAreReadInTheirPlaceAndChangeNothingBehindIt) {
  EXPECT_EQ(ParseIncluding("$TTL 9\na A 192.0.2.1\n$INCLUDE more/b sub\n A 192.0.2.4\n"
                           "c CNAME a\n$INCLUDE \"/abs c\"\n",
                           {{"/zones/more/b",
                             "; a comment\n A 192.0.2.2\nb 3 A 192.0.2.3\n"
                             "$TTL 77\n$ORIGIN other.demo.test.\n$INCLUDE d\n"},
                            {"/zones/more/d", "@ A 192.0.2.5\n"},
                            {"/abs c", "e CNAME a"}}),
            "/zones/z:2 a.demo.test. 9 192.0.2.1\n"
            "/zones/more/b:2 a.demo.test. 9 192.0.2.2\n"
            "/zones/more/b:3 b.sub.demo.test. 3 192.0.2.3\n"
            "/zones/more/d:1 other.demo.test. 77 192.0.2.5\n"
            "/zones/z:4 a.demo.test. 9 192.0.2.4\n"
            "/zones/z:5 c.demo.test. 9 a.demo.test.\n"
            "/abs c:1 e.demo.test. 9 a.demo.test.\n");
}

TEST(ZoneFileTest, ErrorsOfIncludedFilesNameThatFile) {
  EXPECT_EQ(ParseIncluding("$INCLUDE b\na 5 A y\n", {{"/zones/b", "\na 5 A x\n"}}),
            "/zones/b:2: A: expected an IPv4 address, got \"x\"\n"
            "/zones/z:2: A: expected an IPv4 address, got \"y\"");
  EXPECT_EQ(ParseIncluding("\n$INCLUDE none\n", {}),
            "/zones/z:2: /zones/none: No such file; expected a zone file");
  EXPECT_EQ(ParseIncluding("$INCLUDE\n$INCLUDE a b c\n$INCLUDE b x..y\n", {{"/zones/b", ""}}),
            "/zones/z:1: expected a file after $INCLUDE, and perhaps an origin\n"
            "/zones/z:2: expected a file after $INCLUDE, and perhaps an origin\n"
            "/zones/z:3: \"x..y\" is no domain name: a label is empty");
}

TEST(ZoneFileTest, IncludesEndSomewhere) {
  EXPECT_EQ(ParseIncluding("\n$INCLUDE z\n", {}), "/zones/z:2: $INCLUDE of /zones/z inside itself");
  EXPECT_EQ(ParseIncluding("$INCLUDE b\n", {{"/zones/b", "\n$INCLUDE z\n"}}),
            "/zones/b:2: $INCLUDE of /zones/z inside itself");
  std::map<std::string, std::string> nested;
  for (size_t i = 0; i <= kMaxIncludeDepth; ++i) {
    nested["/zones/" + std::to_string(i)] = "$INCLUDE " + std::to_string(i + 1) + "\n";
  }
  EXPECT_EQ(ParseIncluding("$INCLUDE 0\n", nested), "/zones/7:1: $INCLUDE inside 8 others");
  std::string many;
  for (size_t i = 0; i <= kMaxIncludes; ++i) many += "$INCLUDE b\n";
  EXPECT_EQ(ParseIncluding(many, {{"/zones/b", ""}}),
            "/zones/z:1001: $INCLUDE for the 1001st time");
}

TEST(ZoneFileTest, AMarkOfUtf8AndTheNumberOfTheClassAreRead) {
  EXPECT_EQ(Parse("\xEF\xBB\xBF"
                  "a 5 CLASS1 TYPE1 \\# 4 c0000201\n"),
            "a.demo.test. 5 A 192.0.2.1\n");
}

TEST(ZoneFileTest, ErrorsEndSomewhere) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "a 5 A x\n";
  std::string errors = Parse(text);
  EXPECT_EQ(static_cast<size_t>(std::count(errors.begin(), errors.end(), '\n')) + 1,
            kMaxZoneErrors);
}

TEST(ZoneFileTest, EveryBeginningOfAFileIsReadOrRefused) {
  const std::string text =
      "$TTL 1h\n$ORIGIN demo.test.\n@ IN SOA ns1 h ( 1\n 2h 3 4 5 ) ; c\n a TXT \"x\\\"y\" z\\010\n"
      "*.w 5 CNAME \\@.b\n";
  for (size_t size = 0; size <= text.size(); ++size) Parse(text.substr(0, size));
  std::mt19937 random(5);
  for (int round = 0; round < 20'000; ++round) {
    std::string mutated = text;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      static constexpr std::string_view kBytes = " \t\n\r;()\"\\@$.*0a\0\xff";
      mutated[random() % mutated.size()] = kBytes[random() % kBytes.size()];
    }
    Parse(mutated);
  }
}

}  // namespace
}  // namespace nearside::geodns
