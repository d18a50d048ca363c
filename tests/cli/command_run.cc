#include "tests/cli/command_run.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "cli/command_line.h"

namespace nearside::cli::test {

Outcome RunNearside(const std::string& command) {
  std::vector<std::string> words = {"nearside"};
  std::istringstream stream(command);
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  char* text[2] = {};
  size_t size[2] = {};
  std::FILE* out = ::open_memstream(&text[0], &size[0]);
  std::FILE* errors = ::open_memstream(&text[1], &size[1]);
  Outcome outcome;
  outcome.code = RunCommandLine(static_cast<int>(argv.size()), argv.data(), out, errors);
  std::fclose(out);
  std::fclose(errors);
  outcome.out.assign(text[0], size[0]);
  outcome.errors.assign(text[1], size[1]);
  std::free(text[0]);
  std::free(text[1]);
  return outcome;
}

ScriptedServer::Connection Answers(const std::string& body, const std::string& status,
                                   std::string* head) {
  return [body, status, head](int fd) {
    const std::string received = ScriptedServer::ReadHead(fd);
    if (head != nullptr) *head = received;
    ScriptedServer::Write(fd, "HTTP/1.1 " + status + "\r\ncontent-length: " +
                                  std::to_string(body.size()) + "\r\n\r\n" + body);
  };
}

}  // namespace nearside::cli::test
