#include "tests/support/system_calls.h"

#include <sys/epoll.h>
#include <sys/socket.h>

namespace {
thread_local nearside::test::SystemCalls calls;
}  // namespace

// The names are the linker's (--wrap).
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier)
extern "C" {

int __real_accept4(int fd, sockaddr* address, socklen_t* length, int flags);
int __wrap_accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  ++calls.accepts;
  return __real_accept4(fd, address, length, flags);
}

int __real_epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  ++calls.controls;
  return __real_epoll_ctl(epoll, operation, fd, event);
}

ssize_t __real_recv(int fd, void* buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags) {
  ++calls.receives;
  return __real_recv(fd, buffer, size, flags);
}

ssize_t __real_send(int fd, const void* bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void* bytes, size_t size, int flags) {
  ++calls.sends;
  return __real_send(fd, bytes, size, flags);
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how) {
  ++calls.shutdowns;
  return __real_shutdown(fd, how);
}

int __real_setsockopt(int fd, int level, int option, const void* value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int option, const void* value, socklen_t length) {
  ++calls.set_options;
  return __real_setsockopt(fd, level, option, value, length);
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

namespace nearside::test {

SystemCalls CountedCalls() { return calls; }

}  // namespace nearside::test
