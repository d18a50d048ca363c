#include "edge/origin_request.h"

#include <gtest/gtest.h>

#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

using http::Fields;

class OriginRequestTest : public testing::Test {
 protected:
  OriginRequestTest() { site_.settings = DefaultSite(); }

  http::RequestHead Make(Fields fields, OriginMode mode = OriginMode::kFill,
                         const StoredResponse* stored = nullptr) {
    return OriginRequest(RequestFor(method_, url_, std::move(fields)), "/normal", site_, asker_,
                         mode, stored);
  }
  /// The fields sent, without those that every request has, and every fill without codings.
  std::string Sent(Fields fields, OriginMode mode = OriginMode::kFill,
                   const StoredResponse* stored = nullptr) {
    http::Fields sent = Make(std::move(fields), mode, stored).fields;
    for (std::string_view name : {"forwarded", "x-forwarded-for", "x-forwarded-proto",
                                  "x-forwarded-host", "via", "cdn-loop", "x-request-id"}) {
      EXPECT_EQ(sent.Remove(name), 1u) << name;
    }
    if (mode == OriginMode::kFill) {
      EXPECT_TRUE(sent.Has("accept-encoding"));
    }
    if (sent.Joined("accept-encoding") == "identity") sent.Remove("accept-encoding");
    return TextOf(sent);
  }

  std::string method_ = "GET";
  std::string url_ = "https://www.demo.test/a?b=c";
  Site site_;
  Asker asker_{.address = "192.0.2.7",
               .version = http::Version::kHttp2,
               .edge = "frankfurt",
               .request_id = "2a-17"};
};

TEST_F(OriginRequestTest, ControlDataIsTheClientsAndTheTargetIsTheCallers) {
  method_ = "POST";
  const http::RequestHead head = Make({}, OriginMode::kPass);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.scheme, "https");
  EXPECT_EQ(head.authority, "www.demo.test");
  EXPECT_EQ(head.target, "/normal");
  EXPECT_EQ(head.protocol, "");
}

// RFC 9110 §7.6.2.
TEST_F(OriginRequestTest, MaxForwardsIsCountedDown) {
  struct Row {
    std::string_view method, received, sent;
  };
  constexpr Row kRows[] = {
      {"OPTIONS", "5", "4"}, {"TRACE", "10", "9"},
      {"OPTIONS", "1", "0"}, {"OPTIONS", "007", "6"},
      {"OPTIONS", "x", "x"}, {"OPTIONS", "-1", "-1"},
      {"OPTIONS", "", ""},   {"GET", "5", "5"},
      {"POST", "0", "0"},    {"TRACE", "99999999999999999999", "999999"},
  };
  for (const Row& row : kRows) {
    method_ = row.method;
    const http::RequestHead head = Make({{"max-forwards", row.received}}, OriginMode::kPass);
    EXPECT_EQ(head.fields.Joined("max-forwards"), row.sent) << row.method << " " << row.received;
  }
}

TEST_F(OriginRequestTest, OriginHostStandsForTheClients) {
  site_.settings.origin_host = "internal.example:9000";
  const http::RequestHead head = Make({});
  EXPECT_EQ(head.authority, "internal.example:9000");
  EXPECT_EQ(head.fields.Joined("x-forwarded-host"), "www.demo.test");
}

// Only what is in the key may shape what is stored.
TEST_F(OriginRequestTest, AFillNamesTheAuthorityAsTheKeyHasIt) {
  for (std::string_view port : {"", ":", ":443", ":0443"}) {
    url_ = "https://www.demo.test" + std::string(port) + "/a";
    const http::RequestHead fill = Make({});
    EXPECT_EQ(fill.authority, "www.demo.test");
    EXPECT_EQ(fill.fields.Joined("x-forwarded-host"), "www.demo.test");
    const http::RequestHead pass = Make({}, OriginMode::kPass);
    EXPECT_EQ(pass.authority, "www.demo.test" + std::string(port));
  }
  url_ = "https://www.demo.test:80/a";
  EXPECT_EQ(Make({}).authority, "www.demo.test:80");
}

TEST_F(OriginRequestTest, WhoAskedIsToldInBothManners) {
  struct Row {
    std::string_view url, address, forwarded;
  };
  constexpr Row kRows[] = {
      {"https://www.demo.test/", "192.0.2.7", "for=192.0.2.7;proto=https;host=\"www.demo.test\""},
      {"http://www.demo.test:8080/", "2001:db8::1",
       "for=\"[2001:db8::1]\";proto=http;host=\"www.demo.test:8080\""},
      {"http://[::1]:8080/", "::1", "for=\"[::1]\";proto=http;host=\"[::1]:8080\""},
  };
  for (const Row& row : kRows) {
    url_ = row.url;
    asker_.address = row.address;
    const http::RequestHead head = Make({});
    EXPECT_EQ(head.fields.Joined("forwarded"), row.forwarded);
    EXPECT_EQ(head.fields.Joined("x-forwarded-for"), row.address);
    EXPECT_EQ(head.fields.Joined("x-forwarded-proto"), head.scheme);
    EXPECT_EQ(head.fields.Joined("x-forwarded-host"), head.authority);
  }
}

TEST_F(OriginRequestTest, WhatATrustedProxyToldIsKeptAndAppendedTo) {
  asker_.peer = "10.0.0.1";
  asker_.chain = "203.0.113.9, 192.0.2.7";
  http::RequestHead head = Make({{"x-forwarded-for", "203.0.113.9"}, {"forwarded", "for=evil"}});
  EXPECT_EQ(head.fields.Joined("x-forwarded-for"), "203.0.113.9, 192.0.2.7, 10.0.0.1");
  EXPECT_EQ(head.fields.Joined("forwarded"), "for=192.0.2.7;proto=https;host=\"www.demo.test\"");
  asker_.field = ForwardedField::kForwarded;
  asker_.peer = "2001:db8::2";
  asker_.chain = "for=192.0.2.7;proto=http";
  head = Make({{"x-forwarded-for", "evil"}});
  EXPECT_EQ(head.fields.Joined("x-forwarded-for"), "192.0.2.7");
  EXPECT_EQ(head.fields.Joined("forwarded"),
            "for=192.0.2.7;proto=http, for=\"[2001:db8::2]\";proto=https;host=\"www.demo.test\"");
}

TEST_F(OriginRequestTest, ViaNamesTheVersionReceivedAndTheEdge) {
  EXPECT_EQ(Make({}).fields.Joined("via"), "2.0 frankfurt");
  asker_.version = http::Version::kHttp11;
  EXPECT_EQ(Make({}).fields.Joined("via"), "1.1 frankfurt");
  EXPECT_EQ(Make({{"via", "1.0 fred"}}).fields.Joined("via"), "1.0 fred, 1.1 frankfurt");
  asker_.version = http::Version::kHttp10;
  EXPECT_EQ(Make({}).fields.Joined("via"), "1.0 frankfurt");
}

TEST_F(OriginRequestTest, TheRequestsIdIsOurs) {
  for (const OriginMode mode : {OriginMode::kFill, OriginMode::kPass}) {
    const http::Fields sent =
        Make({{"x-request-id", "evil"}, {"x_request_id", "evil"}}, mode).fields;
    EXPECT_EQ(sent.Joined("x-request-id"), "2a-17");
    EXPECT_FALSE(sent.Has("x_request_id"));
  }
  EXPECT_EQ(TextOf(OriginTrailers({{"x-request-id", "evil"}, {"a", "b"}})), TextOf({{"a", "b"}}));
}

// RFC 8586.
TEST_F(OriginRequestTest, CdnLoopNamesTheEdgeBehindThoseBefore) {
  EXPECT_EQ(Make({}).fields.Joined("cdn-loop"), "frankfurt");
  EXPECT_EQ(Make({{"cdn-loop", "other; v=1"}}).fields.Joined("cdn-loop"), "other; v=1, frankfurt");
}

// Cache poisoning by fields that shape a response and are in no key.
TEST_F(OriginRequestTest, AClientCannotSpeakForOthers) {
  for (std::string_view name :
       {"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
        "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl",
        "X-Forwarded-Path", "X-Forwarded-By", "X-Forwarded-User", "X-Forwarded-Anything",
        "X-Real-IP", "X-Original-URL", "X-Original-Host", "X-Rewrite-URL", "X-HTTP-Method-Override",
        "X-HTTP-Method", "X-Method-Override", "X-Host", "Front-End-Https", "X-Url-Scheme",
        "X-Scheme", "X-HTTP-DestinationURL", "X-Script-Name", "Client-IP", "CF-Connecting-IP",
        "X-Originating-IP", "X-Cluster-Client-IP", "X-Remote-Addr", "X-HTTP-Path-Override", "Proxy",
        // CGI and WSGI read an underscore as a hyphen.
        "X_Forwarded_For", "X-Forwarded_Host", "X_Original_URL", "x_real_ip"}) {
    for (const OriginMode mode : {OriginMode::kFill, OriginMode::kPass}) {
      const Fields sent = Make({{name, "evil"}, {name, "again"}}, mode).fields;
      EXPECT_EQ(TextOf(sent).find("evil"), std::string::npos) << name;
      EXPECT_EQ(TextOf(sent).find("again"), std::string::npos) << name;
    }
  }
}

TEST_F(OriginRequestTest, OtherFieldsGoAsTheyCame) {
  EXPECT_EQ(Sent({{"accept", "text/html"},
                  {"cookie", "a=b"},
                  {"x-forwarded", "1"},
                  {"x-originally", "2"},
                  {"x_custom", "3"},
                  {"accept", "*/*"},
                  {"authorization", "Bearer x"},
                  {"cache-control", "no-cache"},
                  {"pragma", "no-cache"}}),
            "accept: text/html\ncookie: a=b\nx-forwarded: 1\nx-originally: 2\nx_custom: 3\n"
            "accept: */*\nauthorization: Bearer x\ncache-control: no-cache\npragma: no-cache\n");
}

TEST_F(OriginRequestTest, FramingIsTheSessions) {
  EXPECT_EQ(Sent({{"host", "evil"},
                  {"content-length", "5"},
                  {"expect", "100-continue"},
                  {"content_length", "7"},
                  {"transfer_encoding", "chunked"}}),
            "");
}

// RFC 9110 §7.6.1.
TEST_F(OriginRequestTest, HopByHopFieldsEndHere) {
  EXPECT_EQ(Sent({{"connection", "close, X-Mine"},
                  {"x-mine", "1"},
                  {"connection", "x-also"},
                  {"x-also", "2"},
                  {"keep-alive", "timeout=5"},
                  {"proxy-connection", "keep-alive"},
                  {"te", "trailers"},
                  {"trailer", "x"},
                  {"transfer-encoding", "chunked"},
                  {"upgrade", "h2c"},
                  {"x-stays", "3"}}),
            "x-stays: 3\n");
}

TEST_F(OriginRequestTest, AClientCannotNameOurFieldsAway) {
  const Fields sent =
      Make({{"connection", "forwarded, x-forwarded-for, x-forwarded-proto, via, if-none-match"}})
          .fields;
  EXPECT_TRUE(sent.Has("forwarded"));
  EXPECT_TRUE(sent.Has("x-forwarded-for"));
  EXPECT_TRUE(sent.Has("x-forwarded-proto"));
  EXPECT_EQ(sent.Joined("via"), "2.0 frankfurt");
}

const Fields& ClientsConditions() {
  static const Fields fields = {{"range", "bytes=0-1"},
                                {"if-range", "\"a\""},
                                {"if-match", "\"a\""},
                                {"if-none-match", "\"a\""},
                                {"if-modified-since", DateAt(0)},
                                {"if-unmodified-since", DateAt(0)}};
  return fields;
}

TEST_F(OriginRequestTest, AFillIsWholeAndUnconditional) {
  EXPECT_EQ(Sent(ClientsConditions(), OriginMode::kFill), "");
}

// What is not in a variant's key must not shape it.
TEST_F(OriginRequestTest, AFillAsksForWhatVariantsCompare) {
  struct Row {
    Fields client;
    std::string_view encoding, language;
  };
  const Row rows[] = {
      {{}, "identity", ""},
      {{{"accept-encoding", ""}}, "identity", ""},
      {{{"accept-encoding", "gzip, deflate, br;q=0.1"}}, "br, gzip", ""},
      {{{"accept-encoding", "br"}, {"accept-encoding", "x-gzip"}}, "br, gzip", ""},
      {{{"accept-encoding", "br"}, {"range", "bytes=0-1"}}, "identity", ""},
      {{{"accept-encoding", "br"}, {"cache-control", "no-transform"}}, "identity", ""},
      {{{"accept-language", "en-US,en;q=0.5"}}, "identity", "en-us, en;q=0.9"},
      {{{"accept-language", "en"}, {"accept-language", "de"}}, "identity", "de, en"},
      {{{"accept-language", "de_DE"}}, "identity", "de_DE"},
      {{{"accept-language", ""}}, "identity", ""},
      {{{"connection", "accept-language"}, {"accept-language", "DE"}}, "identity", "de"},
  };
  for (const Row& row : rows) {
    const Fields sent = Make(row.client).fields;
    EXPECT_EQ(sent.Joined("accept-encoding"), row.encoding) << TextOf(row.client);
    EXPECT_EQ(sent.Joined("accept-language"), row.language) << TextOf(row.client);
    const Fields passed = Make(row.client, OriginMode::kPass).fields;
    EXPECT_EQ(passed.Joined("accept-encoding"), row.client.Joined("accept-encoding"));
  }
}

TEST_F(OriginRequestTest, ASiteMayTakeNegotiationToTheLetter) {
  site_.settings.normalize_accept_encoding = false;
  site_.settings.normalize_accept_language = false;
  const Fields sent = Make({{"accept-encoding", "GZIP,*"}, {"accept-language", "EN,de"}}).fields;
  EXPECT_EQ(sent.Joined("accept-encoding"), "GZIP,*");
  EXPECT_EQ(sent.Joined("accept-language"), "EN,de");
  EXPECT_FALSE(Make({}).fields.Has("accept-encoding"));
}

TEST_F(OriginRequestTest, APassKeepsWhatTheClientAskedFor) {
  EXPECT_EQ(Sent(ClientsConditions(), OriginMode::kPass), TextOf(ClientsConditions()));
}

TEST_F(OriginRequestTest, WhereTheSiteAnswersForCorsAFillIsNobodysRequest) {
  const Fields fields = {{"origin", "https://app.test"}};
  EXPECT_EQ(Sent(fields), TextOf(fields));
  site_.settings.cors.emplace();
  EXPECT_EQ(Sent(fields, OriginMode::kFill), "");
  EXPECT_EQ(Sent(fields, OriginMode::kPass), TextOf(fields));
}

TEST_F(OriginRequestTest, DirectivesThatAreIgnoredAreNotSentOnByAFill) {
  const Fields fields = {{"cache-control", "no-cache"}, {"pragma", "no-cache"}};
  EXPECT_EQ(Sent(fields), TextOf(fields));
  site_.request_directives = RequestDirectives::kIgnore;
  EXPECT_EQ(Sent(fields, OriginMode::kFill), "");
  EXPECT_EQ(Sent(fields, OriginMode::kPass), TextOf(fields));
}

// RFC 9111 §4.3.1.
TEST_F(OriginRequestTest, AValidationCarriesTheStoredValidators) {
  StoredResponse stored;
  stored.fields = {{"etag", "W/\"v\""}, {"last-modified", DateAt(-9)}, {"content-type", "x"}};
  EXPECT_EQ(Sent(ClientsConditions(), OriginMode::kFill, &stored),
            "if-none-match: W/\"v\"\nif-modified-since: " + DateAt(-9) + "\n");
  stored.fields = {{"etag", "\"v\""}};
  EXPECT_EQ(Sent({}, OriginMode::kFill, &stored), "if-none-match: \"v\"\n");
  stored.fields = {{"last-modified", DateAt(-9)}};
  EXPECT_EQ(Sent({}, OriginMode::kFill, &stored), "if-modified-since: " + DateAt(-9) + "\n");
  stored.fields = {};
  EXPECT_EQ(Sent({}, OriginMode::kFill, &stored), "");
  // The origin knows nothing of a tag that was made here.
  stored.fields = {{"etag", "W/\"v-br\""}};
  stored.origin_etag = "\"v\"";
  EXPECT_EQ(Sent({}, OriginMode::kFill, &stored), "if-none-match: \"v\"\n");
}

}  // namespace
}  // namespace nearside::edge
