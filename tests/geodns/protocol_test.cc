#include "geodns/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "geodns/responder.h"
#include "geodns/zone_file.h"
#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using dns::Decoded;
using dns::FromHex;
using dns::WireQuery;
using testing::HasSubstr;
using testing::Not;
namespace option = dns::option;
namespace type = dns::type;

constexpr uint32_t kAsked = 1559731985;
constexpr std::string_view kSecretText = "e5e973e5a6b2a43f48e7dc849e37bfcf";
constexpr std::string_view kClientCookie = "2464c4abcf10c957";
constexpr std::string_view kGoodCookie = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
constexpr std::string_view kBadCookie = "2464c4abcf10c957010000005cf79f111f8130c3eee29481";

/// Answers for a zone of which `big` has 900 bytes of TXT, as somebody at 198.51.100.100 asks.
class ProtocolTest : public testing::Test {
 protected:
  ProtocolTest() {
    auto origin = *dns::Name::FromText("demo.test.");
    std::string text = "$TTL 300\n@ SOA ns1 h 1 1 1 1 60\n@ NS ns1\nns1 A 192.0.2.53\n";
    for (char c : {'a', 'b', 'c', 'd'}) text += "big TXT \"" + std::string(210, c) + "\"\n";
    auto zone = Zone::Build(origin, "z", *ParseZoneFile(text, "z", origin), {});
    snapshot_.zones = ZoneIndex({std::make_shared<Zone>(std::move(*zone))});
    snapshot_.protocol.cookies = *ParseCookieSecrets(kSecretText);
    snapshot_.protocol.nsid = {'n', 's', '1'};
    snapshot_.protocol.keepalive = 100;
  }
  std::string Ask(const std::vector<uint8_t>& query, Transport transport = Transport::kUdp,
                  Treatment treatment = Treatment::kAnswer) {
    const Asker asker{*IpAddress::Parse("198.51.100.100"), transport, kAsked};
    std::vector<uint8_t> out(transport == Transport::kUdp ? kUdpAnswerBytes : kTcpAnswerBytes);
    const Arrival arrival = Receive(snapshot_.protocol, query, asker);
    const size_t size = Answer(snapshot_, arrival, asker, treatment, out, &tally_);
    answer_bytes_ = size;
    return Decoded(std::span(out).first(size));
  }
  static WireQuery Ns1(std::string_view cookie = "") {
    WireQuery query("ns1.demo.test.");
    if (!cookie.empty()) query.Option(option::kCookie, FromHex(cookie));
    return query;
  }
  static WireQuery Big() { return WireQuery("big.demo.test.", type::kTxt); }

  Snapshot snapshot_;
  Tally tally_;
  size_t answer_bytes_ = 0;
};

TEST_F(ProtocolTest, NsidIsForThoseWhoAsk) {
  EXPECT_THAT(Ask(Ns1().Option(option::kNsid, {}).Bytes()), HasSubstr("edns: 1232 option3=6e7331"));
  EXPECT_THAT(Ask(Ns1().Edns().Bytes()), Not(HasSubstr("option3")));
  EXPECT_THAT(Ask(Ns1().Bytes()), Not(HasSubstr("edns")));
  snapshot_.protocol.nsid.clear();
  EXPECT_THAT(Ask(Ns1().Option(option::kNsid, {}).Bytes()), Not(HasSubstr("option3")));
}

TEST_F(ProtocolTest, CookiesAreAnsweredAndNeverHeldAgainstAnyone) {
  const std::string kAnswered =
      "NOERROR qr aa\n? ns1.demo.test. A\n"
      "answer: ns1.demo.test. 300 A 192.0.2.53\n";
  for (Transport transport : {Transport::kUdp, Transport::kTcp}) {
    for (std::string_view cookie : {kClientCookie, kGoodCookie, kBadCookie}) {
      EXPECT_EQ(Ask(Ns1(cookie).Bytes(), transport),
                kAnswered + "edns: 1232 option10=" + std::string(kGoodCookie) + "\n")
          << cookie;
    }
  }
  EXPECT_EQ(Ask(Ns1().Edns().Bytes()), kAnswered + "edns: 1232\n");
  snapshot_.protocol.cookies.reset();
  EXPECT_EQ(Ask(Ns1(kGoodCookie).Bytes()), kAnswered + "edns: 1232\n") << "off";
}

TEST_F(ProtocolTest, CookiesOfImpossibleLengthsAreMalformed) {
  for (std::string_view cookie : {"01", "01020304050607", "010203040506070809"}) {
    EXPECT_EQ(Ask(Ns1(cookie).Bytes()), "FORMERR qr\n? ns1.demo.test. A\nedns: 1232\n");
    EXPECT_EQ(tally_.malformed, dns::Malformed::kCookieLength);
  }
}

TEST_F(ProtocolTest, ACookieCanBeAskedForWithoutAQuestion) {
  auto query = [](std::string_view cookie) {
    WireQuery made(".");
    auto bytes = made.Bytes();
    bytes.resize(dns::kHeaderBytes);
    bytes[5] = 0;
    const auto options = FromHex(cookie);
    std::vector<uint8_t> opt = FromHex("00 0029 04d0 00000000");
    const auto option_bytes = static_cast<uint8_t>(options.size());
    for (uint8_t byte : {uint8_t{0}, static_cast<uint8_t>(option_bytes + 4), uint8_t{0},
                         uint8_t{10}, uint8_t{0}, option_bytes}) {
      opt.push_back(byte);
    }
    bytes.insert(bytes.end(), opt.begin(), opt.end());
    bytes.insert(bytes.end(), options.begin(), options.end());
    bytes[11] = 1;
    return bytes;
  };
  const std::string kEdns = "edns: 1232 option10=" + std::string(kGoodCookie) + "\n";
  EXPECT_EQ(Ask(query(kClientCookie)), "NOERROR qr\n" + kEdns);
  EXPECT_EQ(Ask(query(kGoodCookie)), "NOERROR qr\n" + kEdns);
  EXPECT_EQ(Ask(query(kBadCookie)), "BADCOOKIE qr\n" + kEdns);
  snapshot_.protocol.cookies.reset();
  EXPECT_EQ(Ask(query(kClientCookie)), "FORMERR qr\nedns: 1232\n");
}

TEST_F(ProtocolTest, KeepaliveIsAnsweredOverTcpAlone) {
  const auto query = Ns1().Option(option::kTcpKeepalive, {}).Bytes();
  EXPECT_THAT(Ask(query, Transport::kTcp), HasSubstr("edns: 1232 option11=0064\n"));
  EXPECT_THAT(Ask(query, Transport::kUdp), HasSubstr("edns: 1232\n"));
  EXPECT_THAT(Ask(Ns1().Edns().Bytes(), Transport::kTcp), Not(HasSubstr("option11")));
}

TEST_F(ProtocolTest, TheServerTellsOfItselfWhatItsSettingsSay) {
  const struct {
    std::string_view name;
    std::string_view record;  // "" : never anything
  } kRows[] = {
      {"version.bind.", "9"},
      {"version.server.", "9"},
      {"id.server.", "ns1.fra"},
      {"hostname.bind.", "ns1.fra"},
      {"VERSION.bind.", "9"},
      {"authors.bind.", ""},
      {"bind.", ""},
      {"demo.test.", ""},
      {".", ""},
  };
  for (const auto& row : kRows) {
    const auto query = WireQuery(row.name, type::kTxt, dns::rr_class::kChaos).Bytes();
    snapshot_.protocol.version = "9";
    snapshot_.protocol.identity = "ns1.fra";
    if (row.record.empty()) {
      EXPECT_THAT(Ask(query), HasSubstr("REFUSED qr\n")) << row.name;
    } else {
      EXPECT_THAT(Ask(query), HasSubstr("NOERROR qr aa\n")) << row.name;
      EXPECT_THAT(Ask(query), HasSubstr(" 0 CH TXT \"" + std::string(row.record) + "\"\n"));
    }
    EXPECT_THAT(Ask(WireQuery(row.name, type::kA, dns::rr_class::kChaos).Bytes()),
                HasSubstr("REFUSED qr\n"))
        << row.name;
    snapshot_.protocol.version.clear();
    snapshot_.protocol.identity.clear();
    EXPECT_THAT(Ask(query), HasSubstr("REFUSED qr\n")) << "as it is by default: " << row.name;
  }
}

TEST_F(ProtocolTest, LongAnswersGoOnlyToThoseWhoHaveProvenWhereTheyAre) {
  const struct {
    std::string_view row;
    uint32_t most;
    std::string_view cookie;
    Transport transport;
    bool is_whole;
  } kRows[] = {
      {"no limit", 0, "", Transport::kUdp, true},
      {"10 times", 10, "", Transport::kUdp, false},
      {"30 times", 30, "", Transport::kUdp, true},
      {"10 times, client cookie", 10, kClientCookie, Transport::kUdp, false},
      {"10 times, bad cookie", 10, kBadCookie, Transport::kUdp, false},
      {"10 times, good cookie", 10, kGoodCookie, Transport::kUdp, true},
      {"TCP", 10, "", Transport::kTcp, true},
  };
  for (const auto& row : kRows) {
    snapshot_.protocol.most_amplification = row.most;
    WireQuery query = Big();
    query.Edns();
    if (!row.cookie.empty()) query.Option(option::kCookie, FromHex(row.cookie));
    const std::string text = Ask(query.Bytes(), row.transport);
    EXPECT_EQ(text.find(" tc\n") == std::string::npos, row.is_whole) << row.row;
    EXPECT_EQ(tally_.kept_small, !row.is_whole) << row.row;
    if (row.most != 0 && !row.is_whole) {
      EXPECT_LE(answer_bytes_, row.most * query.Bytes().size()) << row.row;
    }
  }
}

TEST_F(ProtocolTest, TheSmallestFactorLeavesRoomForWhatWasAskedFor) {
  snapshot_.protocol.most_amplification = 1;
  snapshot_.protocol.nsid.assign(kMostNsidBytes, 'x');
  const auto query = Ns1(kClientCookie).Subnet("10.0.0.0/8").Option(option::kNsid, {}).Bytes();
  const std::string text = Ask(query);
  EXPECT_THAT(text, HasSubstr("option3=7878"));
  EXPECT_THAT(text, HasSubstr("option10=" + std::string(kGoodCookie)));
}

TEST_F(ProtocolTest, OverTheRateAClientIsShownAWayIn) {
  const struct {
    std::string_view row;
    std::vector<uint8_t> query;
    std::string want;
  } kRows[] = {
      {"plain", Ns1().Bytes(), "NOERROR qr tc\n? ns1.demo.test. A\n"},
      {"EDNS", Ns1().Edns().Bytes(), "NOERROR qr tc\n? ns1.demo.test. A\nedns: 1232\n"},
      {"cookie", Ns1(kClientCookie).Bytes(),
       "BADCOOKIE qr\n? ns1.demo.test. A\nedns: 1232 option10=" + std::string(kGoodCookie) + "\n"},
      {"bad cookie", Ns1(kBadCookie).Bytes(),
       "BADCOOKIE qr\n? ns1.demo.test. A\nedns: 1232 option10=" + std::string(kGoodCookie) + "\n"},
      {"malformed", Ns1("01").Bytes(), "FORMERR qr\n? ns1.demo.test. A\nedns: 1232\n"},
      {"opcode", Ns1().Opcode(5).Bytes(), "NOTIMPL qr\n? ns1.demo.test. A\n"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Ask(row.query, Transport::kUdp, Treatment::kSlip), row.want) << row.row;
    EXPECT_FALSE(tally_.kept_small) << row.row;
  }
}

TEST(CookieSecretsTest, EveryLineIsUnderstoodOrNamed) {
  const std::string kOne(kSecretText);
  const std::string kTwo = "445536bcd2513298075a5d379663c962";
  const struct {
    std::string text;
    std::string error;  // "" : good
    bool has_other;
  } kRows[] = {
      {kOne, "", false},
      {kOne + "\n", "", false},
      {"# of the fleet\n\n" + kOne + " \r\n" + kTwo + "\n", "", true},
      {"", "expected a line of 32 hexadecimal digits", false},
      {"# nothing\n", "expected a line of 32 hexadecimal digits", false},
      {kOne + "\n" + kTwo + "\n" + kOne, "expected one secret, or two during a rotation", false},
      {kOne + "\n" + kTwo.substr(1), "line 2: expected 32 hexadecimal digits", false},
      {"xyz", "line 1: expected 32 hexadecimal digits", false},
      {kOne + "00", "line 1: expected 32 hexadecimal digits", false},
  };
  for (const auto& row : kRows) {
    auto secrets = ParseCookieSecrets(row.text);
    EXPECT_EQ(secrets ? "" : secrets.error().message, row.error) << row.text;
    if (!secrets) continue;
    EXPECT_EQ(secrets->current[0], 0xE5) << row.text;
    EXPECT_EQ(secrets->other.has_value(), row.has_other) << row.text;
  }
}

TEST(ProtocolSettingsTest, ASecretFileThatIsNoneIsNamedWithItsLine) {
  test::TempDir dir;
  ServerSettings server;
  server.where = {
      .file = "geodns.toml", .line = 1, .table = "geodns", .keys = {{"cookie_secret_file", 7}}};
  server.cookie_secret_file = dir.Write("secret", "short\n");
  auto made = Protocol::Make(server, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "geodns.toml:7: geodns.cookie_secret_file: " + dir.In("secret") +
                                      ": line 1: expected 32 hexadecimal digits");
  server.cookie_secret_file = dir.In("none");
  EXPECT_THAT(Protocol::Make(server, {}).error().message, HasSubstr(dir.In("none")));
  server.cookies = false;
  server.cookie_secret_file.clear();
  EXPECT_FALSE(Protocol::Make(server, {})->cookies);
  server.cookies = true;
  EXPECT_EQ(Protocol::Make(server, {})->cookies->current,
            Protocol::Make(server, {})->cookies->current)
      << "a reload keeps the random one";
}

}  // namespace
}  // namespace nearside::geodns
