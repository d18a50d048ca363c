#include "edge/query_rule.h"

#include <algorithm>
#include <utility>

#include "http/uri.h"

namespace nearside::edge {
namespace {

/// The name of "name=value" as an origin reads it, so that two spellings of it are one.
std::string NameOf(std::string_view parameter) {
  std::string name(parameter.substr(0, parameter.find('=')));
  std::replace(name.begin(), name.end(), '+', ' ');
  if (auto decoded = http::PercentDecode(name)) return *std::move(decoded);
  return name;
}

}  // namespace

bool QueryRule::Pattern::Matches(std::string_view name) const {
  return is_prefix ? name.starts_with(text) : name == text;
}

std::vector<QueryRule::Pattern> QueryRule::PatternsOf(const std::vector<std::string>& names) {
  std::vector<Pattern> patterns;
  for (const std::string& name : names) {
    const bool is_prefix = name.ends_with('*');
    patterns.push_back({name.substr(0, name.size() - (is_prefix ? 1 : 0)), is_prefix});
  }
  return patterns;
}

bool QueryRule::AnyMatches(const std::vector<Pattern>& patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [name](const Pattern& pattern) { return pattern.Matches(name); });
}

QueryRule::QueryRule(const SiteSettings& site)
    : ignores_all_(site.query == "ignore"),
      sorts_(site.query == "sort"),
      ignored_(PatternsOf(site.query_ignore)),
      kept_(PatternsOf(site.query_keep)) {
  changes_ = ignores_all_ || sorts_ || !ignored_.empty() || !kept_.empty();
}

bool QueryRule::Keeps(std::string_view name) const {
  return (kept_.empty() || AnyMatches(kept_, name)) && !AnyMatches(ignored_, name);
}

std::string QueryRule::Apply(std::string normal_target) const {
  if (!changes_) return normal_target;
  const size_t mark = normal_target.find('?');
  if (mark == std::string::npos) return normal_target;
  std::string target(normal_target, 0, mark);
  if (ignores_all_) return target;

  std::vector<std::pair<std::string, std::string_view>> kept;  // name, parameter
  std::string_view rest = std::string_view(normal_target).substr(mark + 1);
  for (bool more = true; more;) {
    const size_t size = std::min(rest.find('&'), rest.size());
    const std::string_view parameter = rest.substr(0, size);
    more = size < rest.size();
    rest.remove_prefix(size + (more ? 1 : 0));
    std::string name = NameOf(parameter);
    if (Keeps(name)) kept.emplace_back(std::move(name), parameter);
  }
  // Those of one name are a list: their order is the client's.
  const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (sorts_) std::stable_sort(kept.begin(), kept.end(), by_name);
  char separator = '?';
  for (const auto& [name, parameter] : kept) {
    target += std::exchange(separator, '&');
    target += parameter;
  }
  return target;
}

}  // namespace nearside::edge
