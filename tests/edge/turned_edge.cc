#include "tests/edge/turned_edge.h"

#include <utility>

#include "edge/stored_response.h"
#include "runtime/fatal.h"
#include "runtime/text_bytes.h"
#include "tests/edge/fake_exchange.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

/// What an answer of the origin's and the fetch that reads it know of each other.
struct Line {
  http::CallHandler* handler = nullptr;  ///< null: nobody listens any more
  bool paused = false;
  std::function<void()> rest;  ///< of what has been held up
};

std::unique_ptr<const storage::HeadPayload> Decode(const storage::Head& head) {
  return DecodeStored(head.meta);
}

}  // namespace

class TurnedEdge::Client final : public http::Client {
 public:
  explicit Client(TurnedEdge& owner) : owner_(owner) {}
  std::unique_ptr<http::Call> Start(const http::Endpoint&, const http::RequestHead& head,
                                    std::unique_ptr<http::BodySource>, std::optional<uint64_t>,
                                    http::CallHandler* handler) override {
    auto line = std::make_shared<Line>(Line{.handler = handler, .paused = false, .rest = {}});
    net::EventLoop& loop = *owner_.loop_;
    loop.Post([line, reply = owner_.origin_(head), method = head.method]() mutable {
      Tell(line, std::move(reply), method);
    });
    return std::make_unique<OneCall>(loop, std::move(line));
  }
  size_t idle_connections() const override { return 0; }
  size_t open_connections() const override { return 0; }

 private:
  struct OneCall final : http::Call {
    OneCall(net::EventLoop& on, std::shared_ptr<Line> of) : loop(on), line(std::move(of)) {}
    ~OneCall() override { line->handler = nullptr; }
    void PauseBody() override { line->paused = true; }
    void ResumeBody() override {
      line->paused = false;
      if (line->rest) loop.Post(std::exchange(line->rest, nullptr));
    }
    void ResumeRequestBody() override {}
    net::EventLoop& loop;
    std::shared_ptr<Line> line;
  };

  static void Tell(const std::shared_ptr<Line>& line, Reply reply, const std::string& method) {
    if (line->handler == nullptr) return;
    const bool bodiless = method == "HEAD" || http::StatusHasNoContent(reply.status);
    if (!http::StatusHasNoContent(reply.status)) {
      reply.fields.Set("content-length", std::to_string(reply.body.size()));
    }
    line->handler->OnHead({.status = reply.status, .fields = std::move(reply.fields)});
    Go(line, [line, bodiless, body = std::move(reply.body)] {
      if (!bodiless && !body.empty()) line->handler->OnBody(AsBytes(body));
      Go(line, [line] { line->handler->OnEnd({}); });
    });
  }
  static void Go(const std::shared_ptr<Line>& line, const std::function<void()>& next) {
    const auto step = [line, next] {
      if (line->handler != nullptr) next();
    };
    line->paused ? void(line->rest = step) : step();
  }

  TurnedEdge& owner_;
};

TurnedEdge::TurnedEdge(std::string_view site, WallTime start, Origin origin)
    : start_(start), origin_(std::move(origin)) {
  loop_ = net::EventLoop::CreateTurned(now_, start_);
  auto store = storage::CacheStore::Open({.path = "", .memory = {4 << 20}}, Decode);
  if (!store) Fatal(store.error().message);
  node_ = std::make_unique<Node>("frankfurt", std::move(*store), *LineLog::Open("off"));
  node_->draw_seed = 1;
  node_->make_client = [this](net::EventLoop&, const Site&) {
    return std::make_shared<Client>(*this);
  };
  worker_ = std::make_unique<Worker>(*node_, *loop_,
                                     std::make_shared<const Configuration>(SettingsWith(site)));
}

TurnedEdge::~TurnedEdge() {
  worker_.reset();
  node_.reset();
}

TurnedEdge::Answer TurnedEdge::Ask(http::RequestHead request) {
  Settle();
  FakeExchange exchange(std::move(request), loop_.get());
  exchange.pull_at_once = true;
  loop_->Post([&] { worker_->OnRequest(exchange); });
  Settle();
  Answer answer{.status = exchange.status,
                .fields = exchange.fields,
                .body = exchange.body,
                .whole = exchange.state == "end"};
  exchange.Finish(answer.whole);
  Settle();
  return answer;
}

/// All that can be done at this time.
void TurnedEdge::Settle() {
  constexpr int kMost = 100'000;
  for (int i = 0; i < kMost; ++i) {
    loop_->Turn(now_, wall_now());
    const auto next = loop_->NextTurn();
    if (!next || *next > now_) return;
  }
  Fatal("the edge never comes to rest");
}

}  // namespace nearside::edge
