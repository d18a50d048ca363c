#include "geodns/geodns_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// A socket of another program on a loopback port that the system chose.
class Squatter {
 public:
  explicit Squatter(int type) : descriptor_(socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    auto any = *net::SocketAddress::Parse("127.0.0.1:0");
    EXPECT_EQ(bind(descriptor_, any.get(), any.length()), 0);
    if (type != SOCK_STREAM) return;
    EXPECT_EQ(listen(descriptor_, 1), 0);
  }
  ~Squatter() { close(descriptor_); }
  Squatter(const Squatter&) = delete;
  Squatter& operator=(const Squatter&) = delete;

  std::string Address() const {
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    getsockname(descriptor_, reinterpret_cast<sockaddr*>(&bound), &length);
    return net::SocketAddress(reinterpret_cast<sockaddr*>(&bound), length).ToString();
  }

 private:
  int descriptor_;
};

class GeodnsServerTest : public testing::Test {
 protected:
  /// The file geodns.toml with these addresses; `listen` is in its third line, `state` in the
  /// fourth, `address` in the sixth.
  std::string Settings(std::string_view listen, std::string_view admin, std::string_view state) {
    dir_.Write("z", "$TTL 300\n@ SOA ns1 h 1 1h 1h 1w 60\n@ NS ns1\nns1 A 127.0.0.1\n");
    std::string text = "[geodns]\nthreads = 1\nlisten = [\"";
    text.append(listen).append("\"]\nstate = \"").append(state).append("\"\n[admin]\naddress = \"");
    text.append(admin).append("\"\n[[zone]]\nname = \"demo.test\"\nfile = \"");
    return dir_.Write("geodns.toml", text + dir_.In("z") + "\"\n");
  }
  void ExpectRefused(const Status& status, const std::string& want) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().fault, Fault::kOperator) << "exit code 78";
    EXPECT_THAT(status.error().message, StartsWith(dir_.In("geodns.toml") + want));
  }
  test::TempDir dir_;
};

TEST_F(GeodnsServerTest, ABusyPortIsNamedWithItsLine) {
  for (int type : {SOCK_DGRAM, SOCK_STREAM}) {
    Squatter squatter(type);
    const std::string address = squatter.Address();
    Status status = RunGeodns(Settings(address, "", ""));
    ExpectRefused(status, ":3: geodns.listen: ");
    EXPECT_THAT(status.error().message, HasSubstr(address + ": another "));
    EXPECT_EQ(status.error().reason, "address_in_use");
  }
}

TEST_F(GeodnsServerTest, ABusyAdminPortIsNamedWithItsLine) {
  Squatter squatter(SOCK_STREAM);
  Status status = RunGeodns(Settings("127.0.0.1:0", squatter.Address(), ""));
  ExpectRefused(status, ":6: admin.address: ");
  EXPECT_THAT(status.error().message, HasSubstr(squatter.Address()));
}

TEST_F(GeodnsServerTest, AnAddressOfNoInterfaceIsNamedWithItsLine) {
  ExpectRefused(RunGeodns(Settings("192.0.2.1:5300", "", "")),
                ":3: geodns.listen: 192.0.2.1:5300: no network interface has this address");
}

TEST_F(GeodnsServerTest, AFolderThatCannotBeIsRefusedByCheckAndStart) {
  dir_.Write("plain", "");
  const std::string config = Settings("127.0.0.1:0", "", dir_.In("plain/state"));
  const std::string want = ":4: geodns.state: " + dir_.In("plain/state") + ": ";
  ExpectRefused(CheckGeodns(config), want);
  ExpectRefused(RunGeodns(config), want);
}

TEST_F(GeodnsServerTest, AFolderThatOnlyMakingShowsToBeImpossibleIsRefused) {
  // To root /proc looks as if it could be written.
  ExpectRefused(RunGeodns(Settings("127.0.0.1:0", "", "/proc/nearside/state")),
                ":4: geodns.state: /proc/nearside/state: ");
}

TEST_F(GeodnsServerTest, ACheckOpensNoPort) {
  Squatter squatter(SOCK_DGRAM);
  auto checked = CheckGeodns(Settings(squatter.Address(), squatter.Address(), dir_.In("state")));
  EXPECT_TRUE(checked) << checked.error().message;
}

}  // namespace
}  // namespace nearside::geodns
