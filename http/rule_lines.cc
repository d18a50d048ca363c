#include "http/rule_lines.h"

#include <algorithm>
#include <string>

namespace nearside::http {
namespace {

std::string_view Trimmed(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  return line.substr(0, line.find_last_not_of(kSpace) + 1);
}

}  // namespace

Status ForEachRuleLine(std::string_view text, std::string_view file,
                       const std::function<Status(std::string_view line)>& each) {
  const auto bad = [&](size_t number, std::string_view why) {
    return Fail(Fault::kClient, "bad_rules",
                std::string(file) + ":" + std::to_string(number) + ": " + std::string(why));
  };
  if (text.size() > kRuleFileBytes) {
    return Fail(Fault::kClient, "bad_rules",
                std::string(file) + ": the file has more than " +
                    std::to_string(kRuleFileBytes >> 10) + " KiB");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.size() > kRuleLineBytes) {
      return bad(number, "the line has more than " + std::to_string(kRuleLineBytes) + " bytes");
    }
    if (Status done = each(line); !done) return bad(number, done.error().message);
  }
  return {};
}

}  // namespace nearside::http
