#include "http/site_rules.h"

namespace nearside::http {

bool IsRulesFile(std::string_view path) { return path == kHeadersFile || path == kRedirectsFile; }

Status ReadRulesFile(std::string_view path, std::string_view text, SiteRules* rules) {
  if (path == kHeadersFile) {
    Result<HeaderRules> headers = HeaderRules::Parse(text);
    if (!headers) return unexpected(std::move(headers.error()));
    rules->headers = std::move(*headers);
  } else if (path == kRedirectsFile) {
    Result<RedirectRules> redirects = RedirectRules::Parse(text);
    if (!redirects) return unexpected(std::move(redirects.error()));
    rules->redirects = std::move(*redirects);
  }
  return {};
}

std::string AssetOfPage(std::string_view page) {
  if (page.starts_with('/')) page.remove_prefix(1);
  std::string asset(page);
  if (asset.empty() || asset.ends_with('/')) asset += "index.html";
  return asset;
}

}  // namespace nearside::http
