#include "tests/net/loop_thread.h"

#include <utility>

namespace nearside::net {

namespace {

constexpr seconds kPatience{30};

class Condition final : public TurnEnd {
 public:
  Condition(EventLoop& loop, std::function<bool()> holds) : loop_(loop), holds_(std::move(holds)) {
    loop_.AtTurnEnd(this);
  }
  std::future<bool> Result() { return result_.get_future(); }

  void OnTurnEnd() override {
    bool holds = holds_();
    if (!holds && MonoNow() - start_ < kPatience) {
      loop_.AtTurnEnd(this);
      return;
    }
    result_.set_value(holds);
  }

 private:
  EventLoop& loop_;
  std::function<bool()> holds_;
  std::promise<bool> result_;
  MonoTime start_ = MonoNow();
};

}  // namespace

LoopThread::LoopThread() : loop_(std::move(*EventLoop::Create())) {
  thread_ = std::thread([this] { loop_->Run(); });
}

LoopThread::~LoopThread() { Stop(); }

bool LoopThread::Await(std::function<bool()> condition) {
  auto waiting = Call([&] { return std::make_shared<Condition>(*loop_, std::move(condition)); });
  bool held = waiting->Result().get();
  Call([&] { waiting.reset(); });
  return held;
}

void LoopThread::Stop() {
  loop_->Stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace nearside::net
