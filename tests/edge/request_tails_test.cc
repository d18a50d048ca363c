// The request state machine with the last bytes of what is not stored.

#include "tests/edge/slices_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::StartsWith;

constexpr std::string_view kFresh = "Cache-Control: max-age=60\n";

TEST_F(RequestSlicesTest, TheLastBytesOfWhatNobodyKnowsCostThemAlone) {
  Start(kSliced);
  FakeExchange& seek = GetRange("bytes=-10", {{"accept-encoding", "gzip"}});
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "bytes=-10");
  EXPECT_EQ(asked.Field("accept-encoding"), "identity");
  asked.Answer(
      "206 Partial Content",
      "Content-Type: text/plain\nContent-Range: bytes 197550-197559/197560\n" + std::string(kFresh),
      Part(197550, 10));
  EXPECT_EQ(Answer(seek), "206 fwd=uri-miss; fwd-status=206; stored|" + Part(197550, 10));
  FakeExchange& again = GetRange("bytes=-10");
  EXPECT_EQ(Answer(again), "206 hit|" + Part(197550, 10));
  EXPECT_EQ(again.Field("content-range"), "bytes 197550-197559/197560");
  EXPECT_EQ(again.Field("content-length"), "10");
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestSlicesTest, LastBytesAnswerTheSameRangeAlone) {
  Start(kSliced);
  const auto have_tail = [&] {
    FakeExchange& seek = GetRange("bytes=-10");
    EXPECT_EQ(AnswerRange(), "bytes=-10");
    Answer(seek);
  };
  have_tail();
  EXPECT_THAT(Answer(GetRange("bytes=-10", {{"cache-control", "only-if-cached"}})),
              StartsWith("206 hit|"));
  for (const std::string_view range : {"bytes=-9", "bytes=-11", "bytes=197550-"}) {
    EXPECT_THAT(Answer(GetRange(range, {{"cache-control", "only-if-cached"}})), StartsWith("504 "))
        << range;
  }
  EXPECT_THAT(Answer(Get("/film", {{"cache-control", "only-if-cached"}})), StartsWith("504 "));
  FakeExchange& head = Head("/film");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_THAT(asked.first_line(), StartsWith("HEAD "));
  asked.Answer("200 OK", kTagged, "");
  EXPECT_THAT(Answer(head), StartsWith("200 fwd="));
  // The whole takes their place, and they do not take it back.
  FakeExchange& whole = Get("/film");
  FakeExchange& late = GetRange("bytes=-7");
  const ScriptedOrigin::Asked first = origin_.Next();
  const ScriptedOrigin::Asked second = origin_.Next();
  EXPECT_EQ(first.Field("range") + second.Field("range"), "bytes=-7");
  const auto& of_whole = first.Field("range").empty() ? first : second;
  const auto& of_tail = first.Field("range").empty() ? second : first;
  of_whole.Answer("200 OK", kTagged, film_);
  EXPECT_THAT(AnswerNow(whole), StartsWith("200 fwd=uri-miss"));
  of_tail.Answer("206 Partial Content",
                 "Content-Range: bytes 197553-197559/197560\n" + std::string(kTagged),
                 Part(197553, 7));
  EXPECT_EQ(Answer(late), "206 fwd=uri-miss; fwd-status=206; stored|" + Part(197553, 7));
  EXPECT_EQ(Answer(Get("/film")), "200 hit|" + film_);
  EXPECT_EQ(Answer(GetRange("bytes=-10")), "206 hit|" + Part(197550, 10));
}

TEST_F(RequestSlicesTest, LastBytesThatAreStaleOrPurgedAreAskedForAnew) {
  Start(kSliced);
  for (const std::string_view lines : {kStale, kTagged}) {
    FakeExchange& seek = GetRange("bytes=-10");
    EXPECT_EQ(AnswerRange(lines), "bytes=-10");
    EXPECT_THAT(Answer(seek), StartsWith("206 fwd=uri-miss"));
  }
  EXPECT_THAT(Answer(GetRange("bytes=-10")), StartsWith("206 hit|"));
  FakeExchange& change = Ask(RequestFor("DELETE", "https://www.demo.test/film"));
  origin_.Next().Answer("204 No Content", "", "");
  EXPECT_THAT(Answer(change), StartsWith("204 "));
  FakeExchange& seek = GetRange("bytes=-10");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "");
  asked.Answer("503 X", "", "down");
  EXPECT_THAT(Answer(seek), StartsWith("503 fwd=uri-miss")) << "parts stand in for nothing";
}

TEST_F(RequestSlicesTest, LastBytesThatSayNotWhichTheyAreAreNotStored) {
  Start(kSliced);
  for (const std::string_view lines :
       {"", "Content-Range: bytes 197550-197559/197560\nCache-Control: no-store\n"}) {
    const std::string target = "/" + std::to_string(origin_.count());
    for (int i = 0; i < 2; ++i) {
      FakeExchange& seek = GetRange("bytes=-10", {}, target);
      const ScriptedOrigin::Asked asked = origin_.Next();
      EXPECT_EQ(asked.Field("range"), "bytes=-10");
      asked.Answer("206 Partial Content", std::string(kFresh) + std::string(lines),
                   Part(197550, 10));
      EXPECT_THAT(Answer(seek), testing::EndsWith("|" + Part(197550, 10)));
    }
  }
  EXPECT_EQ(origin_.count(), 4u);
}

// docs/decisions/caching.md: the first answer that could be stored ends "do not share".
TEST_F(RequestSlicesTest, LastBytesThatWerePrivateAreStoredAgain) {
  Start(kSliced);
  const auto ask = [&](std::string_view status, const std::string& lines, std::string_view body) {
    FakeExchange& seek = GetRange("bytes=-10");
    const ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.Field("range"), "bytes=-10");
    asked.Answer(status, lines, body);
    return Answer(seek);
  };
  const std::string part = "Content-Range: bytes 197550-197559/197560\n";
  const std::string end = Part(197550, 10);
  ask("206 Partial Content", part + "Cache-Control: private\n", end);
  EXPECT_EQ(ask("206 Partial Content", part + std::string(kFresh), end),
            "206 fwd=bypass; fwd-status=206; detail=not_shared|" + end);
  EXPECT_EQ(ask("206 Partial Content", part + std::string(kStale), end),
            "206 fwd=uri-miss; fwd-status=206; stored|" + end);
  ask("206 Partial Content", part + "Cache-Control: private\n", end);
  EXPECT_THAT(ask("200 OK", std::string(kFresh), film_), StartsWith("200 fwd=bypass"));
  EXPECT_THAT(ask("200 OK", std::string(kFresh), film_), StartsWith("206 fwd=uri-miss"));
  EXPECT_EQ(Answer(GetRange("bytes=-10")), "206 hit|" + end);
}

// As every text that is encoded on the way does.
TEST_F(RequestSlicesTest, LastBytesOfWhatVariesAreCutFromItsSlice) {
  film_ = "0123456789";
  Start(kSliced);
  const std::string lines = std::string(kTagged) + "Vary: Accept-Encoding\n";
  FakeExchange& seek = GetRange("bytes=-3");
  EXPECT_EQ(AnswerRange(lines), "bytes=-3");
  EXPECT_EQ(AnswerRange(lines), "bytes=0-65519");
  EXPECT_EQ(Answer(seek), "206 fwd=uri-miss; fwd-status=200; stored|789");
  EXPECT_EQ(Answer(GetRange("bytes=-3")), "206 hit|789");
  EXPECT_EQ(Answer(Get("/film")), "200 hit|0123456789");
  EXPECT_EQ(origin_.count(), 2u);
}

// RFC 9110 §14.1.2: the last bytes of nothing are all of it, and no Content-Range can say so.
TEST_F(RequestSlicesTest, LastBytesOfNothingAreNothing) {
  Start(kSliced);
  for (const std::string_view range : {"bytes=-10", "bytes=-100000"}) {
    const std::string target = "/" + std::to_string(origin_.count());
    FakeExchange& seek = GetRange(range, {}, target);
    origin_.Next().Answer("416 Range Not Satisfiable", "Content-Range: bytes */0\n", "");
    const ScriptedOrigin::Asked again = origin_.Next();
    EXPECT_EQ(again.Field("range"), "");
    again.Answer("200 OK", kFresh, "");
    EXPECT_EQ(Answer(seek), "200 fwd=uri-miss; fwd-status=200; stored|");
    EXPECT_EQ(Answer(GetRange(range, {}, target)), "200 hit|");
  }
  FakeExchange& beyond = GetRange("bytes=10-", {}, "/b");
  origin_.Next().Answer("416 Range Not Satisfiable", "Content-Range: bytes */0\n", "");
  EXPECT_THAT(Answer(beyond), StartsWith("416 "));
}

TEST_F(RequestSlicesTest, AWholeThatComesForLastBytesIsStoredAsSuch) {
  Start(kSliced);
  FakeExchange& seek = GetRange("bytes=-10");
  origin_.Next().Answer("200 OK", kFresh, film_);
  EXPECT_EQ(Answer(seek), "206 fwd=uri-miss; fwd-status=200; stored|" + Part(197550, 10));
  EXPECT_EQ(Answer(Get("/film")), "200 hit|" + film_);
  // More than there is: all of it.
  FakeExchange& note = GetRange("bytes=-10", {}, "/note");
  origin_.Next().Answer("206 Partial Content", "Content-Range: bytes 0-3/4\n" + std::string(kFresh),
                        "note");
  EXPECT_EQ(Answer(note), "206 fwd=uri-miss; fwd-status=200; stored|note");
  EXPECT_EQ(Answer(Get("/note")), "200 hit|note");
  EXPECT_EQ(origin_.count(), 2u);
}

// RFC 9110 §14.2: an origin may know ranges, and no suffixes among them.
TEST_F(RequestSlicesTest, WhereSuffixesAreNotKnownLastBytesAreCutFromTheWhole) {
  Start(kSliced);
  const std::string lines =
      std::string(kTagged) + "Accept-Ranges: bytes\nContent-Type: text/plain\n";
  FakeExchange& seek = GetRange("bytes=-10", {{"accept-encoding", "gzip"}});
  origin_.Next().Answer("200 OK", lines, film_);
  EXPECT_EQ(Answer(seek), "206 fwd=uri-miss; fwd-status=200; stored|" + Part(197550, 10));
  EXPECT_EQ(seek.Field("content-range"), "bytes 197550-197559/197560");
  for (const std::string_view range : {"bytes=-10", "bytes=-9", "bytes=197550-197559"}) {
    EXPECT_THAT(Answer(GetRange(range)), StartsWith("206 hit|")) << range;
  }
  EXPECT_EQ(Answer(Get("/film")), "200 hit|" + film_);
  EXPECT_EQ(origin_.count(), 1u);
  // Where its end begins is not known before it is there: all of it, once.
  FakeExchange& chunked = GetRange("bytes=-4", {}, "/note");
  origin_.Next().Send(
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
      "Transfer-Encoding: chunked\r\n\r\n6\r\na note\r\n0\r\n\r\n");
  EXPECT_EQ(Answer(chunked), "200 fwd=uri-miss; fwd-status=200; stored|a note");
  EXPECT_EQ(Answer(GetRange("bytes=-4", {}, "/note")), "206 hit|note");
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestSlicesTest, WhoWantsTheSameLastBytesAsksOnce) {
  Start(kSliced);
  std::vector<FakeExchange*> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(&GetRange("bytes=-10"));
  EXPECT_EQ(AnswerRange(), "bytes=-10");
  for (FakeExchange* client : clients) {
    EXPECT_THAT(Answer(*client), testing::EndsWith("|" + Part(197550, 10)));
  }
  EXPECT_EQ(origin_.count(), 1u);
}

}  // namespace
}  // namespace nearside::edge
