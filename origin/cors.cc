#include "origin/cors.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kMaxAge = "3600";

/// What Access-Control-Allow-Origin says to this origin; "" when it is not allowed.
std::string_view AllowedAs(std::string_view origin, const std::vector<std::string>& allowed) {
  if (origin.empty()) return "";
  for (const std::string& one : allowed) {
    if (one == "*") return "*";
    if (one == origin) return origin;
  }
  return "";
}

}  // namespace

bool IsPreflight(const http::RequestHead& head) {
  return head.method == "OPTIONS" && head.fields.Has("origin") &&
         head.fields.Has("access-control-request-method");
}

std::optional<Answer> AnswerPreflight(const http::RequestHead& head, const CorsRules& rules) {
  const std::string_view as = AllowedAs(head.fields.Get("origin").value_or(""), rules.origins);
  if (as.empty()) return std::nullopt;
  Answer answer;
  answer.fields.Add("access-control-allow-origin", as);
  answer.fields.Add("access-control-allow-methods", rules.methods);
  const std::string wanted = head.fields.Joined("access-control-request-headers");
  if (!wanted.empty()) answer.fields.Add("access-control-allow-headers", wanted);
  answer.fields.Add("access-control-max-age", kMaxAge);
  answer.fields.Add("vary",
                    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
  return answer;
}

void AddCors(const http::RequestHead& head, const CorsRules& rules, Answer* answer) {
  if (rules.origins.empty()) return;
  answer->fields.Add("vary", "Origin");
  const std::string_view as = AllowedAs(head.fields.Get("origin").value_or(""), rules.origins);
  if (as.empty()) return;
  answer->fields.Add("access-control-allow-origin", as);
  answer->fields.Add("access-control-expose-headers", rules.exposed);
}

}  // namespace nearside::origin
