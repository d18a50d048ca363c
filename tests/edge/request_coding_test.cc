// Content codings through a whole worker: what is encoded here, stored as variants, validated,
// served.

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "edge/body_encoder.h"
#include "tests/edge/request_fixture.h"
#include "tests/http/decoded.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kPage =
    "Cache-Control: max-age=60\nContent-Type: text/html\nETag: \"v\"\nAccept-Ranges: bytes\n";
constexpr std::string_view kStalePage =
    "Cache-Control: max-age=60\nAge: 100\nContent-Type: text/html\nETag: \"v\"\n";

class RequestCodingTest : public RequestTest {
 protected:
  RequestCodingTest() {
    while (text_.size() < 20'000) text_ += "<p>" + std::to_string(text_.size() % 777) + "</p>\n";
  }
  FakeExchange& GetIn(std::string_view codings, http::Fields more = {}) {
    more.Add("accept-encoding", codings);
    return Get("/a", std::move(more));
  }
  /// As Answer, with the body decoded by its Content-Encoding: "200 hit|br: text" for ours.
  std::string Read(FakeExchange& exchange) {
    const std::string answer = Answer(exchange);
    return Decode(exchange, answer.substr(0, answer.find('|')));
  }
  std::string Decode(FakeExchange& exchange, std::string text) {
    const std::string coding = exchange.Field("content-encoding");
    text += "|" + coding;
    bool whole = true;
    std::optional<std::string> body = exchange.body;
    for (const auto known : {http::Coding::kGzip, http::Coding::kZstd, http::Coding::kBr}) {
      if (coding == http::CodingName(known)) body = http::Decoded(known, exchange.body, &whole);
    }
    if (!body) return text + " broken";
    if (!whole) text += " cut off";
    return text + (*body == text_ ? " text" : " " + *body);
  }
  /// A client that accepts `codings` asks, the origin answers with `lines` and the text.
  std::string FillIn(std::string_view codings, std::string_view lines = kPage) {
    FakeExchange& exchange = GetIn(codings);
    origin_.Next().Answer("200 OK", lines, text_);
    return Read(exchange);
  }
  uint64_t Decided(CodingReason reason) const {
    return Sum(node_->metrics.coding_decisions[static_cast<size_t>(reason)]);
  }
  uint64_t EncodedAs(http::Coding coding) const {
    return Sum(node_->metrics.encoded[static_cast<size_t>(coding)]);
  }

  std::string text_;
};

const std::string kMissed = "200 fwd=uri-miss; fwd-status=200; stored|";
const std::string kOtherMissed = "200 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|";

TEST_F(RequestCodingTest, TextIsEncodedOnceForAllWhoseBestCodingIsTheSame) {
  Start();
  FakeExchange& miss = GetIn("gzip, deflate, br, zstd");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("accept-encoding"), "br, gzip, zstd");
  asked.Answer("200 OK", kPage, text_);
  EXPECT_EQ(Read(miss), kMissed + "br text");
  EXPECT_EQ(miss.Field("etag"), "W/\"v-br\"");
  EXPECT_EQ(miss.Field("vary"), "Accept-Encoding");
  EXPECT_EQ(miss.Field("content-length"), "");
  EXPECT_EQ(miss.Field("accept-ranges"), "");
  EXPECT_LT(miss.body.size(), text_.size() / 3);
  for (const char* codings : {"gzip, deflate, br, zstd", "br", "br;q=0.1, gzip", "*"}) {
    FakeExchange& hit = GetIn(codings);
    EXPECT_EQ(Read(hit), "200 hit|br text") << codings;
    EXPECT_EQ(hit.Field("content-length"), std::to_string(miss.body.size()));
    EXPECT_EQ(hit.Field("etag"), "W/\"v-br\"");
    EXPECT_EQ(hit.Field("vary"), "Accept-Encoding");
  }
  EXPECT_EQ(origin_.count(), 1u);
  EXPECT_EQ(EncodedAs(http::Coding::kBr), 1u);
  EXPECT_EQ(Sum(node_->metrics.encoder_in_bytes[static_cast<size_t>(http::Coding::kBr)]),
            text_.size());
  EXPECT_EQ(Sum(node_->metrics.encoder_out_bytes[static_cast<size_t>(http::Coding::kBr)]),
            miss.body.size());
  EXPECT_EQ(node_->encoders.load(), 0);
}

TEST_F(RequestCodingTest, EachCodingIsAVariantAndSoIsTheIdentity) {
  Start();
  EXPECT_EQ(FillIn("br"), kMissed + "br text");
  EXPECT_EQ(FillIn("gzip"), kOtherMissed + "gzip text");
  EXPECT_EQ(FillIn("zstd, gzip"), kOtherMissed + "zstd text");
  FakeExchange& plain = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("accept-encoding"), "identity");
  asked.Answer("200 OK", kPage, text_);
  EXPECT_EQ(Read(plain), kOtherMissed + " text");
  EXPECT_EQ(plain.Field("etag"), "\"v\"");
  EXPECT_EQ(plain.Field("vary"), "Accept-Encoding");
  EXPECT_EQ(plain.Field("accept-ranges"), "bytes");
  EXPECT_EQ(plain.Field("content-length"), std::to_string(text_.size()));
  EXPECT_EQ(Read(GetIn("br")), "200 hit|br text");
  EXPECT_EQ(Read(GetIn("gzip")), "200 hit|gzip text");
  EXPECT_EQ(Read(GetIn("zstd")), "200 hit|zstd text");
  EXPECT_EQ(Read(GetIn("identity")), "200 hit| text");
  EXPECT_EQ(Read(GetIn("deflate")), "200 hit| text");
  EXPECT_EQ(Read(GetIn("br", {{"cache-control", "no-transform"}})), "200 hit| text");
  EXPECT_EQ(origin_.count(), 4u);
  EXPECT_EQ(Decided(CodingReason::kEncoded), 3u);
  EXPECT_EQ(Decided(CodingReason::kNotAccepted), 1u);
}

TEST_F(RequestCodingTest, ClientsThatWaitForOneFetchGetWhatEachAccepts) {
  Start();
  FakeExchange& first = GetIn("br");
  FakeExchange& also = GetIn("br, gzip");
  FakeExchange& plain = Get("/a");
  FakeExchange& part = GetIn("br", {{"range", "bytes=0-9"}});
  origin_.Next().Answer("200 OK", kPage, text_);
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("accept-encoding"), "identity");
  asked.Answer("200 OK", kPage, text_);
  EXPECT_EQ(Read(first), kMissed + "br text");
  EXPECT_THAT(Read(also), HasSubstr("br text"));
  EXPECT_THAT(Read(plain), HasSubstr("| text"));
  EXPECT_THAT(Read(part), HasSubstr("206 "));
  EXPECT_EQ(part.body, text_.substr(0, 10));
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestCodingTest, RangesAreOfTheIdentity) {
  Start();
  FillIn("br");
  FakeExchange& part = GetIn("br", {{"range", "bytes=10-19"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("accept-encoding"), "identity");
  asked.Answer("200 OK", kPage, text_);
  EXPECT_EQ(Answer(part),
            "206 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|" + text_.substr(10, 10));
  EXPECT_EQ(part.Field("content-encoding"), "");
  EXPECT_EQ(part.Field("content-range"), "bytes 10-19/" + std::to_string(text_.size()));
  EXPECT_EQ(Answer(GetIn("br", {{"range", "bytes=0-4"}})), "206 hit|" + text_.substr(0, 5));
  // What a client has of an encoded body is not joined with a part of the identity.
  EXPECT_EQ(Read(GetIn("br", {{"range", "bytes=0-4"}, {"if-range", "W/\"v-br\""}})),
            "200 hit| text");
  EXPECT_EQ(Answer(GetIn("br", {{"range", "bytes=0-4"}, {"if-range", "\"v\""}})),
            "206 hit|" + text_.substr(0, 5));
}

TEST_F(RequestCodingTest, SlicesAreAVariantAsWell) {
  Start("slice = \"64KiB\"\n");
  while (text_.size() < 2 * kChunkBytes) text_ += text_;
  const std::string total = std::to_string(text_.size());
  FakeExchange& part = GetIn("br", {{"range", "bytes=5-9"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "bytes=0-65519");
  asked.Answer("206 Partial Content",
               std::string(kPage) + "Content-Range: bytes 0-65519/" + total + "\n",
               text_.substr(0, kChunkBytes));
  EXPECT_EQ(Answer(part), "206 fwd=uri-miss; fwd-status=206; stored|" + text_.substr(5, 5));
  EXPECT_EQ(part.Field("vary"), "Accept-Encoding");
  EXPECT_EQ(part.Field("etag"), "\"v\"");
  EXPECT_EQ(FillIn("br"), kOtherMissed + "br text");
  EXPECT_EQ(Answer(GetIn("br", {{"range", "bytes=0-4"}})), "206 hit|" + text_.substr(0, 5));
  EXPECT_EQ(Read(GetIn("br")), "200 hit|br text");
  EXPECT_EQ(origin_.count(), 2u);
}

// Promised by Content-Range are the origin's bytes, and not those that the encoder makes of them.
TEST_F(RequestCodingTest, APartThatIsTheWholeIsEncodedForOneWhoWantsTheWhole) {
  Start("slice = \"64KiB\"\n");
  const std::string film = std::string(2 * kChunkBytes, 'x');
  FakeExchange& seek = Get("/a", {{"range", "bytes=0-0"}});
  origin_.Next().Answer(
      "206 Partial Content",
      "Cache-Control: max-age=60\nAge: 100\nETag: \"v\"\nContent-Range: bytes 0-65519/" +
          std::to_string(film.size()) + "\n",
      film.substr(0, kChunkBytes));
  Answer(seek);
  // Sliced, stale, and by now a text that fits into one slice.
  FakeExchange& whole = GetIn("br");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "bytes=0-65519");
  const std::string size = std::to_string(text_.size());
  asked.Answer("206 Partial Content",
               "Cache-Control: max-age=60\nContent-Type: text/html\nETag: \"w\"\nContent-Range: "
               "bytes 0-" +
                   std::to_string(text_.size() - 1) + "/" + size + "\n",
               text_);
  EXPECT_THAT(Read(whole), HasSubstr("|br text"));
  EXPECT_EQ(Read(GetIn("br")), "200 hit|br text");
}

TEST_F(RequestCodingTest, ADateDoesNotTellCodingsApart) {
  Start();
  const std::string modified = http::FormatDate(WallNow() - std::chrono::hours(9));
  const std::string lines =
      "Cache-Control: max-age=60\nContent-Type: text/html\nLast-Modified: " + modified + "\n";
  FakeExchange& plain = Get("/a");
  origin_.Next().Answer("200 OK", lines, text_);
  Answer(plain);
  EXPECT_EQ(Read(GetIn("br", {{"range", "bytes=0-4"}, {"if-range", modified}})), "200 hit| text");
}

TEST_F(RequestCodingTest, ConditionsAreOfOneCoding) {
  Start();
  FillIn("br");
  FillIn("gzip");
  FakeExchange& same = GetIn("br", {{"if-none-match", "W/\"v-br\""}});
  EXPECT_EQ(Answer(same), "304 hit|");
  EXPECT_EQ(same.Field("etag"), "W/\"v-br\"");
  EXPECT_EQ(same.Field("vary"), "Accept-Encoding");
  EXPECT_EQ(Read(GetIn("br", {{"if-none-match", "W/\"v-gzip\""}})), "200 hit|br text");
  EXPECT_EQ(Read(GetIn("br", {{"if-none-match", "\"v\""}})), "200 hit|br text");
  EXPECT_EQ(Answer(GetIn("gzip", {{"if-none-match", "\"x\", W/\"v-gzip\""}})), "304 hit|");
}

TEST_F(RequestCodingTest, AConditionOnAMissIsAnsweredByTheTagOfTheCoding) {
  Start();
  FakeExchange& client = GetIn("br", {{"if-none-match", "W/\"v-br\""}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "");
  asked.Answer("200 OK", kPage, text_);
  EXPECT_EQ(Answer(client), "304 fwd=uri-miss; fwd-status=200; stored|");
}

TEST_F(RequestCodingTest, EachVariantIsValidatedByTheOriginsTagAndStaysWhatItIs) {
  Start();
  for (const char* codings : {"br", "gzip", "identity"}) {
    SCOPED_TRACE(codings);
    const std::string coding = codings == std::string_view("identity") ? "" : codings;
    FillIn(codings, kStalePage);
    FakeExchange& validated = GetIn(codings);
    ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
    asked.Answer("304 Not Modified",
                 "Cache-Control: max-age=60\nETag: \"v\"\nAccept-Ranges: bytes\nX-New: 1\n", "");
    EXPECT_EQ(Read(validated),
              "200 fwd=stale; fwd-status=304; detail=validated|" + coding + " text");
    FakeExchange& hit = GetIn(codings);
    EXPECT_EQ(Read(hit), "200 hit|" + coding + " text");
    EXPECT_EQ(hit.Field("etag"), coding.empty() ? "\"v\"" : "W/\"v-" + coding + "\"");
    EXPECT_EQ(hit.Field("vary"), "Accept-Encoding");
    EXPECT_EQ(hit.Field("accept-ranges"), coding.empty() ? "bytes" : "");
    EXPECT_EQ(hit.Field("x-new"), "1");
    EXPECT_EQ(hit.Field("content-length"), std::to_string(hit.body.size()));
  }
  EXPECT_EQ(origin_.count(), 6u);
}

TEST_F(RequestCodingTest, AStaleVariantIsReplacedByANewOne) {
  Start();
  FillIn("br", kStalePage);
  FakeExchange& client = GetIn("br");
  text_ += "changed";
  origin_.Next().Answer("200 OK",
                        "Cache-Control: max-age=60\nContent-Type: text/html\nETag: \"w\"\n", text_);
  EXPECT_EQ(Read(client), "200 fwd=stale; fwd-status=200; stored; detail=expired|br text");
  FakeExchange& hit = GetIn("br");
  EXPECT_EQ(Read(hit), "200 hit|br text");
  EXPECT_EQ(hit.Field("etag"), "W/\"w-br\"");
}

TEST_F(RequestCodingTest, AStaleVariantIsServedWhenTheOriginFails) {
  Start();
  FillIn("br", kStalePage);
  FakeExchange& client = GetIn("gzip, br");
  origin_.Next().Answer("503 X", "", "error");
  EXPECT_EQ(Read(client), "200 fwd=stale; fwd-status=503; detail=stale_if_error|br text");
}

TEST_F(RequestCodingTest, A304OfAnotherTagEndsTheVariant) {
  Start();
  FillIn("br", kStalePage);
  FakeExchange& client = GetIn("br");
  origin_.Next().Answer("304 Not Modified", "Cache-Control: max-age=60\nETag: \"w\"\n", "");
  ScriptedOrigin::Asked again = origin_.Next();
  EXPECT_EQ(again.Field("if-none-match"), "");
  again.Answer("200 OK", kPage, text_);
  EXPECT_EQ(Read(client), "200 fwd=stale; fwd-status=200; stored; detail=expired|br text");
  EXPECT_EQ(Read(GetIn("br")), "200 hit|br text");
}

TEST_F(RequestCodingTest, A304ThatForbidsTransformationEndsTheVariant) {
  Start();
  FillIn("br", kStalePage);
  FakeExchange& client = GetIn("br");
  origin_.Next().Answer("304 Not Modified", "Cache-Control: max-age=60, no-transform\n", "");
  ScriptedOrigin::Asked again = origin_.Next();
  EXPECT_EQ(again.Field("if-none-match"), "");
  again.Answer("200 OK", "Cache-Control: max-age=60, no-transform\nContent-Type: text/html\n",
               text_);
  EXPECT_EQ(Read(client), "200 fwd=stale; fwd-status=200; stored; detail=expired| text");
  EXPECT_EQ(Read(GetIn("br")), "200 hit| text");
}

TEST_F(RequestCodingTest, HeadIsAnsweredAsAGetWouldBe) {
  Start();
  FakeExchange& miss = Head("/a", {{"accept-encoding", "br"}});
  const std::string length = std::to_string(text_.size());
  origin_.Next().Send(
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/html\r\nETag: "
      "\"v\"\r\nContent-Length: " +
      length + "\r\n\r\n");
  EXPECT_EQ(Answer(miss), "200 fwd=uri-miss; fwd-status=200|");
  EXPECT_EQ(miss.Field("content-encoding"), "br");
  EXPECT_EQ(miss.Field("etag"), "W/\"v-br\"");
  EXPECT_EQ(miss.Field("vary"), "Accept-Encoding");
  EXPECT_EQ(miss.Field("content-length"), "");
  FillIn("br");
  FakeExchange& hit = Head("/a", {{"accept-encoding", "br"}});
  EXPECT_EQ(Answer(hit), "200 hit|");
  EXPECT_EQ(hit.Field("content-encoding"), "br");
  EXPECT_LT(std::stoul(hit.Field("content-length")), text_.size());
  EXPECT_EQ(node_->encoders.load(), 0);
}

TEST_F(RequestCodingTest, WhatTheOriginEncodedIsLeftAlone) {
  Start();
  const std::string lines =
      "Cache-Control: max-age=60\nContent-Type: text/html\nETag: \"v\"\n"
      "Content-Encoding: gzip\nVary: Accept-Encoding\n";
  FakeExchange& miss = GetIn("br, gzip");
  const std::string body = "gzipped, the origin says";
  origin_.Next().Answer("200 OK", lines, body + std::string(2000, ' '));
  Answer(miss);
  EXPECT_THAT(miss.body, HasSubstr(body));
  for (FakeExchange* client : {&miss, &GetIn("gzip, br")}) {
    if (client != &miss) {
      EXPECT_THAT(Answer(*client), HasSubstr("200 hit|" + body));
    }
    EXPECT_EQ(client->Field("content-encoding"), "gzip");
    EXPECT_EQ(client->Field("etag"), "\"v\"");
    EXPECT_EQ(client->Field("vary"), "Accept-Encoding");
  }
  EXPECT_EQ(Decided(CodingReason::kCoded), 1u);
  // The origin chose by the whole set, so another set is another variant.
  EXPECT_EQ(FillIn("br"), kOtherMissed + "br text");
}

TEST_F(RequestCodingTest, WhatMustNotOrNeedNotBeEncodedIsNot) {
  Start();
  struct Row {
    std::string_view lines;
    CodingReason reason;
  };
  constexpr Row kRows[] = {
      {"Cache-Control: max-age=60, no-transform\nContent-Type: text/html\n",
       CodingReason::kNoTransform},
      {"Cache-Control: max-age=60\nContent-Type: image/png\n", CodingReason::kType},
      {"Cache-Control: max-age=60\nContent-Type: text/event-stream\n", CodingReason::kType},
  };
  int number = 0;
  for (const Row& row : kRows) {
    FakeExchange& client = Get("/" + std::to_string(++number), {{"accept-encoding", "br"}});
    origin_.Next().Answer("200 OK", row.lines, text_);
    EXPECT_EQ(Read(client), kMissed + " text") << row.lines;
    EXPECT_EQ(client.Field("vary"), "") << row.lines;
    EXPECT_GE(Decided(row.reason), 1u) << row.lines;
  }
}

// BREACH: its length would tell.
TEST_F(RequestCodingTest, WhatIsForOneClientIsNotEncoded) {
  Start();
  constexpr std::string_view kType = "Content-Type: text/html\n";
  int number = 0;
  for (const char* control : {"private", "no-store", "max-age=60, private"}) {
    FakeExchange& client = Get("/" + std::to_string(++number), {{"accept-encoding", "br"}});
    origin_.Next().Answer(
        "200 OK", "Cache-Control: " + std::string(control) + "\n" + std::string(kType), text_);
    EXPECT_THAT(Read(client), HasSubstr("| text")) << control;
    EXPECT_EQ(client.Field("vary"), "");
  }
  FakeExchange& named = GetIn("br", {{"authorization", "x"}});
  origin_.Next().Answer("200 OK", kPage, text_);
  EXPECT_THAT(Read(named), HasSubstr("| text"));
  FakeExchange& post =
      Ask(RequestFor("POST", "https://www.demo.test/b", {{"accept-encoding", "br"}}));
  origin_.Next().Answer("200 OK", kPage, text_);
  EXPECT_THAT(Read(post), HasSubstr("| text"));
  EXPECT_EQ(Decided(CodingReason::kEncoded), 0u);
}

TEST_F(RequestCodingTest, ASiteMaySwitchItOff) {
  Start("compress = false\n");
  EXPECT_EQ(FillIn("br"), kMissed + " text");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Read(hit), "200 hit| text");
  EXPECT_EQ(hit.Field("vary"), "");
  EXPECT_EQ(Decided(CodingReason::kOff), 1u);
}

TEST_F(RequestCodingTest, ASiteThatTakesAcceptEncodingToTheLetterIsEncodedToo) {
  Start("normalize_accept_encoding = false\n");
  EXPECT_EQ(FillIn("gzip, br"), kMissed + "br text");
  EXPECT_EQ(Read(GetIn("gzip,br")), "200 hit|br text");
  EXPECT_EQ(FillIn("br, gzip"), kOtherMissed + "br text");
}

TEST_F(RequestCodingTest, AStreamIsReadableAsFarAsItHasCome) {
  Start();
  FakeExchange& client = GetIn("gzip");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/plain\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
  const auto readable = [&] {
    return http::Decoded(http::Coding::kGzip, client.body).value_or("(broken)");
  };
  EXPECT_TRUE(thread_.Await([&] { return readable() == "first"; })) << readable();
  asked.Send("7\r\n second\r\n");
  EXPECT_TRUE(thread_.Await([&] { return readable() == "first second"; })) << readable();
  asked.Send("0\r\n\r\n");
  EXPECT_EQ(Read(client), kMissed + "gzip first second");
  EXPECT_EQ(Read(GetIn("gzip")), "200 hit|gzip first second");
}

TEST_F(RequestCodingTest, ABodyThatIsCutOffIsNotStored) {
  Start();
  FakeExchange& client = GetIn("br");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/html\r\n"
      "Content-Length: 100000\r\n\r\n" +
      text_);
  EXPECT_TRUE(thread_.Await([&] { return client.status == 200; }));
  asked.Close();
  EXPECT_THAT(Answer(client), HasSubstr("[cut off]"));
  EXPECT_EQ(node_->encoders.load(), 0);
  EXPECT_EQ(FillIn("br"), kMissed + "br text");
}

TEST_F(RequestCodingTest, ABodyOfManyChunksIsWholeWhenItIsRead) {
  Start();
  std::string large;
  while (large.size() < 3'000'000) large += std::to_string(large.size() * 7919 % 100'003) + ",";
  text_ = large;
  FakeExchange& client = GetIn("zstd");
  ScriptedOrigin::Asked asked = origin_.Next();
  std::thread sender([&] { asked.Answer("200 OK", kPage, text_); });
  EXPECT_EQ(Read(client), kMissed + "zstd text");
  sender.join();
  EXPECT_EQ(Read(GetIn("zstd")), "200 hit|zstd text");
}

// What the origin brings faster than it can be encoded waits there.
TEST_F(RequestCodingTest, AnOriginFasterThanTheEncoderIsPausedAndTheBodyWhole) {
  Start("compress_largest = \"64MiB\"\n");
  std::promise<void> go;
  std::promise<void> begun;
  // All threads that there may be are busy.
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  const std::shared_future<void> gone = go.get_future().share();
  std::atomic<unsigned> occupied{0};
  for (unsigned i = 0; i < threads; ++i) {
    node_->encoder_threads.Run(
        [&occupied, &begun, threads, gone] {
          if (++occupied == threads) begun.set_value();
          gone.wait();
        },
        threads);
  }
  begun.get_future().wait();
  std::string large;
  while (large.size() < 8'000'000) large += std::to_string(large.size() * 7919 % 100'003) + ",";
  text_ = large;
  FakeExchange& client = GetIn("zstd");
  ScriptedOrigin::Asked asked = origin_.Next();
  std::thread sender([&] { asked.Answer("200 OK", kPage, text_); });
  EXPECT_TRUE(thread_.Await([&] { return client.status == 200; }));
  const auto come = [&] { return Sum(node_->metrics.origin_bytes); };
  EXPECT_TRUE(thread_.Await([&] { return come() > BodyEncoder::kMostWaiting; }));
  // The loop serves others meanwhile.
  FakeExchange& other = Get("/other");
  origin_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_THAT(AnswerNow(other), HasSubstr("stored|hello"));
  EXPECT_LT(come(), 2'000'000u) << "the rest waits in the sockets";
  EXPECT_EQ(client.body, "");
  go.set_value();
  EXPECT_EQ(Read(client), kMissed + "zstd text");
  sender.join();
  EXPECT_EQ(Read(GetIn("zstd")), "200 hit|zstd text");
}

// A client that leaves in the middle of the work, of what will not be stored.
TEST_F(RequestCodingTest, AFetchMayEndWhileItsBodyIsEncoded) {
  Start();
  for (int i = 0; i < 20; ++i) {
    FakeExchange& client = GetIn("br");
    ScriptedOrigin::Asked asked = origin_.Next();
    asked.Send(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/html\r\n"
        "Content-Length: 1000000\r\n\r\n" +
        text_);
    EXPECT_TRUE(thread_.Await([&] { return client.status == 200; }));
    asked.Close();
    EXPECT_THAT(Answer(client), HasSubstr("[cut off]"));
  }
  EXPECT_EQ(node_->encoders.load(), 0);
  EXPECT_EQ(FillIn("br"), kMissed + "br text");
}

TEST_F(RequestCodingTest, WithoutARoomForAnEncoderTheBodyGoesAsItComes) {
  Start();
  node_->encoders = 64;
  EXPECT_EQ(FillIn("br"), kMissed + " text");
  EXPECT_EQ(Decided(CodingReason::kBusy), 1u);
  EXPECT_EQ(EncodedAs(http::Coding::kBr), 0u);
  EXPECT_EQ(node_->encoders.load(), 64);
  FakeExchange& hit = GetIn("br");
  EXPECT_EQ(Read(hit), "200 hit| text");
  EXPECT_EQ(hit.Field("vary"), "Accept-Encoding");
  node_->encoders = 63;
  EXPECT_EQ(FillIn("gzip"), kOtherMissed + "gzip text");
}

TEST_F(RequestCodingTest, WhileTheOriginFailsTheBytesWithoutACodingAreForEverybody) {
  Start();
  EXPECT_EQ(FillIn("identity"), kMissed + " text");
  for (const char* codings : {"br", "gzip", "br, gzip, zstd"}) {
    FakeExchange& client = GetIn(codings);
    origin_.Next().Send("nonsense\r\n\r\n");
    EXPECT_EQ(Read(client), "200 fwd=vary-miss; detail=stale_if_error| text") << codings;
    EXPECT_EQ(client.Field("vary"), "Accept-Encoding");
    FakeExchange& failed = GetIn(codings);
    origin_.Next().Answer("503 Service Unavailable", "", "overloaded");
    EXPECT_EQ(Read(failed), "200 fwd=vary-miss; fwd-status=503; detail=stale_if_error| text")
        << codings;
  }
  FakeExchange& head = Head("/a", {{"accept-encoding", "br"}});
  origin_.Next().Send("nonsense\r\n\r\n");
  EXPECT_THAT(Answer(head), HasSubstr("200 fwd=vary-miss; detail=stale_if_error|"));
  // When it is back, each coding is had as ever.
  EXPECT_EQ(FillIn("br"), kOtherMissed + "br text");
}

TEST_F(RequestCodingTest, WhatTheOriginEncodedIsNotForWhoDoesNotTakeIt) {
  Start();
  // Another coding than identity is stored, and nothing else.
  EXPECT_EQ(FillIn("gzip"), kMissed + "gzip text");
  FakeExchange& client = GetIn("br");
  origin_.Next().Answer("503 Service Unavailable", "", "overloaded");
  EXPECT_THAT(Answer(client), HasSubstr("503 "));
  // The origin's own choice by Accept-Encoding is none of ours to overrule.
  const std::string lines =
      std::string(kMinute) + "Content-Type: image/x-any\nVary: Accept-Encoding\n";
  EXPECT_THAT(Fill("/b", lines, "plain", {{"accept-encoding", "identity"}}), HasSubstr("|plain"));
  FakeExchange& other = Get("/b", {{"accept-encoding", "br"}});
  origin_.Next().Answer("503 Service Unavailable", "", "overloaded");
  EXPECT_THAT(Answer(other), HasSubstr("503 "));
}

TEST_F(RequestCodingTest, VariantsByOtherFieldsAreEncodedToo) {
  Start();
  const std::string lines = std::string(kPage) + "Vary: Accept-Language\n";
  FakeExchange& german = GetIn("br", {{"accept-language", "de"}});
  origin_.Next().Answer("200 OK", lines, text_);
  EXPECT_EQ(Read(german), kMissed + "br text");
  EXPECT_EQ(german.Field("vary"), "Accept-Language, Accept-Encoding");
  EXPECT_EQ(Read(GetIn("br, gzip", {{"accept-language", "DE"}})), "200 hit|br text");
  FakeExchange& english = GetIn("br", {{"accept-language", "en"}});
  origin_.Next().Answer("200 OK", lines, text_);
  EXPECT_EQ(Read(english), kOtherMissed + "br text");
}

}  // namespace
}  // namespace nearside::edge
