#include "geodns/handover.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runtime/units.h"

namespace nearside::geodns {
namespace {

// "READY:7,8,9": one end of a pair and sockets.
constexpr const char* kSockets = "NEARSIDE_SOCKETS";
constexpr int kFirstOfSystemd = 3;  // sd_listen_fds(3)
constexpr int kMostInherited = 4096;
constexpr char kReadyByte = 'R';

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The next number of "7,8,9", or -1.
int NextNumber(std::string_view* text) {
  int number = -1;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  if (!text->empty()) text->remove_prefix(1);
  return error == std::errc() ? number : -1;
}

/// The environment of the next process: ours, but for what was meant for us.
std::vector<std::string> NextEnvironment(const std::string& sockets) {
  std::vector<std::string> variables = {std::string(kSockets) + "=" + sockets};
  for (char** at = environ; *at != nullptr; ++at) {
    if (!std::string_view(*at).starts_with(kSockets)) variables.emplace_back(*at);
  }
  return variables;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

class SpawnedHandover final : public Handover, private net::Watcher {
 public:
  SpawnedHandover(net::EventLoop& loop, milliseconds patience, Listeners listeners)
      : loop_(loop),
        listeners_(std::move(listeners)),
        patience_(patience),
        hangs_(loop, [this] { KillHanging(); }) {}
  ~SpawnedHandover() override {
    if (!ready_.is_open()) return;
    // It neither answered nor ended, and nobody would be left to wait for it.
    StopListening();
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const override { return pid_; }
  void Abandon() override { kill(pid_, SIGTERM); }

  Status Spawn(const Successor& successor) {
    std::array<int, 2> ends;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return FailErrno("socketpair", errno);
    }
    net::Descriptor our_end(ends[0]);
    net::Descriptor child_end(ends[1]);
    // It is there before the new process is, which therefore need not wait for it.
    const dns::CookieSecret& secret = successor.cookie_secret;
    if (write(our_end.get(), secret.data(), secret.size()) != static_cast<ssize_t>(secret.size())) {
      return FailErrno("tell the cookies' secret", errno);
    }
    std::string given = std::to_string(child_end.get()) + ":";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // To itself: glibc then only takes the mark close-on-exec away, in the child.
    posix_spawn_file_actions_adddup2(&actions, child_end.get(), child_end.get());
    for (int socket : successor.sockets) {
      posix_spawn_file_actions_adddup2(&actions, socket, socket);
      given += (given.back() == ':' ? "" : ",") + std::to_string(socket);
    }
    const std::string& program = successor.program;
    std::vector<std::string> words = {program};
    words.insert(words.end(), successor.arguments.begin(), successor.arguments.end());
    std::vector<std::string> variables = NextEnvironment(given);
    const int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, Pointers(words).data(),
                                  Pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    // Until here there is nobody to listen to, or to end.
    if (error != 0) return FailErrno("cannot start " + program, error);
    ready_ = std::move(our_end);
    fcntl(ready_.get(), F_SETFL, O_NONBLOCK);
    hangs_.Arm(patience_);
    return loop_.Watch(ready_.get(), EPOLLIN, this);
  }

 private:
  void OnReady(uint32_t) override {
    char byte = 0;
    const ssize_t got = read(ready_.get(), &byte, 1);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    StopListening();
    // A copy, because either may destroy this.
    const Listeners listeners = listeners_;
    if (got == 1 && byte == kReadyByte) return listeners.on_ready();
    int status = 0;
    waitpid(pid_, &status, 0);  // its end of the pair is closed: it ends
    listeners.on_failed(WIFEXITED(status)
                            ? "it ended with exit code " + std::to_string(WEXITSTATUS(status))
                            : "it was killed by signal " + std::to_string(WTERMSIG(status)));
  }

  void KillHanging() {
    StopListening();
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    const Listeners listeners = listeners_;  // which may destroy this
    listeners.on_failed("it did not answer within " + FormatDuration(patience_) +
                        " and was killed");
  }

  void StopListening() {
    hangs_.Disarm();
    loop_.Unwatch(ready_.get());
    ready_.Close();
  }

  net::EventLoop& loop_;
  const Listeners listeners_;
  const milliseconds patience_;
  net::Timer hangs_;
  net::Descriptor ready_;
  pid_t pid_ = 0;
};

}  // namespace

InheritedSockets InheritedSockets::FromEnvironment() {
  InheritedSockets inherited;
  const std::string ours = Environment(kSockets);
  std::string_view rest = ours;
  if (!rest.empty()) {
    const int ready = NextNumber(&rest);
    if (ready > STDERR_FILENO && fcntl(ready, F_SETFD, FD_CLOEXEC) == 0) {
      inherited.ready_ = net::Descriptor(ready);
      inherited.ReadSecret();
    }
    while (!rest.empty()) inherited.Add(NextNumber(&rest));
  }
  const std::string number = Environment("LISTEN_FDS");
  if (Environment("LISTEN_PID") == std::to_string(getpid())) {
    std::string_view digits = number;
    const int count = std::min(NextNumber(&digits), kMostInherited);
    for (int i = 0; i < count; ++i) inherited.Add(kFirstOfSystemd + i);
  }
  for (const char* name : {kSockets, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) unsetenv(name);
  return inherited;
}

/// An older version has a pipe there, which cannot be read.
void InheritedSockets::ReadSecret() {
  dns::CookieSecret secret;
  const ssize_t got = recv(ready_.get(), secret.data(), secret.size(), MSG_DONTWAIT);
  if (got == static_cast<ssize_t>(secret.size())) cookie_secret_ = secret;
}

void InheritedSockets::Add(int descriptor) {
  Held held;
  socklen_t length = sizeof held.type;
  sockaddr_storage bound{};
  socklen_t bound_length = sizeof bound;
  if (descriptor <= STDERR_FILENO ||
      getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &held.type, &length) != 0 ||
      getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &bound_length) != 0) {
    return;  // no socket, and perhaps somebody else's
  }
  held.socket = net::Descriptor(descriptor);
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  fcntl(descriptor, F_SETFL, O_NONBLOCK);
  held.address = net::SocketAddress(reinterpret_cast<sockaddr*>(&bound), bound_length);
  held_.push_back(std::move(held));
}

net::Descriptor InheritedSockets::Take(const net::SocketAddress& address, int type) {
  for (Held& held : held_) {
    if (!held.socket.is_open() || held.type != type || !(held.address == address)) continue;
    return std::move(held.socket);
  }
  return {};
}

bool InheritedSockets::TellReady() {
  if (!ready_.is_open()) return true;
  const bool is_told = write(ready_.get(), &kReadyByte, 1) == 1;
  ready_.Close();
  return is_told;
}

Result<std::unique_ptr<Handover>> Handover::Start(net::EventLoop& loop, const Successor& successor,
                                                  Listeners listeners) {
  auto made = std::make_unique<SpawnedHandover>(loop, successor.patience, std::move(listeners));
  if (auto spawned = made->Spawn(successor); !spawned) {
    return unexpected(spawned.error());
  }
  return made;
}

std::string OwnProgram() {
  std::array<char, 4096> path;
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<size_t>(length)) : "";
}

}  // namespace nearside::geodns
