#pragma once

// One process takes over from another without losing a query: the old one starts the new one and
// gives it its sockets themselves, so that what is queued in them is answered by whoever reads it
// first. (As nginx does on SIGUSR2; systemd's socket activation gives sockets the same way.)

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

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

  std::vector<Held> held_;
  net::Descriptor ready_;  ///< to the process before us
};

/// What the old process does. Control loop's thread.
class Handover {
 public:
  struct Listeners {
    std::function<void()> on_ready;  ///< the new process answers
    /// It ended before it did, or took longer than `patience` and was killed: what it was, as text.
    std::function<void(const std::string& why)> on_failed;
  };
  /// Starts `program` with `arguments` (without its name) and the open `sockets`. `loop` outlives
  /// it. Error: kOperator when it cannot be started.
  /// A process that hangs must not keep others from ever being started: `patience` is its time.
  static Result<std::unique_ptr<Handover>> Start(net::EventLoop& loop, const std::string& program,
                                                 const std::vector<std::string>& arguments,
                                                 const std::vector<int>& sockets,
                                                 milliseconds patience, Listeners listeners);
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
