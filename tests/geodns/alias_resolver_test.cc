#include "geodns/alias_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "geodns/system_resolvers.h"
#include "tests/geodns/scripted_resolver.h"
#include "tests/net/loop_thread.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;

class AliasResolverTest : public testing::Test {
 protected:
  AliasResolverTest() {
    thread_.Call([&] {
      upstream_ = std::make_unique<ScriptedResolver>(thread_.loop());
      resolver_ = std::make_unique<AliasResolver>(thread_.loop(), [&] { ++changes_; });
      options_.resolvers = {upstream_->address()};
      options_.timeout = seconds(10);
      options_.least_ttl = 1;
    });
  }
  ~AliasResolverTest() override {
    thread_.Call([&] {
      resolver_.reset();
      upstream_.reset();
    });
  }
  static AliasResolver::Target Target(std::string_view text) {
    const dns::Name name = *dns::Name::FromText(text);
    auto bytes = name.view().bytes();
    return {bytes.begin(), bytes.end()};
  }
  void Start(std::vector<AliasResolver::Target> targets) {
    thread_.Call([&] { resolver_->Start(options_, targets); });
  }
  /// "192.0.2.1 2001:db8::1 ttl 30 stale" of www.example.
  std::string Known() {
    const AliasState* state = resolver_->Find(Target("www.example."));
    if (state == nullptr) return "no target";
    std::string text = state->result.known ? "" : "unknown ";
    for (const IpAddress& address : state->result.addresses) text += address.ToText() + " ";
    return text + "ttl " + std::to_string(state->result.ttl) + (state->stale ? " stale" : "");
  }
  bool Await(std::string_view want) {
    bool same = thread_.Await([&] { return Known() == want; });
    if (!same) ADD_FAILURE() << thread_.Call([&] { return Known(); }) << " is not " << want;
    return same;
  }

  net::LoopThread thread_;
  std::unique_ptr<ScriptedResolver> upstream_;
  std::unique_ptr<AliasResolver> resolver_;
  AliasOptions options_;
  int changes_ = 0;
};

TEST_F(AliasResolverTest, BothFamiliesAreKnownForHalfOfWhatTheResolverSays) {
  upstream_->ipv4 = {"192.0.2.2", "192.0.2.1"};
  upstream_->ipv6 = {"2001:db8::1"};
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 192.0.2.2 2001:db8::1 ttl 30"));
  thread_.Call([&] {
    EXPECT_TRUE(resolver_->all_asked());
    EXPECT_EQ(changes_, 1);
    EXPECT_EQ(resolver_->good_lookups(), 1U);
  });
}

TEST_F(AliasResolverTest, TtlsAreKeptWithinTheBounds) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ipv6 = {"2001:db8::1"};
  upstream_->ttl = 0;
  options_.least_ttl = 20;
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 10"));
  thread_.Call([&] { upstream_->ttl = 1'000'000; });
  options_.most_ttl = 100;
  Start({});
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 50"));
}

TEST_F(AliasResolverTest, WhatChangesIsSeenWhenItsTimeIsUp) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ttl = 2;
  Start({Target("www.example.")});
  EXPECT_TRUE(thread_.Await([&] { return changes_ == 1; }));
  thread_.Call([&] { upstream_->ipv4 = {"192.0.2.2"}; });
  EXPECT_TRUE(thread_.Await([&] { return Known().starts_with("192.0.2.2 "); }));
}

TEST_F(AliasResolverTest, NothingThereIsKnownAsWell) {
  upstream_->rcode = dns::Rcode::kNxDomain;
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("ttl 1")) << "no SOA says how long: the least, and half of it";
}

TEST_F(AliasResolverTest, AFamilyThatIsNotThereAndSaysNoTimeShortensNothing) {
  upstream_->ipv4 = {"192.0.2.1"};
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 ttl 30")) << "the AAAA answer is empty and has no SOA";
}

TEST_F(AliasResolverTest, WhatWasKnownStandsWhileResolversFail) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ttl = 1;
  Start({Target("www.example.")});
  EXPECT_TRUE(thread_.Await([&] { return changes_ == 1; }));
  thread_.Call([&] { upstream_->rcode = dns::Rcode::kServFail; });
  EXPECT_TRUE(thread_.Await([&] { return Known() == "192.0.2.1 ttl 1 stale"; }));
  thread_.Call([&] {
    EXPECT_THAT(resolver_->Find(Target("www.example."))->error, HasSubstr("SERVFAIL"));
    EXPECT_GT(resolver_->failed_lookups(), 0U);
    upstream_->rcode = dns::Rcode::kNoError;
  });
  EXPECT_TRUE(Await("192.0.2.1 ttl 1"));
}

TEST_F(AliasResolverTest, WhatIsTooOldIsKnownNoLonger) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ttl = 1;
  options_.stale = 0;
  Start({Target("www.example.")});
  EXPECT_TRUE(thread_.Await([&] { return changes_ == 1; }));
  thread_.Call([&] { upstream_->rcode = dns::Rcode::kServFail; });
  EXPECT_TRUE(Await("unknown ttl 0 stale"));
}

TEST_F(AliasResolverTest, ASilentResolverIsFollowedByTheNext) {
  std::unique_ptr<ScriptedResolver> silent;
  thread_.Call([&] {
    silent = std::make_unique<ScriptedResolver>(thread_.loop());
    silent->silent = true;
    options_.resolvers = {silent->address(), upstream_->address()};
    options_.timeout = milliseconds(100);
  });
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ipv6 = {"2001:db8::1"};
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 30"));
  thread_.Call([&] {
    EXPECT_GE(silent->queries, 2);
    EXPECT_EQ(silent->queries, upstream_->queries) << "in turn, should the other be slow";
    silent.reset();
  });
}

TEST_F(AliasResolverTest, ForgedAnswersAreNotListenedTo) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ipv6 = {"2001:db8::1"};
  upstream_->forges = true;
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 30"));
}

TEST_F(AliasResolverTest, WhatIsTruncatedIsAskedForOverTcp) {
  for (int i = 1; i <= 64; ++i) upstream_->ipv4.push_back("192.0.2." + std::to_string(i));
  upstream_->ipv6 = {"2001:db8::1"};
  upstream_->truncates = true;
  Start({Target("www.example.")});
  EXPECT_TRUE(thread_.Await([&] { return changes_ == 1; }));
  thread_.Call([&] {
    EXPECT_EQ(resolver_->Find(Target("www.example."))->result.addresses.size(), 65U);
    EXPECT_EQ(upstream_->queries, 2);
    EXPECT_EQ(upstream_->tcp_queries, 2);
  });
}

TEST_F(AliasResolverTest, AnAnswerOverTcpThatBreaksOffIsNone) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->truncates = true;
  upstream_->hangs_up = true;
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("unknown ttl 0 stale"));
  thread_.Call([&] {
    EXPECT_THAT(resolver_->Find(Target("www.example."))->error, HasSubstr("cut_off"));
    EXPECT_EQ(upstream_->tcp_queries, 4) << "each family twice";
  });
}

TEST_F(AliasResolverTest, NetworksAreAskedForByTheNumberOfTheirTarget) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ipv6 = {"2001:db8::1"};
  upstream_->tailored["198.51.100.0/24"] = {"192.0.2.9", 24};
  options_.networks = 4;
  Start({Target("www.example."), Target("other.example.")});
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 30"));
  const Network network = *Network::Parse("198.51.100.0/24");
  const auto table = [&] { return resolver_->NetworksOf(Target("www.example.")); };
  thread_.Call([&] {
    EXPECT_EQ(resolver_->NetworksOf(Target("no.example.")), nullptr);
    resolver_->Learn({table()->target(), network});
    resolver_->Learn({999, network});
    changes_ = 0;
  });
  EXPECT_TRUE(thread_.Await([&] { return changes_ > 0 && table()->size() == 1; }));
  thread_.Call([&] {
    EXPECT_EQ(resolver_->NetworksOf(Target("other.example."))->size(), 0U);
    const auto found = table()->Find(network.address, 24);
    ASSERT_NE(found.answer, nullptr);
    EXPECT_EQ(found.answer->addresses.front().ToText(), "192.0.2.9");
    EXPECT_EQ(Known(), "192.0.2.1 2001:db8::1 ttl 30") << "the answer for all stays";
  });
  options_.networks = 0;
  Start({Target("www.example.")});
  thread_.Call([&] {
    EXPECT_EQ(table(), nullptr);
    EXPECT_EQ(resolver_->learning().networks, 0U);
  });
}

TEST_F(AliasResolverTest, AReloadKeepsWhatIsKnown) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ipv6 = {"2001:db8::1"};
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 30"));
  Start({Target("www.example."), Target("other.example.")});
  thread_.Call([&] { EXPECT_EQ(Known(), "192.0.2.1 2001:db8::1 ttl 30"); });
  EXPECT_TRUE(thread_.Await([&] { return resolver_->all_asked(); }));
  Start({});
  thread_.Call([&] { EXPECT_EQ(Known(), "no target"); });
}

TEST_F(AliasResolverTest, WhatAProcessBeforeKnewStandsUntilAnAnswerComes) {
  upstream_->ipv4 = {"192.0.2.1"};
  upstream_->ipv6 = {"2001:db8::1"};
  Start({Target("www.example.")});
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 30"));
  const std::string kept = thread_.Call([&] { return AliasMemoryToText(resolver_->Memory()); });
  const auto start_again = [&] {
    thread_.Call([&] {
      resolver_ = std::make_unique<AliasResolver>(thread_.loop(), [&] { ++changes_; });
      resolver_->Remember(*AliasMemoryFromText(kept));
      resolver_->Start(options_, {Target("www.example."), Target("new.example.")});
      EXPECT_EQ(Known(), "192.0.2.1 2001:db8::1 ttl 30") << "at once";
      EXPECT_FALSE(resolver_->all_asked());
      EXPECT_FALSE(resolver_->Find(Target("new.example."))->result.known);
    });
  };
  thread_.Call([&] { upstream_->rcode = dns::Rcode::kServFail; });
  start_again();
  EXPECT_TRUE(Await("192.0.2.1 2001:db8::1 ttl 30 stale"));
  thread_.Call([&] {
    upstream_->rcode = dns::Rcode::kNoError;
    upstream_->ipv4 = {"192.0.2.9"};
  });
  start_again();
  EXPECT_TRUE(Await("192.0.2.9 2001:db8::1 ttl 30"));
}

TEST_F(AliasResolverTest, WhatAProcessBeforeKnewMayBeTooOld) {
  upstream_->silent = true;
  const RememberedAlias old{.addresses = {*IpAddress::Parse("192.0.2.1")},
                            .ttl = 30,
                            .good_until = WallNow() - seconds(101),
                            .resolved_at = {}};
  for (const uint32_t stale : {100, 200}) {
    options_.stale = stale;
    thread_.Call([&] {
      resolver_ = std::make_unique<AliasResolver>(thread_.loop(), [&] { ++changes_; });
      resolver_->Remember({{"www.example.", old}});
      resolver_->Start(options_, {Target("www.example.")});
      EXPECT_EQ(Known(), stale == 100 ? "unknown ttl 0" : "192.0.2.1 ttl 30");
    });
  }
}

TEST(AliasMemoryTest, AFileOfOthersIsRefused) {
  for (std::string_view text :
       {"", "{", "[]", "[1]", "{\"a.\": 1}", "{\"a.\": {}}",
        "{\"a.\": {\"addresses\": [1], \"ttl\": 1, \"good_until_ms\": 1, \"resolved_at_ms\": 1}}",
        "{\"a.\": {\"addresses\": [\"x\"], \"ttl\": 1, \"good_until_ms\": 1, \"resolved_at_ms\": "
        "1}}",
        "{\"a.\": {\"addresses\": [], \"ttl\": -1, \"good_until_ms\": 1, \"resolved_at_ms\": "
        "1}}"}) {
    auto memory = AliasMemoryFromText(text);
    ASSERT_FALSE(memory) << text;
    EXPECT_EQ(memory.error().reason, "bad_state");
  }
  EXPECT_TRUE(AliasMemoryFromText(AliasMemoryToText({}))->empty());
}

TEST(SystemResolversTest, NameserverLinesAreRead) {
  std::string text;
  for (const auto& address : ResolversFromText(
           "# comment\nnameserver 192.0.2.53\n\tnameserver\t2001:db8::53 \r\nsearch a.b\n"
           "nameserver fe80::1%eth0\nnameserver x\nnameservers 1.2.3.4\nnameserver 192.0.2.54")) {
    text += address.ToString() + " ";
  }
  EXPECT_EQ(text, "192.0.2.53:53 [2001:db8::53]:53 192.0.2.54:53 ");
  EXPECT_TRUE(ResolversFromText("").empty());
}

}  // namespace
}  // namespace nearside::geodns
