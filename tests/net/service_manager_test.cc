#include "net/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/support/temp_dir.h"

namespace nearside::net {
namespace {

/// A service manager: a datagram socket at a path, or at an abstract name that begins with '@'.
class ManagerSocket {
 public:
  explicit ManagerSocket(const std::string& name)
      : descriptor_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), bytes), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~ManagerSocket() {
    unsetenv("NOTIFY_SOCKET");
    close(descriptor_);
  }
  /// What has been told last, "" for nothing.
  std::string Told() {
    char text[100];
    const ssize_t size = recv(descriptor_, text, sizeof text, 0);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }

 private:
  int descriptor_;
};

TEST(ServiceManagerTest, IsToldAtAPathAndAtAnAbstractName) {
  const test::TempDir folder;
  for (const std::string& name :
       {folder.In("notify"), "@nearside-test-" + std::to_string(getpid())}) {
    ManagerSocket manager(name);
    NotifyServiceManager("READY=1");
    EXPECT_EQ(manager.Told(), "READY=1") << name;
    NotifyServiceManager("STOPPING=1");
    EXPECT_EQ(manager.Told(), "STOPPING=1") << name;
  }
}

TEST(ServiceManagerTest, WithoutOneNothingHappens) {
  unsetenv("NOTIFY_SOCKET");
  NotifyServiceManager("READY=1");
  const std::string too_long = "/" + std::string(200, 'x');
  for (const char* name : {"", "relative", "/nobody/is/here", too_long.c_str()}) {
    setenv("NOTIFY_SOCKET", name, 1);
    NotifyServiceManager("READY=1");
  }
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace nearside::net
