#include "geodns/network_learner.h"

#include <gtest/gtest.h>

#include "tests/geodns/scripted_resolver.h"
#include "tests/net/loop_thread.h"

namespace nearside::geodns {
namespace {

/// A learner of www.example., whose owner tells clients apart as the resolver's `tailored` says.
class NetworkLearnerTest : public testing::Test {
 protected:
  NetworkLearnerTest() {
    thread_.Call([&] {
      upstream_ = std::make_unique<ScriptedResolver>(thread_.loop());
      upstream_->ipv4 = {"192.0.2.1"};
      learning_.options.resolvers = {upstream_->address()};
      learning_.options.timeout = seconds(10);
      learning_.options.least_ttl = 10;
      learning_.options.networks = 3;
      learning_.on_change = [&] { ++changes_; };
      learner_ = std::make_unique<NetworkLearner>(thread_.loop(), learning_, 7,
                                                  *dns::Name::FromText("www.example."));
    });
  }
  ~NetworkLearnerTest() override {
    thread_.Call([&] {
      learner_.reset();
      upstream_.reset();
    });
  }
  void Tailor(const std::string& network, std::string address, uint8_t scope) {
    thread_.Call([&] { upstream_->tailored[network] = {std::move(address), scope}; });
  }
  /// `source`: of whoever asks; "": another one for each network.
  void Learn(std::string_view network, std::string_view source = "") {
    thread_.Call([&] {
      learner_->Learn(*Network::Parse(network), *Network::Parse(source.empty() ? network : source));
    });
  }
  /// "192.0.2.9 ttl 30 scope 24", "all scope 24 wanted".
  std::string Told(std::string_view text) {
    const Network client = *Network::Parse(text);
    const auto table = learner_->Table();
    const AliasNetworks::Found found = table->Find(client.address, client.prefix_bits);
    std::string told = found.answer == nullptr ? "all " : "";
    if (found.answer != nullptr) {
      for (const IpAddress& address : found.answer->addresses) told += address.ToText() + " ";
      told += "ttl " + std::to_string(found.answer->ttl) + " ";
    }
    return told + "scope " + std::to_string(found.scope) + (found.is_wanted ? " wanted" : "");
  }
  void Await(std::string_view network, std::string_view want) {
    if (thread_.Await([&] { return Told(network) == want; })) return;
    ADD_FAILURE() << network << ": " << thread_.Call([&] { return Told(network); }) << " is not "
                  << want;
  }
  int Asked(const std::string& network) {
    return thread_.Call([&] { return upstream_->subnets[network]; });
  }

  net::LoopThread thread_;
  std::unique_ptr<ScriptedResolver> upstream_;
  Learning learning_;
  std::unique_ptr<NetworkLearner> learner_;
  int changes_ = 0;
};

TEST_F(NetworkLearnerTest, ANetworkGetsItsOwnAnswerInTheWidthOfItsScope) {
  Tailor("198.51.100.0/24", "192.0.2.9", 16);
  Await("198.51.100.0/24", "all scope 24 wanted");
  Learn("198.51.100.0/24");
  Await("198.51.100.0/24", "192.0.2.9 ttl 30 scope 16");
  Await("198.51.7.0/24", "192.0.2.9 ttl 30 scope 16");
  Await("203.0.113.0/24", "all scope 24 wanted");
  EXPECT_EQ(Asked("198.51.100.0/24"), 2) << "A and AAAA";
  thread_.Call([&] {
    EXPECT_EQ(learning_.good, 1U);
    EXPECT_EQ(learning_.networks, 1U);
    EXPECT_EQ(learning_.running, 0U);
    EXPECT_GT(changes_, 0);
  });
}

TEST_F(NetworkLearnerTest, WhereNobodyIsToldApartThreeNetworksAreEnough) {
  thread_.Call([&] {
    for (std::string_view text : {"198.51.100.0/24", "198.51.101.0/24"}) {
      learner_->Learn(*Network::Parse(text), *Network::Parse(text));
    }
  });
  Await("198.51.100.0/24", "192.0.2.1 ttl 30 scope 24");
  EXPECT_EQ(Asked("198.51.101.0/24"), 0) << "one after the other";
  Learn("198.51.102.0/24");
  Await("198.51.102.0/24", "192.0.2.1 ttl 30 scope 24");
  Await("203.0.113.0/24", "all scope 24 wanted");
  Learn("198.51.103.0/24");
  Await("203.0.113.0/24", "all scope 0");
  Await("198.51.100.0/24", "all scope 0");
  Learn("203.0.113.0/24");
  thread_.Call([&] { EXPECT_EQ(learning_.networks, 0U); });
  EXPECT_EQ(Asked("203.0.113.0/24"), 0);
  // The other family is another matter.
  Tailor("2001:db8::/56", "192.0.2.9", 48);
  Learn("2001:db8::/56");
  Await("2001:db8::/56", "192.0.2.9 ttl 30 scope 48");
  Await("203.0.113.0/24", "all scope 0");
}

TEST_F(NetworkLearnerTest, AScopeOfZeroAmongOthersIsOfItsNetworkAlone) {
  Tailor("198.51.100.0/24", "192.0.2.9", 24);
  Learn("198.51.100.0/24");
  Await("198.51.100.0/24", "192.0.2.9 ttl 30 scope 24");
  Learn("203.0.113.0/24");
  Await("203.0.113.0/24", "192.0.2.1 ttl 30 scope 24");
  Await("203.0.114.0/24", "all scope 24 wanted");
}

TEST_F(NetworkLearnerTest, AScopeLongerThanWhatWasAskedIsForThoseWhoTellNoMore) {
  Tailor("198.51.0.0/16", "192.0.2.8", 24);
  Learn("198.51.0.0/16");
  Await("198.51.0.0/16", "192.0.2.8 ttl 30 scope 16");
  Await("198.51.100.0/24", "all scope 24 wanted");
}

TEST_F(NetworkLearnerTest, NetworksOfOneAnswerTakeOnePlace) {
  Tailor("198.51.100.0/24", "192.0.2.9", 16);
  Tailor("198.51.101.0/24", "192.0.2.9", 16);
  Tailor("203.0.113.0/24", "192.0.2.7", 24);
  Learn("203.0.113.0/24");
  Await("203.0.113.0/24", "192.0.2.7 ttl 30 scope 24");
  Learn("198.51.100.0/24");
  Learn("198.51.101.0/24");
  Await("198.51.100.0/24", "192.0.2.9 ttl 30 scope 16");
  EXPECT_TRUE(thread_.Await([&] { return learning_.networks == 2; }));
}

TEST_F(NetworkLearnerTest, MoreNetworksThanThereIsRoomForGetWhatAllGet) {
  for (const char* text : {"198.51.100.0/24", "198.51.101.0/24", "198.51.102.0/24"}) {
    Tailor(text, "192.0.2.9", 24);
    Learn(text);
    Await(text, "192.0.2.9 ttl 30 scope 24");
  }
  Learn("198.51.103.0/24");
  thread_.Call([&] { EXPECT_EQ(learning_.refused, 1U); });
  EXPECT_EQ(Asked("198.51.103.0/24"), 0);
  thread_.Call([&] { learner_->Clear(); });
  Tailor("198.51.103.0/24", "192.0.2.9", 24);
  Learn("198.51.103.0/24");
  Await("198.51.103.0/24", "192.0.2.9 ttl 30 scope 24");
}

// Whoever makes subnets up keeps others from nothing.
TEST_F(NetworkLearnerTest, OneSourceTakesNoMoreThanItsShareWhereRoomIsShort) {
  learning_.options.networks = 8;
  const auto learn = [&](int from, int count, std::string_view source) {
    for (int i = from; i < from + count; ++i) {
      const std::string network = "198.51." + std::to_string(i) + ".0/24";
      Tailor(network, "192.0.2.9", 24);
      Learn(network, source);
      EXPECT_TRUE(thread_.Await([&] { return learning_.running == 0; }));
    }
    return thread_.Call([&] { return learning_.networks; });
  };
  EXPECT_EQ(learn(0, 10, "203.0.113.0/24"), 4U) << "half of the places, while nobody wants them";
  thread_.Call([&] { EXPECT_EQ(learning_.over_share, 6U); });
  EXPECT_EQ(Asked("198.51.4.0/24"), 0);
  EXPECT_EQ(learn(10, 3, "2001:db8::/56"), 6U) << "a quarter, although another has taken more";
  EXPECT_EQ(learn(20, 3, "203.0.114.0/24"), 8U);
  EXPECT_EQ(learn(30, 1, "203.0.115.0/24"), 8U);
  thread_.Call([&] {
    EXPECT_EQ(learning_.over_share, 7U);
    EXPECT_EQ(learning_.refused, 2U) << "all places are taken";
    learner_->Clear();
    EXPECT_TRUE(learning_.held.empty());
  });
  EXPECT_EQ(learn(40, 2, "203.0.113.0/24"), 2U) << "what is given back counts no more";
}

TEST_F(NetworkLearnerTest, WhatIsWantedIsRenewedAndWhatIsNotIsForgotten) {
  learning_.options.least_ttl = 1;
  thread_.Call([&] { upstream_->ttl = 1; });
  Tailor("198.51.100.0/24", "192.0.2.9", 24);
  Learn("198.51.100.0/24");
  // As somebody who asks all the while, until the new address is there.
  EXPECT_TRUE(thread_.Await([&] {
    const auto table = learner_->Table();
    const auto found = table->Find(*IpAddress::Parse("198.51.100.0"), 24);
    if (found.answer != nullptr) found.answer->asked->store(true);
    const std::string told = Told("198.51.100.0/24");
    if (told == "192.0.2.9 ttl 1 scope 24") {
      upstream_->tailored["198.51.100.0/24"] = {"192.0.2.10", 24};
    }
    return told == "192.0.2.10 ttl 1 scope 24";
  }));
  EXPECT_TRUE(thread_.Await([&] { return learning_.networks == 0; })) << "nobody asks any more";
  Await("198.51.100.0/24", "all scope 24 wanted");
}

TEST_F(NetworkLearnerTest, WhileTheResolverFailsTheAnswerForAllIsLeft) {
  learning_.options.least_ttl = 1;
  thread_.Call([&] { upstream_->rcode = dns::Rcode::kRefused; });
  Learn("198.51.100.0/24");
  EXPECT_TRUE(thread_.Await([&] { return learning_.failed == 1; }));
  Await("198.51.100.0/24", "all scope 0");
  EXPECT_TRUE(thread_.Await([&] { return learning_.networks == 0; })) << "its place is free again";
}

}  // namespace
}  // namespace nearside::geodns
