#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "net/descriptor.h"
#include "net/worker_group.h"
#include "runtime/signals.h"

namespace nearside::net {

namespace {

class SignalDescriptorWatch final : public SignalWatch, private Watcher {
 public:
  SignalDescriptorWatch(EventLoop& loop, Handlers handlers)
      : loop_(loop), handlers_(std::move(handlers)) {}

  ~SignalDescriptorWatch() override {
    if (signals_.is_open()) loop_.Unwatch(signals_.get());
  }

  Status Open() {
    BlockDaemonSignals();  // again, in case that the caller forgot: an unblocked SIGTERM would kill
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set, number);
    signals_ = Descriptor(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals_.is_open()) return FailErrno("signalfd", errno);
    return loop_.Watch(signals_.get(), EPOLLIN, this);
  }

 private:
  void OnReady(uint32_t) override {
    signalfd_siginfo info{};
    if (read(signals_.get(), &info, sizeof info) != sizeof info) return;
    // A copy, because it may destroy this watch. The next signal is the next event.
    auto handler = info.ssi_signo == SIGHUP    ? handlers_.on_reload
                   : info.ssi_signo == SIGUSR2 ? handlers_.on_upgrade
                                               : handlers_.on_terminate;
    if (handler) handler();
  }

  EventLoop& loop_;
  Handlers handlers_;
  Descriptor signals_;
};

}  // namespace

Result<std::unique_ptr<SignalWatch>> SignalWatch::Create(EventLoop& loop, Handlers handlers) {
  auto watch = std::make_unique<SignalDescriptorWatch>(loop, std::move(handlers));
  if (auto opened = watch->Open(); !opened) return unexpected(opened.error());
  return watch;
}

}  // namespace nearside::net
