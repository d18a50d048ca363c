#include "dns/svc_params.h"

#include <gtest/gtest.h>

#include "dns/record_type.h"
#include "runtime/crypto.h"
#include "runtime/text_bytes.h"
#include "tests/dns/wire_query.h"
#include "tests/dns/words.h"

namespace nearside::dns {
namespace {

/// The parameters in hexadecimal, or the error's message.
std::string ReadParams(std::string_view text) {
  std::vector<uint8_t> bytes;
  const Status status = AppendSvcParams(Words(text), &bytes);
  return status ? HexEncode(bytes) : status.error().message;
}

// The vectors of RFC 9460, appendix D, and what they leave out.
TEST(SvcParamsTest, ParametersAreReadAndWrittenBack) {
  const struct {
    std::string_view text, hex, canonical;
  } kRows[] = {
      {"", "", ""},
      {"port=53", "000300020035", ""},
      {"key667=hello", "029b000568656c6c6f", ""},
      {R"(key667="hello\210qoo")", "029b000968656c6c6fd2716f6f", ""},
      {R"(ipv6hint="2001:db8::1,2001:db8::53:1")",
       "0006002020010db800000000000000000000000120010db8000000000000000000530001",
       "ipv6hint=2001:db8::1,2001:db8::53:1"},
      {"ipv6hint=2001:db8:122:344::192.0.2.33", "0006001020010db80122034400000000c0000221",
       "ipv6hint=2001:db8:122:344::c000:221"},
      {"alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
       "0000000400010004000100090268320568332d313900040004c0000201",
       "mandatory=alpn,ipv4hint alpn=h2,h3-19 ipv4hint=192.0.2.1"},
      {R"(alpn="f\\\\oo\\,bar,h2")", "0001000c08665c6f6f2c626172026832", ""},
      {R"(alpn=f\\\092oo\092,bar,h2)", "0001000c08665c6f6f2c626172026832",
       R"(alpn="f\\\\oo\\,bar,h2")"},
      {"no-default-alpn alpn=h2",
       "000100030268320002"
       "0000",
       "alpn=h2 no-default-alpn"},
      {"ech=AAEC", "00050003000102", ""},
      {"dohpath=/q{?dns}", "000700082f717b3f646e737d", ""},
      {"ohttp", "00080000", ""},
      {"key65280", "ff000000", ""},
      {R"(key65280="a b")", "ff000003612062", ""},
      {R"(key3="\001\187")", "0003000201bb", "port=443"},
      {"key3=ab", "000300026162", "port=24930"},
      {"ipv4hint=192.0.2.1,192.0.2.2", "00040008c0000201c0000202", ""},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(ReadParams(row.text), row.hex) << row.text;
    const auto bytes = FromHex(row.hex);
    EXPECT_TRUE(SvcParamsAreValid(bytes)) << row.text;
    const std::string text = SvcParamsToText(bytes);
    EXPECT_EQ(text, row.canonical.empty() ? row.text : row.canonical);
    EXPECT_EQ(ReadParams(text), row.hex) << text;
  }
}

TEST(SvcParamsTest, WrongParametersSayWhatWasExpected) {
  using std::literals::operator""sv;
  const struct {
    std::string_view text, want;
  } kRows[] = {
      {"key123=abc key123=def", "key123: it is there twice"},
      {"alpn=h2 key1=\"\\002h2\"", "key1: it is there twice"},
      {"mandatory", "mandatory: expected items with commas between them, got \"\""},
      {"alpn", "alpn: expected items with commas between them, got \"\""},
      {"alpn=h2,,h3", "alpn: expected items with commas between them, got \"h2,,h3\""},
      {R"(alpn="h2\\x")", R"(alpn: expected items with commas between them, got "h2\x")"},
      {"port", "port: expected a number from 0 to 65535, got \"\""},
      {"port=65536", "port: expected a number from 0 to 65535, got \"65536\""},
      {"ipv4hint", "ipv4hint: expected items with commas between them, got \"\""},
      {"ipv4hint=::1", "ipv4hint: expected IPv4 addresses, got \"::1\""},
      {"ipv6hint=192.0.2.1", "ipv6hint: expected IPv6 addresses, got \"192.0.2.1\""},
      {R"(ipv4hint=192.0.2.1\000x)", "ipv4hint: expected IPv4 addresses, got \"192.0.2.1\0x\""sv},
      {"ech=!", "ech: expected base64, got \"!\""},
      {"dohpath", "dohpath: expected a value"},
      {"alpn=h2 no-default-alpn=abc", "no-default-alpn: it takes no value"},
      {"no-default-alpn", "no-default-alpn: expected alpn beside it"},
      {"mandatory=key123", "mandatory: key123 is not there"},
      {"mandatory=alpn,port alpn=h2", "mandatory: port is not there"},
      {"mandatory=mandatory", "mandatory: expected names of keys, got \"mandatory\""},
      {"mandatory=key123,key123 key123=abc", "mandatory: a key stands in it twice"},
      {"key3=a", "key3: this is no value of it on the wire"},
      {"key65535=a", "key65535=a: expected a parameter like alpn=h2 or key65280=text"},
      {"key065=a", "key065=a: expected a parameter like alpn=h2 or key65280=text"},
      {"h2", "h2: expected a parameter like alpn=h2 or key65280=text"},
      {"=a", "=a: expected a parameter like alpn=h2 or key65280=text"},
      {"alpn= \"h2\"", "alpn: expected items with commas between them, got \"\""},
      {"port=1\"2\"", "port=1: a misplaced quote"},
      {"\"alpn\"", "\"alpn\": expected a parameter like alpn=h2"},
      {R"(key9=\300)", "key9: \\ must be followed by a character or three digits up to 255"},
  };
  for (const auto& row : kRows) EXPECT_EQ(ReadParams(row.text), row.want) << row.text;
}

TEST(SvcParamsTest, MalformedOnesAreKnown) {
  for (const std::string_view hex : {
           "00",                      // cut off
           "0003000200",              // shorter than it says
           "0003000200350003000200",  // the second is cut off
           "000300020035000100030268"
           "32",                                          // descending
           "000300020035000300020035",                    // twice
           "ffff0000",                                    // reserved
           "00010000",                                    // no name of a protocol
           "0001000100",                                  // an empty one
           "00010002026832",                              // one that is longer than its list
           "00020000",                                    // alone
           "0003000101",                                  // one byte of a port
           "00040003c00002",                              // part of an address
           "00000002000300010003026832",                  // what is mandatory is not there
           "0000000400030001000100030268320003000201bb",  // descending
           "000000020000",                                // itself
       }) {
    EXPECT_FALSE(SvcParamsAreValid(FromHex(hex))) << hex;
  }
}

TEST(SvcParamsTest, RecordsOfBothTypes) {
  const auto origin = Name::FromText("o.");
  for (const uint16_t type : {type::kSvcb, type::kHttps}) {
    const auto alias = RdataFromWords(type, Words("0 foo.example.com."), *origin);
    ASSERT_TRUE(alias);
    EXPECT_EQ(HexEncode(*alias), "000003666f6f076578616d706c6503636f6d00");
    EXPECT_EQ(RdataToText(type, *alias), "0 foo.example.com.");
    const auto service = RdataFromWords(type, Words("1 . alpn=\"h2,h3\" port=8443"), *origin);
    ASSERT_TRUE(service);
    EXPECT_EQ(HexEncode(*service), "000100000100060268320268330003000220fb");
    EXPECT_EQ(RdataToText(type, *service), "1 . alpn=h2,h3 port=8443");
  }
}

/// The data of an HTTPS record with its hints replaced, as text; "" when it does not fit.
std::string WithHints(std::string_view data, std::string_view ipv4, std::string_view ipv6,
                      size_t room = 1000) {
  auto rdata = *RdataFromWords(type::kHttps, Words(data), {});
  const std::string four = *HexDecode(ipv4), six = *HexDecode(ipv6);
  std::vector<uint8_t> out(room);
  out.resize(ReplaceAddressHints(rdata, {AsBytes(four), AsBytes(six)}, out));
  EXPECT_TRUE(out.empty() || RdataIsValid(type::kHttps, out));
  return out.empty() ? "" : RdataToText(type::kHttps, out);
}

TEST(SvcParamsTest, HintsAreReplacedAndNeverAdded) {
  constexpr std::string_view kFour = "c0000207c0000208";
  constexpr std::string_view kSix = "20010db8000000000000000000000007";
  EXPECT_EQ(WithHints("1 . alpn=h2 ipv4hint=192.0.2.1 port=1 ipv6hint=::1", kFour, kSix),
            "1 . alpn=h2 port=1 ipv4hint=192.0.2.7,192.0.2.8 ipv6hint=2001:db8::7");
  EXPECT_EQ(WithHints("1 a.b. ipv4hint=192.0.2.1,192.0.2.2,192.0.2.3", kFour, kSix),
            "1 a.b. ipv4hint=192.0.2.7,192.0.2.8");
  EXPECT_EQ(WithHints("1 . alpn=h2", kFour, kSix), "1 . alpn=h2");
  EXPECT_EQ(WithHints("1 .", kFour, kSix), "1 .");
}

TEST(SvcParamsTest, AHintWithoutAddressesGoesFromMandatoryAsWell) {
  constexpr std::string_view kData =
      "1 . mandatory=alpn,ipv4hint,ipv6hint alpn=h2 ipv4hint=192.0.2.1 ipv6hint=::1 key65280=x";
  EXPECT_EQ(WithHints(kData, "c0000207", ""),
            "1 . mandatory=alpn,ipv4hint alpn=h2 ipv4hint=192.0.2.7 key65280=x");
  EXPECT_EQ(WithHints(kData, "", ""), "1 . mandatory=alpn alpn=h2 key65280=x");
  EXPECT_EQ(WithHints("1 . mandatory=ipv4hint ipv4hint=192.0.2.1", "", ""), "1 .");
}

TEST(SvcParamsTest, ReplacingTakesTheRoomThatIsSaidAndNoMore) {
  constexpr std::string_view kData = "1 . mandatory=ipv4hint ipv4hint=192.0.2.1 ech=AAAA";
  const auto rdata = *RdataFromWords(type::kHttps, Words(kData), {});
  const std::string want = WithHints(kData, "c0000207c0000208", "");
  size_t fitted = 0;
  for (size_t room = 0; room <= rdata.size() + 4; ++room) {
    const std::string got = WithHints(kData, "c0000207c0000208", "", room);
    EXPECT_TRUE(got.empty() || got == want) << room;
    fitted += got.empty() ? 0 : 1;
  }
  EXPECT_EQ(fitted, 1U);
}

}  // namespace
}  // namespace nearside::dns
