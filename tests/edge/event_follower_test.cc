#include "edge/event_follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/edge/fake_client.h"
#include "tests/edge/fake_store.h"
#include "tests/edge/messages.h"
#include "tests/net/loop_thread.h"

namespace nearside::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Position(uint64_t epoch, uint64_t sequence) {
  return "event: position\ndata: " +
         nlohmann::json({{"epoch", epoch}, {"seq", sequence}, {"type", "position"}}).dump() +
         "\n\n";
}

std::string Event(uint64_t epoch, uint64_t sequence, nlohmann::json what = {{"urls", {"/t"}}}) {
  what["epoch"] = epoch;
  what["seq"] = sequence;
  what["type"] = "purge";
  what["site"] = "demo";
  return "id: " + std::to_string(epoch) + ":" + std::to_string(sequence) +
         "\nevent: purge\ndata: " + what.dump() + "\n\n";
}

/// All calls to the follower and its surroundings are made on its loop.
class EventFollowerTest : public testing::Test {
 protected:
  ~EventFollowerTest() override { Stop(); }

  void Start(storage::LogPosition durable, std::vector<std::string> origins = {"http://a:1"}) {
    store_.position = durable;
    thread_.Call([&] {
      EventFollower::Options options{
          .origins = {}, .token = "secret", .edge = "frankfurt", .report = [] {
            return std::string(R"({"load":0.5})");
          }};
      options.whole_at = whole_at_;
      options.report_every = report_every_;
      for (const std::string& url : origins) {
        options.origins.push_back(http::Endpoint::Parse(url).value());
      }
      follower_ = std::make_unique<EventFollower>(thread_.loop(), client_, store_, options);
      follower_->Start();
    });
  }
  void Stop() {
    thread_.Call([&] { follower_.reset(); });
  }
  /// Waits for the n-th stream (from 1) and answers 200 with `text`.
  void Follow(size_t n, const std::string& text) {
    AwaitStream(n);
    Tell([&](FakeClient::Started& stream) {
      stream.Head(200);
      stream.Body(text);
    });
  }
  void AwaitStream(size_t n) {
    ASSERT_TRUE(thread_.Await([&] { return client_.To("/v1/events").size() >= n; }));
  }
  /// Something arrives on the newest stream.
  void Tell(const std::function<void(FakeClient::Started&)>& what) {
    thread_.Call([&] { what(*client_.To("/v1/events").back()); });
  }
  void Say(const std::string& text) {
    Tell([&](FakeClient::Started& stream) { stream.Body(text); });
  }
  void MakeDurable(size_t n = SIZE_MAX) {
    thread_.Call([&] { store_.MakeDurable(n); });
    thread_.Call([] {});  // behind what that posted
  }
  FollowerState state() {
    return thread_.Call([&] { return follower_->state(); });
  }
  std::vector<std::string> log() {
    return thread_.Call([&] { return store_.log; });
  }
  std::string TargetOfStream(size_t n) {
    AwaitStream(n);
    return thread_.Call([&] { return client_.To("/v1/events")[n - 1]->head.target; });
  }
  std::vector<std::string> Reports() {
    return thread_.Call([&] {
      std::vector<std::string> bodies;
      for (const auto& call : client_.To("/v1/edges/")) bodies.push_back(call->body);
      return bodies;
    });
  }
  void EndReport(size_t n) {
    thread_.Call([&] { client_.To("/v1/edges/")[n]->End(); });
  }

  FakeStore store_;
  FakeClient client_;
  net::LoopThread thread_;
  milliseconds report_every_ = std::chrono::hours(1);
  std::optional<WallTime> whole_at_;
  std::unique_ptr<EventFollower> follower_;
};

TEST_F(EventFollowerTest, AsksForWhatComesAfterItsDurablePosition) {
  Start({4, 7});
  EXPECT_EQ(TargetOfStream(1), "/v1/events?after=4:7");
  const http::RequestHead head = thread_.Call([&] { return client_.To("/v1/events")[0]->head; });
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.scheme, "http");
  EXPECT_EQ(head.authority, "a:1");
  EXPECT_EQ(TextOf(head.fields), "authorization: Bearer secret\naccept: text/event-stream\n");
  EXPECT_FALSE(state().following);
}

TEST_F(EventFollowerTest, ANewEdgeBeginsWhereTheLogStands) {
  Start({0, 0});
  EXPECT_EQ(TargetOfStream(1), "/v1/events");
  Follow(1, Position(4, 41));
  EXPECT_THAT(log(), ElementsAre("all unsure", "advance 4:41"));
  EXPECT_EQ(state().applied.sequence, 0u);
  MakeDurable();
  EXPECT_EQ(state().applied, (storage::LogPosition{4, 41}));
  EXPECT_TRUE(state().following);
}

// Replaced between the look that let it in and the stream's beginning.
TEST_F(EventFollowerTest, AStreamOfAnotherEpochIsAskedForAgain) {
  Start({4, 7});
  Follow(1, Position(5, 3));
  EXPECT_EQ(TargetOfStream(2), "/v1/events?after=4:7");
  EXPECT_THAT(log(), IsEmpty());
  EXPECT_FALSE(state().following);
}

TEST_F(EventFollowerTest, AppliesEventsInOrderEachWithItsPosition) {
  Start({4, 7});
  Follow(1, Position(4, 9) + Event(4, 8, {{"urls", {"/a", "/b"}}}) +
                Event(4, 9, {{"all", true}, {"soft", true}}));
  EXPECT_THAT(log(), ElementsAre("purge 2 hard 4:8", "purge 1 soft 4:9"));
  EXPECT_EQ(state().applied.sequence, 7u);
  MakeDurable(1);
  EXPECT_EQ(state().applied.sequence, 8u);
  MakeDurable();
  EXPECT_EQ(state().applied.sequence, 9u);
  EXPECT_EQ(state().events_applied, 2u);
  EXPECT_EQ(state().log, (storage::LogPosition{4, 9}));
}

TEST_F(EventFollowerTest, AnyCutOfTheStreamGivesTheSame) {
  Start({4, 7});
  AwaitStream(1);
  const std::string text = Position(4, 9) + Event(4, 8) + ": heartbeat\n\n" + Event(4, 9);
  Tell([&](FakeClient::Started& stream) {
    stream.Head(200);
    for (char c : text) stream.Body(std::string(1, c));
  });
  EXPECT_THAT(log(), ElementsAre("purge 1 hard 4:8", "purge 1 hard 4:9"));
}

TEST_F(EventFollowerTest, WhatIsToldTwiceIsAppliedOnce) {
  Start({4, 7});
  Follow(1, Event(4, 6) + Event(4, 7) + Event(4, 8) + Event(4, 8) + Event(4, 9));
  EXPECT_THAT(log(), ElementsAre("purge 1 hard 4:8", "purge 1 hard 4:9"));
  EXPECT_EQ(state().reconnects, 0u);
}

TEST_F(EventFollowerTest, AGapIsAskedForAgain) {
  Start({4, 7});
  Follow(1, Event(4, 8) + Event(4, 10) + Event(4, 11));
  EXPECT_THAT(log(), ElementsAre("purge 1 hard 4:8"));
  EXPECT_EQ(state().last_error, "event 10 does not follow 8");
  EXPECT_EQ(state().reconnects, 1u);
  EXPECT_FALSE(state().following);
  EXPECT_EQ(TargetOfStream(2), "/v1/events?after=4:8");
  Follow(2, Event(4, 9) + Event(4, 10));
  EXPECT_THAT(log(), ElementsAre("purge 1 hard 4:8", "purge 1 hard 4:9", "purge 1 hard 4:10"));
  EXPECT_EQ(state().last_error, "");
}

TEST_F(EventFollowerTest, WhatIsNoEventEndsTheStream) {
  for (const std::string& data :
       {std::string("[]"), std::string("{"), std::string("{}"), std::string(R"({"epoch":4})"),
        std::string(R"({"epoch":"4","seq":8})"), std::string(R"({"epoch":4,"seq":-8})"),
        std::string(R"({"epoch":5,"seq":8,"site":"demo"})"), std::string(100'000, '[')}) {
    SCOPED_TRACE(data.substr(0, 50));
    Start({4, 7});
    const size_t streams = thread_.Call([&] { return client_.To("/v1/events").size(); });
    Follow(streams, "data: " + data + "\n\n");
    EXPECT_EQ(state().reconnects, 1u);
    EXPECT_THAT(log(), IsEmpty());
    Stop();
  }
}

TEST_F(EventFollowerTest, ATypeThatIsNoTextIsNoHarm) {
  Start({4, 7});
  Follow(1, R"(data: {"epoch":4,"seq":8,"type":7,"site":"demo","all":true})"
            "\n\n");
  EXPECT_THAT(log(), ElementsAre("purge 1 hard 4:8"));
}

TEST_F(EventFollowerTest, WhatItCannotReadMakesEverythingStale) {
  Start({4, 7});
  Follow(1, R"(data: {"epoch":4,"seq":8,"type":"purge","site":"demo","urls":"all of them"})"
            "\n\n" +
                Event(4, 9));
  EXPECT_THAT(log(), ElementsAre("all unsure", "advance 4:8", "purge 1 hard 4:9"));
}

TEST_F(EventFollowerTest, AnEventThatNamesNothingMovesThePositionAlone) {
  Start({4, 7});
  Follow(1, Event(4, 8, nlohmann::json::object()));
  EXPECT_THAT(log(), ElementsAre("advance 4:8"));
}

TEST_F(EventFollowerTest, A410MakesEverythingStaleAndBeginsAnew) {
  Start({4, 7});
  AwaitStream(1);
  Tell([](FakeClient::Started& stream) {
    stream.Head(410);
    stream.Body(R"({"epoch":5,"seq":3,)");
    stream.Body(R"("reason":"unknown_epoch"})");
    stream.End();
  });
  EXPECT_THAT(log(), ElementsAre("all unsure", "advance 5:3"));
  EXPECT_EQ(TargetOfStream(2), "/v1/events?after=5:3");
  Follow(2, Position(5, 3) + Event(5, 4));
  EXPECT_THAT(log(), ElementsAre("all unsure", "advance 5:3", "purge 1 hard 5:4"));
  MakeDurable();
  EXPECT_EQ(state().applied, (storage::LogPosition{5, 4}));
  EXPECT_EQ(state().log_cuts, 1u);
  EXPECT_EQ(state().reconnects, 0u);
}

TEST_F(EventFollowerTest, A410ThatTellsNoPositionIsAFailure) {
  for (const char* problem : {"", "gone", R"({"epoch":5})", R"({"epoch":5,"seq":"3"})"}) {
    Start({4, 7});
    const size_t streams = thread_.Call([&] { return client_.To("/v1/events").size(); });
    AwaitStream(streams);
    Tell([&](FakeClient::Started& stream) {
      stream.Head(410);
      stream.Body(problem);
      stream.End();
    });
    EXPECT_EQ(state().last_error, "410 without epoch and seq");
    EXPECT_THAT(log(), IsEmpty());
    Stop();
  }
}

TEST_F(EventFollowerTest, A410WithAReasonThatIsNoTextIsNoHarm) {
  Start({4, 7});
  AwaitStream(1);
  Tell([](FakeClient::Started& stream) {
    stream.Head(410);
    stream.Body(R"({"epoch":5,"seq":3,"reason":[]})");
    stream.End();
  });
  EXPECT_THAT(log(), ElementsAre("all unsure", "advance 5:3"));
}

TEST_F(EventFollowerTest, EachFailureIsTheTurnOfTheNextOrigin) {
  Start({4, 7}, {"http://a:1", "https://b:2"});
  const auto origin_of = [&](size_t n) {
    AwaitStream(n);
    return thread_.Call([&] { return client_.To("/v1/events")[n - 1]->endpoint.ToString(); });
  };
  EXPECT_EQ(origin_of(1), "http://a:1");
  Tell([](FakeClient::Started& stream) { stream.Fail("connect_refused"); });
  EXPECT_EQ(origin_of(2), "https://b:2");
  EXPECT_EQ(state().last_error, "the origin is away (connect_refused)");
  Tell([](FakeClient::Started& stream) {
    stream.Head(401);
    stream.End();
  });
  EXPECT_EQ(state().last_error, "the origin answered 401");
  EXPECT_EQ(origin_of(3), "http://a:1");
  Follow(3, Position(4, 7));
  EXPECT_TRUE(state().following);
  Tell([](FakeClient::Started& stream) { stream.End(); });
  EXPECT_EQ(state().last_error, "the origin ended the stream");
  EXPECT_EQ(origin_of(4), "https://b:2");
  EXPECT_EQ(state().reconnects, 3u);
}

TEST_F(EventFollowerTest, AStreamGivenUpIsGivenUpOnce) {
  Start({4, 7}, {"http://a:1", "http://b:2"});
  AwaitStream(1);
  Tell([](FakeClient::Started& stream) {
    stream.Head(200);
    stream.Body(Event(4, 10));  // a gap
    stream.Body(Event(4, 11));
    stream.End();
  });
  EXPECT_EQ(state().reconnects, 1u);
  AwaitStream(2);
  EXPECT_EQ(thread_.Call([&] { return client_.To("/v1/events")[1]->endpoint.ToString(); }),
            "http://b:2");
}

TEST_F(EventFollowerTest, AnEventWithoutEndIsGivenUp) {
  Start({4, 7});
  Follow(1, "data: " + std::string(EventStreamParser::kLongestEvent, 'x'));
  EXPECT_EQ(state().last_error, "an event is longer than 4 MiB");
  EXPECT_EQ(state().reconnects, 1u);
}

TEST_F(EventFollowerTest, WhatIsDurableIsReportedAtOnce) {
  Start({4, 7});
  Follow(1, Position(4, 8) + Event(4, 8));
  EXPECT_THAT(Reports(), IsEmpty());
  MakeDurable();
  EXPECT_THAT(Reports(), ElementsAre(R"({"epoch":4,"load":0.5,"seq":8})"));
  const http::RequestHead head = thread_.Call([&] { return client_.To("/v1/edges/")[0]->head; });
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/edges/frankfurt");
  EXPECT_EQ(TextOf(head.fields), "authorization: Bearer secret\ncontent-type: application/json\n");
}

TEST_F(EventFollowerTest, OneReportIsUnderWayAndTheNextSaysTheNewest) {
  Start({4, 7});
  Follow(1, Event(4, 8) + Event(4, 9) + Event(4, 10));
  MakeDurable();
  EXPECT_THAT(Reports(), SizeIs(1));
  EndReport(0);
  EXPECT_EQ(Reports().back(), R"({"epoch":4,"load":0.5,"seq":10})");
  EXPECT_THAT(Reports(), SizeIs(2));
  EndReport(1);
  EXPECT_THAT(Reports(), SizeIs(2));
  Say(Event(4, 11));
  MakeDurable();
  EXPECT_THAT(Reports(), SizeIs(3));
  thread_.Call([&] { client_.To("/v1/edges/")[2]->Fail("read_timeout"); });
  Say(Event(4, 12));
  MakeDurable();
  EXPECT_THAT(Reports(), SizeIs(4));
}

TEST_F(EventFollowerTest, ReportsWithoutBeingAsked) {
  report_every_ = milliseconds(100);
  Start({4, 7});
  ASSERT_TRUE(thread_.Await([&] { return !client_.To("/v1/edges/").empty(); }));
  EXPECT_EQ(Reports()[0], R"({"epoch":4,"load":0.5,"seq":7})");
}

TEST_F(EventFollowerTest, IsCaughtUpWhenAllThatTheLogHadIsDurable) {
  Start({4, 7});
  int caught_up = 0;
  thread_.Call([&] { follower_->WhenCaughtUp(std::chrono::hours(1), [&] { ++caught_up; }); });
  const auto count = [&] { return thread_.Call([&] { return caught_up; }); };
  Follow(1, Position(4, 9));
  EXPECT_EQ(count(), 0);
  Say(Event(4, 8));
  MakeDurable();
  EXPECT_EQ(count(), 0);
  Say(Event(4, 9));
  EXPECT_EQ(count(), 0);
  MakeDurable();
  EXPECT_EQ(count(), 1);
  Say(Event(4, 10));
  MakeDurable();
  EXPECT_EQ(count(), 1);
}

TEST_F(EventFollowerTest, IsCaughtUpAtOnceWhenTheLogHasNothingNew) {
  Start({4, 9});
  int caught_up = 0;
  thread_.Call([&] { follower_->WhenCaughtUp(std::chrono::hours(1), [&] { ++caught_up; }); });
  Follow(1, Position(4, 9));
  EXPECT_EQ(thread_.Call([&] { return caught_up; }), 1);
}

TEST_F(EventFollowerTest, PatienceEndsWithoutALog) {
  Start({4, 7});
  bool over = false;
  thread_.Call([&] { follower_->WhenCaughtUp(milliseconds(10), [&] { over = true; }); });
  EXPECT_TRUE(thread_.Await([&] { return over; }));
}

TEST_F(EventFollowerTest, LagIsTheTimeSinceTheLogWasKnownToBeAppliedWhole) {
  Start({4, 7});
  const auto lag_in = [&](seconds later) {
    return thread_.Call([&] {
      return follower_->Lag(thread_.loop().now() + later, thread_.loop().wall_now() + later);
    });
  };
  EXPECT_GE(lag_in(seconds(60)), seconds(60));  // since the start, when it is not known better
  Follow(1, Position(4, 8));
  EXPECT_GE(lag_in(seconds(60)), seconds(60));  // behind, though the stream is open
  Say(Event(4, 8));
  MakeDurable();
  EXPECT_EQ(lag_in(seconds(60)), seconds(0));
  Tell([](FakeClient::Started& stream) { stream.Fail("closed_early"); });
  EXPECT_GE(lag_in(seconds(60)), seconds(60));
  EXPECT_LT(lag_in(seconds(60)), seconds(120));
}

TEST_F(EventFollowerTest, LagIsNotHiddenByAClockThatIsSetBackOrByAMachineThatSleeps) {
  Start({4, 7});
  Follow(1, Position(4, 7));
  Tell([](FakeClient::Started& stream) { stream.Fail("closed_early"); });
  const auto lag = [&](seconds later, seconds later_by_date) {
    return thread_.Call([&] {
      return follower_->Lag(thread_.loop().now() + later,
                            thread_.loop().wall_now() + later_by_date);
    });
  };
  EXPECT_GE(lag(seconds(60), seconds(-7200)), seconds(60));
  EXPECT_GE(lag(seconds(1), seconds(3600)), seconds(3600));
  EXPECT_LT(lag(seconds(1), seconds(3600)), seconds(3660));
}

TEST_F(EventFollowerTest, AStreamThatSaysNothingOfTheLogEndsNoLag) {
  Start({4, 7});
  Follow(1, Position(4, 7));
  const auto lag = [&] {
    return thread_.Call([&] {
      return follower_->Lag(thread_.loop().now() + seconds(60),
                            thread_.loop().wall_now() + seconds(60));
    });
  };
  EXPECT_EQ(lag(), seconds(0));
  Tell([](FakeClient::Started& stream) { stream.Fail("closed_early"); });
  // Another origin, or a hop before it, opens a stream and stalls.
  Follow(2, ": nearside event log\n\n");
  EXPECT_TRUE(state().following);
  EXPECT_GE(lag(), seconds(60)) << "what came meanwhile is not known";
  Tell([&](FakeClient::Started& stream) { stream.Body(Position(4, 7)); });
  EXPECT_EQ(lag(), seconds(0));
}

TEST_F(EventFollowerTest, LagCountsFromWhenTheProcessBeforeThisOneHadTheLogWhole) {
  constexpr auto kDays = std::chrono::hours(72);
  whole_at_ = WallNow() - kDays;
  Start({4, 7});
  const auto lag = [&] {
    return thread_.Call(
        [&] { return follower_->Lag(thread_.loop().now(), thread_.loop().wall_now()); });
  };
  EXPECT_GE(lag(), kDays);
  Follow(1, Position(4, 7));
  EXPECT_EQ(lag(), seconds(0));
  Tell([](FakeClient::Started& stream) { stream.Fail("closed_early"); });
  EXPECT_LT(lag(), seconds(60)) << "from then on it is this one's own";
  Stop();
  whole_at_ = WallNow() + kDays;  // a clock that was set back
  Start({4, 7});
  EXPECT_LT(lag(), seconds(60));
}

TEST_F(EventFollowerTest, HeartbeatsAreContact) {
  Start({4, 7});
  Follow(1, ": nearside event log\n\n");
  EXPECT_GT(ToUnixMillis(state().last_contact), 0);
}

TEST_F(EventFollowerTest, TheStoreMayAnswerAfterItsEnd) {
  Start({4, 7});
  Follow(1, Event(4, 8));
  Stop();
  MakeDurable();
  thread_.Call([&] { EXPECT_TRUE(client_.calls[0]->over()); });
}

}  // namespace
}  // namespace nearside::edge
