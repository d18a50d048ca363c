#include <gtest/gtest.h>

#include <random>
#include <string>

#include "http/http1_parser.h"
#include "tests/http/http1_trace.h"

namespace nearside::http {
namespace {

std::string Parse(std::string_view input, const Http1Limits& limits = {}) {
  return TraceRequests({input}, limits);
}

/// The refusal of a head with these lines behind the request line, or what was understood.
std::string WithLines(std::string_view lines, std::string_view first = "POST / HTTP/1.1") {
  return Parse(std::string(first) + "\r\nHost: a.test\r\n" + std::string(lines) + "\r\n");
}

TEST(Http1RequestParserTest, ASimpleRequest) {
  EXPECT_EQ(
      Parse("GET /a?b=c HTTP/1.1\r\nHost: Www.Demo.Test:8080\r\nAccept:  text/html \r\nX:\r\n\r\n"),
      "GET /a?b=c at www.demo.test:8080\naccept: text/html\nx: \n= no body, keep-alive\nend \n");
}

TEST(Http1RequestParserTest, BodiesByLengthAndChunked) {
  EXPECT_EQ(Parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            "POST / at a\ncontent-length: 5\n= length 5, keep-alive\nbody hello\nend \n");
  EXPECT_EQ(Parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                  "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nEtag: \"e\"\r\n\r\n"),
            "POST / at a\n= chunked, keep-alive\nbody hello world\nend etag: \"e\"\n\n");
  EXPECT_EQ(Parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
            "POST / at a\ncontent-length: 0\n= length 0, keep-alive\nend \n");
}

TEST(Http1RequestParserTest, RequestsFollowEachOther) {
  EXPECT_EQ(Parse("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: "
                  "a\r\nContent-Length: 2\r\n\r\nhi"
                  "\r\nGET /3 HTTP/1.1\r\nHost: b\r\n\r\nGET /4"),
            "GET /1 at a\n= no body, keep-alive\nend \n"
            "POST /2 at a\ncontent-length: 2\n= length 2, keep-alive\nbody hi\nend \n"
            "GET /3 at b\n= no body, keep-alive\nend \nmore\n");
}

TEST(Http1RequestParserTest, OfUpgradesOnlyWebSocketIsTakenUp) {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  const struct {
    std::string head;
    const char* protocol;
  } rows[] = {
      {get + "Upgrade: websocket\r\nConnection: Upgrade\r\n", "websocket"},
      {get + "Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n", "websocket"},
      {get + "Upgrade: h2c, websocket\r\nConnection: Upgrade, HTTP2-Settings\r\n", "websocket"},
      {get + "Upgrade: websocket\r\n", ""},
      {get + "Connection: Upgrade\r\n", ""},
      {get + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n", ""},
      {get + "Upgrade: websockets\r\nConnection: Upgrade\r\n", ""},
      {get + "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n", ""},
      {get + "Upgrade: websocket\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n", ""},
      {"GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", ""},
      {"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", ""},
  };
  for (const auto& row : rows) {
    Http1RequestParser parser({});
    RequestHead head;
    parser.Start(&head);
    const std::string text = row.head + "\r\n";
    std::string_view input = text;
    ASSERT_EQ(parser.Next(&input), ParseEvent::kHead) << row.head;
    EXPECT_EQ(head.protocol, row.protocol) << row.head;
    for (const char* gone : {"upgrade", "connection", "http2-settings"}) {
      EXPECT_FALSE(head.fields.Has(gone)) << row.head;
    }
  }
}

TEST(Http1RequestParserTest, TargetForms) {
  const struct {
    const char* line;
    const char* outcome;
  } rows[] = {
      {"GET / HTTP/1.1", "GET / at a.test"},
      {"GET /\xc3\xbc HTTP/1.1", "GET /\xc3\xbc at a.test"},
      {"GET //x HTTP/1.1", "GET //x at a.test"},
      {"OPTIONS * HTTP/1.1", "OPTIONS * at a.test"},
      {"GET http://Other.test/x?y HTTP/1.1", "GET /x?y at other.test"},
      {"GET https://other.test:1 HTTP/1.1", "GET / at other.test:1"},
      {"GET http://other.test?q HTTP/1.1", "GET /?q at other.test"},
      {"OPTIONS http://other.test HTTP/1.1", "OPTIONS * at other.test"},
      {"OPTIONS http://other.test/ HTTP/1.1", "OPTIONS / at other.test"},
      {"CONNECT far.test:443 HTTP/1.1", "CONNECT far.test:443 at a.test"},
      {"GET / HTTP/1.2", "GET / at a.test"},
      {"M-SEARCH / HTTP/1.1", "M-SEARCH / at a.test"},
      {"GET * HTTP/1.1", "refused bad_target"},
      {"GET a HTTP/1.1", "refused bad_target"},
      {"GET a.test:80 HTTP/1.1", "refused bad_target"},
      {"GET ftp://x/ HTTP/1.1", "refused bad_target"},
      {"GET http:///x HTTP/1.1", "refused bad_target"},
      {"GET http://u@x/ HTTP/1.1", "refused bad_target"},
      {"GET http://x:y/ HTTP/1.1", "refused bad_target"},
      {"GET /a#b HTTP/1.1", "refused bad_target"},
      {"CONNECT / HTTP/1.1", "refused bad_target"},
      {"CONNECT far.test HTTP/1.1", "refused bad_target"},
      {"GET /a b HTTP/1.1", "refused bad_target"},
      {"GET  / HTTP/1.1", "refused bad_target"},
      {"GET /  HTTP/1.1", "refused bad_target"},
      {"GET  HTTP/1.1", "refused bad_target"},
      {" GET / HTTP/1.1", "refused bad_method"},
      {"GET\t/ HTTP/1.1", "refused bad_request_line"},
      {"GET /", "refused bad_request_line"},
      {"GET", "refused bad_request_line"},
      {"GET / ", "refused bad_request_line"},
      {"GET / HTTP/1.1 ", "refused bad_request_line"},
      {"GET / http/1.1", "refused bad_request_line"},
      {"GET / HTTP/1.10", "refused bad_request_line"},
      {"GET / HTTP/11", "refused bad_request_line"},
      {"GET / HTTP/1,1", "refused bad_request_line"},
      {"GET / HTTP/2.0", "refused bad_version"},
      {"GET / HTTP/0.9", "refused bad_version"},
      {"PRI * HTTP/2.0", "refused bad_version"},
      {"G@T / HTTP/1.1", "refused bad_method"},
      {"G\"T / HTTP/1.1", "refused bad_method"},
      {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1", "refused bad_method"},
  };
  for (const auto& row : rows) {
    const std::string trace = WithLines("", row.line);
    EXPECT_EQ(trace.substr(0, trace.find('\n')), row.outcome) << row.line;
  }
}

TEST(Http1RequestParserTest, SmugglingTricksAreRefusedByName) {
  const struct {
    const char* lines;
    const char* refusal;
  } rows[] = {
      {"Content-Length: 5\r\nContent-Length: 6\r\n", "several_lengths"},
      {"Content-Length: 5\r\nContent-Length: 5\r\n", "several_lengths"},
      {"Content-Length: 5, 5\r\n", "several_lengths"},
      {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "length_and_coding"},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "length_and_coding"},
      {"Content-Length: +5\r\n", "bad_length"},
      {"Content-Length: -5\r\n", "bad_length"},
      {"Content-Length: 0x5\r\n", "bad_length"},
      {"Content-Length: 5 5\r\n", "bad_length"},
      {"Content-Length: 5a\r\n", "bad_length"},
      {"Content-Length: \"5\"\r\n", "bad_length"},
      {"Content-Length:\r\n", "bad_length"},
      {"Content-Length: 9999999999999999999\r\n", "bad_length"},
      {"Content-Length: 99999999999999999999999\r\n", "bad_length"},
      {"Transfer-Encoding: gzip\r\n", "unknown_coding"},
      {"Transfer-Encoding: gzip, chunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: chunked, chunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: identity\r\n", "unknown_coding"},
      {"Transfer-Encoding: xchunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: chunkedx\r\n", "unknown_coding"},
      {"Transfer-Encoding: chunked;q=1\r\n", "unknown_coding"},
      {"Transfer-Encoding: \"chunked\"\r\n", "unknown_coding"},
      {"Transfer-Encoding:\r\n", "unknown_coding"},
      {"Transfer-Encoding: chunked\x0b\r\n", "control_character"},
      {"Transfer-Encoding : chunked\r\n", "space_before_colon"},
      {"Transfer-Encoding\t: chunked\r\n", "space_before_colon"},
      {"Transfer_Encoding: chunked\r\n", ""},
      {" Transfer-Encoding: chunked\r\n", "obs_fold"},
      {"X: y\r\n Transfer-Encoding: chunked\r\n", "obs_fold"},
      {"X: y\r\n\tmore\r\n", "obs_fold"},
      {"X: y\nTransfer-Encoding: chunked\r\n", "bare_lf"},
      {"X: y\rTransfer-Encoding: chunked\r\n", "bare_cr"},
      {"X: y\r\r\n", "bare_cr"},
      {"X: a\x01z\r\n", "control_character"},
      {"X: a\x7fz\r\n", "control_character"},
      {"No-Colon\r\n", "missing_colon"},
      {": no name\r\n", "bad_field_name"},
      {"Bad Name: x\r\n", "bad_field_name"},
      {"Bad(Name): x\r\n", "bad_field_name"},
      {"B\xe4"
       "d: x\r\n",
       "bad_field_name"},
      {"Host: b.test\r\n", "several_hosts"},
      {"Host: a.test\r\n", "several_hosts"},
      {"host:\r\n", "several_hosts"},
      {"Expect: 200-ok\r\n", "bad_expectation"},
      {"Expect: 100-continue, x\r\n", "bad_expectation"},
      {"Expect:\r\n", "bad_expectation"},
  };
  for (const auto& row : rows) {
    const std::string trace = WithLines(row.lines);
    const std::string expected = "refused " + std::string(row.refusal) + "\n";
    if (*row.refusal != '\0') {
      EXPECT_EQ(trace, expected) << row.lines;
    } else {
      EXPECT_NE(trace.substr(0, 7), "refused") << row.lines;
    }
  }
}

TEST(Http1RequestParserTest, NulAnywhereInAHeadIsRefused) {
  const std::string head = "GET /a HTTP/1.1\r\nHost: a\r\nX: yz\r\n\r\n";
  for (size_t place = 0; place + 4 < head.size(); ++place) {
    std::string with = head;
    with.insert(place, 1, '\0');
    const std::string trace = Parse(with);
    // Between CR and LF it is the CR that stands alone.
    const bool behind_cr = place > 0 && head[place - 1] == '\r';
    EXPECT_EQ(trace, behind_cr ? "refused bare_cr\n" : "refused control_character\n") << place;
  }
}

TEST(Http1RequestParserTest, Hosts) {
  const auto parse = [](std::string_view line, std::string_view version) {
    return Parse("GET / HTTP/" + std::string(version) + "\r\n" + std::string(line) + "\r\n");
  };
  EXPECT_EQ(parse("", "1.1"), "refused missing_host\n");
  EXPECT_EQ(parse("", "1.0"), "GET / at \n= no body, close\nend \n");
  EXPECT_EQ(parse("Host:\r\n", "1.1"), "refused bad_host\n");
  EXPECT_EQ(parse("Host: a b\r\n", "1.1"), "refused bad_host\n");
  EXPECT_EQ(parse("Host: u@a\r\n", "1.1"), "refused bad_host\n");
  EXPECT_EQ(parse("Host: a/b\r\n", "1.1"), "refused bad_host\n");
  EXPECT_EQ(parse("Host: a:b\r\n", "1.1"), "refused bad_host\n");
  EXPECT_EQ(parse("Host: [::1]:80\r\n", "1.1"), "GET / at [::1]:80\n= no body, keep-alive\nend \n");
  EXPECT_EQ(parse("Host: A.test.:80\r\n", "1.1"),
            "GET / at a.test:80\n= no body, keep-alive\nend \n");
  EXPECT_EQ(Parse("GET http://b./ HTTP/1.1\r\nHost: b.\r\n\r\n"),
            "GET / at b\n= no body, keep-alive\nend \n");
  EXPECT_EQ(parse("Host: a\r\nHost: b\r\n", "1.0"), "refused several_hosts\n");
  // An absolute target wins, but Host must be there and valid all the same (RFC 9112 §3.2.2).
  EXPECT_EQ(Parse("GET http://b/ HTTP/1.1\r\n\r\n"), "refused missing_host\n");
  EXPECT_EQ(Parse("GET http://b/ HTTP/1.1\r\nHost: @\r\n\r\n"), "refused bad_host\n");
}

TEST(Http1RequestParserTest, KeepAlive) {
  const struct {
    const char* version;
    const char* connection;
    bool keep_alive;
  } rows[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: Foo, CLOSE\r\n", false},
      {"1.1", "Connection: keep-alive\r\n", true},
      {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
      {"1.0", "", false},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
  };
  for (const auto& row : rows) {
    const std::string trace = Parse("GET / HTTP/" + std::string(row.version) + "\r\nHost: a\r\n" +
                                    row.connection + "\r\n");
    EXPECT_EQ(trace, std::string("GET / at a\n= no body, ") +
                         (row.keep_alive ? "keep-alive" : "close") + "\nend \n")
        << row.version << row.connection;
  }
}

TEST(Http1RequestParserTest, Http10MayNotBeChunkedAndCannotExpect) {
  EXPECT_EQ(Parse("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "refused coding_in_http10\n");
  EXPECT_EQ(Parse("POST / HTTP/1.0\r\nHost: a\r\nExpect: anything\r\nContent-Length: 1\r\n\r\nx"),
            "POST / at a\ncontent-length: 1\n= length 1, close\nbody x\nend \n");
}

TEST(Http1RequestParserTest, ExpectationOfContinue) {
  const auto expects = [](std::string_view input) {
    Http1RequestParser parser({});
    RequestHead head;
    parser.Start(&head);
    EXPECT_EQ(parser.Next(&input), ParseEvent::kHead);
    EXPECT_FALSE(head.fields.Has("expect"));
    return parser.expects_continue();
  };
  EXPECT_TRUE(
      expects("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_FALSE(
      expects("PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_FALSE(expects("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"));
}

TEST(Http1RequestParserTest, WhatConcernsTheConnectionIsNotHandedOn) {
  EXPECT_EQ(WithLines("Connection: x-secret, upgrade\r\nUpgrade: h2c\r\nX-Secret: 1\r\nTE: "
                      "trailers\r\nX: y\r\n"),
            "POST / at a.test\nx: y\n= no body, keep-alive\nend \n");
}

TEST(Http1RequestParserTest, Limits) {
  const Http1Limits limits = {.first_line_bytes = 30, .field_bytes = 200, .field_lines = 4};
  const std::string end = " HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(Parse("GET /" + std::string(16, 'x') + end, limits).substr(0, 5), "GET /");
  EXPECT_EQ(Parse("GET /" + std::string(17, 'x') + end, limits), "refused target_too_long\n");
  EXPECT_EQ(Parse("GET /" + std::string(17'000, 'x'), limits), "refused target_too_long\n");
  const auto lines = [&](size_t count, size_t size) {
    std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (size_t i = 0; i < count; ++i) head += "n:" + std::string(size, 'v') + "\r\n";
    return Parse(head + "\r\n", limits);
  };
  EXPECT_NE(lines(3, 1).substr(0, 7), "refused");
  EXPECT_EQ(lines(4, 1), "refused too_many_fields\n");
  EXPECT_NE(lines(1, 130).substr(0, 7), "refused");  // 37 for Host, 33 + 130
  EXPECT_EQ(lines(1, 131), "refused fields_too_large\n");
  EXPECT_EQ(lines(3, 60), "refused fields_too_large\n");
  EXPECT_EQ(lines(1, 100'000), "refused fields_too_large\n");
  // Padding counts as well, though it is not kept.
  EXPECT_EQ(Parse("GET / HTTP/1.1\r\nHost:" + std::string(300, ' ') + "a\r\n\r\n", limits),
            "refused fields_too_large\n");
}

TEST(Http1RequestParserTest, TrailersHaveTheSameLimitsAndNoFraming) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  EXPECT_EQ(
      Parse(head + "Content-Length: 5\r\nHost: evil\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"),
      "POST / at a\n= chunked, keep-alive\nend x: y\n\n");
  EXPECT_EQ(Parse(head + "X : y\r\n\r\n"),
            "POST / at a\n= chunked, keep-alive\nrefused space_before_colon\n");
  EXPECT_EQ(Parse(head + "X: " + std::string(70'000, 'y') + "\r\n\r\n"),
            "POST / at a\n= chunked, keep-alive\nrefused fields_too_large\n");
}

TEST(Http1RequestParserTest, AFewEmptyLinesBeforeARequestAreSkipped) {
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(Parse("\r\n\r\n" + request), "GET / at a\n= no body, keep-alive\nend \n");
  EXPECT_EQ(Parse("\r\n\r\n\r\n" + request), "refused bad_request_line\n");
  EXPECT_EQ(Parse("\n" + request), "refused bare_lf\n");
}

TEST(Http1RequestParserTest, OtherProtocolsAreRefusedAtOnce) {
  EXPECT_EQ(Parse("\x16\x03\x01\x02"), "refused control_character\n");  // a TLS hello
  EXPECT_EQ(Parse("SSH-2.0-OpenSSH_9.2\r\n"), "refused bad_request_line\n");
}

const std::string_view kSamples[] = {
    "GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\nCookie: a=b; c=d\r\n\r\n",
    "\r\nPOST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: "
    "100-continue\r\n\r\nhello world"
    "GET / HTTP/1.0\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
    "chunked\r\n\r\n5;ext=\"x\"\r\nhello\r\n01\r\n!\r\n"
    "0\r\nEtag: \"1\"\r\nX: y\r\n\r\nGET http://b/x HTTP/1.1\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
};

TEST(Http1RequestParserTest, HowInputIsCutChangesNothing) {
  for (const std::string_view sample : kSamples) {
    const std::string whole = TraceRequests({sample});
    for (size_t place = 0; place <= sample.size(); ++place) {
      ASSERT_EQ(TraceRequests({sample.substr(0, place), sample.substr(place)}), whole)
          << sample << place;
    }
    for (size_t size = 1; size < 8; ++size)
      ASSERT_EQ(TraceRequests(PiecesOf(sample, size)), whole) << sample;
  }
}

TEST(Http1RequestParserTest, EveryShorterInputWaitsForMore) {
  for (const std::string_view sample : {kSamples[0], kSamples[2]}) {
    const std::string whole = TraceRequests({sample});
    for (size_t size = 1; size < sample.size(); ++size) {
      const std::string trace = TraceRequests({sample.substr(0, size)});
      EXPECT_EQ(trace.find("refused"), std::string::npos) << sample.substr(0, size);
      EXPECT_NE(trace, whole) << sample.substr(0, size);
    }
  }
}

TEST(Http1RequestParserTest, RandomDamageIsHandledTheSameHoweverItIsCut) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view bytes = std::string_view("\r\n \t:;,\"0aGx/\0\x7f\xff", 17);
  const Http1Limits limits = {.first_line_bytes = 40, .field_bytes = 300, .field_lines = 6};
  for (int i = 0; i < 20'000; ++i) {
    std::string input(kSamples[random() % std::size(kSamples)]);
    for (size_t n = random() % 4; n > 0; --n) {
      const size_t place = random() % input.size();
      if (random() % 3 == 0) {
        input.erase(place, 1 + random() % 3);
      } else {
        input.insert(place, 1 + random() % 2, bytes[random() % bytes.size()]);
      }
      if (input.empty()) input = "x";
    }
    const std::string whole = TraceRequests({input}, limits);
    ASSERT_EQ(TraceRequests(PiecesOf(input, 1 + random() % 16), limits), whole) << input;
  }
}

TEST(Http1RequestParserTest, EveryRefusalHasANameAndAStatus) {
  for (int i = 1; i <= static_cast<int>(Refusal::kCutOff); ++i) {
    const Refusal refusal = static_cast<Refusal>(i);
    EXPECT_FALSE(RefusalName(refusal).empty());
    EXPECT_GE(RefusalStatus(refusal), 400);
    EXPECT_FALSE(ReasonPhrase(RefusalStatus(refusal)).empty());
  }
}

}  // namespace
}  // namespace nearside::http
