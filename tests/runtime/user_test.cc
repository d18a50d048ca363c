#include "runtime/user.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "tests/support/temp_dir.h"

namespace nearside {
namespace {

/// Whether `run` is true in a process of its own, which may give up its rights.
template <typename F>
bool InAnotherProcess(const F& run) {
  const pid_t pid = fork();
  if (pid == 0) _exit(run() ? 0 : 1);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string OwnName() { return getpwuid(geteuid())->pw_name; }

TEST(UserTest, UnknownUsersAreNamed) {
  for (const Status& status : {CheckUser("no-such-user"), BecomeUser("no-such-user"),
                               GiveFolderTo("/tmp", "no-such-user")}) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().reason, "no_user");
    EXPECT_EQ(status.error().fault, Fault::kOperator);
    EXPECT_EQ(status.error().message, "there is no user \"no-such-user\" on this machine");
  }
  EXPECT_TRUE(CheckUser("root"));
}

TEST(UserTest, WhoIsTheUserAlreadyStaysIt) {
  const uid_t before = geteuid();
  EXPECT_TRUE(BecomeUser(OwnName()));
  EXPECT_EQ(geteuid(), before);
}

TEST(UserTest, RootIsGivenUpForGood) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give it up";
  EXPECT_TRUE(InAnotherProcess([] {
    if (!BecomeUser("nobody")) return false;
    std::array<gid_t, 64> groups;
    const int count = getgroups(static_cast<int>(groups.size()), groups.data());
    for (int i = 0; i < count; ++i) {
      if (groups[static_cast<size_t>(i)] == 0) return false;
    }
    const bool is_nobody = getuid() == getpwnam("nobody")->pw_uid && getuid() == geteuid();
    const auto back = BecomeUser("root");
    return is_nobody && getgid() != 0 && setuid(0) != 0 && !back &&
           back.error().reason == "not_root";
  }));
}

TEST(UserTest, AFolderAndItsFilesBecomeTheUsers) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give away";
  test::TempDir dir;
  const std::string file = dir.Write("health.json", "{}");
  ASSERT_TRUE(GiveFolderTo(dir.In(""), "nobody"));
  for (const std::string& path : {dir.In(""), file}) {
    struct stat told {};
    ASSERT_EQ(stat(path.c_str(), &told), 0);
    EXPECT_EQ(told.st_uid, getpwnam("nobody")->pw_uid) << path;
  }
  EXPECT_FALSE(GiveFolderTo(dir.In("none"), "nobody"));
}

}  // namespace
}  // namespace nearside
