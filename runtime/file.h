#pragma once

// Small files, whole: settings, tokens, zones, state. Blocks on the disk, so never on an event
// loop's thread.

#include <sys/types.h>

#include <string>
#include <string_view>

#include "runtime/result.h"
#include "runtime/units.h"

namespace nearside {

/// All bytes of a file, pipe or device. Errors: kSelf with errno's name ("ENOENT"), or too_large
/// beyond `limit`; the message begins with the path.
Result<std::string> ReadFile(const std::string& path, ByteSize limit);

/// Replaces `path` by `bytes` so that a reader, or the disk after a power loss, has the old file or
/// the new one: a temporary file beside it, fsync, rename, fsync of the folder. `mode` is exact (no
/// umask). Errors: kSelf with errno's name; the temporary file is then removed.
Status WriteFileAtomically(const std::string& path, std::string_view bytes, mode_t mode);

/// Makes `path` and the folders above it that are missing, with mode 0755 less the umask. It is no
/// error when all exist. Error: kSelf with errno's name ("ENOTDIR", "EACCES").
Status MakeFolders(const std::string& path);

/// Whether MakeFolders would give a folder in which files can be made; changes nothing. Error:
/// kOperator folder_unwritable, with what is in the way and what was expected.
Status CheckFolder(const std::string& path);

/// What tells that a file was written anew; a file that is not there has the stamp of nothing.
struct FileStamp {
  ino_t inode = 0;
  time_t seconds = 0;
  long nanoseconds = 0;
  bool operator==(const FileStamp&) const = default;
};
FileStamp StampOf(const std::string& path);

}  // namespace nearside
