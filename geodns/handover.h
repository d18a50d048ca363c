#pragma once

// One process takes over from another without losing a query: the old one starts the new one and
// gives it its sockets themselves, so that what is queued in them is answered by whoever reads it
// first. (As nginx does on SIGUSR2; systemd's socket activation gives sockets the same way.)
// Between the two is a pair of sockets, on which the old one tells the secret of its cookies and
// the new one that it is about to answer.

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dns/cookie.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "net/event_loop.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// The sockets that came with this process. Main thread, before others are started.
class InheritedSockets {
 public:
  /// Takes what the environment names (NEARSIDE_SOCKETS from a process of ours, LISTEN_FDS from
  /// systemd, for this process alone) and removes it there, so that no child of ours takes it for
  /// its own.
  static InheritedSockets FromEnvironment();

  /// One that is bound to exactly this address, of type SOCK_DGRAM or SOCK_STREAM; not open when
  /// there is none (any more). Whoever takes it owns it.
  net::Descriptor Take(const net::SocketAddress& address, int type);
  /// The cookies' secret of the process before us; none without one, or of one that did not tell.
  const std::optional<dns::CookieSecret>& cookie_secret() const { return cookie_secret_; }
  /// Tells the process before us that we are about to answer; once. False when it has ended
  /// meanwhile: then nobody wants us any more.
  bool TellReady();

 private:
  struct Held {
    net::SocketAddress address;
    int type = 0;
    net::Descriptor socket;
  };
  void Add(int descriptor);
  void ReadSecret();

  std::vector<Held> held_;
  net::Descriptor ready_;  ///< to the process before us
  std::optional<dns::CookieSecret> cookie_secret_;
};

/// What the old process does. Control loop's thread.
class Handover {
 public:
  struct Listeners {
    std::function<void()> on_ready;  ///< the new process answers
    /// It ended before it did, or took longer than `patience` and was killed: what it was, as text.
    std::function<void(const std::string& why)> on_failed;
  };
  /// What the new process is and gets.
  struct Successor {
    std::string program;
    std::vector<std::string> arguments;  ///< without its name
    std::vector<int> sockets;            ///< open ones
    dns::CookieSecret cookie_secret{};
    milliseconds patience{};  ///< one that hangs must not keep others from ever being started
  };
  /// Starts it. `loop` outlives this. Error: kOperator when it cannot be started.
  static Result<std::unique_ptr<Handover>> Start(net::EventLoop& loop, const Successor& successor,
                                                 Listeners listeners);
  /// Kills the new process when it has neither answered nor ended yet.
  virtual ~Handover() = default;
  virtual pid_t pid() const = 0;
  /// Ends the new process, whether it answers yet or not.
  virtual void Abandon() = 0;
};

/// The program's file as it was called, for the next process: what has replaced it since is what
/// will run. Called at the start.
std::string OwnProgram();

}  // namespace nearside::geodns
