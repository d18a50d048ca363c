// What connections that are gone leave of the system's memory.

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "http/session/session_memory.h"
#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

// Sanitizers have memory of this kind themselves, and AddressSanitizer takes nghttp2's.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace nearside::http {
namespace {

/// KiB resident of what the process has mapped without large pages: sessions' frame buffers, and,
/// since Linux 6.7, the stacks of threads.
size_t FrameKib() {
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

TEST(ClosedConnectionsTest, GiveBackTheirFrameBuffersSoon) {
  constexpr size_t kConnections = 60;
  constexpr size_t kPageKib = 4;
  TestServer server;
  std::vector<std::unique_ptr<Http2Peer>> peers;
  for (size_t i = 0; i < kConnections; ++i) {
    peers.push_back(std::make_unique<Http2Peer>(server.Connect()));
    ASSERT_EQ(peers.back()->Get("/").status, 200);
  }
  const size_t peak = FrameKib();
  EXPECT_GE(peak, kConnections * kPageKib);
  peers.clear();
  constexpr size_t kSurplus = kConnections - SessionMemory::kKeptWarm;
  constexpr size_t kStackGrowth = 4;
  const size_t most = peak - (kSurplus - kStackGrowth) * kPageKib;
  const auto patience = std::chrono::steady_clock::now() + seconds(20);
  while (FrameKib() > most && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_LE(FrameKib(), most);
}

}  // namespace
}  // namespace nearside::http

#endif
