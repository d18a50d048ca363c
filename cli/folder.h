#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/result.h"

namespace nearside::cli {

struct FolderFile {
  std::string path;    ///< below the folder, "docs/index.html"
  std::string source;  ///< where to read it
  uint64_t bytes = 0;
  std::string sha256;  ///< 64 digits, after HashFiles
};

struct Folder {
  std::vector<FolderFile> files;     ///< in the order of their paths' bytes
  std::vector<std::string> skipped;  ///< hidden files and folders, which are left out
};

/// Every file below `root`. Hidden ones (".git") are left out, but for ".well-known". Symbolic
/// links are followed where they stay inside; one that leaves the folder, a loop, a pipe or a
/// device is an error: a published folder must not carry what lies elsewhere on the machine.
/// Errors: kOperator bad_folder, naming the path.
Result<Folder> WalkFolder(const std::string& root);

/// The SHA-256 of a file's bytes. Error: kOperator cannot_read.
Result<std::string> HashFile(const std::string& path);

}  // namespace nearside::cli
