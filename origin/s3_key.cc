#include "origin/s3_key.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "runtime/crypto.h"
#include "runtime/file.h"

namespace nearside::origin {
namespace {

constexpr size_t kLeastKeyCharacters = 32;
constexpr size_t kKeyBytes = 32;
constexpr mode_t kOwnerOnly = 0600;

/// Makes the file unless another process does so first; it is there whole or not at all.
Status MakeKey(const std::string& file) {
  std::array<uint8_t, kKeyBytes> random{};
  RandomBytes(random);
  const std::string draft = file + "." + HexEncode(std::span(random).first(4)) + ".new";
  RandomBytes(random);
  Status written = WriteFileAtomically(draft, HexEncode(random) + "\n", kOwnerOnly);
  if (!written) return written;
  const bool linked = ::link(draft.c_str(), file.c_str()) == 0;
  const int error = errno;
  ::unlink(draft.c_str());
  return linked || error == EEXIST ? Status() : FailErrno(file, error);
}

}  // namespace

std::string S3KeyFile(const AuthSettings& auth, const StorageSettings& storage) {
  if (!auth.s3_key_file.empty()) return auth.s3_key_file;
  const std::filesystem::path database = storage.metadata.substr(storage.metadata.find(':') + 1);
  return (database.parent_path() / "s3.key").string();
}

Result<std::string> ReadS3Key(const std::string& file) {
  const auto bad = [&](const std::string& why) {
    return Fail(Fault::kOperator, "bad_key_file",
                why + ": expected a file with one line of at least " +
                    std::to_string(kLeastKeyCharacters) +
                    " characters, the same for every origin of this database, made for example "
                    "by: openssl rand -hex 32 > " +
                    file);
  };
  Result<std::string> text = ReadFile(file, 4_KiB);
  if (!text) return bad(text.error().message);
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  if (text->size() < kLeastKeyCharacters) return bad(file + ": the key is too short");
  if (text->find('\n') != std::string::npos) return bad(file + ": holds several lines");
  return std::move(*text);
}

Result<std::string> OpenS3Key(const AuthSettings& auth, const StorageSettings& storage) {
  const std::string file = S3KeyFile(auth, storage);
  if (auth.s3_key_file.empty() && ::access(file.c_str(), F_OK) != 0) {
    if (Status made = MakeKey(file); !made) {
      return Fail(Fault::kOperator, "bad_key_file", made.error().message);
    }
  }
  return ReadS3Key(file);
}

}  // namespace nearside::origin
