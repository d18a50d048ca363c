#pragma once

#include <string>

#include "tests/cli/scripted_server.h"

namespace nearside::cli::test {

/// What a command has printed, and its exit code.
struct Outcome {
  int code = -1;
  std::string out;
  std::string errors;
};

/// Runs "nearside" in this process with the words of `command`, which are cut at spaces.
Outcome RunNearside(const std::string& command);

/// A connection that is answered with `body`; what was asked goes to `head` unless it is null.
ScriptedServer::Connection Answers(const std::string& body, const std::string& status = "200 OK",
                                   std::string* head = nullptr);

}  // namespace nearside::cli::test
