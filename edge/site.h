#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "edge/error_pages.h"
#include "edge/policy.h"
#include "edge/query_rule.h"
#include "edge/settings.h"
#include "edge/visitor_rules.h"
#include "http/session/client.h"

namespace nearside::edge {

/// A site as requests see it. Immutable; shared by all workers.
struct Site {
  SiteSettings settings;
  std::vector<http::Endpoint> origins;
  QueryRule query_rule;
  VisitorRules visitor_rules;
  ErrorPages error_pages;
  RequestDirectives request_directives = RequestDirectives::kObey;
  size_t index = 0;  ///< place in SiteTable::sites(), for per-site counters
};

/// Finds the site of a host. Immutable, any thread; a reload makes a new one.
class SiteTable {
 public:
  /// The settings have been checked: hosts are unique and origins parse. `error_pages`: one for
  /// each site, in their order, or none.
  explicit SiteTable(const std::vector<SiteSettings>& settings,
                     std::vector<ErrorPages> error_pages = {});

  /// The site of `host` (lower case, no port): exact name first, then the longest "*." pattern,
  /// then "*". Null when none has it. Valid as long as the table.
  const Site* Find(std::string_view host) const;
  const Site* FindByName(std::string_view name) const;
  const std::vector<std::unique_ptr<const Site>>& sites() const { return sites_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const;
  };
  using HostMap = std::unordered_map<std::string, const Site*, Hash, std::equal_to<>>;
  std::vector<std::unique_ptr<const Site>> sites_;
  HostMap exact_;
  HostMap suffix_;  ///< "example.org" for "*.example.org"
  const Site* any_ = nullptr;
};

}  // namespace nearside::edge
