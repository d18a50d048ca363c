#include "cli/password_input.h"

#include <termios.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/units.h"

namespace nearside::cli {
namespace {

constexpr ByteSize kPasswordFile{4096};

tl::unexpected<Error> NoPassword(std::string message) {
  return Fail(Fault::kOperator, "no_password", std::move(message));
}

std::string FirstLine(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

/// One line, without its end.
std::string ReadLine(std::FILE* in) {
  std::string line;
  for (int c = std::fgetc(in); c != EOF && c != '\n' && line.size() < kPasswordFile.bytes;
       c = std::fgetc(in)) {
    line += static_cast<char>(c);
  }
  return FirstLine(line);
}

/// What is typed is not shown as long as this lives.
class HiddenInput {
 public:
  explicit HiddenInput(int terminal)
      : terminal_(terminal), hidden_(::tcgetattr(terminal, &before_) == 0) {
    if (!hidden_) return;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    hidden_ = ::tcsetattr(terminal_, TCSAFLUSH, &hidden) == 0;
  }
  ~HiddenInput() {
    if (hidden_) (void)::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;

 private:
  const int terminal_;
  termios before_{};
  bool hidden_;
};

/// Asked on standard error, so that output can go elsewhere.
std::string AskFor(const char* what, std::FILE* in) {
  std::fputs(what, stderr);
  std::fflush(stderr);
  const HiddenInput hidden(::fileno(in));
  std::string line = ReadLine(in);
  std::fputc('\n', stderr);
  return line;
}

}  // namespace

Result<std::string> ReadNewPassword(const std::string& file, std::FILE* in) {
  std::string password;
  if (!file.empty()) {
    Result<std::string> text = ReadFile(file, kPasswordFile);
    if (!text) return NoPassword(text.error().message);
    password = FirstLine(*text);
  } else if (::isatty(::fileno(in)) == 1) {
    password = AskFor("New password: ", in);
    if (!password.empty() && AskFor("Once more: ", in) != password) {
      return NoPassword("the two are not the same");
    }
  } else {
    password = ReadLine(in);
  }
  if (password.empty()) {
    return NoPassword(
        "expected a password, typed on a terminal, as a line of standard input, or "
        "in --password-file");
  }
  return password;
}

}  // namespace nearside::cli
