#include "origin/acme.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "http/characters.h"
#include "net/descriptor.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kFolder = "/.well-known/acme-challenge/";
constexpr size_t kLongestToken = 128;
/// A key authorization is a token and the hash of a key: some 90 bytes.
constexpr size_t kLongestAnswer = 1024;

/// RFC 8555 §8.3: base64url and nothing else, so no name leads out of the folder.
bool IsToken(std::string_view text) {
  return !text.empty() && text.size() <= kLongestToken &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return http::IsAlpha(c) || http::IsDigit(c) || c == '-' || c == '_';
         });
}

/// nullopt when there is no such plain, short file.
std::optional<std::string> ReadChallenge(const std::string& file) {
  const net::Descriptor opened(
      ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat about {};
  if (!opened.is_open() || ::fstat(opened.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    return std::nullopt;
  }
  std::string text(kLongestAnswer + 1, '\0');
  ssize_t n = 0;
  do {
    n = ::read(opened.get(), text.data(), text.size());
  } while (n < 0 && errno == EINTR);
  if (n <= 0 || static_cast<size_t>(n) > kLongestAnswer) return std::nullopt;
  text.resize(static_cast<size_t>(n));
  return text;
}

}  // namespace

bool IsChallenge(const std::string& webroot, const http::RequestHead& request) {
  return !webroot.empty() && request.path().starts_with(kFolder) &&
         (request.method == "GET" || request.method == "HEAD");
}

std::optional<Answer> AnswerChallenge(const std::string& webroot,
                                      const http::RequestHead& request) {
  if (!IsChallenge(webroot, request)) return std::nullopt;
  const std::string_view token = request.path().substr(kFolder.size());
  std::optional<std::string> text;
  if (IsToken(token)) text = ReadChallenge(webroot + std::string(request.path()));
  Answer answer = text ? TextAnswer(200, *text) : TextAnswer(404, "No such challenge is open.\n");
  answer.fields.Set("content-type", "text/plain");
  answer.fields.Set("cache-control", "no-store");
  return answer;
}

}  // namespace nearside::origin
