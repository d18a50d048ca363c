#pragma once

#include <cstdio>

namespace nearside::cli {

/// Parses the command line, runs the command, writes to `out` and `errors`, returns the exit code:
/// 0 done, 1 failed, 2 wrong usage, 3 done but not confirmed by every edge. The one file that sees
/// CLI11.
int RunCommandLine(int argc, const char* const* argv, std::FILE* out, std::FILE* errors);

}  // namespace nearside::cli
