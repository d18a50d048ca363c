#include <csignal>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a peer that left is an error like others
  return nearside::cli::RunCommandLine(argc, argv, stdout, stderr);
}
