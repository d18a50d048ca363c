#pragma once

// A whole worker on a loop of its own: real store in memory, real connections to a scripted origin,
// clients that are FakeExchanges.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "edge/node.h"
#include "edge/worker.h"
#include "tests/edge/fake_exchange.h"
#include "tests/edge/messages.h"
#include "tests/edge/scripted_origin.h"
#include "tests/net/loop_thread.h"
#include "tests/support/temp_dir.h"

namespace nearside::edge {

/// Responses' fields: fresh for a minute, and stale with a validator.
inline constexpr std::string_view kMinute = "Cache-Control: max-age=60\n";
inline constexpr std::string_view kStale = "Cache-Control: max-age=60\nAge: 100\nETag: \"v\"\n";

class RequestTest : public testing::Test {
 protected:
  ~RequestTest() override;

  /// `site`: further lines of the site's table. Without it the defaults, and the scripted origin.
  void Start(std::string_view site = "");
  void StartWith(std::string_view site, const std::vector<std::string>& origins,
                 std::unique_ptr<storage::CacheStore> store = nullptr);
  static std::unique_ptr<storage::CacheStore> MemoryStore();

  /// A client asks and takes what comes as it comes.
  FakeExchange& Get(std::string_view target, http::Fields fields = {});
  /// As many clients, in one turn of the loop: however slow the machine, no time passes in between.
  std::vector<FakeExchange*> GetAtOnce(const std::vector<std::string>& targets);
  FakeExchange& Head(std::string_view target, http::Fields fields = {});
  FakeExchange& Ask(http::RequestHead head, std::function<void(FakeExchange&)> before = {});

  /// Waits for the end of the answer and of all fetches: "200 hit|hello", "502 detail=…|…": status,
  /// Cache-Status without our name and ttl, body.
  std::string Answer(FakeExchange& exchange);
  /// The same while fetches may go on.
  std::string AnswerNow(FakeExchange& exchange);
  /// Asks, answers as the origin (`lines` end in "\n" each), and answers the client.
  std::string Fill(std::string_view target, std::string_view lines, std::string_view body,
                   http::Fields fields = {}, std::string_view status = "200 OK");
  /// Until nothing is under way at the origin.
  void Settle();
  /// The client leaves.
  void Leave(FakeExchange& exchange);
  /// What was posted so far has run.
  void Turn() {
    thread_.Call([] {});
  }

  template <typename F>
  auto On(F f) {
    return thread_.Call(std::move(f));
  }
  uint64_t Counted(Reason reason) const;
  uint64_t Sum(metrics::Id id) const { return node_->registry.Sum(id); }

  /// Ends clients, worker and node, so that the access log is whole.
  void EndEdge();

  std::vector<std::string> trusted_proxies_;  ///< of [edge]; before Start
  std::vector<std::string> hosts_;            ///< of the site, beside its own; before Start
  test::TempDir dir_;
  ScriptedOrigin origin_;
  net::LoopThread thread_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Worker> worker_;
  std::vector<std::unique_ptr<FakeExchange>> exchanges_;

 private:
  FakeExchange* AskOnLoop(http::RequestHead head, const std::function<void(FakeExchange&)>& before);
};

}  // namespace nearside::edge
