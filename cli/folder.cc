#include "cli/folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "runtime/crypto.h"

namespace nearside::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kDepth = 64;

tl::unexpected<Error> BadFolder(const fs::path& path, std::string_view why) {
  return Fail(Fault::kOperator, "bad_folder", path.string() + ": " + std::string(why));
}

/// RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const uint8_t first = at(i);
    const size_t length = first < 0x80   ? 1
                          : first < 0xC2 ? 0
                          : first < 0xE0 ? 2
                          : first < 0xF0 ? 3
                          : first < 0xF5 ? 4
                                         : 0;
    if (length == 0 || length > text.size() - i) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((at(i + k) & 0xC0) != 0x80) return false;
    }
    const uint8_t second = length > 1 ? at(i + 1) : 0;
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
        (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
      return false;
    }
    i += length;
  }
  return true;
}

class Walker {
 public:
  explicit Walker(fs::path real_root) : root_(std::move(real_root)) {}

  /// `real` is the folder on disk, `name` its path as published ("" for the root).
  Status Walk(const fs::path& real, const std::string& name) {
    if (std::find(above_.begin(), above_.end(), real) != above_.end()) {
      return BadFolder(name, "a symbolic link leads back to a folder above it");
    }
    if (above_.size() >= kDepth) return BadFolder(name, "folders nest too deep");
    above_.push_back(real);
    std::error_code error;
    for (fs::directory_iterator it(real, error), end; !error && it != end; it.increment(error)) {
      if (Status visited = Visit(*it, name); !visited) return visited;
    }
    above_.pop_back();
    return error ? Status(BadFolder(real, error.message())) : Status();
  }

  Folder Take() { return std::move(folder_); }

 private:
  Status Visit(const fs::directory_entry& entry, const std::string& below) {
    const std::string file = entry.path().filename().string();
    const std::string name = below.empty() ? file : below + "/" + file;
    if (file.starts_with('.') && file != ".well-known") {
      folder_.skipped.push_back(name);
      return {};
    }
    if (!IsUtf8(file)) {
      return BadFolder(entry.path(), "the name is not UTF-8, as URLs have it; rename it");
    }
    std::error_code error;
    const fs::path real = fs::canonical(entry.path(), error);
    if (error) return BadFolder(entry.path(), error.message());
    if (entry.is_symlink() && !Inside(real)) {
      return BadFolder(entry.path(), "a symbolic link that leaves the folder (to " + real.string() +
                                         "); replace it by what it points to");
    }
    const fs::file_status status = fs::status(real, error);
    if (fs::is_directory(status)) return Walk(real, name);
    if (!fs::is_regular_file(status)) {
      return BadFolder(entry.path(), "neither a file nor a folder; remove it");
    }
    FolderFile found;
    found.path = name;
    found.source = real.string();
    found.bytes = fs::file_size(real, error);
    if (error) return BadFolder(entry.path(), error.message());
    folder_.files.push_back(std::move(found));
    return {};
  }

  bool Inside(const fs::path& real) const {
    const auto [root_end, rest] =
        std::mismatch(root_.begin(), root_.end(), real.begin(), real.end());
    return root_end == root_.end();
  }

  const fs::path root_;
  std::vector<fs::path> above_;
  Folder folder_;
};

}  // namespace

Result<Folder> WalkFolder(const std::string& root) {
  std::error_code error;
  const fs::path real = fs::canonical(root, error);
  if (error) return BadFolder(root, error.message());
  if (!fs::is_directory(real, error)) return BadFolder(root, "expected a folder");
  Walker walker(real);
  if (Status walked = walker.Walk(real, ""); !walked) return unexpected(std::move(walked.error()));
  Folder folder = walker.Take();
  std::sort(folder.files.begin(), folder.files.end(),
            [](const FolderFile& a, const FolderFile& b) { return a.path < b.path; });
  std::sort(folder.skipped.begin(), folder.skipped.end());
  return folder;
}

Result<std::string> HashFile(const std::string& path) {
  const auto fail = [&](int number) {
    return Fail(Fault::kOperator, "cannot_read", path + ": " + std::string(std::strerror(number)));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(errno);
  Sha256 hash;
  std::vector<uint8_t> piece(kReadBytes);
  ssize_t n = 0;
  while ((n = ::read(fd, piece.data(), piece.size())) > 0) {
    hash.Update(std::span(piece).first(static_cast<size_t>(n)));
  }
  const int number = errno;
  ::close(fd);
  if (n < 0) return fail(number);
  return HexEncode(hash.Finish());
}

}  // namespace nearside::cli
