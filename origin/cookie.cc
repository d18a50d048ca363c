#include "origin/cookie.h"

#include <algorithm>

namespace nearside::origin {
namespace {

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string CookieOf(const http::Fields& fields, std::string_view name) {
  std::string found;
  bool any = false;
  // HTTP/2 may send each cookie in a line of its own (RFC 9113 §8.2.3).
  for (const http::FieldLine& line : fields.lines()) {
    if (line.name != "cookie") continue;
    for (std::string_view rest = line.value; !rest.empty();) {
      const std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
      const size_t equals = pair.find('=');
      if (equals == std::string_view::npos || TrimSpaces(pair.substr(0, equals)) != name) continue;
      std::string_view value = TrimSpaces(pair.substr(equals + 1));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
      }
      if (any && value != found) return "";
      found = value;
      any = true;
    }
  }
  return found;
}

std::string CookieStyle::NameOf(std::string_view name) const {
  return (secure ? "__Host-" : "") + std::string(name);
}

std::string CookieStyle::Set(std::string_view name, std::string_view value, seconds life) const {
  std::string text = NameOf(name) + "=" + std::string(value) + "; Path=/; HttpOnly; SameSite=Lax";
  if (secure) text += "; Secure";
  if (life > seconds(0)) text += "; Max-Age=" + std::to_string(life.count());
  return text;
}

std::string CookieStyle::Clear(std::string_view name) const {
  return Set(name, "", seconds(0)) + "; Max-Age=0";
}

}  // namespace nearside::origin
