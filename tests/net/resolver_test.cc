#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <map>
#include <optional>
#include <thread>

#include "net/descriptor.h"
#include "tests/net/loop_thread.h"

namespace nearside::net {
namespace {

/// A name server of a few dozen lines on loopback: A and AAAA records from a table, all else
/// NXDOMAIN.
class NameServer {
 public:
  struct Records {
    std::vector<std::string> addresses;
    uint32_t ttl = 60;
    bool silent = false;  // no answer at all
    uint8_t rcode = 0;    // 2: SERVFAIL
  };

  explicit NameServer(std::map<std::string, Records> zone) : zone_(std::move(zone)) {
    socket_ = Descriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    auto any = *SocketAddress::Parse("127.0.0.1:0");
    bind(socket_.get(), any.get(), any.length());
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&storage), &length);
    address_ = SocketAddress(reinterpret_cast<sockaddr*>(&storage), length);
    thread_ = std::thread([this] { Serve(); });
  }
  ~NameServer() {
    // An empty datagram ends it.
    sendto(socket_.get(), "", 0, 0, address_.get(), address_.length());
    thread_.join();
  }
  std::string address() const { return address_.ToString(); }
  int queries() const { return queries_; }

 private:
  void Serve() {
    for (;;) {
      char query[1500];
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      auto* sender = reinterpret_cast<sockaddr*>(&from);
      ssize_t size = recvfrom(socket_.get(), query, sizeof query, 0, sender, &length);
      if (size < 17) return;
      std::string answer = Answer(std::string(query, static_cast<size_t>(size)));
      if (!answer.empty()) sendto(socket_.get(), answer.data(), answer.size(), 0, sender, length);
    }
  }

  std::string Answer(const std::string& query) {
    ++queries_;
    std::string name;
    size_t at = 12;
    for (auto label = static_cast<size_t>(query[at]); label != 0;
         label = static_cast<size_t>(query[at])) {
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, label);
      at += 1 + label;
    }
    int type = query[at + 2];
    std::string question = query.substr(12, at + 5 - 12);
    auto found = zone_.find(name);
    if (found != zone_.end() && found->second.silent) return "";
    uint8_t rcode = found == zone_.end() ? 3 : found->second.rcode;
    std::string records;
    char count = 0;
    if (found != zone_.end()) {
      for (const std::string& text : found->second.addresses) {
        auto address = *SocketAddress::FromLiteral(text, 0);
        bool v4 = address.family() == AF_INET;
        if (type != (v4 ? 1 : 28)) continue;
        ++count;
        records +=
            std::string("\xc0\x0c\x00", 3) + static_cast<char>(type) + std::string("\x00\x01", 2);
        for (int shift : {24, 16, 8, 0}) {
          records += static_cast<char>(found->second.ttl >> shift & 0xff);
        }
        records += std::string("\x00", 1) + static_cast<char>(address.bytes().size());
        records += address.bytes();
      }
    }
    std::string head = query.substr(0, 2) + "\x81" + static_cast<char>(0x80 | rcode) +
                       std::string("\x00\x01\x00", 3) + count + std::string(4, '\0');
    return head + question + records;
  }

  std::map<std::string, Records> zone_;
  Descriptor socket_;
  SocketAddress address_;
  std::atomic<int> queries_ = 0;
  std::thread thread_;
};

class ResolverTest : public testing::Test {
 protected:
  using Answer = Result<std::vector<SocketAddress>>;

  ResolverTest() { Make(seconds(10)); }
  ~ResolverTest() override {
    thread_.Call([this] { resolver_.reset(); });
  }
  void Make(milliseconds timeout) {
    thread_.Call([&] {
      resolver_ = std::move(*Resolver::Create(
          thread_.loop(), {.servers = server_.address(), .timeout = timeout, .tries = 1}));
    });
  }

  Answer Resolve(const std::string& host, uint16_t port = 80) {
    std::optional<Answer> answer;
    thread_.Call([&] {
      resolver_->Resolve(host, port, [&](Answer found) { answer = std::move(found); });
      EXPECT_FALSE(answer.has_value()) << "called from inside the call";
    });
    EXPECT_TRUE(thread_.Await([&] { return answer.has_value(); }));
    return *answer;
  }

  std::string Text(const std::string& host) {
    Answer answer = Resolve(host);
    if (!answer) return answer.error().reason;
    std::vector<std::string> sorted;
    for (const auto& address : *answer) sorted.push_back(address.ToString());
    std::sort(sorted.begin(), sorted.end());
    std::string text;
    for (const auto& one : sorted) text += (text.empty() ? "" : " ") + one;
    return text;
  }

  NameServer server_{{
      {"v4.test", {{"192.0.2.1", "192.0.2.2"}}},
      {"v6.test", {{"2001:db8::1"}}},
      {"both.test", {{"192.0.2.1", "2001:db8::1"}}},
      {"empty.test", {{}}},
      {"short.test", {{"192.0.2.1"}, 0}},
      {"silent.test", {{}, 0, true}},
      {"broken.test", {{}, 0, false, 2}},
  }};
  LoopThread thread_;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, LiteralsAreAnsweredWithoutAQuery) {
  EXPECT_EQ(Text("127.0.0.1"), "127.0.0.1:80");
  EXPECT_EQ(Text("::1"), "[::1]:80");
  EXPECT_EQ(server_.queries(), 0);
}

TEST_F(ResolverTest, BothFamiliesAreAnswered) {
  EXPECT_EQ(Text("v4.test"), "192.0.2.1:80 192.0.2.2:80");
  EXPECT_EQ(Text("v6.test"), "[2001:db8::1]:80");
  EXPECT_EQ(Text("both.test"), "192.0.2.1:80 [2001:db8::1]:80");
}

TEST_F(ResolverTest, AnAnswerIsKeptForItsTtlForEveryPort) {
  EXPECT_EQ(Text("v4.test"), "192.0.2.1:80 192.0.2.2:80");
  int queries = server_.queries();
  EXPECT_EQ(Resolve("V4.test.", 443)->front().port(), 443);
  EXPECT_EQ(Text("v4.test"), "192.0.2.1:80 192.0.2.2:80");
  EXPECT_EQ(server_.queries(), queries);
}

TEST_F(ResolverTest, ATtlOfZeroIsKeptForASecond) {
  MonoTime asked = MonoNow();
  EXPECT_EQ(Text("short.test"), "192.0.2.1:80");
  int queries = server_.queries();
  EXPECT_EQ(Text("short.test"), "192.0.2.1:80");
  // On a machine that slept in between nothing can be said.
  if (MonoNow() - asked < milliseconds(500)) {
    EXPECT_EQ(server_.queries(), queries);
  }
  std::promise<void> later;
  std::unique_ptr<Timer> timer;
  thread_.Call([&] {
    timer = std::make_unique<Timer>(thread_.loop(), [&] { later.set_value(); });
    timer->Arm(milliseconds(1010));
  });
  later.get_future().wait();
  thread_.Call([&] { timer.reset(); });
  EXPECT_EQ(Text("short.test"), "192.0.2.1:80");
  EXPECT_GT(server_.queries(), queries);
}

TEST_F(ResolverTest, FailuresAreNamedAndKept) {
  EXPECT_EQ(Text("empty.test"), "no_such_name");
  EXPECT_EQ(Text("broken.test"), "resolve_failed");
  MonoTime asked = MonoNow();
  EXPECT_EQ(Text("absent.test"), "no_such_name");
  int queries = server_.queries();
  EXPECT_EQ(Text("absent.test"), "no_such_name");
  // Kept for a second: on a machine that slept in between nothing can be said.
  if (MonoNow() - asked < milliseconds(500)) {
    EXPECT_EQ(server_.queries(), queries);
  }
  Answer answer = Resolve("absent.test");
  EXPECT_EQ(answer.error().fault, Fault::kOrigin);
  EXPECT_THAT(answer.error().message, testing::HasSubstr("absent.test"));
}

TEST_F(ResolverTest, ASilentServerIsATimeout) {
  Make(milliseconds(100));
  EXPECT_EQ(Text("silent.test"), "resolve_timeout");
}

TEST_F(ResolverTest, NamesThatAreNoneFail) {
  for (const std::string& name :
       {std::string(), std::string(300, 'a'), std::string("a..b"), std::string(".")}) {
    EXPECT_FALSE(Resolve(name).has_value()) << name;
  }
}

TEST_F(ResolverTest, QuestionsAtTheSameTimeShareAQuery) {
  int answers = 0;
  thread_.Call([&] {
    for (int i = 0; i < 10; ++i) {
      resolver_->Resolve("v6.test", static_cast<uint16_t>(i), [&, i](Answer answer) {
        EXPECT_EQ(answer->front().port(), i);
        ++answers;
      });
    }
  });
  EXPECT_TRUE(thread_.Await([&] { return answers == 10; }));
  EXPECT_LE(server_.queries(), 2);  // A and AAAA
}

TEST_F(ResolverTest, NothingIsCalledAfterItsEnd) {
  int calls = 0;
  thread_.Call([&] {
    resolver_->Resolve("silent.test", 80, [&](Answer) { ++calls; });
    resolver_->Resolve("127.0.0.1", 80, [&](Answer) { ++calls; });
    resolver_.reset();
  });
  for (int i = 0; i < 20; ++i) thread_.Call([] {});
  EXPECT_EQ(calls, 0);
}

TEST_F(ResolverTest, ItMayBeDestroyedByAnAnswer) {
  bool called = false;
  thread_.Call([&] {
    for (int i = 0; i < 3; ++i) {
      resolver_->Resolve("127.0.0.1", 80, [&](Answer) {
        EXPECT_FALSE(called);
        called = true;
        resolver_.reset();
      });
    }
  });
  EXPECT_TRUE(thread_.Await([&] { return called; }));
}

TEST(ResolverSetupTest, FollowsTheHostsFile) {
  LoopThread thread;
  std::unique_ptr<Resolver> resolver;
  std::optional<Result<std::vector<SocketAddress>>> answer;
  thread.Call([&] {
    resolver = std::move(*Resolver::Create(thread.loop()));
    resolver->Resolve("localhost", 80, [&](auto found) { answer = std::move(found); });
  });
  EXPECT_TRUE(thread.Await([&] { return answer.has_value(); }));
  ASSERT_TRUE(answer->has_value()) << answer->error().ToString();
  for (const auto& address : **answer) EXPECT_TRUE(address.IsLoopback()) << address.ToString();
  thread.Call([&] { resolver.reset(); });
}

TEST(ResolverSetupTest, AWrongListOfServersIsRefused) {
  auto loop = std::move(*EventLoop::Create());
  auto resolver = Resolver::Create(*loop, {.servers = "not an address"});
  ASSERT_FALSE(resolver.has_value());
  EXPECT_EQ(resolver.error().reason, "bad_address");
}

}  // namespace
}  // namespace nearside::net
