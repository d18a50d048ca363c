#include "edge/purge.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "http/uri.h"

namespace nearside::edge {
namespace {

tl::unexpected<Error> Bad(std::string message) {
  return Fail(Fault::kClient, "bad_purge", std::move(message));
}

/// Stands for any tag of a site. No response has a tag of this name: tags have no spaces.
constexpr std::string_view kAnyTag = " any";
/// Of a target four folders deep, with a query, and of its fetch.
constexpr size_t kUsualScopes = 8;

enum class Kind { kPath, kText };

/// The strings of json[name]; paths are normalised.
Result<std::vector<std::string>> Strings(const nlohmann::json& json, const char* name, Kind kind) {
  std::vector<std::string> strings;
  const auto list = json.find(name);
  if (list == json.end()) return strings;
  if (!list->is_array()) return Bad(std::string(name) + ": expected a list of strings");
  if (list->size() > kMaxPurgeItems) {
    return Bad(std::string(name) + ": expected at most " + std::to_string(kMaxPurgeItems) +
               " members; split the purge, or purge a prefix or a tag");
  }
  for (const auto& item : *list) {
    if (!item.is_string()) return Bad(std::string(name) + ": expected strings only");
    std::string text = item.get<std::string>();
    if (kind == Kind::kPath) {
      auto normal = http::NormalizeTarget(text);
      if (!normal || !normal->starts_with('/')) {
        return Bad(std::string(name) +
                   ": expected a path of the site that begins with \"/\", got \"" + text + "\"");
      }
      text = std::move(*normal);
    }
    strings.push_back(std::move(text));
  }
  return strings;
}

Result<bool> Flag(const nlohmann::json& json, const char* name) {
  const auto value = json.find(name);
  if (value == json.end()) return false;
  if (!value->is_boolean()) return Bad(std::string(name) + ": expected true or false");
  return value->get<bool>();
}

Status CheckPrefixes(const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes) {
    const auto slashes = static_cast<size_t>(std::count(prefix.begin(), prefix.end(), '/'));
    const bool has_query = prefix.find('?') != std::string::npos;
    if (prefix.back() != '/' || has_query || slashes > kMaxPrefixSegments + 1) {
      return Bad("prefixes: expected a path that ends with \"/\", has no query and at most " +
                 std::to_string(kMaxPrefixSegments) + " segments, got \"" + prefix + "\"");
    }
  }
  return {};
}

}  // namespace

Result<PurgeOrder> ParsePurgeOrder(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Bad("expected a JSON object with \"site\" and what to purge");
  PurgeOrder order;
  const auto site = json.find("site");
  if (site == json.end() || !site->is_string()) return Bad("site: expected the site's name");
  order.site = site->get<std::string>();

  auto urls = Strings(json, "urls", Kind::kPath);
  if (!urls) return tl::unexpected<Error>(urls.error());
  order.urls = std::move(*urls);
  auto prefixes = Strings(json, "prefixes", Kind::kPath);
  if (!prefixes) return tl::unexpected<Error>(prefixes.error());
  order.prefixes = std::move(*prefixes);
  auto tags = Strings(json, "tags", Kind::kText);
  if (!tags) return tl::unexpected<Error>(tags.error());
  order.tags = std::move(*tags);
  if (auto ok = CheckPrefixes(order.prefixes); !ok) return tl::unexpected<Error>(ok.error());

  auto all = Flag(json, "all");
  if (!all) return tl::unexpected<Error>(all.error());
  order.all = *all;
  auto soft = Flag(json, "soft");
  if (!soft) return tl::unexpected<Error>(soft.error());
  order.soft = *soft;
  return order;
}

void ApplyQueryRule(const QueryRule& rule, PurgeOrder* order) {
  for (std::string& url : order->urls) url = rule.Apply(std::move(url));
}

std::vector<storage::ScopeHash> ScopesOf(const PurgeOrder& order) {
  using storage::ScopeKind;
  std::vector<storage::ScopeHash> scopes;
  if (order.all) scopes.push_back(ScopeOf(ScopeKind::kSite, order.site, ""));
  for (const std::string& url : order.urls) {
    scopes.push_back(ScopeOf(ScopeKind::kUrl, order.site, url));
  }
  for (const std::string& prefix : order.prefixes) {
    scopes.push_back(ScopeOf(ScopeKind::kPrefix, order.site, prefix));
  }
  for (const std::string& tag : order.tags) {
    scopes.push_back(ScopeOf(ScopeKind::kTag, order.site, tag));
  }
  if (!order.tags.empty()) scopes.push_back(ScopeOf(ScopeKind::kTag, order.site, kAnyTag));
  return scopes;
}

std::vector<storage::ScopeHash> ScopesOfObject(std::string_view site,
                                               std::string_view normal_target,
                                               const std::vector<std::string>& tags) {
  using storage::ScopeKind;
  const std::string_view path = normal_target.substr(0, normal_target.find('?'));
  std::vector<storage::ScopeHash> scopes;
  scopes.reserve(kUsualScopes + tags.size());
  scopes.push_back(ScopeOf(ScopeKind::kSite, site, ""));
  scopes.push_back(ScopeOf(ScopeKind::kUrl, site, normal_target));
  // A purge of a path without a query covers it with every query.
  if (path.size() != normal_target.size()) scopes.push_back(ScopeOf(ScopeKind::kUrl, site, path));
  size_t segments = 0;
  for (size_t slash = path.find('/');
       slash != std::string_view::npos && segments <= kMaxPrefixSegments;
       slash = path.find('/', slash + 1), ++segments) {
    scopes.push_back(ScopeOf(ScopeKind::kPrefix, site, path.substr(0, slash + 1)));
  }
  for (const std::string& tag : tags) scopes.push_back(ScopeOf(ScopeKind::kTag, site, tag));
  return scopes;
}

std::vector<storage::ScopeHash> ScopesOfFetch(std::string_view site,
                                              std::string_view normal_target) {
  std::vector<storage::ScopeHash> scopes = ScopesOfObject(site, normal_target, {});
  scopes.push_back(ScopeOf(storage::ScopeKind::kTag, site, kAnyTag));
  return scopes;
}

}  // namespace nearside::edge
