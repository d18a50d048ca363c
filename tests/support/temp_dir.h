#pragma once

#include <string>
#include <string_view>

namespace nearside::test {

/// A folder of its own under $TMPDIR or /tmp, removed with all in it at the end of the scope.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  /// path() + "/" + name.
  std::string In(std::string_view name) const;
  /// Writes a file inside, making its folders, and returns its path. Aborts when it cannot.
  std::string Write(std::string_view name, std::string_view bytes) const;
  /// The bytes of a file inside. Aborts when it is not there.
  std::string Read(std::string_view name) const;

 private:
  std::string path_;
};

}  // namespace nearside::test
