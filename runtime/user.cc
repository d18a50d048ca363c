#include "runtime/user.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace nearside {
namespace {

// getpwnam is for one thread; users are looked up while the daemon starts or reads its settings.
Result<passwd> FindUser(const std::string& name) {
  const passwd* found = getpwnam(name.c_str());
  if (found == nullptr) {
    return Fail(Fault::kOperator, "no_user", "there is no user \"" + name + "\" on this machine");
  }
  return *found;
}

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

constexpr int kDeepest = 32;
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// The folder itself may be a link of whoever set this up.
int OpenFolder(const std::string& folder) {
  return open(folder.c_str(), kOpenFolder & ~O_NOFOLLOW);
}

/// Takes the open `folder`. By descriptors and not by paths: whoever may write below could else
/// lead root elsewhere while it walks.
Status GiveTree(int folder, const std::string& path, const Owner& owner, int deepest) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(folder), closedir);
  if (!listing) {
    const int error = errno;
    close(folder);
    return FailErrno(path, error);
  }
  if (fchown(folder, owner.uid, owner.gid) != 0) return FailErrno(path, errno);
  while (const dirent* entry = readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string below = path + "/" + name;
    struct stat state {};
    if (fstatat(folder, name.c_str(), &state, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return FailErrno(below, errno);
    }
    if (S_ISDIR(state.st_mode)) {
      if (deepest == 0) return FailErrno(below, ENAMETOOLONG);
      const int opened = openat(folder, name.c_str(), kOpenFolder);
      if (opened < 0) return FailErrno(below, errno);
      if (auto given = GiveTree(opened, below, owner, deepest - 1); !given) return given;
    } else if (S_ISREG(state.st_mode) && state.st_nlink == 1 &&
               fchownat(folder, name.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return FailErrno(below, errno);
    }
  }
  return {};
}

}  // namespace

Status CheckUser(const std::string& name) {
  auto user = FindUser(name);
  if (!user) return unexpected(user.error());
  return {};
}

Status BecomeUser(const std::string& name) {
  auto user = FindUser(name);
  if (!user) return unexpected(user.error());
  if (geteuid() == user->pw_uid && getuid() == user->pw_uid) return {};
  if (geteuid() != 0) {
    return Fail(Fault::kOperator, "not_root",
                "only root can become \"" + name +
                    "\"; start as root, or leave it out and start as that user");
  }
  if (initgroups(name.c_str(), user->pw_gid) != 0) return FailErrno("initgroups", errno);
  if (setgid(user->pw_gid) != 0) return FailErrno("setgid", errno);
  if (setuid(user->pw_uid) != 0) return FailErrno("setuid", errno);
  if (user->pw_uid != 0 && setuid(0) == 0) {
    return Fail(Fault::kSelf, "still_root", "root's rights could not be given up");
  }
  return {};
}

Status GiveFolderTo(const std::string& folder, const std::string& name) {
  auto user = FindUser(name);
  if (!user) return unexpected(user.error());
  if (geteuid() != 0) return {};
  const int opened = OpenFolder(folder);
  if (opened < 0) return FailErrno(folder, errno);
  return GiveTree(opened, folder, {user->pw_uid, user->pw_gid}, kDeepest);
}

Status GiveFolderToItsOwner(const std::string& folder) {
  if (geteuid() != 0) return {};
  const int opened = OpenFolder(folder);
  struct stat state {};
  if (opened < 0 || fstat(opened, &state) != 0) {
    const int error = errno;
    if (opened >= 0) close(opened);
    return FailErrno(folder, error);
  }
  if (state.st_uid == 0) {
    close(opened);
    return {};
  }
  return GiveTree(opened, folder, {state.st_uid, state.st_gid}, kDeepest);
}

}  // namespace nearside
