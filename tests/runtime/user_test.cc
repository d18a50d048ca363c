#include "runtime/user.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

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

TEST(UserTest, FilesBecomeThoseOfTheOwnerOfTheirFolder) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give away";
  test::TempDir dir;
  const std::string file = dir.Write("1.key", "secret");
  const auto owner = [&] {
    struct stat told {};
    EXPECT_EQ(stat(file.c_str(), &told), 0);
    return told.st_uid;
  };
  const passwd nobody = *getpwnam("nobody");
  ASSERT_EQ(chown(file.c_str(), nobody.pw_uid, nobody.pw_gid), 0);
  ASSERT_TRUE(GiveFolderToItsOwner(dir.path()));
  EXPECT_EQ(owner(), nobody.pw_uid) << "nothing in root's own folder changes";
  ASSERT_EQ(chown(file.c_str(), 0, 0), 0);
  ASSERT_EQ(chown(dir.path().c_str(), nobody.pw_uid, nobody.pw_gid), 0);
  ASSERT_TRUE(GiveFolderToItsOwner(dir.path()));
  EXPECT_EQ(owner(), nobody.pw_uid);
  EXPECT_FALSE(GiveFolderToItsOwner(dir.In("none")));
}

TEST(UserTest, FoldersBelowBecomeTheUsersAndLinksLeadNowhere) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give away";
  test::TempDir dir;
  test::TempDir elsewhere;
  const auto owner_of = [](const std::string& path) {
    struct stat told {};
    EXPECT_EQ(lstat(path.c_str(), &told), 0) << path;
    return told.st_uid;
  };
  std::filesystem::create_directories(dir.In("keys/demo.test"));
  const std::string key = dir.Write("keys/demo.test/1.key", "secret");
  ASSERT_EQ(chmod(key.c_str(), 0600), 0);
  const std::string foreign = elsewhere.Write("shadow", "");
  std::filesystem::create_symlink(foreign, dir.In("keys/file"));
  std::filesystem::create_symlink(elsewhere.path(), dir.In("keys/folder"));
  std::filesystem::create_hard_link(foreign, dir.In("keys/hard"));
  auto given = GiveFolderTo(dir.path(), "nobody");
  ASSERT_TRUE(given) << given.error().message;
  const uid_t nobody = getpwnam("nobody")->pw_uid;
  EXPECT_EQ(owner_of(dir.In("keys")), nobody);
  EXPECT_EQ(owner_of(dir.In("keys/demo.test")), nobody);
  EXPECT_EQ(owner_of(key), nobody);
  EXPECT_EQ(owner_of(foreign), 0U);
  EXPECT_EQ(owner_of(elsewhere.path()), 0U);
  EXPECT_EQ(owner_of(dir.In("keys/hard")), 0U);
}

}  // namespace
}  // namespace nearside
