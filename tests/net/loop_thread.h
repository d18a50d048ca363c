#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <type_traits>

#include "net/event_loop.h"

namespace nearside::net {

/// An event loop on a thread of its own. What tests make on it they must also end on it (Call), or
/// after Stop.
class LoopThread {
 public:
  LoopThread();
  ~LoopThread();
  EventLoop& loop() { return *loop_; }

  /// Runs `f` on the loop and answers what it returns.
  template <typename F>
  auto Call(F f) -> std::invoke_result_t<F> {
    std::promise<std::invoke_result_t<F>> done;
    loop_->Post([&] {
      if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
        f();
        done.set_value();
      } else {
        done.set_value(f());
      }
    });
    return done.get_future().get();
  }

  /// Asks `condition` on the loop at the end of each turn until it holds. False after half a
  /// minute.
  bool Await(std::function<bool()> condition);
  void Stop();

 private:
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace nearside::net
