// The request state machine with ranges: parts of what is stored, slices of what is large.

#include "tests/edge/slices_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(RequestSlicesTest, ASeekCostsOneSlice) {
  Start(kSliced);
  FakeExchange& seek = GetRange("bytes=131050-131059");
  EXPECT_EQ(AnswerRange(), "bytes=131040-196559");
  EXPECT_EQ(Answer(seek), "206 fwd=uri-miss; fwd-status=206; stored|" + Part(131050, 10));
  EXPECT_EQ(seek.Field("content-range"), "bytes 131050-131059/" + std::to_string(film_.size()));
  EXPECT_EQ(seek.Field("content-length"), "10");
  EXPECT_EQ(origin_.count(), 1u);

  EXPECT_EQ(Answer(GetRange("bytes=150000-150004")), "206 hit|" + Part(150000, 5));
  EXPECT_EQ(origin_.count(), 1u);
  EXPECT_EQ(Sum(node_->metrics.slices), 1u);
}

TEST_F(RequestSlicesTest, ASeekBesideTheWholeThatIsStillFarDoesNotWaitForIt) {
  Start(kSliced);
  FakeExchange& whole = Get("/film");
  const ScriptedOrigin::Asked asked = BeginWhole(whole);
  // What comes soon is waited for.
  FakeExchange& near = GetRange("bytes=70000-70009");
  Turn();
  EXPECT_EQ(origin_.count(), 1u);
  FakeExchange& seek = GetRange("bytes=196560-196569");
  EXPECT_EQ(AnswerRange(), "bytes=196560-262079");
  EXPECT_EQ(AnswerNow(seek), "206 fwd=uri-miss; fwd-status=206; stored|" + Part(196560, 10));
  asked.Send(std::string_view(film_).substr(1000));
  EXPECT_EQ(AnswerNow(whole), "200 fwd=uri-miss; fwd-status=200; stored|" + film_);
  EXPECT_THAT(Answer(near), StartsWith("206 fwd=uri-miss; fwd-status=200; stored; collapsed|"));
  EXPECT_EQ(Answer(Get("/film")), "200 hit|" + film_);
  EXPECT_EQ(origin_.count(), 2u);
}

// Who asked for a slice of its own finds the whole there when that comes.
TEST_F(RequestSlicesTest, AWholeThatEndsBeforeTheSeekBesideItStays) {
  Start(kSliced);
  FakeExchange& whole = Get("/film");
  const ScriptedOrigin::Asked asked = BeginWhole(whole);
  FakeExchange& seek = GetRange("bytes=196560-196569");
  const ScriptedOrigin::Asked beside = origin_.Next();
  asked.Send(std::string_view(film_).substr(1000));
  EXPECT_THAT(AnswerNow(whole), testing::EndsWith("|" + film_));
  beside.Answer("206 Partial Content",
                "Content-Range: bytes 196560-197559/197560\n" + std::string(kTagged),
                std::string_view(film_).substr(196560));
  EXPECT_THAT(Answer(seek), testing::EndsWith("|" + Part(196560, 10)));
  EXPECT_EQ(Answer(Get("/film")), "200 hit|" + film_);
  EXPECT_EQ(origin_.count(), 2u);
}

// A slice might be the whole once more.
TEST_F(RequestSlicesTest, ASeekWaitsForTheWholeOfWhoDoesNotSayThatRangesAreHeeded) {
  Start(kSliced);
  for (const std::string_view lines : {"ETag: \"v1\"\r\n", "Accept-Ranges: bytes\r\n",
                                       "Accept-Ranges: bytes\r\nETag: W/\"v1\"\r\n"}) {
    const std::string target = "/" + std::to_string(origin_.count());
    FakeExchange& whole = Get(target);
    const ScriptedOrigin::Asked asked = origin_.Next();
    asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n" + std::string(lines) +
               "Content-Length: " + std::to_string(film_.size()) + "\r\n\r\n" + Part(0, 1000));
    EXPECT_TRUE(thread_.Await([&] { return whole.body.size() == 1000; }));
    FakeExchange& seek = GetRange("bytes=196560-196569", {}, target);
    asked.Send(std::string_view(film_).substr(1000));
    EXPECT_THAT(AnswerNow(seek), StartsWith("206 fwd=uri-miss; fwd-status=200; stored; collapsed"));
    Answer(whole);
  }
  EXPECT_EQ(origin_.count(), 3u);
}

TEST_F(RequestSlicesTest, SlicesAreJoinedToTheWhole) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& seek = GetRange("bytes=-10");
  EXPECT_EQ(AnswerRange(), "bytes=196560-262079");
  EXPECT_EQ(Answer(seek), "206 fwd=partial; fwd-status=206; stored; detail=partial_miss|" +
                              Part(film_.size() - 10, 10));

  FakeExchange& whole = Get("/film");
  EXPECT_EQ(AnswerRange(), "bytes=65520-131039");
  EXPECT_EQ(AnswerRange(), "bytes=131040-196559");
  EXPECT_EQ(Answer(whole), "200 hit|" + film_);  // its first slice was there
  EXPECT_EQ(whole.Field("content-length"), std::to_string(film_.size()));
  EXPECT_EQ(Answer(Get("/film")), "200 hit|" + film_);
  EXPECT_EQ(Answer(Head("/film")).substr(0, 7), "200 hit");
  EXPECT_EQ(origin_.count(), 4u);
}

TEST_F(RequestSlicesTest, AFirstSliceHasNoAgeForWhoItWasFetchedFor) {
  Start(kSliced);
  FakeExchange& first = GetRange("bytes=0-9");
  AnswerRange(
      "Date: Thu, 01 Jan 2015 00:00:00 GMT\nETag: \"v1\"\nCache-Control: max-age=999999999\n");
  EXPECT_THAT(Answer(first), StartsWith("206 "));
  EXPECT_EQ(first.Field("age"), "");
}

TEST_F(RequestSlicesTest, AMissingSliceIsToldAsPartial) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& second = GetRange("bytes=70000-70009");
  AnswerRange();
  EXPECT_EQ(Answer(second),
            "206 fwd=partial; fwd-status=206; stored; detail=partial_miss|" + Part(70000, 10));
  EXPECT_EQ(Counted(Reason::kPartialMiss), 1u);
}

TEST_F(RequestSlicesTest, SlicesAreAskedForAsOneVersionAndWithoutACoding) {
  Start(kSliced);
  FakeExchange& first = GetRange("bytes=0-9", {{"accept-encoding", "gzip"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-range"), "");
  EXPECT_EQ(asked.Field("accept-encoding"), "identity");
  asked.Answer(
      "206 Partial Content",
      std::string(kTagged) + "Content-Range: bytes 0-65519/" + std::to_string(film_.size()) + "\n",
      Part(0, kChunkBytes));
  Answer(first);
  FakeExchange& second = GetRange("bytes=70000-70009");
  asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-range"), "\"v1\"");
  EXPECT_EQ(asked.Field("accept-encoding"), "identity");
  asked.Answer("206 Partial Content",
               std::string(kTagged) + "Content-Range: bytes 65520-131039/" +
                   std::to_string(film_.size()) + "\n",
               Part(kChunkBytes, kChunkBytes));
  Answer(second);
}

TEST_F(RequestSlicesTest, AWholeThatComesForASliceIsStoredAsSuch) {
  film_ = "0123456789";
  Start(kSliced);
  FakeExchange& range = GetRange("bytes=7-");
  AnswerRange("Cache-Control: max-age=60\n");  // needs no validator
  EXPECT_EQ(Answer(range), "206 fwd=uri-miss; fwd-status=200; stored|789");
  EXPECT_EQ(Answer(Get("/film")), "200 hit|0123456789");
  EXPECT_EQ(Answer(GetRange("bytes=2-4")), "206 hit|234");
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestSlicesTest, AnOriginWithoutRangesSendsTheWhole) {
  Start(kSliced);
  FakeExchange& range = GetRange("bytes=70000-70009");
  origin_.Next().Answer("200 OK", kTagged, film_);
  EXPECT_EQ(Answer(range), "206 fwd=uri-miss; fwd-status=200; stored|" + Part(70000, 10));
  EXPECT_EQ(Answer(Get("/film")), "200 hit|" + film_);
}

TEST_F(RequestSlicesTest, WithoutAStrongValidatorTheWholeIsFetched) {
  Start(kSliced);
  FakeExchange& range = GetRange("bytes=70000-70009");
  EXPECT_EQ(AnswerRange("Cache-Control: max-age=60\nETag: W/\"v1\"\n"), "bytes=65520-131039");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "");
  asked.Answer("200 OK", "Cache-Control: max-age=60\n", film_);
  EXPECT_EQ(Answer(range), "206 fwd=uri-miss; fwd-status=200; stored|" + Part(70000, 10));
  EXPECT_EQ(Answer(GetRange("bytes=5-6")), "206 hit|" + Part(5, 2));
}

TEST_F(RequestSlicesTest, WithoutATagAStrongDateJoinsSlices) {
  Start(kSliced);
  constexpr std::string_view kDated =
      "Cache-Control: max-age=60\nLast-Modified: Fri, 15 Jan 2010 08:00:00 GMT\n";
  FakeExchange& first = GetRange("bytes=0-9");
  AnswerRange(kDated);
  Answer(first);
  FakeExchange& second = GetRange("bytes=70000-70009");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-range"), "Fri, 15 Jan 2010 08:00:00 GMT");
  asked.Answer("206 Partial Content",
               std::string(kDated) + "Content-Range: bytes 65520-131039/197560\n",
               Part(kChunkBytes, kChunkBytes));
  const std::string answer = Answer(second);
  EXPECT_EQ(answer.substr(answer.find('|') + 1), Part(70000, 10));
  // RFC 9110 §15.3.7: what If-Range has let through may leave the date out.
  FakeExchange& third = GetRange("bytes=140000-140009");
  origin_.Next().Answer("206 Partial Content",
                        "Cache-Control: max-age=60\nContent-Range: bytes 131040-196559/197560\n",
                        Part(2 * kChunkBytes, kChunkBytes));
  const std::string last = Answer(third);
  EXPECT_EQ(last.substr(last.find('|') + 1), Part(140000, 10));
}

TEST_F(RequestSlicesTest, WhatMayNotBeStoredIsAskedForAsTheClientDid) {
  Start(kSliced);
  FakeExchange& range = GetRange("bytes=70000-70009");
  AnswerRange("Cache-Control: private\nETag: \"v1\"\n");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "bytes=70000-70009");
  asked.Answer("206 Partial Content",
               "Cache-Control: private\nContent-Range: bytes 70000-70009/197560\n",
               Part(70000, 10));
  EXPECT_EQ(Answer(range), "206 fwd=bypass; fwd-status=206; detail=not_shared|" + Part(70000, 10));
}

TEST_F(RequestSlicesTest, WhoWaitedForWhatMayNotBeStoredAsksOnce) {
  Start(kSliced);
  FakeExchange& leader = GetRange("bytes=70000-70009");
  const ScriptedOrigin::Asked first = origin_.Next();
  FakeExchange& other = GetRange("bytes=70000-70009");
  constexpr std::string_view kPrivate =
      "Cache-Control: private\nETag: \"v1\"\nContent-Range: bytes 65520-131039/197560\n";
  first.Answer("206 Partial Content", kPrivate, Part(65520, 65520));
  for (int i = 0; i < 2; ++i) {
    const ScriptedOrigin::Asked own = origin_.Next();
    own.Answer("206 Partial Content",
               "Cache-Control: private\nContent-Range: bytes 70000-70009/197560\n",
               Part(70000, 10));
  }
  for (FakeExchange* client : {&leader, &other}) {
    EXPECT_EQ(Answer(*client),
              "206 fwd=bypass; fwd-status=206; detail=not_shared|" + Part(70000, 10));
  }
  EXPECT_EQ(origin_.count(), 3u);
}

TEST_F(RequestSlicesTest, ARangeBehindTheEndIsNotRemembered) {
  Start(kSliced);
  FakeExchange& beyond = GetRange("bytes=900000-");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "bytes=851760-917279");
  asked.Answer("416 Range Not Satisfiable",
               "Cache-Control: max-age=60\nContent-Range: bytes */197560\n", "");
  EXPECT_THAT(Answer(beyond), StartsWith("416 fwd=uri-miss; fwd-status=416"));
  FakeExchange& whole = Get("/film");
  origin_.Next().Answer("200 OK", kTagged, film_);
  EXPECT_EQ(Answer(whole), "200 fwd=uri-miss; fwd-status=200; stored|" + film_);
}

TEST_F(RequestSlicesTest, ARangeBehindTheEndIsNoAnswerToWhoWaited) {
  Start(kSliced);
  FakeExchange& beyond = GetRange("bytes=900000-");
  const ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& whole = Get("/film");
  asked.Answer("416 Range Not Satisfiable",
               "Cache-Control: max-age=60\nContent-Range: bytes */197560\n", "");
  origin_.Next().Answer("200 OK", kTagged, film_);
  EXPECT_THAT(AnswerNow(beyond), StartsWith("416 fwd=uri-miss; fwd-status=416"));
  EXPECT_TRUE(Answer(whole) == "200 fwd=uri-miss; fwd-status=200; stored|" + film_);
}

// RFC 9110 §13.1.5: the range of a client that has another version does not count.
TEST_F(RequestSlicesTest, WhetherARangeCountsIsAskedOfTheFirstSlice) {
  Start(kSliced);
  FakeExchange& resumed = GetRange("bytes=900000-", {{"if-range", "\"v0\""}});
  EXPECT_EQ(AnswerRange(), "bytes=0-65519");
  for (int i = 1; i < 4; ++i) AnswerRange();
  const std::string answer = Answer(resumed);
  EXPECT_TRUE(answer.starts_with("200 ")) << answer.substr(0, 100);
  EXPECT_TRUE(answer.ends_with("|" + film_));
}

TEST_F(RequestSlicesTest, WhatOneRequestIsRefusedMakesNobodyForget) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& refused = GetRange("bytes=70000-70009", {{"authorization", "Bearer x"}});
  const ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = GetRange("bytes=70000-70009");
  asked.Answer("401 Unauthorized", "", "no");
  // The other asks for the slice anew, the one that was refused for what it wants itself.
  for (int i = 0; i < 2; ++i) {
    const ScriptedOrigin::Asked again = origin_.Next();
    if (again.Field("authorization").empty()) {
      EXPECT_EQ(again.Field("range"), "bytes=65520-131039");
      again.Answer("206 Partial Content",
                   std::string(kTagged) + "Content-Range: bytes 65520-131039/197560\n",
                   Part(65520, 65520));
    } else {
      EXPECT_EQ(again.Field("range"), "bytes=70000-70009");
      again.Answer("401 Unauthorized", "WWW-Authenticate: Bearer\n", "no");
    }
  }
  EXPECT_EQ(AnswerNow(refused), "401 fwd=bypass; fwd-status=401; detail=not_shared|no");
  EXPECT_EQ(refused.Field("www-authenticate"), "Bearer");
  EXPECT_THAT(Answer(other), testing::EndsWith("|" + Part(70000, 10)));
  EXPECT_EQ(Answer(GetRange("bytes=5-9")), "206 hit|" + Part(5, 5)) << "the head is still there";
}

// A refusal that has nothing to do with the slice: a redirect to a sign-in, a limit of requests.
TEST_F(RequestSlicesTest, WhoIsRefusedASliceIsAnsweredAsItAsked) {
  Start(kSliced);
  HaveFirstSlice();
  for (const std::string_view status : {"302 Found", "403 Forbidden", "429 Too Many Requests"}) {
    SCOPED_TRACE(status);
    FakeExchange& refused = GetRange("bytes=70000-70009", {{"cookie", "a=b"}});
    for (const std::string_view range : {"bytes=65520-131039", "bytes=70000-70009"}) {
      const ScriptedOrigin::Asked asked = origin_.Next();
      EXPECT_EQ(asked.Field("range"), range);
      asked.Answer(status, "Retry-After: 7\n", "no");
    }
    EXPECT_EQ(Answer(refused), std::string(status.substr(0, 3)) + " fwd=bypass; fwd-status=" +
                                   std::string(status.substr(0, 3)) + "; detail=not_shared|no");
    EXPECT_EQ(refused.Field("retry-after"), "7");
  }
  // Who fails is not asked again.
  FakeExchange& failed = GetRange("bytes=70000-70009");
  origin_.Next().Answer("503 X", "", "error");
  EXPECT_THAT(Answer(failed), StartsWith("502 "));
  EXPECT_EQ(origin_.count(), 8u);
  EXPECT_EQ(Answer(GetRange("bytes=5-9")), "206 hit|" + Part(5, 5));
}

TEST_F(RequestSlicesTest, AThousandSeeksAtOnceAskOnce) {
  Start(kSliced);
  std::vector<FakeExchange*> clients;
  for (uint64_t i = 0; i < 1000; ++i) {
    clients.push_back(&GetRange("bytes=" + std::to_string(i) + "-" + std::to_string(i + 9)));
  }
  AnswerRange();
  for (uint64_t i = 0; i < 1000; ++i) {
    const std::string answer = AnswerNow(*clients[i]);
    EXPECT_EQ(answer.substr(answer.find('|') + 1), Part(i, 10));
  }
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestSlicesTest, ANewVersionInTheMiddleCutsOffAndIsFetchedByTheNext) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& long_one = GetRange("bytes=0-140000");
  origin_.Next().Answer("200 OK", "Cache-Control: max-age=60\nETag: \"v2\"\n", film_);
  EXPECT_THAT(AnswerNow(long_one), testing::EndsWith(" [cut off]"));
  Settle();
  FakeExchange& next = GetRange("bytes=0-9");
  EXPECT_EQ(AnswerRange("Cache-Control: max-age=60\nETag: \"v2\"\n"), "bytes=0-65519");
  EXPECT_EQ(Answer(next), "206 fwd=uri-miss; fwd-status=206; stored|" + Part(0, 10));
}

// RFC 9110 §14.2: an origin may ignore a Range at any time.
TEST_F(RequestSlicesTest, AWholeOfTheSameVersionIsGoneOnWith) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& all = Get("/film");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "bytes=65520-131039");
  EXPECT_EQ(asked.Field("if-range"), "\"v1\"");
  asked.Answer("200 OK", kTagged, film_);
  EXPECT_TRUE(Answer(all) == "200 hit|" + film_);
  EXPECT_TRUE(Answer(Get("/film")) == "200 hit|" + film_) << "stored in place of the slices";
  EXPECT_EQ(Answer(GetRange("bytes=196000-196009")), "206 hit|" + Part(196000, 10));
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestSlicesTest, AWholeThatMayNotBeStoredIsGoneOnWithToo) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& all = Get("/film");
  const ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"v1\"\r\n"
      "Cache-Control: no-store\r\n\r\n303b8\r\n" +
      film_ + "\r\n0\r\n\r\n");
  EXPECT_TRUE(Answer(all) == "200 hit|" + film_);
  FakeExchange& next = Get("/film");
  origin_.Next().Answer("200 OK", kTagged, film_);
  EXPECT_TRUE(Answer(next) == "200 fwd=uri-miss; fwd-status=200; stored|" + film_);
}

TEST_F(RequestSlicesTest, AWholeThatIsGoneOnWithIsNotEncoded) {
  Start(kSliced);
  const std::string lines = std::string(kTagged) + "Content-Type: text/plain\n";
  const http::Fields gzip = {{"accept-encoding", "gzip"}};
  FakeExchange& first = GetRange("bytes=0-9", gzip);
  AnswerRange(lines);
  Answer(first);
  FakeExchange& second = GetRange("bytes=65000-140000", gzip);
  origin_.Next().Answer("200 OK", lines, film_);
  const std::string answer = Answer(second);
  EXPECT_TRUE(answer.substr(answer.find('|') + 1) == Part(65000, 75001));
}

TEST_F(RequestSlicesTest, AWholeOfAnotherLengthIsAnotherVersion) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& all = Get("/film");
  origin_.Next().Answer("200 OK", kTagged, film_ + "x");
  EXPECT_THAT(AnswerNow(all), testing::EndsWith(" [cut off]"));
  EXPECT_EQ(all.body, Part(0, kChunkBytes));
}

TEST_F(RequestSlicesTest, AnotherPartOfTheSameVersionMakesTheWholeWanted) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& all = Get("/film");
  origin_.Next().Answer("206 Partial Content",
                        std::string(kTagged) + "Content-Range: bytes 65520-65529/197560\n",
                        Part(65520, 10));
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("range"), "");
  EXPECT_EQ(asked.Field("if-range"), "");
  asked.Answer("200 OK", kTagged, film_);
  EXPECT_TRUE(Answer(all) == "200 hit|" + film_);
}

TEST_F(RequestSlicesTest, WhatWasAskedForAheadIsNotTakenWhole) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& all = Get("/film");
  const ScriptedOrigin::Asked slice = origin_.Next();
  slice.Send(
      "HTTP/1.1 206 Partial Content\r\nContent-Length: 65520\r\nETag: \"v1\"\r\n"
      "Content-Range: bytes 65520-131039/197560\r\n\r\n" +
      Part(65520, 1000));
  const ScriptedOrigin::Asked ahead = origin_.Next();
  EXPECT_EQ(ahead.Field("range"), "bytes=131040-196559");
  ahead.Answer("200 OK", kTagged, film_);
  ahead.AwaitClosed();
  slice.Send(Part(66520, 64520));
  const ScriptedOrigin::Asked whole = origin_.Next();
  EXPECT_EQ(whole.Field("range"), "bytes=131040-196559");
  whole.Answer("200 OK", kTagged, film_);
  EXPECT_TRUE(Answer(all) == "200 hit|" + film_);
  EXPECT_EQ(origin_.count(), 4u);
}

TEST_F(RequestSlicesTest, ANewVersionBeforeTheFirstByteIsFetchedAtOnce) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& second = GetRange("bytes=70000-70009");
  origin_.Next().Answer("200 OK", "ETag: \"v2\"\n", film_);
  EXPECT_EQ(AnswerRange("Cache-Control: max-age=60\nETag: \"v2\"\n"), "bytes=65520-131039");
  EXPECT_EQ(Answer(second), "206 fwd=uri-miss; fwd-status=206; stored|" + Part(70000, 10));
}

TEST_F(RequestSlicesTest, ASliceThatBreaksOffIsAskedForOnceMore) {
  Start(kSliced);
  HaveFirstSlice();
  FakeExchange& second = GetRange("bytes=65520-131039");
  const ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(
      "HTTP/1.1 206 Partial Content\r\nContent-Length: 65520\r\nETag: \"v1\"\r\n"
      "Content-Range: bytes 65520-131039/197560\r\n\r\n" +
      Part(65520, 1000));
  EXPECT_TRUE(thread_.Await([&] { return second.body.size() == 1000; }));
  asked.Close();
  AnswerRange();
  const std::string answer = Answer(second);
  EXPECT_EQ(answer.substr(answer.find('|') + 1), Part(65520, 65520));
}

TEST_F(RequestSlicesTest, ABodyShorterThanItsContentRangeIsNeverStored) {
  Start(kSliced);
  FakeExchange& client = GetRange("bytes=0-9");
  const ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(
      "HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\nETag: \"v1\"\r\n"
      "Cache-Control: max-age=60\r\nContent-Range: bytes 0-65519/197560\r\n\r\n"
      "5\r\nhello\r\n");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hello"; }));
  asked.Send("0\r\n\r\n");
  // The slice is asked for anew, and on a connection of its own when the kept one dies.
  for (int i = 0; i < 2; ++i) origin_.Next().Close();
  EXPECT_THAT(AnswerNow(client), HasSubstr("[cut off]"));
}

TEST_F(RequestSlicesTest, ValidationAsksForTheSliceThatIsWanted) {
  Start(kSliced);
  constexpr std::string_view kTaggedStale = "Cache-Control: max-age=0\nETag: \"v1\"\n";
  FakeExchange& first = GetRange("bytes=0-9");
  AnswerRange(kTaggedStale);
  Answer(first);
  FakeExchange& confirmed = GetRange("bytes=0-4");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v1\"");
  EXPECT_EQ(asked.Field("range"), "bytes=0-65519");
  asked.Answer("304 Not Modified", kTaggedStale, "");
  EXPECT_EQ(Answer(confirmed), "206 fwd=stale; fwd-status=304; detail=validated|" + Part(0, 5));
  FakeExchange& changed = GetRange("bytes=0-4");
  film_ = Pattern(film_.size(), 77);
  AnswerRange("Cache-Control: max-age=60\nETag: \"v2\"\n");
  EXPECT_EQ(Answer(changed), "206 fwd=stale; fwd-status=206; stored; detail=expired|" + Part(0, 5));
}

// RFC 9111 §3.3: an incomplete response answers only for what it has.
TEST_F(RequestSlicesTest, WhileTheOriginIsDownOnlyWhatIsWholeIsShownStale) {
  Start(kSliced);
  FakeExchange& first = GetRange("bytes=0-9");
  AnswerRange("Cache-Control: max-age=60\nAge: 100\nETag: \"v1\"\n");
  Answer(first);
  const auto failed = [this](FakeExchange& client) {
    origin_.Next().Answer("503 X", "", "error");
    return Answer(client);
  };
  EXPECT_EQ(failed(GetRange("bytes=0-4")),
            "206 fwd=stale; fwd-status=503; detail=stale_if_error|" + Part(0, 5));
  EXPECT_THAT(failed(GetRange("bytes=65515-65525")), StartsWith("503 fwd=stale; fwd-status=503"));
  EXPECT_THAT(failed(Get("/film")), StartsWith("503 fwd=stale; fwd-status=503"));
}

TEST_F(RequestSlicesTest, APurgeTakesTheSlicesToo) {
  Start(kSliced);
  HaveFirstSlice();
  node_->store->Purge({storage::ScopeOf(storage::ScopeKind::kUrl, "demo", "/film")}, false,
                      std::nullopt, nullptr, nullptr);
  FakeExchange& second = GetRange("bytes=0-9");
  AnswerRange();
  EXPECT_EQ(Answer(second), "206 fwd=uri-miss; fwd-status=206; stored|" + Part(0, 10));
}

// A purge by a tag that the representation has got since its slices were fetched.
TEST_F(RequestSlicesTest, WhatIsFetchedAfterAPurgeTakesNoOlderSlices) {
  Start(kSliced);
  FakeExchange& first = GetRange("bytes=0-70000");
  AnswerRange();
  AnswerRange();
  Answer(first);
  node_->store->Purge({storage::ScopeOf(storage::ScopeKind::kTag, "demo", "new")}, false,
                      std::nullopt, nullptr, nullptr);
  node_->store->Remove(PrimaryKey("demo", "https://www.demo.test/film"));
  FakeExchange& second = GetRange("bytes=0-70000");
  EXPECT_EQ(AnswerRange(), "bytes=0-65519");
  EXPECT_EQ(AnswerRange(), "bytes=65520-131039");
  const std::string answer = Answer(second);
  EXPECT_EQ(answer.substr(answer.find('|') + 1), Part(0, 70001));
}

TEST_F(RequestSlicesTest, OnlyIfCachedAsksForNoSlice) {
  Start(kSliced);
  HaveFirstSlice();
  const http::Fields only = {{"cache-control", "only-if-cached"}};
  EXPECT_EQ(Answer(GetRange("bytes=5-9", only)), "206 hit|" + Part(5, 5));
  EXPECT_THAT(Answer(GetRange("bytes=70000-70009", only)),
              StartsWith("504 detail=only_if_cached|"));
  EXPECT_THAT(Answer(Get("/film", only)), StartsWith("504 detail=only_if_cached|"))
      << "not cut off after the part that is there";
  EXPECT_EQ(Answer(Head("/film", only)).substr(0, 7), "200 hit");
  EXPECT_EQ(origin_.count(), 1u);
}

// RFC 9111 §5.2.1.5: of what is fetched for such a request nothing is kept.
TEST_F(RequestSlicesTest, WhatIsMissingIsNotStoredForWhoForbidsIt) {
  Start(kSliced);
  HaveFirstSlice();
  const http::Fields no_store = {{"cache-control", "no-store"}};
  EXPECT_EQ(Answer(GetRange("bytes=5-9", no_store)), "206 hit|" + Part(5, 5));
  FakeExchange& client = GetRange("bytes=70000-70009", no_store);
  EXPECT_EQ(AnswerRange(), "bytes=70000-70009") << "as it was asked";
  EXPECT_THAT(Answer(client), HasSubstr("|" + Part(70000, 10)));
  FakeExchange& next = GetRange("bytes=70000-70009");
  EXPECT_EQ(AnswerRange(), "bytes=65520-131039");
  Answer(next);
}

// What was for everybody may be for one by now, though its bytes are the same.
TEST_F(RequestSlicesTest, ASliceThatMayNotBeStoredAnyMoreIsNot) {
  for (const std::string_view control : {"private", "no-store"}) {
    SCOPED_TRACE(control);
    const std::string target = "/" + std::string(control);
    const std::string lines = "Cache-Control: " + std::string(control) + "\nETag: \"v1\"\n";
    if (origin_.count() == 0) Start(kSliced);
    FakeExchange& first = GetRange("bytes=0-9", {}, target);
    AnswerRange();
    Answer(first);
    FakeExchange& second = GetRange("bytes=70000-70009", {}, target);
    EXPECT_EQ(AnswerRange(lines), "bytes=65520-131039");
    EXPECT_EQ(AnswerRange(lines), "bytes=70000-70009") << "as the client asked";
    EXPECT_EQ(Answer(second),
              "206 fwd=bypass; fwd-status=206; detail=not_shared|" + Part(70000, 10));
    FakeExchange& third = GetRange("bytes=0-9", {}, target);
    AnswerRange();
    EXPECT_THAT(Answer(third), StartsWith("206 fwd=")) << "nor is the rest shown any more";
  }
}

// Nor for who comes while the origin fails, though the copy was once lent for that.
TEST_F(RequestSlicesTest, ACopyWhoseFirstPartHasBecomePrivateIsForgotten) {
  Start(kSliced);
  FakeExchange& first = GetRange("bytes=0-9");
  AnswerRange("Cache-Control: max-age=60, stale-if-error=600\nAge: 100\nETag: \"v1\"\n");
  Answer(first);
  FakeExchange& second = GetRange("bytes=0-9");
  AnswerRange("Cache-Control: private\nETag: \"v2\"\n");
  EXPECT_EQ(AnswerRange("Cache-Control: private\nETag: \"v2\"\n"), "bytes=0-9")
      << "as the client asked";
  EXPECT_THAT(Answer(second), StartsWith("206 fwd=bypass"));
  FakeExchange& third = GetRange("bytes=0-9");
  origin_.Next().Answer("503 Service Unavailable", "", "");
  EXPECT_THAT(Answer(third), StartsWith("503 "));
}

// A file that has become empty has no ranges, and who asks for all of it wants none.
TEST_F(RequestSlicesTest, WhatHasBecomeEmptyIsAskedForWithoutARange) {
  Start(kSliced);
  FakeExchange& first = GetRange("bytes=0-9");
  AnswerRange("Cache-Control: max-age=60, must-revalidate\nAge: 100\nETag: \"v1\"\n");
  Answer(first);
  FakeExchange& whole = Get("/film");
  const ScriptedOrigin::Asked part = origin_.Next();
  EXPECT_EQ(part.Field("range"), "bytes=0-65519");
  part.Answer("416 Range Not Satisfiable", "Content-Range: bytes */0\n", "");
  const ScriptedOrigin::Asked again = origin_.Next();
  EXPECT_EQ(again.Field("range"), "");
  again.Answer("200 OK", kTagged, "");
  EXPECT_THAT(Answer(whole), StartsWith("200 "));
}

TEST_F(RequestSlicesTest, SlicesOfVariantsDoNotMeet) {
  Start(kSliced);
  const std::string lines = std::string(kTagged) + "Vary: X-Kind\n";
  for (const std::string_view kind : {"a", "b"}) {
    film_ = Pattern(3 * kChunkBytes, kind == "a" ? 1 : 2);
    FakeExchange& client = GetRange("bytes=0-9", {{"x-kind", kind}});
    AnswerRange(lines);
    const std::string answer = Answer(client);
    EXPECT_EQ(answer.substr(answer.find('|') + 1), Part(0, 10));
  }
  film_ = Pattern(3 * kChunkBytes, 1);
  EXPECT_EQ(Answer(GetRange("bytes=5-9", {{"x-kind", "a"}})), "206 hit|" + Part(5, 5));
}

TEST_F(RequestSlicesTest, WithoutSlicesTheWholeIsFetched) {
  Start("slice = \"0B\"\n");
  FakeExchange& range = GetRange("bytes=70000-70009");
  EXPECT_EQ(AnswerRange(), "");
  EXPECT_EQ(Answer(range), "206 fwd=uri-miss; fwd-status=200; stored|" + Part(70000, 10));
}

TEST_F(RequestSlicesTest, SeveralRangesOfWhatIsStored) {
  Start();
  Fill("/page", "Cache-Control: max-age=60\nContent-Type: text/plain\n", "0123456789");
  FakeExchange& several = GetRange("bytes=0-1,-2", {}, "/page");
  const std::string answer = Answer(several);
  EXPECT_THAT(answer, StartsWith("206 hit|--"));
  EXPECT_THAT(answer,
              HasSubstr("Content-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Range: bytes 8-9/10\r\n\r\n89\r\n--"));
  EXPECT_THAT(several.Field("content-type"), StartsWith("multipart/byteranges; boundary="));
  EXPECT_EQ(several.Field("content-length"), std::to_string(several.body.size()));
  EXPECT_EQ(several.Field("content-range"), "");
}

TEST_F(RequestSlicesTest, SeveralRangesOfSlices) {
  Start(kSliced);
  FakeExchange& several = GetRange("bytes=0-1,131050-131051");
  AnswerRange();
  EXPECT_EQ(AnswerRange(), "bytes=131040-196559");
  const std::string answer = Answer(several);
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n" + Part(0, 2) + "\r\n--"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n" + Part(131050, 2) + "\r\n--"));
  EXPECT_EQ(several.Field("content-length"), std::to_string(several.body.size()));
}

TEST_F(RequestSlicesTest, SeveralRangesOfABodyThatIsArrivingAreAnsweredByTheWhole) {
  Start("slice = \"0B\"\n");
  FakeExchange& several = GetRange("bytes=0-1,8-9", {}, "/page");
  origin_.Next().Answer("200 OK", kTagged, "0123456789");
  EXPECT_EQ(Answer(several), "200 fwd=uri-miss; fwd-status=200; stored|0123456789");
}

}  // namespace
}  // namespace nearside::edge
