#include "origin/gate.h"

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

using GateTest = OriginTest;

TEST_F(GateTest, AConnectionServesManyRequests) {
  RawClient client(port());
  for (int i = 0; i < 3; ++i) {
    client.Send(Text("GET /healthz", "", ""));
    EXPECT_EQ(client.Read().status, 200);
  }
  EXPECT_EQ(server_->gate_counters().accepted, 1u);
}

TEST_F(GateTest, WhoChecksByASitesHostIsAnsweredUnlessTheSiteHasSuchAPage) {
  MakeSite();
  EXPECT_EQ(Visit("/healthz").body, "ok\n");
  EXPECT_EQ(Visit("/healthz").Field("nearside-drain"), "0");
  Publish({{"healthz", "a page"}});
  EXPECT_EQ(Visit("/healthz").body, "a page");
}

TEST_F(GateTest, AHeadInAnyPiecesIsTheSameHead) {
  const std::string request = Text("GET /healthz", "x-a: b\r\n", "");
  RawClient client(port());
  for (char c : request) client.Send({&c, 1});
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(GateTest, MalformedRequestsAreRefusedAndTheConnectionClosed) {
  const std::pair<std::string, int> rows[] = {
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},  // no Host
      {"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 501},
      {"GET / HTTP/1.1\nhost: a\n\n", 400},
      {"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nhost: a\r\n\r\n", 414},
      {"GET / HTTP/1.1\r\nhost: a\r\nx: " + std::string(8500, 'a') + "\r\n\r\n", 431},
      {"GET / HTTP/1.1\r\nhost: a\r\nx: " + std::string(20'000, 'a') + "\r\n\r\n", 431},
      {"GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n"s, 400},
  };
  for (const auto& [request, status] : rows) {
    RawClient client(port());
    client.Send(request);
    const Reply reply = client.Read();
    EXPECT_EQ(reply.status, status) << request.substr(0, 70);
    EXPECT_EQ(reply.Field("content-type"), "application/problem+json") << request.substr(0, 70);
    EXPECT_EQ(Json(reply).value("status", 0), status) << reply.body;
    EXPECT_THAT(Json(reply).value("detail", ""), HasSubstr("expected ")) << reply.body;
    EXPECT_TRUE(client.Ends()) << request.substr(0, 70);
  }
  EXPECT_EQ(server_->gate_counters().bad_requests, std::size(rows));
}

TEST_F(GateTest, TooManyFieldsAreRefused) {
  std::string fields;
  for (int i = 0; i < 95; ++i) fields += "x-" + std::to_string(i) + ": 1\r\n";
  const Reply reply = Request("GET /healthz", fields);
  EXPECT_EQ(reply.status, 431);
  EXPECT_EQ(Reason(reply), "too_many_fields");
  EXPECT_THAT(reply.body, HasSubstr("at most 90 fields"));
}

TEST_F(GateTest, IdleConnectionsAndHalfHeadsHoldNoThread) {
  Restart("[threads]\napi = 1\nvisitors = 1\nuploads = 1\n");
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(std::make_unique<RawClient>(port()));
    if (i % 2 == 0) idle.back()->Send("GET / HTTP/1.1\r\nhost: ");
  }
  EXPECT_EQ(Request("GET /healthz", "").status, 200);
  EXPECT_EQ(server_->gate_counters().accepted, 101u);
  EXPECT_GE(server_->gate_counters().open, 100u);
}

TEST_F(GateTest, AHeadThatDoesNotComeInTimeEndsTheConnection) {
  Restart("[limits]\nhead_timeout = \"2s\"\n");
  RawClient client(port());
  client.Send("GET / HTTP/1.1\r\nhost: ");
  EXPECT_TRUE(client.Ends());
  EXPECT_EQ(server_->gate_counters().timeouts, 1u);
}

TEST_F(GateTest, AnIdleConnectionEndsAfterItsTime) {
  Restart("[limits]\nidle_timeout = \"100ms\"\n");
  RawClient client(port());
  client.Send(Text("GET /healthz", "", ""));
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_TRUE(client.Ends());
  EXPECT_EQ(server_->gate_counters().timeouts, 0u);
}

TEST_F(GateTest, ConnectionsAreLimited) {
  Restart("[limits]\nconnections = 8\n");
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->Send(Text("GET /healthz", "", ""));
    EXPECT_EQ(clients.back()->Read().status, 200);
  }
  RawClient refused(port());
  EXPECT_TRUE(refused.Ends());
  EXPECT_EQ(server_->gate_counters().refused_full, 1u);
}

TEST_F(GateTest, PipelinedRequestsAreAnsweredInOrder) {
  MakeSite();
  const std::string token = "authorization: Bearer " + std::string(kAdminToken) + "\r\n";
  RawClient client(port());
  client.Send(Text("PUT /v1/sites/demo/assets/a", token, "content") +
              Text("GET /v1/sites/demo/assets/a", token, "") + Text("GET /healthz", "", ""));
  EXPECT_EQ(client.Read().status, 201);
  EXPECT_EQ(client.Read().body, "content");
  EXPECT_EQ(client.Read().body, "ok\n");
}

TEST_F(GateTest, APipelinedRequestBehindChunksIsAskedForAgain) {
  MakeSite();
  RawClient client(port());
  client.Send("PUT /v1/sites/demo/assets/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
              std::string(kAdminToken) +
              "\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" +
              Text("GET /healthz", "", ""));
  const Reply first = client.Read();
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(first.Field("connection"), "Close");
  EXPECT_TRUE(client.Ends());
}

TEST_F(GateTest, NoByteOfAHeadBecomesContent) {
  MakeSite();
  const std::string token = "authorization: Bearer " + std::string(kAdminToken) + "\r\n";
  struct Row {
    std::string before, fields;
  };
  std::vector<Row> rows = {{"", "x-a: \xff\xff\r\n"},
                           {"", "x-a: \xff\r\nx-b: \xff\xff\xff\xff\r\n"},
                           {"\r\n", ""},
                           {"\r\n\r\n", ""}};
  for (size_t line = 4088; line <= 4100; ++line) {
    rows.push_back({"", "x: " + std::string(line - 3, 'a') + "\r\n"});
  }
  int number = 0;
  for (const Row& row : rows) {
    const std::string content = "content " + std::to_string(++number);
    RawClient client(port());
    client.Send(row.before + Text("PUT /v1/sites/demo/assets/a", token + row.fields, content));
    EXPECT_EQ(client.Read().status / 100, 2) << number;
    client.Send(Text("GET /v1/sites/demo/assets/a", token, ""));
    EXPECT_EQ(client.Read().body, content);
    EXPECT_EQ(Visit("/a").body, content);
  }
}

TEST_F(GateTest, ASmallUnreadContentKeepsTheConnection) {
  RawClient client(port());
  client.Send(Text("POST /v1/purge", "", std::string(1000, 'x')));  // no token: not read
  EXPECT_EQ(client.Read().status, 401);
  client.Send(Text("GET /healthz", "", ""));
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(GateTest, AnAnswerWaitsForNoContentThatNobodyReads) {
  Restart("[threads]\napi = 2\n");
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->Send("POST /v1/purge HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n");
  }
  EXPECT_EQ(Request("GET /healthz", "").status, 200);
  for (auto& client : clients) {
    const Reply reply = client->Read();
    ASSERT_EQ(reply.status, 401);
    EXPECT_EQ(reply.Field("connection"), "Close");
  }
}

TEST_F(GateTest, AFastSenderBehindARefusalIsCutOff) {
  RawClient client(port());
  client.Send("nonsense\r\n\r\n");
  const std::string piece(1 << 20, 'x');
  int taken = 0;
  while (taken < 200 && client.Send(piece)) ++taken;
  EXPECT_LT(taken, 200);
  EXPECT_EQ(Request("GET /healthz", "").status, 200);
}

TEST_F(GateTest, ALargeUnreadContentEndsTheConnectionAfterTheAnswer) {
  RawClient client(port());
  client.Send("PUT /v1/blobs/x HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n");
  client.Send(std::string(100'000, 'x'));
  EXPECT_EQ(client.Read().status, 401);  // and not a reset before it
  EXPECT_TRUE(client.Ends());
}

TEST_F(GateTest, AnOldClientIsServedAndItsConnectionEnds) {
  RawClient client(port());
  client.Send("GET /healthz HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n");
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_TRUE(client.Ends());
}

TEST_F(GateTest, AClientThatSendsItsEndIsStillAnswered) {
  RawClient client(port());
  client.Send(Text("GET /healthz", "", ""));
  client.EndSending();
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(GateTest, ASlowUploadIsCutOff) {
  Restart("[limits]\nbody_timeout = \"100ms\"\n");
  MakeSite();
  RawClient client(port());
  client.Send("PUT /v1/sites/demo/assets/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
              std::string(kAdminToken) + "\r\ncontent-length: 10\r\n\r\nhalf");
  const Reply reply = client.Read();
  EXPECT_EQ(reply.status, 408);
  EXPECT_EQ(Reason(reply), "body_timeout");
}

TEST_F(GateTest, WhoWaitedForAContinueThatNeverCameAsksAnewElsewhere) {
  MakeSite();
  const auto upload = [](size_t length) {
    return "PUT /v1/sites/demo/assets/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
           std::string(kAdminToken) +
           "\r\nexpect: 100-continue\r\ncontent-length: " + std::to_string(length) + "\r\n\r\n";
  };
  RawClient empty(port());
  empty.Send(upload(0));
  const Reply reply = empty.Read();
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.Field("connection"), "Close");
  EXPECT_TRUE(empty.Ends());
  RawClient full(port());
  full.Send(upload(4));
  EXPECT_EQ(full.Read().status, 100);
  full.Send("text");
  EXPECT_EQ(full.Read().Field("connection"), "Keep-Alive");
}

TEST_F(GateTest, UploadsThatWaitDoNotKeepVisitorsWaiting) {
  Restart("[threads]\nuploads = 4\n[limits]\nqueue = 4\n");  // half of them for one client
  MakeSite();
  Publish({{"index.html", "home"}});
  const std::string upload =
      "PUT /v1/sites/demo/assets/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
      std::string(kAdminToken) + "\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n";
  std::vector<std::unique_ptr<RawClient>> uploads;
  for (int i = 0; i < 2; ++i) {
    uploads.push_back(std::make_unique<RawClient>(port()));
    uploads.back()->Send(upload);
    EXPECT_EQ(uploads.back()->Read().status, 100);  // now it holds a thread
  }
  const uint64_t accepted = server_->gate_counters().accepted;
  for (int i = 0; i < 2; ++i) {
    uploads.push_back(std::make_unique<RawClient>(port()));
    uploads.back()->Send(upload);
  }
  while (server_->gate_counters().accepted < accepted + 2) std::this_thread::yield();
  EXPECT_EQ(Visit("/").body, "home");
  RawClient over(port());
  over.Send(upload);
  const Reply busy = over.Read();
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(Reason(busy), "busy");
  EXPECT_EQ(busy.Field("retry-after"), "1");
  EXPECT_EQ(node_->counters.refused_busy.load(), 1u);
  for (int i = 0; i < 4; ++i) {
    RawClient& upload_client = *uploads[static_cast<size_t>(i)];
    const int before = i < 2 ? 100 : upload_client.Read().status;
    EXPECT_EQ(before, 100);
    upload_client.Send("0123456789");
    EXPECT_EQ(upload_client.Read().status / 100, 2);
  }
}

// Of threads and queue one client has half, whatever it sends.
TEST_F(GateTest, AThousandSlowUploadsOfOneClientLeaveRoomForOthers) {
  Restart("[threads]\nuploads = 4\n[limits]\nqueue = 100\n");
  MakeSite();
  const std::string upload =
      "PUT /v1/sites/demo/assets/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
      std::string(kAdminToken) + "\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n";
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 1000; ++i) {
    slow.push_back(std::make_unique<RawClient>(port()));
    ASSERT_TRUE(slow.back()->Send(upload));
  }
  // Two hold threads, fifty wait, the others are refused.
  constexpr uint64_t kRefused = 1000 - 2 - 50;
  while (node_->counters.refused_busy.load() < kRefused) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) {
    RawClient other(port(), 2);
    other.Send(upload);
    ASSERT_EQ(other.Read().status, 100) << "the other threads are for others";
    other.Send("x");
    EXPECT_EQ(other.Read().status / 100, 2);
  }
  EXPECT_EQ(Admin("GET /v1/sites/demo/assets/a").body, "x");
  EXPECT_EQ(node_->counters.refused_busy.load(), kRefused);
}

TEST_F(GateTest, DrainingLetsWhatRunsFinishAndAcceptsNothingNew) {
  MakeSite();
  RawClient idle(port());
  idle.Send(Text("GET /healthz", "", ""));
  EXPECT_EQ(idle.Read().status, 200);
  RawClient upload(port());
  upload.Send("PUT /v1/sites/demo/assets/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
              std::string(kAdminToken) + "\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
  EXPECT_EQ(upload.Read().status, 100);
  const uint16_t old_port = port();
  node_->draining = true;
  server_->Drain();
  EXPECT_TRUE(idle.Ends());
  EXPECT_EQ(Ask(old_port, Text("GET /healthz", "", "")).status, 0);
  EXPECT_FALSE(server_->idle());
  upload.Send("done");
  const Reply reply = upload.Read();
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.Field("connection"), "Close");
  while (!server_->idle()) std::this_thread::yield();
  EXPECT_TRUE(upload.Ends());
}

TEST_F(GateTest, WhatDoesNotFinishIsCutOffAndNothingIsStored) {
  MakeSite();
  RawClient upload(port());
  upload.Send("PUT /v1/sites/demo/assets/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
              std::string(kAdminToken) + "\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
  EXPECT_EQ(upload.Read().status, 100);
  Restart();  // would wait 30 s for the body otherwise
  EXPECT_TRUE(upload.Ends());
  EXPECT_EQ(Admin("GET /v1/sites/demo/assets/a").status, 404);
}

TEST_F(GateTest, AReceiptIsAnsweredThoughTheQueueIsFull) {
  Restart("[threads]\napi = 1\n[limits]\nqueue = 1\n");
  MakeSite();
  const storage::LogPosition first = node_->metadata->Log()->last;
  ASSERT_TRUE(node_->fleet.Report("tokyo", first, "{}", WallNow()));
  const std::string token = "authorization: Bearer " + std::string(kAdminToken) + "\r\n";
  RawClient waiting(port());
  waiting.Send(Text("POST /v1/purge?wait=60s", token, R"({"site":"demo","all":true})"));
  while (!node_->fleet.waiting()) std::this_thread::yield();
  RawClient at_work(port());
  const std::string purge = R"({"site":"demo","all":true})";
  at_work.Send("POST /v1/purge HTTP/1.1\r\nhost: a\r\n" + token +
               "expect: 100-continue\r\ncontent-length: " + std::to_string(purge.size()) +
               "\r\n\r\n");
  EXPECT_EQ(at_work.Read().status, 100);
  // One of these two is queued, the other refused: the queue is full.
  RawClient third(port());
  RawClient fourth(port());
  third.Send(Text("GET /healthz", "", ""));
  fourth.Send(Text("GET /healthz", "", ""));
  while (node_->counters.refused_busy.load() == 0) std::this_thread::yield();
  const storage::LogPosition last = node_->metadata->Log()->last;
  ASSERT_TRUE(node_->fleet.Report("tokyo", last, "{}", WallNow()));
  at_work.Send(purge);
  EXPECT_EQ(at_work.Read().status, 200);
  const Reply receipt = waiting.Read();
  EXPECT_EQ(receipt.status, 200);
  EXPECT_EQ(Json(receipt)["complete"], true) << receipt.body;
  EXPECT_EQ(third.Read().status + fourth.Read().status, 200 + 503);
}

/// A gate alone, whose thread the test can hold inside a request.
class HeldGateTest : public testing::Test {
 protected:
  void Open(const GateOptions& options) {
    gate_ = Gate::Open({*net::SocketAddress::Parse("127.0.0.1:0")}, options,
                       [this](std::unique_ptr<Conversation> conversation) {
                         const size_t number = requests_.fetch_add(1);
                         if (number == 0) released_.get_future().wait();
                         conversations_.push_back(std::move(conversation));
                       })
                .value();
    gate_->Start();
  }
  void TearDown() override { gate_.reset(); }
  uint16_t port() const { return gate_->addresses().front().port(); }
  void WaitForRequests(size_t number) {
    while (requests_.load() < number) std::this_thread::yield();
  }
  std::promise<void> released_;
  std::atomic<size_t> requests_{0};
  std::vector<std::unique_ptr<Conversation>> conversations_;  ///< the gate's thread
  std::unique_ptr<Gate> gate_;
};

TEST_F(HeldGateTest, ATimerThatIsDueInTheTurnOfAnEventFindsNobody) {
  constexpr milliseconds kTimeout{3000};
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
  Open({.head_timeout = kTimeout, .idle_timeout = kTimeout});
  RawClient leaves(port());
  RawClient asks(port());
  asks.Send(kRequest.substr(0, 10));  // the rest of a head does not begin its time anew
  while (gate_->counters().accepted < 2) std::this_thread::yield();
  RawClient holds(port());
  holds.Send(kRequest);
  WaitForRequests(1);
  // In the next turn both have an event, and then both their timers are due.
  leaves.EndSending();
  asks.Send(kRequest.substr(10));
  std::this_thread::sleep_for(kTimeout + milliseconds(500));
  released_.set_value();
  WaitForRequests(2);
  RawClient next(port());
  next.Send(kRequest);
  WaitForRequests(3);
  EXPECT_TRUE(leaves.Ends());
  EXPECT_EQ(gate_->counters().open, 3u);
  EXPECT_EQ(gate_->counters().timeouts, 0u);
}

TEST(ConversationTest, AnAnswerAtOnceWaitsForNobody) {
  Poco::Net::ServerSocket listening(Poco::Net::SocketAddress("127.0.0.1", 0));
  Poco::Net::StreamSocket client(listening.address());
  Poco::Net::StreamSocket socket = listening.acceptConnection();
  Conversation::Head head;
  head.request.method = "GET";
  Conversation conversation(socket, std::move(head), {.send_timeout = seconds(3600)});
  const std::string text(64 << 10, 'x');
  while (::send(socket.impl()->sockfd(), text.data(), text.size(), MSG_DONTWAIT) > 0) {
  }
  conversation.RespondAtOnce(TextAnswer(503, "busy"));
  EXPECT_EQ(conversation.sent_bytes(), 0u);
  EXPECT_EQ(conversation.afterwards(), Afterwards::kLinger);
}

TEST_F(GateTest, ABusyAddressIsTheOperatorsFault) {
  auto second = ApiServer::Open(*node_, {server_->addresses().front()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "address_in_use");
  EXPECT_EQ(second.error().fault, Fault::kOperator);
  EXPECT_THAT(second.error().message, HasSubstr(server_->addresses().front().ToString()));
}

}  // namespace
}  // namespace nearside::origin::test
