#include "tests/support/temp_dir.h"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace nearside::test {

namespace {

[[noreturn]] void GiveUp(const std::string& what) {
  std::fprintf(stderr, "TempDir: %s\n", what.c_str());
  std::abort();
}

}  // namespace

TempDir::TempDir() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/nearside-test-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) GiveUp("cannot make " + path_);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::In(std::string_view name) const { return path_ + "/" + std::string(name); }

std::string TempDir::Write(std::string_view name, std::string_view bytes) const {
  const std::string path = In(name);
  std::error_code ignored;  // the stream below tells
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) GiveUp("cannot write " + path);
  return path;
}

std::string TempDir::Read(std::string_view name) const {
  std::ifstream file(In(name), std::ios::binary);
  if (!file) GiveUp("cannot read " + In(name));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace nearside::test
