#pragma once

// The files by which a site says how its own answers are to be: `_headers` and `_redirects`. Pure.

#include <string>
#include <string_view>

#include "http/header_rules.h"
#include "http/redirect_rules.h"
#include "http/rule_lines.h"
#include "runtime/result.h"

namespace nearside::http {

inline constexpr std::string_view kHeadersFile = "_headers";
inline constexpr std::string_view kRedirectsFile = "_redirects";

struct SiteRules {
  HeaderRules headers;
  RedirectRules redirects;
};

/// Whether a file of a site is one of these: they stand at its root, and are not served.
bool IsRulesFile(std::string_view path);
/// Reads the rules of such a file into `rules`. Error: kClient bad_rules, naming file and line.
Status ReadRulesFile(std::string_view path, std::string_view text, SiteRules* rules);
/// The file that a path of the site's own means: "docs/index.html" for "/docs/".
std::string AssetOfPage(std::string_view page);

}  // namespace nearside::http
