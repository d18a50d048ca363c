#include "geodns/health_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "http/session/server.h"
#include "net/listener.h"
#include "tests/net/loop_thread.h"
#include "tests/net/test_authority.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// An HTTP server whose answer a test chooses. Everything on one loop.
class CheckedServer final : public http::Application {
 public:
  CheckedServer(net::EventLoop& loop, std::shared_ptr<net::TlsServer> tls)
      : sessions_(http::ServerSessions::Create(loop, *this, {})),
        listener_(*net::Listener::Open(
            loop, {.address = *net::SocketAddress::Parse("127.0.0.1:0")}, std::move(tls),
            [this](std::unique_ptr<net::Stream> stream) { sessions_->Adopt(std::move(stream)); })) {
  }

  void OnRequest(http::Exchange& exchange) override {
    ++requests;
    host = exchange.request().authority;
    target = exchange.request().target;
    if (status == 0)
      return exchange.SetHandler(std::make_unique<http::ExchangeHandler>());  // never answers
    exchange.Respond(status, {}, extra, http::TextBody(body));
  }
  uint16_t port() const { return listener_->address().port(); }

  int status = 200;
  std::string body = "body";
  std::vector<http::FieldLine> extra;
  int requests = 0;
  std::string host, target;

 private:
  std::unique_ptr<http::ServerSessions> sessions_;
  std::unique_ptr<net::Listener> listener_;
};

class HealthCheckerTest : public testing::Test {
 protected:
  HealthCheckerTest() {
    loop_.Call([&] {
      resolver_ = std::move(*net::Resolver::Create(loop_.loop()));
      server_ = std::make_unique<CheckedServer>(loop_.loop(), nullptr);
      checker_ = std::make_unique<HealthChecker>(
          loop_.loop(), *resolver_, registry_, [this](size_t target, PopState before) {
            PopState now = checker_->Targets()[target].state();
            changes_ += std::to_string(target) + ":" + std::string(PopStateName(before)) + ">" +
                        std::string(PopStateName(now)) + " ";
          });
    });
  }
  ~HealthCheckerTest() override {
    loop_.Call([&] {
      checker_.reset();
      tls_server_.reset();
      server_.reset();
      resolver_.reset();
    });
  }
  CheckPlan Plan(uint16_t port, int rise = 1, int fall = 1) {
    CheckPlan plan;
    plan.target = "t" + std::to_string(port);
    plan.endpoint = {.host = "127.0.0.1", .port = port};
    plan.url = "http://127.0.0.1:" + std::to_string(port) + "/healthz";
    plan.authority = "127.0.0.1:" + std::to_string(port);
    plan.path = "/healthz";
    plan.interval = milliseconds(20);
    plan.timeout = seconds(20);  // the next check waits for its end
    plan.rise = rise;
    plan.fall = fall;
    return plan;
  }
  void Check(std::vector<CheckPlan> plans) {
    loop_.Call([&] { ASSERT_TRUE(checker_->Start(plans, {})); });
  }
  void Reload(std::vector<CheckPlan> plans) {
    loop_.Call([&] { ASSERT_TRUE(checker_->Reload(plans)); });
  }
  bool AwaitState(size_t target, PopState state) {
    return loop_.Await([=, this] {
      auto targets = checker_->Targets();
      return targets[target].known && targets[target].state() == state;
    });
  }
  TargetHealth Target(size_t i) {
    return loop_.Call([&] { return checker_->Targets()[i]; });
  }
  void AwaitChecks(uint64_t more) {
    uint64_t until = loop_.Call([&] { return checker_->checks_done(); }) + more;
    ASSERT_TRUE(loop_.Await([=, this] { return checker_->checks_done() >= until; }));
  }

  metrics::Registry registry_;
  net::LoopThread loop_;
  std::unique_ptr<net::Resolver> resolver_;
  std::unique_ptr<CheckedServer> server_;
  std::unique_ptr<CheckedServer> tls_server_;
  std::unique_ptr<HealthChecker> checker_;
  std::string changes_;
};

TEST_F(HealthCheckerTest, AHealthyTargetIsUpWithItsLoad) {
  loop_.Call([&] { server_->extra = {{"nearside-load", "0.25"}, {"nearside-drain", "0"}}; });
  Check({Plan(server_->port())});
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  EXPECT_EQ(Target(0).load, 0.25);
  EXPECT_EQ(Target(0).error, "");
  EXPECT_EQ(server_->host, "127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_EQ(server_->target, "/healthz");
  EXPECT_EQ(changes_, "") << "up was taken for granted";
  AwaitChecks(3);
  EXPECT_GE(server_->requests, 3);
}

TEST_F(HealthCheckerTest, FailuresAndSuccessesAreCountedInARow) {
  Check({Plan(server_->port(), 2, 3)});
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  loop_.Call([&] { server_->status = 503; });
  ASSERT_TRUE(AwaitState(0, PopState::kDown));
  EXPECT_EQ(Target(0).error, "status 503");
  loop_.Call([&] { server_->status = 204; });
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  EXPECT_EQ(changes_, "0:up>down 0:down>up ");
}

TEST_F(HealthCheckerTest, StatusesFrom200To399AreSuccesses) {
  for (int status : {200, 204, 301, 399}) {
    loop_.Call([&] { server_->status = status; });
    Reload({});
    Reload({Plan(server_->port())});
    AwaitChecks(1);
    EXPECT_TRUE(Target(0).up) << status;
  }
  for (int status : {400, 404, 500}) {
    loop_.Call([&] { server_->status = status; });
    Reload({});
    Reload({Plan(server_->port())});
    ASSERT_TRUE(AwaitState(0, PopState::kDown)) << status;
  }
}

TEST_F(HealthCheckerTest, DrainIsReadFromTheAnswer) {
  loop_.Call([&] { server_->extra = {{"nearside-drain", "1"}}; });
  Check({Plan(server_->port())});
  ASSERT_TRUE(AwaitState(0, PopState::kDrained));
  loop_.Call([&] { server_->extra = {}; });
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
}

TEST_F(HealthCheckerTest, ExpectedStatusesAreTheOnlyOnes) {
  CheckPlan plan = Plan(server_->port());
  plan.expect_status = {204, 503};
  Check({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kDown)) << "200 is not among them";
  EXPECT_EQ(Target(0).error, "status 200");
  loop_.Call([&] { server_->status = 503; });
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
}

TEST_F(HealthCheckerTest, ABodyIsLookedThroughUpToItsLimit) {
  CheckPlan plan = Plan(server_->port());
  plan.expect_body = "all well";
  loop_.Call([&] { server_->body = "not well"; });
  Check({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kDown));
  EXPECT_EQ(Target(0).error, "\"all well\" is not in the first 8 bytes of the body");
  loop_.Call([&] { server_->body = "it is all well here"; });
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  loop_.Call([&] { server_->body = std::string(kCheckedBodyBytes - 4, '.') + "all well"; });
  ASSERT_TRUE(AwaitState(0, PopState::kDown)) << "it is cut off";
  EXPECT_THAT(Target(0).error, HasSubstr("in the first 65536 bytes"));
  loop_.Call([&] { server_->body = std::string(3 << 20, '.'); });
  AwaitChecks(3);  // what is longer than wanted ends as soon as that is known
  loop_.Call([&] { server_->body = ""; });
  AwaitChecks(2);
  EXPECT_THAT(Target(0).error, HasSubstr("in the first 0 bytes"));
}

TEST_F(HealthCheckerTest, WhoIsFarBehindThePurgesIsDrained) {
  CheckPlan plan = Plan(server_->port());
  plan.most_lag = seconds(30);
  loop_.Call([&] { server_->extra = {{"nearside-lag", "30.5"}}; });
  Check({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kDrained));
  EXPECT_TRUE(Target(0).lagging);
  EXPECT_FALSE(Target(0).drained);
  EXPECT_EQ(Target(0).lag, 30.5);
  loop_.Call([&] { server_->extra = {{"nearside-lag", "30.0"}}; });
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  for (std::string_view nonsense : {"-1", "nan", "inf", "31s", ""}) {
    loop_.Call([&] { server_->extra = {{"nearside-lag", nonsense}}; });
    AwaitChecks(2);
    EXPECT_FALSE(Target(0).lag) << nonsense;
    EXPECT_FALSE(Target(0).lagging) << nonsense;
  }
}

TEST_F(HealthCheckerTest, AConnectionIsEnoughOverTcp) {
  CheckPlan plan = Plan(server_->port());
  plan.is_tcp = true;
  plan.endpoint.host = "localhost";  // names are looked up, and all their addresses tried
  CheckPlan dead = Plan(1);
  dead.is_tcp = true;
  Check({plan, dead});
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  ASSERT_TRUE(AwaitState(1, PopState::kDown));
  EXPECT_THAT(Target(1).error, HasSubstr("refused"));
  AwaitChecks(4);
  EXPECT_EQ(server_->requests, 0) << "nothing is sent";
  loop_.Call([&] { server_.reset(); });
  ASSERT_TRUE(AwaitState(0, PopState::kDown));
}

TEST_F(HealthCheckerTest, AChecksEndInTheMiddleLeavesNothingBehind) {
  for (bool is_tcp : {false, true}) {
    CheckPlan plan = Plan(server_->port());
    plan.is_tcp = is_tcp;
    plan.endpoint.host = "localhost";
    plan.expect_body = "never";
    for (int i = 0; i < 4; ++i) Reload({plan});
    for (int i = 0; i < 4; ++i) {
      Reload({});
      Reload({plan});
    }
    AwaitChecks(1);
    Reload({});
  }
}

TEST_F(HealthCheckerTest, NobodyThereIsDown) {
  uint16_t port = server_->port();
  loop_.Call([&] { server_.reset(); });
  Check({Plan(port)});
  ASSERT_TRUE(AwaitState(0, PopState::kDown));
  EXPECT_THAT(Target(0).error, HasSubstr("refused"));
}

TEST_F(HealthCheckerTest, NoAnswerInTimeIsDown) {
  loop_.Call([&] { server_->status = 0; });
  CheckPlan plan = Plan(server_->port());
  plan.timeout = milliseconds(30);
  Check({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kDown));
  EXPECT_EQ(Target(0).error, "no answer within 30ms");
  loop_.Call([&] { server_->status = 200; });
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
}

TEST_F(HealthCheckerTest, MemoryHoldsUntilChecksSayOtherwise) {
  CheckPlan plan = Plan(server_->port(), 2, 2);
  HealthMemory memory;
  memory[plan.target] = {plan.url, false, false, FromUnixMillis(5000)};
  memory["other"] = {plan.url, false, false, FromUnixMillis(0)};
  loop_.Call([&] {
    ASSERT_TRUE(checker_->Start({plan}, memory));
    EXPECT_EQ(checker_->Targets()[0].state(), PopState::kDown) << "before the first check";
    EXPECT_TRUE(checker_->Targets()[0].known);
  });
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  loop_.Call([&] {
    HealthMemory now = checker_->Memory();
    EXPECT_EQ(now.size(), 1U);
    EXPECT_TRUE(now[plan.target].up);
    EXPECT_EQ(now[plan.target].url, plan.url);
  });
}

TEST_F(HealthCheckerTest, WhoDiedWhileNobodyLookedIsDownAfterTheFirstCheck) {
  loop_.Call([&] { server_->status = 500; });
  CheckPlan plan = Plan(server_->port(), 2, 100);
  HealthMemory memory;
  memory[plan.target] = {plan.url, true, false, FromUnixMillis(5000)};
  loop_.Call([&] {
    ASSERT_TRUE(checker_->Start({plan}, memory));
    EXPECT_TRUE(checker_->Targets()[0].up);
    EXPECT_FALSE(checker_->Targets()[0].known) << "so that a start waits for it";
  });
  ASSERT_TRUE(AwaitState(0, PopState::kDown)) << "not after a hundred failures";
}

TEST_F(HealthCheckerTest, AnotherUrlIsAnotherTarget) {
  CheckPlan plan = Plan(server_->port());
  HealthMemory memory;
  memory[plan.target] = {"http://127.0.0.1:1/", false, false, FromUnixMillis(0)};
  loop_.Call([&] {
    ASSERT_TRUE(checker_->Start({plan}, memory));
    EXPECT_FALSE(checker_->Targets()[0].known);
    EXPECT_TRUE(checker_->Targets()[0].up);
  });
}

TEST_F(HealthCheckerTest, AReloadKeepsWhatIsKnown) {
  loop_.Call([&] { server_->status = 500; });
  CheckPlan plan = Plan(server_->port());
  Check({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kDown));
  loop_.Call([&] {
    CheckPlan first = Plan(1);
    ASSERT_TRUE(checker_->Reload({first, plan}));
    EXPECT_FALSE(checker_->Targets()[1].up) << "as before";
    EXPECT_TRUE(checker_->Targets()[1].known);
  });
}

TEST_F(HealthCheckerTest, ATargetOfAReloadIsDownUntilACheckSaysOtherwise) {
  Check({});
  loop_.Call([&] {
    CheckPlan dead = Plan(1, 2, 2);
    ASSERT_TRUE(checker_->Reload({Plan(server_->port(), 9, 9), dead}));
    for (const TargetHealth& target : checker_->Targets()) {
      EXPECT_FALSE(target.up);
      EXPECT_FALSE(target.known);
    }
    EXPECT_TRUE(checker_->Memory().empty()) << "a guess is nothing to remember";
  });
  ASSERT_TRUE(AwaitState(0, PopState::kUp)) << "by its first success";
  ASSERT_TRUE(AwaitState(1, PopState::kDown));
  EXPECT_THAT(changes_, HasSubstr("0:down>up "));
  EXPECT_THAT(changes_, HasSubstr("1:down>down ")) << "told, or nobody would hear of it";
}

/// Reloads more often than failures add up to a fall must not keep a dead target up.
TEST_F(HealthCheckerTest, AReloadGoesOnCountingFailures) {
  CheckPlan plan = Plan(server_->port(), 2, 3);
  Check({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  loop_.Call([&] { server_->status = 503; });
  for (int i = 0; i < 6 && Target(0).up; ++i) {
    AwaitChecks(1);
    Reload({Plan(1), plan});
    Reload({plan});
  }
  EXPECT_FALSE(Target(0).up);
}

TEST_F(HealthCheckerTest, AReloadLeavesTheCheckUnderWayAlone) {
  loop_.Call([&] { server_->status = 0; });
  CheckPlan plan = Plan(server_->port());
  plan.timeout = milliseconds(300);
  Check({plan});
  ASSERT_TRUE(loop_.Await([&] { return server_->requests == 1; }));
  // Far more often than a check takes, and until it has failed.
  ASSERT_TRUE(loop_.Await([&] {
    EXPECT_TRUE(checker_->Reload({Plan(1), plan}));
    EXPECT_TRUE(checker_->Reload({plan}));
    return checker_->Targets()[0].known;
  }));
  EXPECT_FALSE(Target(0).up);
  EXPECT_EQ(Target(0).error, "no answer within 300ms");
}

TEST_F(HealthCheckerTest, AReloadWithOtherCountsBeginsToCountAnew) {
  CheckPlan plan = Plan(server_->port(), 2, 1000);
  Check({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  loop_.Call([&] { server_->status = 503; });
  AwaitChecks(2);
  plan.fall = 1;
  Reload({plan});
  ASSERT_TRUE(AwaitState(0, PopState::kDown));
}

TEST_F(HealthCheckerTest, TlsAndCertificateAreChecked) {
  net::TestAuthority authority, stranger;
  auto certificate = authority.Issue({.names = {"www.demo.test"}});
  auto second = authority.Issue({.names = {"second.demo.test"}});
  loop_.Call([&] {
    auto tls =
        net::TlsServer::Create({certificate, second}, {"http/1.1"}, net::TicketKeys::Random());
    ASSERT_TRUE(tls);
    tls_server_ = std::make_unique<CheckedServer>(loop_.loop(), *tls);
  });
  std::vector<CheckPlan> plans(4, Plan(tls_server_->port()));
  for (size_t i = 0; i < 4; ++i) {
    plans[i].target = "tls" + std::to_string(i);
    plans[i].endpoint.tls = true;
    plans[i].endpoint.server_name = i == 1 ? "other.demo.test" : "www.demo.test";
    plans[i].ca = i == 2 ? stranger.file() : authority.file();
  }
  plans[3].endpoint.server_name = "second.demo.test";
  Check(plans);
  ASSERT_TRUE(AwaitState(0, PopState::kUp));
  ASSERT_TRUE(AwaitState(1, PopState::kDown)) << "a certificate for another name";
  ASSERT_TRUE(AwaitState(2, PopState::kDown)) << "signed by a stranger";
  ASSERT_TRUE(AwaitState(3, PopState::kUp)) << "the server was told which name is meant (SNI)";
}

TEST_F(HealthCheckerTest, AMissingAuthorityLeavesThePlansAsTheyWere) {
  Check({Plan(server_->port())});
  CheckPlan plan = Plan(server_->port());
  plan.endpoint.tls = true;
  plan.ca = "/nonexistent/ca.pem";
  plan.where = {.file = "g.toml", .line = 4, .table = "pop.check", .keys = {{"ca", 5}}};
  loop_.Call([&] {
    auto status = checker_->Reload({plan, plan});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().fault, Fault::kOperator);
    EXPECT_THAT(status.error().message,
                StartsWith("g.toml:5: pop.check.ca: /nonexistent/ca.pem: "));
    EXPECT_EQ(checker_->Targets().size(), 1U);
  });
  AwaitChecks(2);
}

}  // namespace
}  // namespace nearside::geodns
