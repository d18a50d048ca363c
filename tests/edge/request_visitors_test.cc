// The request state machine where a site's settings have a say: keys, redirects, what is added for
// visitors.

#include "edge/purge.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kMinute = "Cache-Control: max-age=60\n";

class RequestVisitorsTest : public RequestTest {
 protected:
  /// The lines of an answer that stand in `names`, in their order.
  std::string Lines(const FakeExchange& exchange, std::initializer_list<std::string_view> names) {
    std::string text;
    for (const http::FieldLine& line : exchange.fields.lines()) {
      if (std::find(names.begin(), names.end(), line.name) == names.end()) continue;
      text.append(line.name).append(": ").append(line.value).append("\n");
    }
    return text;
  }
};

// What shapes a stored response is what stands in its key.
TEST_F(RequestVisitorsTest, TheOriginIsAskedForWhatStandsInTheKey) {
  Start("query = \"sort\"\nquery_ignore = [\"utm_*\"]\n");
  FakeExchange& miss = Get("/a?b=1&utm_source=x;b=evil&a=2");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.first_line(), "GET /a?a=2&b=1 HTTP/1.1");
  asked.Answer("200 OK", kMinute, "hello");
  Answer(miss);
  EXPECT_EQ(Answer(Get("/a?a=2&b=1&utm_medium=y")), "200 hit|hello");
  EXPECT_EQ(Fill("/a?a=2", kMinute, "other"), "200 fwd=uri-miss; fwd-status=200; stored|other");
}

TEST_F(RequestVisitorsTest, WhatIsNotForTheCacheIsAskedForAsItCame) {
  Start("query = \"ignore\"\n");
  for (const std::string_view method : {"POST", "HEAD"}) {
    FakeExchange& client = Ask(RequestFor(method, "https://www.demo.test/a?b=%7e"));
    ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.first_line(), std::string(method) + " /a?b=%7e HTTP/1.1");
    asked.Answer("200 OK", "Cache-Control: no-store\n", "");
    Answer(client);
  }
}

TEST_F(RequestVisitorsTest, AChangeInvalidatesWhatStandsUnderItsKey) {
  Start("query_ignore = [\"utm_*\"]\n");
  Fill("/a?b=1", kMinute, "old");
  FakeExchange& change = Ask(RequestFor("DELETE", "https://www.demo.test/a?utm_x=1&b=1"));
  origin_.Next().Answer("204 No Content", "", "");
  Answer(change);
  EXPECT_EQ(Fill("/a?b=1", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

TEST_F(RequestVisitorsTest, APurgeByAnyOfItsUrlsFindsTheObject) {
  Start("query = \"sort\"\nquery_ignore = [\"utm_*\"]\n");
  Fill("/a?b=1&a=2", kMinute, "old");
  PurgeOrder order = ParsePurgeOrder(R"({"site":"demo","urls":["/a?b=1&utm_x=1&a=2"]})").value();
  ApplyQueryRule(worker_->configuration()->sites.FindByName("demo")->query_rule, &order);
  node_->store->Purge(ScopesOf(order), false, std::nullopt, nullptr, nullptr);
  EXPECT_EQ(Fill("/a?a=2&b=1", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

}  // namespace
}  // namespace nearside::edge
