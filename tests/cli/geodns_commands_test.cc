// The commands that speak with GeoDNS's admin listener, against scripted ones.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/command_run.h"
#include "tests/support/temp_dir.h"

namespace nearside::cli::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class GeodnsCommandsTest : public ::testing::Test {
 protected:
  Outcome Run(const std::string& command, const std::string& settings = "") {
    return RunNearside("--config " + dir_.Write("client.toml", settings) + " " + command);
  }
  std::string TokenFile() { return dir_.Write("token", "0123456789abcdef\n"); }
  nearside::test::TempDir dir_;
};

constexpr const char* kDrained =
    R"({"pop":"tokyo","drained":true,"changed":true,"outlives_restart":true,"still_up":2})";

TEST_F(GeodnsCommandsTest, DrainTellsEveryServerWithTheToken) {
  std::string heads[2];
  ScriptedServer first({Answers(kDrained, "200 OK", &heads[0])});
  ScriptedServer second({Answers(kDrained, "200 OK", &heads[1])});
  const Outcome outcome = Run("drain tokyo --token-file " + TokenFile() + " --geodns " +
                              first.url() + " --geodns " + second.url());
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_EQ(outcome.out, first.url() + ": tokyo is drained, 2 up\n" + second.url() +
                             ": tokyo is drained, 2 up\n");
  for (const std::string& head : heads) {
    EXPECT_THAT(head, StartsWith("POST /drain?pop=tokyo HTTP/1.1\r\n"));
    EXPECT_THAT(head, HasSubstr("authorization: Bearer 0123456789abcdef\r\n"));
  }
}

TEST_F(GeodnsCommandsTest, OneServerThatFailsKeepsNobodyFromBeingTold) {
  ScriptedServer first({Answers(
      R"({"error":"there is no [[pop]] called \"tokyo\"; there are a, b"})", "404 Not Found")});
  ScriptedServer second({Answers(
      R"({"pop":"tokyo","drained":false,"changed":false,"outlives_restart":false,"still_up":3})")});
  const Outcome outcome = Run("undrain tokyo --geodns " + first.url() + " --geodns " + second.url(),
                              "geodns_token_file = \"" + TokenFile() + "\"");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, second.url() + ": tokyo was already not drained, 3 up\n");
  EXPECT_THAT(outcome.errors, HasSubstr("there are a, b"));
}

TEST_F(GeodnsCommandsTest, DrainSaysWhenARestartForgetsIt) {
  ScriptedServer server({Answers(
      R"({"pop":"tokyo","drained":true,"changed":true,"outlives_restart":false,"still_up":2})")});
  const Outcome outcome =
      Run("drain tokyo --token-file " + TokenFile(), "geodns = \"" + server.url() + "\"");
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_THAT(outcome.out, HasSubstr("a restart forgets it, because geodns.state is not set"));
}

TEST_F(GeodnsCommandsTest, WithoutAServerOrATokenTheyTeach) {
  EXPECT_EQ(Run("drain tokyo").code, 2);
  EXPECT_THAT(Run("drain tokyo").errors, HasSubstr("--geodns http://127.0.0.1:7053"));
  EXPECT_THAT(Run("steer --without tokyo").errors, HasSubstr("--geodns http://127.0.0.1:7053"));
  EXPECT_THAT(Run("explain --dns a --client 192.0.2.1").errors,
              HasSubstr("--geodns http://127.0.0.1:7053"));
  EXPECT_EQ(Run("explain --dns a").code, 2) << "a client is needed";
  EXPECT_EQ(Run("explain").code, 2);
  EXPECT_EQ(Run("explain --geodns http://127.0.0.1:1 --client 192.0.2.1").code, 2);
  const Outcome outcome = Run("drain tokyo --geodns http://127.0.0.1:1");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("geodns_token_file"));
}

constexpr const char* kExplained = R"({"name": "www.demo.test.", "client": "133.11.0.1/32",
 "zone": "demo.test.", "serial": 7, "steered": true, "rule": "geodns.toml:31", "policy": "nearest",
 "place": {"database": "geo.mmdb", "network": "133.0.0.0/8", "country": "JP", "continent": "AS",
           "latitude": 36.0, "longitude": 138.0, "coordinates_of": "country"},
 "reason": "shed",
 "pops": [{"name": "tokyo", "distance_km": 157, "state": "up", "share": 0.75, "answered": false,
           "left_out": "over its capacity: it keeps the nearest 75 % of its clients"},
          {"name": "frankfurt", "distance_km": 9250, "state": "up", "answered": true,
           "answered_for": "AAAA"}],
 "answer": {"A": ["127.0.1.1", "127.0.1.2"], "AAAA": []}, "ttl": 30, "scope": 24})";

TEST_F(GeodnsCommandsTest, ExplainPrintsWhatGeodnsSays) {
  std::string head;
  ScriptedServer server({Answers(kExplained, "200 OK", &head), Answers(kExplained)});
  const Outcome outcome =
      Run("explain --dns www.demo.test --client 133.11.0.1 --geodns " + server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_THAT(head, StartsWith("GET /explain?name=www.demo.test&client=133.11.0.1 HTTP/1.1"));
  for (const char* text :
       {"demo.test.  serial 7", "geodns.toml:31  nearest",
        "JP AS  36.0, 138.0 (of the country)  from 133.0.0.0/8 in geo.mmdb", "157 km", "75 %",
        "over its capacity: it keeps the nearest 75 % of its clients", "9250 km",
        "answered to AAAA", "shed: one that is nearer is over its capacity", "127.0.1.1  127.0.1.2",
        "none", "30 s", "/24"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
  const Outcome json =
      Run("explain --json --dns www.demo.test --client 133.11.0.1 --geodns " + server.url());
  EXPECT_THAT(json.out, HasSubstr("\"scope\": 24"));
}

/// An answer about ns.demo.test with `members` beside what each answer has.
std::string StaticAnswer(const std::string& members) {
  return R"({"name": "ns.demo.test.", "client": "192.0.2.1/32", "zone": "demo.test.", "serial": 7,
             "steered": false, )" +
         members + "}";
}

TEST_F(GeodnsCommandsTest, ExplainOfAStaticNamePrintsItsRecords) {
  ScriptedServer server({Answers(StaticAnswer(
      R"("wildcard": ["*.demo.test."], "found": "static", "kind": "answer", "rcode": "NOERROR",
    "records": [{"section": "answer", "name": "ns.demo.test.", "type": "MX", "ttl": 3600,
                 "data": "10 mail.demo.test."},
                {"section": "answer", "name": "ns.demo.test.", "type": "TXT", "ttl": 60,
                 "data": "\"a\u001b[31m\""}], "negative_ttl": 300)"))});
  const Outcome outcome =
      Run("explain --dns ns.demo.test --client 192.0.2.1 --geodns " + server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  for (const char* text :
       {"no: static", "wildcard  *.demo.test.", "NOERROR, the same for every client",
        "none (NODATA), for 300 s", "answer   ns.demo.test.  3600  MX    10 mail.demo.test.",
        "answer   ns.demo.test.  60    TXT   \"a?[31m\""}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
}

TEST_F(GeodnsCommandsTest, ExplainSaysWhatKindOfAnswerAStaticNameHas) {
  const struct {
    std::string_view members;
    std::vector<const char*> texts;
  } kRows[] = {
      {R"("found": "no_such_name", "kind": "nxdomain", "rcode": "NXDOMAIN", "negative_ttl": 60,
          "records": [])",
       {"NXDOMAIN, there is no such name\n", "60 s"}},
      {R"("found": "no_such_name", "kind": "nxdomain", "rcode": "NXDOMAIN", "negative_ttl": 60,
          "records": [], "rcode_with_proof": "NOERROR")",
       {"NXDOMAIN, there is no such name; NOERROR with a proof of it (DNSSEC)\n"}},
      {R"("found": "static", "kind": "nodata", "rcode": "NOERROR", "records": [],
          "negative_ttl": 60)",
       {"NOERROR without records (NODATA)", "60 s"}},
      {R"("found": "delegated", "kind": "referral", "rcode": "NOERROR",
          "delegation": "sub.demo.test.", "records": [{"section": "authority",
          "name": "sub.demo.test.", "type": "NS", "ttl": 9, "data": "ns.other."}])",
       {"a referral to the name servers of sub.demo.test.",
        "authority  sub.demo.test.  9    NS    ns.other."}},
      {R"("found": "cname", "kind": "answer", "rcode": "NOERROR", "records": [
          {"section": "answer", "name": "ns.demo.test.", "type": "CNAME", "ttl": 9, "data": "a."}])",
       {"a CNAME that the resolver follows elsewhere", "CNAME  a."}},
      {R"("found": "cname_loop", "kind": "answer", "rcode": "NOERROR", "records": [])",
       {"CNAMEs that lead back to themselves"}},
  };
  for (const auto& row : kRows) {
    ScriptedServer server({Answers(StaticAnswer(std::string(row.members)))});
    const Outcome outcome =
        Run("explain --dns ns.demo.test --client 192.0.2.1 --geodns " + server.url());
    EXPECT_EQ(outcome.code, 0) << outcome.errors;
    for (const char* text : row.texts) EXPECT_THAT(outcome.out, HasSubstr(text));
  }
}

TEST_F(GeodnsCommandsTest, ExplainOfAnAliasTellsWhereItLeadsAndWhatItAnswers) {
  ScriptedServer server({Answers(R"({"name": "demo.test.", "client": "192.0.2.1/32",
    "zone": "demo.test.", "serial": 7, "steered": false, "found": "alias",
    "kind": "answer", "rcode": "NOERROR",
    "alias": {"target": "shop.example.net.", "known": true, "network": "192.0.2.0/24"},
    "services": {"HTTPS": ["1 . alpn=h2 ipv4hint=127.0.1.1"]},
    "answer": {"A": ["198.51.100.1"], "AAAA": []}, "ttl": 45})"),
                         Answers(R"({"name": "demo.test.", "client": "192.0.2.1/32",
    "zone": "demo.test.", "serial": 7, "steered": false, "found": "alias",
    "alias": {"target": "shop.example.net.", "known": false},
    "answer": {"A": [], "AAAA": []}, "ttl": 45})")});
  const std::string command = "explain --dns demo.test --client 192.0.2.1 --geodns " + server.url();
  const Outcome known = Run(command);
  EXPECT_EQ(known.code, 0) << known.errors;
  for (const char* text :
       {"leads to  shop.example.net.", "NOERROR, as the ALIAS has it now", "192.0.2.0/24",
        "198.51.100.1", "1 . alpn=h2 ipv4hint=127.0.1.1", "45 s"}) {
    EXPECT_THAT(known.out, HasSubstr(text));
  }
  EXPECT_THAT(Run(command).out, HasSubstr("clients get SERVFAIL"));
}

TEST_F(GeodnsCommandsTest, SteerPrintsTables) {
  std::string head;
  ScriptedServer server({Answers(R"({"name": "www.demo.test.", "policy": "nearest", "families": [
    {"family": "ipv4", "clients": 100000.0, "moved": 0.25,
     "before": {"frankfurt": 0.25, "tokyo": 0.75}, "after": {"tokyo": 1.0},
     "continents": [{"continent": "EU", "share": 0.25, "moved": 1.0, "before": {"frankfurt": 1.0},
                     "after": {"tokyo": 1.0}}],
     "countries": [{"country": "JP", "continent": "AS", "share": 0.75, "moved": 0.0,
                    "before": {"tokyo": 1.0}, "after": {"tokyo": 1.0}},
                   {"country": "DE", "continent": "EU", "share": 0.15, "moved": 1.0,
                    "before": {"frankfurt": 1.0}, "after": {"tokyo": 1.0}},
                   {"country": "FR", "continent": "EU", "share": 0.1, "moved": 1.0,
                    "before": {"frankfurt": 1.0}, "after": {"tokyo": 1.0}}]}]})",
                                 "200 OK", &head)});
  const Outcome outcome =
      Run("steer --without frankfurt --without oslo --load tokyo:1.5 "
          "--countries 1 --geodns " +
          server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_THAT(head,
              StartsWith("GET /steer?name=&without=frankfurt%2Coslo&load=tokyo%3A1.5 HTTP/1.1"));
  for (const char* text :
       {"IPv4: 25.0 % of the addresses move", "-25.0", "+25.0", "DE", "and 1 more countries"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
  EXPECT_THAT(outcome.out, ::testing::Not(HasSubstr("JP"))) << "it does not move";
}

TEST_F(GeodnsCommandsTest, TheirHelpTeachesByExamples) {
  EXPECT_THAT(Run("drain --help").out, HasSubstr("nearside undrain frankfurt"));
  EXPECT_THAT(Run("steer --help").out, HasSubstr("nearside steer --without frankfurt"));
  EXPECT_THAT(Run("explain --help").out, HasSubstr("--dns www.example.com --client"));
}

}  // namespace
}  // namespace nearside::cli::test
