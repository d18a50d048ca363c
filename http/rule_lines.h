#pragma once

#include <functional>
#include <string_view>

#include "runtime/result.h"

namespace nearside::http {

inline constexpr size_t kRuleFileBytes = 256 << 10;
inline constexpr size_t kRuleLineBytes = 4'096;

/// Calls `each` with every line of a rules file that says something: without the spaces around it,
/// no comments. Errors: kClient bad_rules, with file and line before what `each` says; the file is
/// larger than kRuleFileBytes, or a line longer than kRuleLineBytes.
Status ForEachRuleLine(std::string_view text, std::string_view file,
                       const std::function<Status(std::string_view line)>& each);

}  // namespace nearside::http
