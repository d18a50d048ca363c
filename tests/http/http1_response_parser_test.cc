#include <gtest/gtest.h>

#include <random>
#include <string>

#include "http/http1_parser.h"
#include "tests/http/http1_trace.h"

namespace nearside::http {
namespace {

std::string ParseResponse(std::string_view input, std::string_view method = "GET") {
  return TraceResponses(method, {input});
}

TEST(Http1ResponseParserTest, ASimpleResponse) {
  EXPECT_EQ(ParseResponse(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"),
            "200\ncontent-type: text/plain\ncontent-length: 5\n= length 5, keep-alive\nbody "
            "hello\nend \n");
}

TEST(Http1ResponseParserTest, StatusLines) {
  const struct {
    const char* line;
    const char* outcome;
  } rows[] = {
      {"HTTP/1.1 200 OK", "200"},
      {"HTTP/1.1 200 ", "200"},
      {"HTTP/1.1 200", "200"},
      {"HTTP/1.1 404 Not \xe4 Found", "404"},
      {"HTTP/1.0 599 x", "599"},
      {"HTTP/1.1 101 Switching Protocols", "refused unexpected_upgrade"},
      {"HTTP/1.1 600 x", "refused bad_status_line"},
      {"HTTP/1.1 099 x", "refused bad_status_line"},
      {"HTTP/1.1 20 x", "refused bad_status_line"},
      {"HTTP/1.1 2000 x", "refused bad_status_line"},
      {"HTTP/1.1  200 x", "refused bad_status_line"},
      {"HTTP/1.1 2x0 x", "refused bad_status_line"},
      {"HTTP/1.1 200\tx", "refused bad_status_line"},
      {"HTTP/1.1", "refused bad_status_line"},
      {"HTTP/2.0 200 OK", "refused bad_version"},
      {"http/1.1 200 OK", "refused bad_status_line"},
      {"ICY 200 OK", "refused bad_status_line"},
      {"", "refused bad_status_line"},
      {"200 OK", "refused bad_status_line"},
  };
  for (const auto& row : rows) {
    const std::string trace =
        ParseResponse(std::string(row.line) + "\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(trace.substr(0, trace.find('\n')), row.outcome) << row.line;
  }
}

TEST(Http1ResponseParserTest, FramingByStatusMethodAndFields) {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const std::string length = "Content-Length: 5\r\n";
  const struct {
    const char* method;
    const char* status;
    std::string fields;
    const char* framing;
  } rows[] = {
      {"GET", "200 OK", length, "length 5, keep-alive"},
      {"GET", "200 OK", chunked, "chunked, keep-alive"},
      {"GET", "200 OK", "", "until close, close"},
      {"GET", "200 OK", "Connection: keep-alive\r\n", "until close, close"},
      {"GET", "200 OK", length + "Connection: close\r\n", "length 5, close"},
      {"HEAD", "200 OK", length, "no body, keep-alive"},
      {"HEAD", "200 OK", chunked, "no body, keep-alive"},
      {"HEAD", "200 OK", "", "no body, keep-alive"},
      {"GET", "204 No Content", "", "no body, keep-alive"},
      {"GET", "204 No Content", length, "no body, keep-alive"},
      {"GET", "304 Not Modified", length, "no body, keep-alive"},
      {"GET", "304 Not Modified", "", "no body, keep-alive"},
      {"POST", "205 Reset Content", "Content-Length: 0\r\n", "length 0, keep-alive"},
      // RFC 9112 §6.3: the final coding is not chunked.
      {"GET", "200 OK", "Transfer-Encoding: unheard-of\r\n", "until close, close"},
      {"GET", "200 OK", "Transfer-Encoding: identity\r\nConnection: keep-alive\r\n",
       "until close, close"},
      {"HEAD", "200 OK", "Transfer-Encoding: unheard-of\r\n", "no body, close"},
  };
  for (const auto& row : rows) {
    const std::string trace = ParseResponse(
        "HTTP/1.1 " + std::string(row.status) + "\r\n" + row.fields + "\r\n", row.method);
    const size_t start = trace.find("= ") + 2;
    EXPECT_EQ(trace.substr(start, trace.find('\n', start) - start), row.framing)
        << row.status << row.fields;
  }
}

TEST(Http1ResponseParserTest, A304KeepsTheLengthOfItsRepresentationAnd204HasNone) {
  EXPECT_EQ(ParseResponse("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
            "304\ncontent-length: 5\n= no body, keep-alive\nend \n");
  EXPECT_EQ(ParseResponse("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
            "204\n= no body, keep-alive\nend \n");
}

TEST(Http1ResponseParserTest, InterimResponsesComeFirst) {
  EXPECT_EQ(
      ParseResponse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
      "interim 100\n\ninterim 103\nlink: </a>\n\n200\ncontent-length: 0\n= length 0, "
      "keep-alive\nend \n");
  std::string many;
  for (int i = 0; i < 33; ++i) many += "HTTP/1.1 102 Processing\r\n\r\n";
  EXPECT_NE(ParseResponse(many).find("refused too_many_interims"), std::string::npos);
}

TEST(Http1ResponseParserTest, AmbiguousFramingIsRefused) {
  const struct {
    const char* fields;
    const char* refusal;
  } rows[] = {
      {"Content-Length: 5\r\nContent-Length: 6\r\n", "several_lengths"},
      {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "length_and_coding"},
      {"Transfer-Encoding: gzip, chunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: gzip\r\n", "unknown_coding"},
      {"Transfer-Encoding: X-Gzip\r\n", "unknown_coding"},
      {"Transfer-Encoding: br\r\n", "unknown_coding"},
      {"Transfer-Encoding: chunked, x\r\n", "unknown_coding"},
      {"Transfer-Encoding: x, chunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: x, y\r\n", "unknown_coding"},
      {"Transfer-Encoding: x;y=z\r\n", "unknown_coding"},
      {"Transfer-Encoding: xChunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: \"chunked\"\r\n", "unknown_coding"},
      {"Transfer-Encoding: \r\n", "unknown_coding"},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "unknown_coding"},
      {"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", "unknown_coding"},
      {"Transfer-Encoding: x\r\nContent-Length: 5\r\n", "length_and_coding"},
      {"Content-Length: x\r\n", "bad_length"},
      {"X : y\r\n", "space_before_colon"},
      {"X: y\r\n z\r\n", "obs_fold"},
      {"X: y\n", "bare_lf"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ParseResponse("HTTP/1.1 200 OK\r\n" + std::string(row.fields) + "\r\n"),
              "refused " + std::string(row.refusal) + "\n");
  }
  EXPECT_EQ(ParseResponse("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "refused coding_in_http10\n");
  EXPECT_EQ(ParseResponse("HTTP/1.0 200 OK\r\nTransfer-Encoding: x\r\n\r\n"),
            "refused coding_in_http10\n");
}

/// The answer to a request that asks for WebSocket.
std::string ParseSwitch(std::string_view input) {
  return TraceResponses("GET", {input}, {}, /*websocket=*/true);
}

TEST(Http1ResponseParserTest, AnUpgradeThatWasAskedForEndsHttp) {
  EXPECT_EQ(ParseSwitch("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 101 Switching\r\nUpgrade: "
                        "WebSocket\r\nConnection: x, Upgrade\r\nX: y\r\nSec-WebSocket-Accept: "
                        "z\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
            "interim 102\n\n101\nsec-websocket-accept: z\n= until close, close\nbody HTTP/1.1 200 "
            "OK\r\n\r\n\nmore\n");
  EXPECT_EQ(ParseSwitch("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"),
            "403\ncontent-length: 2\n= length 2, keep-alive\nbody no\nend \n");
  const std::string switching = "HTTP/1.1 101 Switching\r\n";
  const std::string both = "Upgrade: websocket\r\nConnection: upgrade\r\n";
  for (const std::string& bad :
       {switching, switching + "Upgrade: websocket\r\n", switching + "Connection: upgrade\r\n",
        switching + "Upgrade: h2c\r\nConnection: upgrade\r\n",
        switching + both + "Content-Length: 5\r\n",
        switching + both + "Transfer-Encoding: chunked\r\n", "HTTP/1.0 101 Switching\r\n" + both}) {
    EXPECT_EQ(ParseSwitch(bad + "\r\n"), "refused unexpected_upgrade\n") << bad;
    EXPECT_EQ(ParseResponse(bad + "\r\n"), "refused unexpected_upgrade\n") << "and never unasked";
  }
}

/// Parses and then ends the connection.
std::string ParseToEnd(std::string_view input, std::string_view method = "GET") {
  Http1ResponseParser parser({});
  ResponseHead head;
  parser.Start(method, &head);
  size_t body = 0;
  while (true) {
    const ParseEvent event = parser.Next(&input);
    if (event == ParseEvent::kBody) body += parser.body().size();
    if (event == ParseEvent::kMore) break;
    if (event == ParseEvent::kEnd) return "whole before";
    if (event == ParseEvent::kRefused) return "refused";
  }
  const ParseEvent event = parser.EndOfInput();
  const std::string outcome =
      event == ParseEvent::kEnd ? "whole" : std::string(RefusalName(parser.refusal()));
  return outcome + " " + std::to_string(body);
}

TEST(Http1ResponseParserTest, TheEndOfTheConnectionEndsOnlyBodiesWithoutFraming) {
  EXPECT_EQ(ParseToEnd("HTTP/1.1 200 OK\r\n\r\nhello"), "whole 5");
  EXPECT_EQ(ParseToEnd("HTTP/1.1 200 OK\r\n\r\n"), "whole 0");
  EXPECT_EQ(ParseToEnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: unheard-of\r\n\r\nhello"), "whole 5");
  EXPECT_EQ(ParseToEnd("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"), "cut_off 5");
  EXPECT_EQ(ParseToEnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            "cut_off 5");
  EXPECT_EQ(ParseToEnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), "cut_off 0");
  EXPECT_EQ(ParseToEnd("HTTP/1.1 200 OK\r\nContent-Len"), "cut_off 0");
  EXPECT_EQ(ParseToEnd("HTTP/1.1 100 Continue\r\n\r\n").substr(0, 7), "cut_off");
  EXPECT_EQ(ParseToEnd(""), "cut_off 0");
}

TEST(Http1ResponseParserTest, HowInputIsCutChangesNothing) {
  const std::string_view samples[] = {
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 "
      "x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
      "HTTP/1.1 200 OK\r\nConnection: x\r\nX: y\r\n\r\nbody until the end",
  };
  for (const std::string_view sample : samples) {
    const std::string whole = TraceResponses("GET", {sample});
    for (size_t place = 0; place <= sample.size(); ++place) {
      ASSERT_EQ(TraceResponses("GET", {sample.substr(0, place), sample.substr(place)}), whole);
    }
    ASSERT_EQ(TraceResponses("GET", PiecesOf(sample, 1)), whole);
  }
}

TEST(Http1ResponseParserTest, RandomDamageIsHandledTheSameHoweverItIsCut) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string sample =
      "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nEtag: \"x\"\r\n\r\n"
      "3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
      "2\r\n\r\nhi";
  const std::string_view bytes = std::string_view("\r\n \t:;,\"0aGx/\0\x7f\xff", 17);
  for (int i = 0; i < 20'000; ++i) {
    std::string input = sample;
    for (size_t n = 1 + random() % 3; n > 0; --n) {
      input[random() % input.size()] = bytes[random() % bytes.size()];
    }
    ASSERT_EQ(TraceResponses("GET", PiecesOf(input, 1 + random() % 16)),
              TraceResponses("GET", {input}))
        << input;
  }
}

}  // namespace
}  // namespace nearside::http
