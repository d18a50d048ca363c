#include "edge/origin_checks.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/edge/loop_origin.h"
#include "tests/edge/messages.h"
#include "tests/net/loop_thread.h"
#include "tests/net/test_authority.h"

namespace nearside::edge {
namespace {

constexpr std::string_view kCheck =
    "check = { path = \"/health?x\", interval = \"100ms\", timeout = \"20s\", rise = 2, fall = 2";

class OriginChecksTest : public testing::Test {
 protected:
  OriginChecksTest() {
    thread_.Call([this] {
      resolver_ = std::move(*net::Resolver::Create(thread_.loop()));
      for (auto& origin : origins_) {
        origin = std::make_unique<LoopOrigin>(thread_.loop(), nullptr);
      }
      checks_ = std::make_unique<OriginChecks>(thread_.loop(), *resolver_);
    });
  }
  ~OriginChecksTest() override {
    thread_.Call([this] {
      checks_.reset();
      for (auto& origin : origins_) origin.reset();
      resolver_.reset();
    });
  }
  /// `more`: behind kCheck, in the braces; `site`: further lines of the site.
  void Use(std::string_view more = "", std::string_view site = "") {
    EdgeSettings settings =
        SettingsWith(std::string(kCheck) + std::string(more) + " }\n" + std::string(site));
    settings.sites[0].origins = {origins_[0]->url(), origins_[1]->url()};
    UseSettings(std::move(settings));
  }
  void UseSettings(EdgeSettings settings) {
    thread_.Call([&] {
      configuration_ =
          std::make_shared<const Configuration>(std::move(settings), configuration_.get());
      checks_->Use(*configuration_);
    });
  }
  std::string States() const {
    std::string text;
    for (const OriginReport& report :
         configuration_->sites.sites().front()->origin_set->Report(MonoNow())) {
      text += (text.empty() ? "" : " ") + std::string(report.state);
    }
    return text;
  }
  bool AwaitStates(std::string_view states) {
    return thread_.Await([this, states] { return States() == states; });
  }
  void AwaitChecks(uint64_t more) {
    const uint64_t until = thread_.Call([this] { return checks_->done(); }) + more;
    ASSERT_TRUE(thread_.Await([this, until] { return checks_->done() >= until; }));
  }
  void SetStatus(size_t origin, int status) {
    thread_.Call([&] { origins_[origin]->status = status; });
  }

  net::LoopThread thread_;
  std::unique_ptr<net::Resolver> resolver_;
  std::array<std::unique_ptr<LoopOrigin>, 2> origins_;
  std::shared_ptr<const Configuration> configuration_;
  std::unique_ptr<OriginChecks> checks_;
};

TEST_F(OriginChecksTest, AnOriginIsUpUntilItsFirstCheckAndThenWhatThatSays) {
  SetStatus(1, 503);
  Use();
  EXPECT_TRUE(AwaitStates("up down"));
  EXPECT_EQ(configuration_->sites.sites().front()->origin_set->Report(MonoNow())[1].why,
            "/health?x answered 503");
  EXPECT_EQ(thread_.Call([&] { return origins_[0]->asked; }), "www.demo.test/health?x");
}

TEST_F(OriginChecksTest, ItGoesDownAndComesBackByResultsInARow) {
  Use();
  AwaitChecks(2);
  SetStatus(0, 500);
  EXPECT_TRUE(AwaitStates("down up"));
  SetStatus(0, 301);
  EXPECT_TRUE(AwaitStates("up up"));
}

TEST_F(OriginChecksTest, OneThatDoesNotListenIsDown) {
  Use();
  AwaitChecks(2);
  thread_.Call([&] { origins_[1].reset(); });
  EXPECT_TRUE(AwaitStates("up down"));
}

TEST_F(OriginChecksTest, AStatusMayBeAskedFor) {
  SetStatus(0, 204);
  Use(", status = 204");
  EXPECT_TRUE(AwaitStates("up down"));
}

TEST_F(OriginChecksTest, AReloadGoesOnWhereTheCheckStaysAndBeginsAnewWhereItDoesNot) {
  SetStatus(1, 503);
  Use();
  EXPECT_TRUE(AwaitStates("up down"));
  Use("", "retries = 1\n");
  EXPECT_EQ(States(), "up down") << "begun anew it would be up until its first check";
  SetStatus(1, 200);
  EXPECT_TRUE(AwaitStates("up up"));  // by two in a row, of which none decides at once
  SetStatus(1, 503);
  Use(", status = 200");
  EXPECT_TRUE(AwaitStates("up down"));
  UseSettings([&] {
    EdgeSettings settings = SettingsWith();
    settings.sites[0].origins = {origins_[0]->url(), origins_[1]->url()};
    return settings;
  }());
  EXPECT_EQ(States(), "up up");
}

TEST_F(OriginChecksTest, TheHostIsTheOneThatOriginsAreUsedTo) {
  Use("", "origin_host = \"app.test\"\n");
  AwaitChecks(2);
  EXPECT_EQ(thread_.Call([&] { return origins_[0]->asked; }), "app.test/health?x");
}

TEST_F(OriginChecksTest, WithoutAHostToNameItIsTheOriginsOwn) {
  EdgeSettings settings = SettingsWith(std::string(kCheck) + " }\n");
  settings.sites[0].hosts = {"*"};
  settings.sites[0].origins = {origins_[0]->url()};
  UseSettings(std::move(settings));
  AwaitChecks(1);
  EXPECT_EQ(thread_.Call([&] { return "http://" + origins_[0]->asked; }),
            origins_[0]->url() + "/health?x");
}

TEST_F(OriginChecksTest, TlsIsCheckedWithTheSitesAuthorityAndName) {
  net::TestAuthority authority;
  thread_.Call([&] {
    for (auto& origin : origins_) {
      origin = std::make_unique<LoopOrigin>(
          thread_.loop(), *net::TlsServer::Create({authority.Issue({.names = {"internal.test"}})},
                                                  {"http/1.1"}, net::TicketKeys::Random()));
    }
  });
  Use("", "origin_ca = \"" + authority.file() + "\"\norigin_server_name = \"internal.test\"\n");
  AwaitChecks(2);
  EXPECT_EQ(States(), "up up");
  EXPECT_GE(thread_.Call([&] { return origins_[0]->requests; }), 1);
  Use("", "origin_ca = \"" + authority.file() + "\"\norigin_server_name = \"other.test\"\n");
  EXPECT_TRUE(AwaitStates("down down"));
}

}  // namespace
}  // namespace nearside::edge
