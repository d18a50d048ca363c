// How connections end: half-close, close, abort, reset, truncation, and handlers that destroy the
// stream.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include "tests/net/stream_pair.h"

namespace nearside::net {
namespace {

constexpr size_t kMegabyte = size_t{1} << 20;

class StreamEndsTest : public testing::TestWithParam<Transport> {
 protected:
  bool tls() const { return GetParam() == Transport::kTls; }
  StreamServer server_{OptionsOf(GetParam())};
  LoopThread& thread_ = server_.thread();
};

INSTANTIATE_TEST_SUITE_P(Transport, StreamEndsTest, kTransports,
                         [](const auto& test) { return NameOf(test.param); });

TEST_P(StreamEndsTest, AnAnswerFollowsThePeersEnd) {
  server_.on_recorder = [](Recorder* recorder) {
    recorder->then_on_end = [recorder] { recorder->Send("answer to " + recorder->received); };
    recorder->then_on_drained = [recorder] { recorder->stream->Close(); };
  };
  auto peer = server_.Connect();
  peer->Send("question");
  peer->EndSending();
  EXPECT_EQ(peer->ReceiveAll(), "answer to question");
  EXPECT_TRUE(peer->ended_cleanly()) << peer->error();
  Recorder* recorder = server_.Accepted();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "closed");
  EXPECT_EQ(recorder->ends, 1);
}

TEST_P(StreamEndsTest, CloseSendsAllThenEndsCleanly) {
  std::string body = Pattern(4 * kMegabyte);
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] {
    recorder->then_on_produce = [&] {
      if (recorder->sent == body.size()) recorder->stream->Close(seconds(20));
    };
    recorder->Send(body);
  });
  EXPECT_TRUE(peer->ReceiveAll() == body);
  EXPECT_TRUE(peer->ended_cleanly()) << peer->error();
  EXPECT_FALSE(thread_.Call([&] { return recorder->closed.has_value(); }));
  peer->Close();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "closed");
}

TEST_P(StreamEndsTest, EndSendingSendsAllAndGoesOnReading) {
  const std::string body = Pattern(4 * kMegabyte);
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] {
    recorder->then_on_produce = [&] {
      if (recorder->sent == body.size()) recorder->stream->EndSending();
    };
    recorder->Send(body);
  });
  EXPECT_TRUE(peer->ReceiveAll() == body);
  EXPECT_TRUE(peer->ended_cleanly()) << peer->error();
  EXPECT_TRUE(peer->Send("after it"));
  EXPECT_TRUE(thread_.Await([&] { return recorder->received == "after it"; }));
  const int produces = thread_.Call([&] {
    recorder->stream->WantWrite();
    recorder->stream->EndSending();
    return recorder->produces;
  });
  peer->EndSending();
  EXPECT_TRUE(thread_.Await([&] { return recorder->ends == 1; }));
  EXPECT_FALSE(recorder->closed);
  EXPECT_EQ(recorder->produces, produces);
  thread_.Call([&] { recorder->stream->Close(); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "closed");
}

TEST_P(StreamEndsTest, WhatWaitsBehindBothEndsIsReadWhenReadingGoesOn) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] {
    recorder->stream->PauseReading();
    recorder->stream->EndSending();
  });
  EXPECT_EQ(peer->ReceiveAll(), "");
  peer->Send("last words");
  peer->EndSending();
  int turns = 0;  // long enough for the system to report both ends
  EXPECT_TRUE(thread_.Await([&] { return ++turns > 1000; }));
  EXPECT_FALSE(recorder->closed);
  EXPECT_EQ(recorder->ends, 0);
  thread_.Call([&] { recorder->stream->ResumeReading(); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->ends == 1; }));
  EXPECT_EQ(recorder->received, "last words");
}

TEST_P(StreamEndsTest, CloseBeforeAnythingWasSent) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] { recorder->stream->Close(seconds(20)); });
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_TRUE(peer->ended_cleanly()) << peer->error();
  peer->EndSending();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->produces, 0);
}

TEST_P(StreamEndsTest, BytesAfterCloseAreTakenAndDropped) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] { recorder->stream->Close(seconds(20)); });
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_TRUE(peer->Send(Pattern(kMegabyte)));
  peer->EndSending();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "closed");
  EXPECT_EQ(recorder->bytes_calls, 0);
  EXPECT_EQ(recorder->ends, 0);
}

TEST_P(StreamEndsTest, APeerThatDoesNotEndIsLeftAfterTheLinger) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] { recorder->stream->Close(milliseconds(20)); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "closed");
}

TEST_P(StreamEndsTest, APeerThatTakesNothingIsLeftAfterTheLinger) {
  auto peer = server_.Connect({}, 4096);
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] { recorder->Send(Pattern(16 * kMegabyte)); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->stream->unsent_bytes() > 0; }));
  thread_.Call([&] { recorder->stream->Close(milliseconds(20)); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "close_timeout");
  EXPECT_EQ(recorder->closed->fault, Fault::kClient);
}

TEST_P(StreamEndsTest, APeerThatSipsIsNotWaitedForForEver) {
  auto peer = server_.Connect({}, 4096);
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] { recorder->Send(Pattern(16 * kMegabyte)); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->stream->unsent_bytes() > 0; }));
  thread_.Call([&] { recorder->stream->Close(milliseconds(20)); });
  const auto is_closed = [&] { return recorder->closed.has_value(); };
  while (!thread_.Call(is_closed)) {
    peer->Receive(100);
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(recorder->closed->reason, "close_timeout");
}

TEST_P(StreamEndsTest, AbortResetsAndTellsNobody) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] {
    recorder->Send("never leaves");
    recorder->stream->Abort();
  });
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_FALSE(peer->ended_cleanly());
  EXPECT_EQ(recorder->produces, 0);
  EXPECT_FALSE(recorder->closed.has_value());
}

TEST_P(StreamEndsTest, APeersResetIsNamed) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  peer->Reset();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "reset");
  EXPECT_EQ(recorder->closed->fault, Fault::kClient);
  EXPECT_EQ(recorder->ends, 0);
}

TEST_P(StreamEndsTest, AResetIsNoticedWhileReadingIsPaused) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] { recorder->stream->PauseReading(); });
  peer->Send("unread");
  peer->Reset();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "reset");
}

TEST_P(StreamEndsTest, AResetIsNoticedWhileThePeerDoesNotRead) {
  auto peer = server_.Connect({}, 4096);
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] { recorder->Send(Pattern(16 * kMegabyte)); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->stream->unsent_bytes() > 0; }));
  peer->Reset();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "reset");
}

TEST_P(StreamEndsTest, AnEarlyAnswerIsReadBeforeTheBrokenConnectionIsReported) {
  // The peer answers, does not read what we send, and closes: its RST must not hide the answer.
  auto peer = server_.Connect({}, 4096);
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] {
    recorder->stream->SetHandler(nullptr);  // nothing is read for the moment
    recorder->stream->SetHandler(recorder);
  });
  EXPECT_TRUE(peer->Send("early answer"));
  EXPECT_TRUE(thread_.Await([&] { return recorder->received == "early answer"; }));
  thread_.Call([&] { recorder->Send(Pattern(8 * kMegabyte)); });
  peer->Close();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "reset");
}

TEST_P(StreamEndsTest, AnEndWithoutCloseNotifyIsATruncationInTlsAlone) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  peer->Send("half a ");
  peer->EndSocket();
  EXPECT_TRUE(thread_.Await([&] { return recorder->ends == 1 || recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->received, "half a ");
  EXPECT_EQ(recorder->closed.has_value(), tls());
  if (tls()) {
    EXPECT_EQ(recorder->closed->reason, "truncated");
  }
}

TEST_P(StreamEndsTest, DestroyedInOnBytes) {
  server_.on_recorder = [&](Recorder* recorder) {
    recorder->then_on_bytes = [&, recorder] { server_.Destroy(recorder); };
  };
  auto peer = server_.Connect();
  peer->Send(Pattern(100'000));
  peer->ReceiveAll();
  server_.Connect()->Send("the loop goes on");
}

TEST_P(StreamEndsTest, DestroyedInOnEnd) {
  server_.on_recorder = [&](Recorder* recorder) {
    recorder->then_on_end = [&, recorder] { server_.Destroy(recorder); };
  };
  auto peer = server_.Connect();
  peer->Send("last words");
  peer->EndSending();
  EXPECT_EQ(peer->ReceiveAll(), "");
}

TEST_P(StreamEndsTest, DestroyedInProduce) {
  server_.on_recorder = [&](Recorder* recorder) {
    recorder->then_on_produce = [&, recorder] { server_.Destroy(recorder); };
    recorder->Send(Pattern(20'000));
  };
  auto peer = server_.Connect();
  EXPECT_EQ(peer->ReceiveAll(), "");
}

TEST_P(StreamEndsTest, DestroyedInOnDrained) {
  server_.on_recorder = [&](Recorder* recorder) {
    recorder->then_on_drained = [&, recorder] { server_.Destroy(recorder); };
    recorder->Send("whole");
  };
  auto peer = server_.Connect();
  EXPECT_EQ(peer->Receive(5), "whole");
  EXPECT_EQ(peer->ReceiveAll(), "");
}

TEST_P(StreamEndsTest, DestroyedInOnClosed) {
  bool destroyed = false;
  server_.on_recorder = [&](Recorder* recorder) {
    recorder->then_on_closed = [&, recorder] {
      server_.Destroy(recorder);
      destroyed = true;
    };
  };
  server_.Connect()->Reset();
  EXPECT_TRUE(thread_.Await([&] { return destroyed; }));
}

TEST_P(StreamEndsTest, AbortedInOnBytesAndInProduce) {
  server_.on_recorder = [&](Recorder* recorder) {
    recorder->then_on_bytes = [recorder] { recorder->stream->Abort(); };
  };
  auto peer = server_.Connect();
  peer->Send(Pattern(100'000));
  EXPECT_EQ(peer->ReceiveAll(), "");
  thread_.Call([&] {
    server_.on_recorder = [&](Recorder* recorder) {
      recorder->then_on_produce = [recorder] { recorder->stream->Abort(); };
      recorder->Send("never leaves");
    };
  });
  EXPECT_EQ(server_.Connect()->ReceiveAll(), "");
}

TEST_P(StreamEndsTest, DestroyedWithAWriteWantedAndInLinger) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  thread_.Call([&] {
    recorder->Send("wanted");
    server_.Destroy(recorder);
  });
  EXPECT_EQ(peer->ReceiveAll(), "");
  auto second = server_.Connect();
  Recorder* lingering = server_.Accepted(1);
  thread_.Call([&] { lingering->stream->Close(seconds(20)); });
  EXPECT_EQ(second->ReceiveAll(), "");
  thread_.Call([&] { server_.Destroy(lingering); });
}

TEST_P(StreamEndsTest, CallsAfterTheEndDoNothing) {
  auto peer = server_.Connect();
  Recorder* recorder = server_.Accepted();
  peer->Reset();
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  thread_.Call([&] {
    Stream& stream = *recorder->stream;
    stream.WantWrite();
    stream.PauseReading();
    stream.ResumeReading();
    stream.Close();
    stream.Abort();
    EXPECT_EQ(stream.unsent_bytes(), 0u);
    EXPECT_FALSE(stream.local().is_set());
    EXPECT_TRUE(stream.peer().is_set());
  });
}

TEST_P(StreamEndsTest, ALossWithoutAHandlerIsToldToTheNextOne) {
  std::unique_ptr<Stream> stream;
  server_.on_stream = [&](std::unique_ptr<Stream> made) { stream = std::move(made); };
  auto peer = server_.Connect();
  EXPECT_TRUE(thread_.Await([&] { return stream != nullptr; }));
  peer->Reset();
  // The counter of live streams is not public, the number of readable events neither: turns must
  // do.
  for (int i = 0; i < 20; ++i) thread_.Call([] {});
  std::unique_ptr<Recorder> recorder;
  thread_.Call([&] { recorder = std::make_unique<Recorder>(std::move(stream)); });
  EXPECT_TRUE(thread_.Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "reset");
  thread_.Call([&] { recorder.reset(); });
}

}  // namespace
}  // namespace nearside::net
