#include "edge/hops.h"

#include <algorithm>

#include "http/characters.h"
#include "http/field_list.h"

namespace nearside::edge {
namespace {

/// The next word of `member`, up to a space or one of `ends`; taken off its front.
std::string_view TakeWord(std::string_view* member, std::string_view ends) {
  const size_t size = std::min(member->find_first_of(ends), member->size());
  const std::string_view word = member->substr(0, size);
  *member = http::TrimSpace(member->substr(size));
  return word;
}

/// "1.1 frankfurt (comment)": [protocol "/"] version, then who received it.
std::string_view ReceiverOf(std::string_view member) {
  TakeWord(&member, " \t");
  return TakeWord(&member, " \t(");
}

/// "frankfurt; parameter=1".
std::string_view CdnOf(std::string_view member) { return TakeWord(&member, " \t;"); }

int Count(const http::Fields& fields, std::string_view name, std::string_view edge,
          std::string_view (*who)(std::string_view)) {
  int count = 0;
  for (const http::FieldLine& line : fields.lines()) {
    if (line.name != name) continue;
    http::ListReader members(line.value);
    while (const auto member = members.Next()) {
      if (http::EqualsIgnoringCase(who(*member), edge)) ++count;
    }
  }
  return count;
}

}  // namespace

int HopsThrough(std::string_view edge, const http::Fields& request) {
  return std::max(Count(request, "via", edge, ReceiverOf), Count(request, "cdn-loop", edge, CdnOf));
}

}  // namespace nearside::edge
