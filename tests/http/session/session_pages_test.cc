// What connections that are gone, and those that rest, have of the system's memory.

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http/session/page_pool.h"
#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

// Sanitizers have memory of this kind themselves, and AddressSanitizer takes nghttp2's.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace nearside::http {
namespace {

/// KiB resident of what the process has mapped without large pages: sessions' frame buffers and
/// tables of streams, and, since Linux 6.7, the stacks of threads.
size_t PoolKib() {
  std::ifstream maps("/proc/self/smaps");
  size_t resident = 0;
  size_t sum = 0;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "Rss:") words >> resident;
    if (name != "VmFlags:") continue;
    for (std::string flag; words >> flag;) sum += flag == "nh" ? resident : 0;
  }
  return sum;
}

constexpr size_t kConnections = 60;
constexpr size_t kPageKib = PagePool::kPageBytes / 1024;
/// A page of its frame buffer, and its table of streams.
constexpr size_t kKibEach = 2 * kPageKib;
/// What the threads' stacks may grow by.
constexpr size_t kStackKib = 32;

class SessionPagesTest : public testing::Test {
 protected:
  SessionPagesTest() {
    server_.on_request = [this](Exchange& exchange) {
      exchange.SetHandler(std::make_unique<LoggingHandler>(server_.NewLog()));
      waiting_.push_back(&exchange);
    };
    for (size_t i = 0; i < kConnections; ++i) {
      peers_.push_back(std::make_unique<Http2Peer>(server_.Connect()));
    }
  }
  /// No connection rests until it has its answer.
  void AskOnEach() {
    streams_.clear();
    for (const auto& peer : peers_) streams_.push_back(peer->Ask("GET", "/"));
    ASSERT_TRUE(server_.Await([this] { return waiting_.size() == kConnections; }));
  }
  void AnswerAll() {
    server_.Call([this] {
      for (Exchange* exchange : std::exchange(waiting_, {})) {
        exchange->Respond(204, {}, {}, nullptr);
      }
    });
    for (size_t i = 0; i < kConnections; ++i) {
      ASSERT_EQ(peers_[i]->AwaitEnd(streams_[i]).status, 204);
    }
  }
  static bool AwaitAtMost(size_t kib) {
    const auto patience = std::chrono::steady_clock::now() + seconds(20);
    while (PoolKib() > kib && std::chrono::steady_clock::now() < patience) {
      std::this_thread::sleep_for(milliseconds(50));
    }
    return PoolKib() <= kib;
  }

  const size_t before_ = PoolKib();
  TestServer server_;
  std::vector<Exchange*> waiting_;
  std::vector<std::unique_ptr<Http2Peer>> peers_;
  std::vector<int32_t> streams_;
};

TEST_F(SessionPagesTest, ThoseOfClosedConnectionsAreGivenBackSoon) {
  AskOnEach();
  EXPECT_GE(PoolKib(), before_ + kConnections * kPageKib) << "their tables at least";
  peers_.clear();
  EXPECT_TRUE(AwaitAtMost(before_ + PagePool::kKeptWarm * kKibEach + kStackKib));
}

TEST_F(SessionPagesTest, ConnectionsThatRestHaveNone) {
  for (int round = 0; round < 2; ++round) {  // and take them again when they are asked
    AskOnEach();
    EXPECT_GE(PoolKib(), before_ + kConnections * kPageKib) << "their tables at least";
    AnswerAll();
    EXPECT_TRUE(AwaitAtMost(before_ + kStackKib));
  }
}

}  // namespace
}  // namespace nearside::http

#endif
