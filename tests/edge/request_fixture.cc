#include "tests/edge/request_fixture.h"

#include <utility>

#include "runtime/fatal.h"

namespace nearside::edge {
namespace {

/// A Cache-Status without the edge's name and the seconds to live.
std::string WithoutWhatVaries(std::string status) {
  for (const std::string_view name : {"\"frankfurt\"; ", "\"frankfurt\""}) {
    if (status.starts_with(name)) status.erase(0, name.size());
  }
  if (const size_t ttl = status.find("; ttl="); ttl != std::string::npos) {
    const size_t end = status.find_first_not_of("-0123456789", ttl + 6);
    status.erase(ttl, end == std::string::npos ? end : end - ttl);
  }
  return status;
}

}  // namespace

RequestTest::~RequestTest() {
  On([this] {
    exchanges_.clear();
    worker_.reset();
  });
  thread_.Stop();
}

std::unique_ptr<storage::CacheStore> RequestTest::MemoryStore() {
  storage::CacheOptions options;
  options.memory = 64_MiB;
  auto store = storage::CacheStore::Open(
      options, [](const storage::Head& head) { return DecodeStored(head.meta); });
  if (!store) Fatal(store.error().message);
  return std::move(*store);
}

void RequestTest::Start(std::string_view site) { StartWith(site, {origin_.url()}); }

void RequestTest::StartWith(std::string_view site, const std::vector<std::string>& origins,
                            std::unique_ptr<storage::CacheStore> store) {
  EdgeSettings settings = SettingsWith(site);
  ErrorPages pages = std::move(*ErrorPages::Read(settings.sites[0].error_pages));
  settings.listen.clear();  // clients come by OnRequest
  settings.sites[0].origins = origins;
  for (const std::string& host : hosts_) settings.sites[0].hosts.push_back(host);
  settings.node.trusted_proxies = trusted_proxies_;
  settings.cache.fill_window = {1 << 20};
  node_ = std::make_unique<Node>("frankfurt", store ? std::move(store) : MemoryStore(),
                                 std::move(*LineLog::Open(dir_.In("access.log"))));
  On([&] {
    worker_ =
        std::make_unique<Worker>(*node_, thread_.loop(),
                                 std::make_shared<const Configuration>(
                                     std::move(settings), nullptr, std::vector{std::move(pages)}));
    const Status opened = worker_->Open({}, net::TicketKeys::Random());
    if (!opened) Fatal(opened.error().message);
  });
}

FakeExchange* RequestTest::AskOnLoop(http::RequestHead head,
                                     const std::function<void(FakeExchange&)>& before) {
  exchanges_.push_back(std::make_unique<FakeExchange>(std::move(head), &thread_.loop()));
  FakeExchange* exchange = exchanges_.back().get();
  exchange->pull_at_once = true;
  if (before) before(*exchange);
  worker_->OnRequest(*exchange);
  return exchange;
}

FakeExchange& RequestTest::Ask(http::RequestHead head, std::function<void(FakeExchange&)> before) {
  return *On([&] { return AskOnLoop(std::move(head), before); });
}

std::vector<FakeExchange*> RequestTest::GetAtOnce(const std::vector<std::string>& targets) {
  return On([&] {
    std::vector<FakeExchange*> asked;
    for (const std::string& target : targets) {
      asked.push_back(AskOnLoop(GetFor("https://www.demo.test" + target), {}));
    }
    return asked;
  });
}

FakeExchange& RequestTest::Get(std::string_view target, http::Fields fields) {
  return Ask(GetFor("https://www.demo.test" + std::string(target), std::move(fields)));
}

FakeExchange& RequestTest::Head(std::string_view target, http::Fields fields) {
  return Ask(RequestFor("HEAD", "https://www.demo.test" + std::string(target), std::move(fields)));
}

std::string RequestTest::AnswerNow(FakeExchange& exchange) {
  EXPECT_TRUE(thread_.Await([&] {
    return exchange.status != 0 && (exchange.state == "end" || exchange.state == "failed");
  })) << "no whole answer; state: "
      << exchange.state;
  return On([&] {
    exchange.Finish(exchange.state == "end");
    std::string text = std::to_string(exchange.status) + " " +
                       WithoutWhatVaries(exchange.Field("cache-status")) + "|" + exchange.body;
    if (exchange.state == "failed") text += " [cut off]";
    EXPECT_EQ(exchange.responses, 1);
    return text;
  });
}

std::string RequestTest::Answer(FakeExchange& exchange) {
  const std::string answer = AnswerNow(exchange);
  Settle();
  return answer;
}

std::string RequestTest::Fill(std::string_view target, std::string_view lines,
                              std::string_view body, http::Fields fields, std::string_view status) {
  FakeExchange& exchange = Get(target, std::move(fields));
  origin_.Next().Answer(status, lines, body);
  return Answer(exchange);
}

void RequestTest::Settle() {
  EXPECT_TRUE(thread_.Await([&] { return node_->fills.size() == 0; })) << "a fill never ends";
}

void RequestTest::EndEdge() {
  On([this] {
    exchanges_.clear();
    worker_.reset();
  });
  node_.reset();
}

void RequestTest::Leave(FakeExchange& exchange) {
  On([&] { exchange.Finish(false); });
}

uint64_t RequestTest::Counted(Reason reason) const {
  const auto index = static_cast<size_t>(reason);
  return Sum(reason < Reason::kStored ? node_->metrics.requests[index]
                                      : node_->metrics.stored[index]);
}

}  // namespace nearside::edge
