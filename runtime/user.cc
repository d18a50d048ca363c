#include "runtime/user.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

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
  if (chown(folder.c_str(), user->pw_uid, user->pw_gid) != 0) return FailErrno(folder, errno);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.is_regular_file(error) || entry.is_symlink(error)) continue;
    const std::string& path = entry.path().string();
    if (lchown(path.c_str(), user->pw_uid, user->pw_gid) != 0) return FailErrno(path, errno);
  }
  return {};
}

}  // namespace nearside
