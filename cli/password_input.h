#pragma once

#include <cstdio>
#include <string>

#include "runtime/result.h"

namespace nearside::cli {

/// A new password: the first line of `file` if one is named, else asked for twice on the terminal
/// that `in` is, without showing it, else the first line of `in` (a pipe). Errors: kOperator
/// no_password.
Result<std::string> ReadNewPassword(const std::string& file, std::FILE* in);

}  // namespace nearside::cli
