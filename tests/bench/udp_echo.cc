// What the kernel takes for UDP by itself: sends each datagram back, as a response, and does
// nothing else. Ways to learn of datagrams are compared by the CPU time of this process; ask it as
// a name server.
//
//   udp_echo PORT block|epoll|gather [BATCH] [MICROSECONDS]
//
//   block    recvmmsg sleeps until a datagram is there
//   epoll    epoll tells of the socket
//   gather   the socket is looked at every MICROSECONDS, until nothing comes for a while

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kDatagramBytes = 2048 + 64;
constexpr uint8_t kResponseFlag = 0x80;  // in the third byte of a DNS message
constexpr int kEmptyLooks = 20;

class Echo {
 public:
  Echo(int socket, size_t batch)
      : socket_(socket), bytes_(batch * kDatagramBytes), parts_(batch), peers_(batch), all_(batch) {
    for (size_t i = 0; i < batch; ++i) {
      all_[i].msg_hdr.msg_iov = &parts_[i];
      all_[i].msg_hdr.msg_iovlen = 1;
      all_[i].msg_hdr.msg_name = &peers_[i];
    }
  }
  /// One batch; returns how many came. `flags`: of recvmmsg.
  size_t Turn(int flags) {
    for (size_t i = 0; i < all_.size(); ++i) {
      parts_[i] = {&bytes_[i * kDatagramBytes], kDatagramBytes};
      all_[i].msg_hdr.msg_namelen = sizeof peers_[i];
    }
    const int received =
        recvmmsg(socket_, all_.data(), static_cast<unsigned>(all_.size()), flags, nullptr);
    if (received <= 0) return 0;
    const auto count = static_cast<size_t>(received);
    for (size_t i = 0; i < count; ++i) {
      parts_[i].iov_len = all_[i].msg_len;
      if (all_[i].msg_len > 2) bytes_[i * kDatagramBytes + 2] |= kResponseFlag;
    }
    for (size_t sent = 0; sent < count;) {
      const int n =
          sendmmsg(socket_, &all_[sent], static_cast<unsigned>(count - sent), MSG_DONTWAIT);
      sent += static_cast<size_t>(std::max(n, 1));
    }
    return count;
  }

 private:
  int socket_;
  std::vector<uint8_t> bytes_;
  std::vector<iovec> parts_;
  std::vector<sockaddr_in> peers_;
  std::vector<mmsghdr> all_;
};

[[noreturn]] void ByEpoll(Echo* echo, int socket) {
  const int epoll = epoll_create1(0);
  epoll_event event{.events = EPOLLIN, .data = {}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  for (;;) {
    epoll_wait(epoll, &event, 1, -1);
    echo->Turn(MSG_DONTWAIT);
  }
}

[[noreturn]] void ByGathering(Echo* echo, size_t batch, long microseconds) {
  prctl(PR_SET_TIMERSLACK, 1000UL);
  const timespec pause{0, microseconds * 1000};
  int empty = 0;
  for (;;) {
    const size_t count = echo->Turn(empty > kEmptyLooks ? MSG_WAITFORONE : MSG_DONTWAIT);
    empty = count == 0 ? empty + 1 : 0;
    if (count < batch / 2) nanosleep(&pause, nullptr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 2 ? argv[2] : "";
  const size_t batch = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 64;
  const long microseconds = argc > 4 ? std::strtol(argv[4], nullptr, 10) : 50;
  const bool is_mode = mode == "block" || mode == "epoll" || mode == "gather";
  if (!is_mode || batch == 0 || microseconds < 1 || microseconds > 999'999) {
    std::fprintf(stderr, "usage: udp_echo PORT block|epoll|gather [BATCH] [MICROSECONDS]\n");
    return 2;
  }
  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::strtoul(argv[1], nullptr, 10)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::perror("bind");
    return 1;
  }
  Echo echo(socket, batch);
  if (mode == "epoll") ByEpoll(&echo, socket);
  if (mode == "gather") ByGathering(&echo, batch, microseconds);
  for (;;) echo.Turn(MSG_WAITFORONE);
}
