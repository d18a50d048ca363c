#include "edge/visitor_rules.h"

#include <gtest/gtest.h>

#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

using http::Fields;

SiteSettings SiteWith(std::string_view lines) { return SettingsWith(lines).sites.front(); }

/// "301 redirect_https https://www.demo.test/": "-" when the request goes its way.
std::string Text(const std::optional<VisitorAnswer>& answer) {
  if (!answer) return "-";
  std::string text = std::to_string(answer->status) + " " + std::string(ReasonName(answer->reason));
  if (const auto location = answer->fields.Get("location")) text.append(" ").append(*location);
  return text;
}

struct RuleRow {
  std::string_view method, url, expected;
};

void Expect(const VisitorRules& rules, std::span<const RuleRow> rows, const Fields& fields = {}) {
  for (const RuleRow& row : rows) {
    EXPECT_EQ(Text(rules.Answer(RequestFor(row.method, row.url, fields))), row.expected)
        << row.method << " " << row.url;
  }
}

TEST(VisitorRulesTest, ThereAreNoneByDefault) {
  for (const VisitorRules& rules : {VisitorRules(), VisitorRules(DefaultSite())}) {
    EXPECT_FALSE(rules.answers());
    EXPECT_FALSE(rules.adds_fields());
    EXPECT_EQ(Text(rules.Answer(GetFor("http://www.demo.test/a/"))), "-");
  }
}

TEST(VisitorRulesTest, RedirectToHttps) {
  const RuleRow rows[] = {
      {"GET", "http://www.demo.test/a?b=%7e", "301 redirect_https https://www.demo.test/a?b=%7e"},
      {"HEAD", "http://www.demo.test/", "301 redirect_https https://www.demo.test/"},
      {"POST", "http://www.demo.test/a", "308 redirect_https https://www.demo.test/a"},
      {"OPTIONS", "http://www.demo.test/a", "308 redirect_https https://www.demo.test/a"},
      {"get", "http://www.demo.test/a", "308 redirect_https https://www.demo.test/a"},
      {"GET", "http://www.demo.test:8080/a", "301 redirect_https https://www.demo.test/a"},
      {"GET", "http://[2001:db8::1]:8080/a", "301 redirect_https https://[2001:db8::1]/a"},
      {"GET", "http://www.demo.test//evil.test/",
       "301 redirect_https https://www.demo.test//evil.test/"},
      {"GET", "http://www.demo.test/.well-known/acme-challenge/x", "-"},
      {"GET", "http://www.demo.test/.well-known/acme-challenge",
       "301 redirect_https https://www.demo.test/.well-known/acme-challenge"},
      {"GET", "http://www.demo.test/x/.well-known/acme-challenge/x",
       "301 redirect_https https://www.demo.test/x/.well-known/acme-challenge/x"},
      {"GET", "https://www.demo.test/a", "-"},
      {"POST", "https://www.demo.test/a", "-"},
  };
  Expect(VisitorRules(SiteWith("redirect_https = true\n")), rows);
  const RuleRow with_port[] = {
      {"GET", "http://www.demo.test:8080/a", "301 redirect_https https://www.demo.test:8443/a"},
      {"GET", "http://[::1]/", "301 redirect_https https://[::1]:8443/"},
  };
  Expect(VisitorRules(SiteWith("redirect_https = true\nredirect_https_port = 8443\n")), with_port);
}

TEST(VisitorRulesTest, ARedirectIsRememberedForAnHour) {
  const VisitorRules rules(SiteWith("redirect_https = true\n"));
  const auto answer = rules.Answer(GetFor("http://www.demo.test/a"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(TextOf(answer->fields),
            "location: https://www.demo.test/a\ncontent-type: text/plain; charset=utf-8\n"
            "cache-control: max-age=3600\n");
  EXPECT_EQ(answer->text, "Moved to https://www.demo.test/a\n");
}

TEST(VisitorRulesTest, TheServerItselfIsAskedForNothingThatMoves) {
  const VisitorRules rules(SiteWith("redirect_https = true\ntrailing_slash = \"add\"\n"));
  http::RequestHead request = RequestFor("OPTIONS", "http://www.demo.test/");
  request.target = "*";
  EXPECT_EQ(Text(rules.Answer(request)), "-");
}

TEST(VisitorRulesTest, TrailingSlashAdded) {
  const RuleRow rows[] = {
      {"GET", "https://www.demo.test/a", "301 trailing_slash /a/"},
      {"HEAD", "https://www.demo.test/a?b=1&c", "301 trailing_slash /a/?b=1&c"},
      {"POST", "https://www.demo.test/a", "308 trailing_slash /a/"},
      {"GET", "https://www.demo.test/a/b", "301 trailing_slash /a/b/"},
      {"GET", "https://www.demo.test/a.b/c", "301 trailing_slash /a.b/c/"},
      {"GET", "https://www.demo.test/a?", "301 trailing_slash /a/?"},
      {"GET", "https://www.demo.test/a/", "-"},
      {"GET", "https://www.demo.test/", "-"},
      {"GET", "https://www.demo.test/?a", "-"},
      {"GET", "https://www.demo.test/a/b.css", "-"},
      {"GET", "https://www.demo.test/.htaccess", "-"},
      {"GET", "https://www.demo.test/.well-known/security", "-"},
      {"GET", "https://www.demo.test/.well-known/acme-challenge/x", "-"},
      // A browser would read a host behind these.
      {"GET", "https://www.demo.test//evil", "-"},
      {"GET", "https://www.demo.test/\\evil", "-"},
  };
  Expect(VisitorRules(SiteWith("trailing_slash = \"add\"\n")), rows);
}

TEST(VisitorRulesTest, TrailingSlashRemoved) {
  const RuleRow rows[] = {
      {"GET", "https://www.demo.test/a/", "301 trailing_slash /a"},
      {"GET", "https://www.demo.test/a/?b=/", "301 trailing_slash /a?b=/"},
      {"DELETE", "https://www.demo.test/a/b/", "308 trailing_slash /a/b"},
      {"GET", "https://www.demo.test/a//", "301 trailing_slash /a"},
      {"GET", "https://www.demo.test/a.b/", "301 trailing_slash /a.b"},
      {"GET", "https://www.demo.test/a", "-"},
      {"GET", "https://www.demo.test/", "-"},
      {"GET", "https://www.demo.test/?a/", "-"},
      {"GET", "https://www.demo.test/a?b/", "-"},
      {"GET", "https://www.demo.test//", "-"},
      {"GET", "https://www.demo.test//evil.test/", "-"},
      {"GET", "https://www.demo.test/\\evil.test/", "-"},
      {"GET", "https://www.demo.test/.well-known/x/", "-"},
  };
  Expect(VisitorRules(SiteWith("trailing_slash = \"remove\"\n")), rows);
}

constexpr std::string_view kCors =
    "cors = { origins = [\"https://app.test\", \"https://*.good.test:8443\"], methods = [\"GET\", "
    "\"PUT\"], headers = [\"X-A\", \"X-B\"], expose = [\"X-C\"], credentials = true, max_age = "
    "\"5m\" }\n";

TEST(VisitorRulesTest, WhichOriginsAreAllowed) {
  struct OriginRow {
    std::string_view origin;
    bool allowed;
  };
  constexpr OriginRow kRows[] = {
      {"https://app.test", true},
      {"https://app.test:443", false},
      {"https://app.test:8443", false},
      {"http://app.test", false},
      {"https://APP.test", false},
      {"https://app.test.evil.test", false},
      {"https://evil-app.test", false},
      {"https://sub.app.test", false},
      {"null", false},
      {"", false},
      {"https://a.good.test:8443", true},
      {"https://a.b-c.good.test:8443", true},
      {"https://a.good.test", false},
      {"https://good.test:8443", false},
      {"https://.good.test:8443", false},
      {"http://a.good.test:8443", false},
      {"https://evil.test/.good.test:8443", false},
      {"https://evil.test#.good.test:8443", false},
      {"https://evil.test:1@a.good.test:8443", false},
      {"https://a.good.test:8443.evil.test", false},
      {"*", false},
  };
  const VisitorRules rules(SiteWith(kCors));
  for (const OriginRow& row : kRows) {
    const auto answer = rules.Answer(
        RequestFor("OPTIONS", "https://www.demo.test/a",
                   {{"origin", row.origin}, {"access-control-request-method", "PUT"}}));
    EXPECT_EQ(Text(answer), row.allowed ? "204 preflight" : "403 cors_refused") << row.origin;
  }
}

TEST(VisitorRulesTest, WhatIsAPreflight) {
  const VisitorRules rules(SiteWith(kCors));
  const RuleRow rows[] = {{"OPTIONS", "https://www.demo.test/a", "204 preflight"},
                          {"GET", "https://www.demo.test/a", "-"},
                          {"POST", "https://www.demo.test/a", "-"}};
  const Fields both = {{"origin", "https://app.test"}, {"access-control-request-method", "PUT"}};
  Expect(rules, rows, both);
  const RuleRow none[] = {{"OPTIONS", "https://www.demo.test/a", "-"}};
  Expect(rules, none, {{"origin", "https://app.test"}});
  Expect(rules, none, {{"access-control-request-method", "PUT"}});
  Expect(VisitorRules(SiteWith("trailing_slash = \"remove\"\n")), none, both);
}

TEST(VisitorRulesTest, APreflightIsToldWhatMayBeUsed) {
  const VisitorRules rules(SiteWith(kCors));
  const auto request =
      RequestFor("OPTIONS", "https://www.demo.test/a",
                 {{"origin", "https://app.test"}, {"access-control-request-method", "DELETE"}});
  auto answer = rules.Answer(request);
  ASSERT_TRUE(answer);
  rules.AddFields(request, {}, &answer->fields);
  EXPECT_EQ(TextOf(answer->fields),
            "access-control-allow-methods: GET, PUT\naccess-control-allow-headers: X-A, X-B\n"
            "access-control-max-age: 300\nvary: origin\n"
            "access-control-allow-origin: https://app.test\n"
            "access-control-allow-credentials: true\naccess-control-expose-headers: X-C\n");
}

TEST(VisitorRulesTest, ThePreflightComesFirstThenHttpsThenTheSlash) {
  const std::string lines =
      "redirect_https = true\ntrailing_slash = \"add\"\n" + std::string(kCors);
  const VisitorRules rules(SiteWith(lines));
  const Fields preflight = {{"origin", "https://app.test"},
                            {"access-control-request-method", "PUT"}};
  const RuleRow rows[] = {
      {"OPTIONS", "http://www.demo.test/a", "204 preflight"},
      {"GET", "http://www.demo.test/a", "301 redirect_https https://www.demo.test/a"},
      {"GET", "https://www.demo.test/a", "301 trailing_slash /a/"},
      {"GET", "https://www.demo.test/a/", "-"},
  };
  Expect(rules, rows, preflight);
}

/// The lines of an answer: what was prepared and is still sent, then what was added.
std::string Added(std::string_view site, std::string_view url, const Fields& request,
                  const Fields& prepared = {}, const Fields& extra = {}) {
  const VisitorRules rules(SiteWith(site));
  Fields added = extra;
  std::string text;
  for (const http::FieldLine& line :
       rules.AddFields(GetFor(url, request), prepared.lines(), &added)) {
    text.append(line.name).append(": ").append(line.value).append("\n");
  }
  return text + "--\n" + TextOf(added);
}

TEST(VisitorRulesTest, StrictTransportSecurity) {
  constexpr std::string_view kYear = "hsts = { }\n";
  EXPECT_EQ(Added(kYear, "https://www.demo.test/", {}),
            "--\nstrict-transport-security: max-age=31536000\n");
  EXPECT_EQ(Added("hsts = { max_age = \"2y\", include_subdomains = true, preload = true }\n",
                  "https://www.demo.test/", {}),
            "--\nstrict-transport-security: max-age=63072000; includeSubDomains; preload\n");
  EXPECT_EQ(Added("hsts = { max_age = \"0s\" }\n", "https://www.demo.test/", {}),
            "--\nstrict-transport-security: max-age=0\n");
  // RFC 6797 §7.2: not over cleartext. And the origin's own stays.
  EXPECT_EQ(Added(kYear, "http://www.demo.test/", {}), "--\n");
  const Fields own = {{"strict-transport-security", "max-age=1"}};
  EXPECT_EQ(Added(kYear, "https://www.demo.test/", {}, own),
            "strict-transport-security: max-age=1\n--\n");
  EXPECT_EQ(Added(kYear, "https://www.demo.test/", {}, {}, own),
            "--\nstrict-transport-security: max-age=1\n");
}

TEST(VisitorRulesTest, CorsOfAnyAnswer) {
  const Fields stored = {{"content-type", "a/b"}, {"x-c", "1"}};
  const std::string sent = "content-type: a/b\nx-c: 1\n--\n";
  constexpr std::string_view kUrl = "https://www.demo.test/a";
  EXPECT_EQ(Added(kCors, kUrl, {{"origin", "https://app.test"}}, stored),
            sent +
                "vary: origin\naccess-control-allow-origin: https://app.test\n"
                "access-control-allow-credentials: true\naccess-control-expose-headers: X-C\n");
  EXPECT_EQ(Added(kCors, kUrl, {{"origin", "https://evil.test"}}, stored), sent + "vary: origin\n");
  EXPECT_EQ(Added(kCors, kUrl, {}, stored), sent + "vary: origin\n");
  constexpr std::string_view kAny = "cors = { origins = [\"*\"] }\n";
  EXPECT_EQ(Added(kAny, kUrl, {{"origin", "https://evil.test"}}, stored),
            sent + "access-control-allow-origin: *\n");
  EXPECT_EQ(Added(kAny, kUrl, {}, stored), sent + "access-control-allow-origin: *\n");
}

TEST(VisitorRulesTest, TheSitesRulesStandForWhatTheOriginSaysOfCors) {
  const Fields stored = {{"content-type", "a/b"},
                         {"access-control-allow-origin", "https://first.test"},
                         {"vary", "accept"},
                         {"access-control-allow-credentials", "true"},
                         {"access-control-expose-headers", "X-Own"}};
  constexpr std::string_view kAny = "cors = { origins = [\"*\"] }\n";
  constexpr std::string_view kUrl = "https://www.demo.test/a";
  EXPECT_EQ(Added(kAny, kUrl, {}, stored, {{"age", "1"}}),
            "--\nage: 1\ncontent-type: a/b\nvary: accept\naccess-control-allow-origin: *\n");
  EXPECT_EQ(Added(kAny, kUrl, {}, {}, stored),
            "--\ncontent-type: a/b\nvary: accept\naccess-control-allow-origin: *\n");
  // Without rules of the site they are the origin's own affair.
  EXPECT_EQ(Added("hsts = { }\n", "http://www.demo.test/", {}, stored), TextOf(stored) + "--\n");
}

}  // namespace
}  // namespace nearside::edge
