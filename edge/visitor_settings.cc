#include "edge/visitor_settings.h"

#include <string>
#include <string_view>

#include "edge/settings.h"

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

}  // namespace

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
