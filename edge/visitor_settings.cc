#include "edge/visitor_settings.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "edge/settings.h"
#include "http/fields.h"
#include "http/uri.h"

namespace nearside::edge {
namespace {

/// For Spec::check: a name of a parameter, as it reads when it is decoded.
std::string CheckParameter(std::string_view text) {
  const size_t star = text.find('*');
  const bool plain = !text.empty() && text.find_first_of("&=#?") == std::string_view::npos;
  return plain && (star == std::string_view::npos || star + 1 == text.size())
             ? ""
             : "a parameter's name like \"fbclid\", or the beginning of names like \"utm_*\"";
}

std::string CheckQuery(const SiteSettings& site) {
  if (site.query != "ignore" || (site.query_ignore.empty() && site.query_keep.empty())) return "";
  return "query = \"ignore\" ignores every parameter: expected no query_ignore and no query_keep";
}

/// For Spec::check: what a browser sends as Origin, or "*", or one for all names below a host.
std::string CheckOrigin(std::string_view text) {
  std::string one(text);
  if (const size_t star = one.find("://*."); star != std::string::npos) one.erase(star + 3, 2);
  const auto uri = http::SplitUri(one);
  const bool plain = uri && uri->path.empty() && !uri->has_query &&
                     one.find('*') == std::string::npos && one == http::LowerName(one);
  return plain || text == "*" ? ""
                              : "\"*\", or an origin like \"https://app.example.org\" or "
                                "\"https://*.example.org\", in lower case and without a path";
}

std::string CheckToken(std::string_view text) {
  return http::IsToken(text) ? "" : "a name of letters, digits and \"-\"";
}

std::string CheckHsts(const HstsSettings& hsts) {
  constexpr milliseconds kYear = std::chrono::hours(24 * 365);
  if (!hsts.preload || (hsts.include_subdomains && hsts.max_age >= kYear)) return "";
  return "preload wants include_subdomains and a max_age of 1y or more";
}

std::string CheckCors(const CorsSettings& cors) {
  const auto any = [](const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), "*") != list.end();
  };
  if (any(cors.origins) && cors.origins.size() > 1) {
    return "origins: \"*\" is every origin: expected no other beside it";
  }
  const bool wild = any(cors.origins) || any(cors.methods) || any(cors.headers) || any(cors.expose);
  // Fetch §3.2.5: with credentials a browser takes no "*".
  if (cors.credentials && wild) return "credentials = true wants names and no \"*\"";
  return "";
}

settings::Table HstsTable() {
  settings::Table table;
  table.Key("max_age", &HstsSettings::max_age,
            {.fallback = "1y",
             .least = "0s",
             .most = "10y",
             .prose = "How long a browser remembers. 0s: it forgets at once."});
  table.Key("include_subdomains", &HstsSettings::include_subdomains,
            {.fallback = "false", .prose = "All names below the host as well."});
  table.Key("preload", &HstsSettings::preload,
            {.fallback = "false",
             .prose = "Agrees to be built into browsers, which is hard to take back."});
  table.Check<HstsSettings>(CheckHsts);
  return table;
}

settings::Table CorsTable() {
  settings::Table table;
  table.Key("origins", &CorsSettings::origins,
            {.required = true,
             .least = "1",
             .most = "200",
             .prose = "Whose pages may use the site: `https://app.example.org`, "
                      "`https://*.example.org` for every name below, or `*` for all.",
             .check = CheckOrigin});
  table.Key("methods", &CorsSettings::methods,
            {.fallback = "GET, HEAD, POST",
             .most = "50",
             .prose = "Methods that they may use.",
             .check = CheckToken});
  table.Key("headers", &CorsSettings::headers,
            {.fallback = "[]",
             .most = "100",
             .prose = "Fields that they may send beside the harmless ones.",
             .check = CheckToken});
  table.Key("expose", &CorsSettings::expose,
            {.fallback = "[]",
             .most = "100",
             .prose = "Fields of an answer that they may read beside the harmless ones.",
             .check = CheckToken});
  table.Key("credentials", &CorsSettings::credentials,
            {.fallback = "false", .prose = "With the visitor's cookies."});
  table.Key("max_age", &CorsSettings::max_age,
            {.fallback = "10m",
             .least = "0s",
             .most = "1d",
             .prose = "How long a browser remembers what a preflight told it."});
  table.Check<CorsSettings>(CheckCors);
  return table;
}

}  // namespace

void AddVisitorRows(settings::Table* site) {
  site->Key("redirect_https", &SiteSettings::redirect_https,
            {.fallback = "false",
             .prose = "Cleartext requests are sent to https, with 301 for GET and HEAD and 308 for "
                      "others; `/.well-known/acme-challenge/` is let through."});
  site->Key("redirect_https_port", &SiteSettings::redirect_https_port,
            {.fallback = "443",
             .least = "1",
             .most = "65535",
             .prose = "The port that they are sent to."});
  site->Key(
      "trailing_slash", &SiteSettings::trailing_slash,
      {.fallback = "keep",
       .one_of = {"keep", "add", "remove"},
       .prose = "By a redirect: `add` one to paths whose last segment has no dot, or `remove` "
                "them. Not below `/.well-known/`."});
  site->Key(
      "error_pages", &SiteSettings::error_pages,
      {.fallback = "",
       .prose = "Folder with pages that stand for errors of the edge: `502.html`, `4xx.html`, "
                "`5xx.html`, of 64KiB at most each. Read at start and on SIGHUP."});
  site->Key("error_pages_replace_origin", &SiteSettings::error_pages_replace_origin,
            {.fallback = "false",
             .prose = "They stand for errors that the origin answers to GET and HEAD as well."});
  site->Sub("hsts", &SiteSettings::hsts,
            {.prose = "`Strict-Transport-Security` in answers over TLS that have none from the "
                      "origin."},
            HstsTable());
  site->Sub(
      "cors", &SiteSettings::cors,
      {.prose = "Answers to pages of other origins. Preflights are answered by the edge; what "
                "the origin says of CORS is left out."},
      CorsTable());
}

void AddKeyRows(settings::Table* site) {
  site->Key(
      "query", &SiteSettings::query,
      {.fallback = "keep",
       .one_of = {"keep", "ignore", "sort"},
       .prose = "The query in keys, and in what a miss asks the origin: as it came, left out, "
                "or with its parameters sorted by name."});
  site->Key("query_ignore", &SiteSettings::query_ignore,
            {.fallback = "[]",
             .most = "200",
             .prose = "Parameters that are left out, as `fbclid`; `utm_*` is all that begin so. A "
                      "response that is not for the cache is asked for with all of them.",
             .check = CheckParameter});
  site->Key("query_keep", &SiteSettings::query_keep,
            {.fallback = "[]",
             .most = "200",
             .prose = "The only parameters that are not left out. Empty: all.",
             .check = CheckParameter});
  site->Check<SiteSettings>(CheckQuery);
}

}  // namespace nearside::edge
