#include "edge/site.h"

#include <utility>

#include "http/fields.h"
#include "http/uri.h"
#include "runtime/hash.h"

namespace nearside::edge {

// Hosts come from clients, so the table is keyed by SipHash.
size_t SiteTable::Hash::operator()(std::string_view text) const { return SipHash(text); }

SiteTable::SiteTable(const std::vector<SiteSettings>& settings, const SiteTable* before,
                     std::vector<ErrorPages> error_pages) {
  for (const SiteSettings& row : settings) {
    auto site = std::make_unique<Site>();
    site->settings = row;
    site->index = sites_.size();
    site->query_rule = QueryRule(row);
    site->visitor_rules = VisitorRules(row);
    site->request_directives = RequestDirectivesOf(row);
    if (site->index < error_pages.size()) {
      site->error_pages = std::move(error_pages[site->index]);
    }
    for (const std::string& url : row.origins) {
      auto endpoint = http::Endpoint::Parse(url);
      if (!endpoint) continue;
      endpoint->server_name = row.origin_server_name;
      site->origins.push_back(std::move(*endpoint));
    }
    const Site* same = before != nullptr ? before->FindByName(row.name) : nullptr;
    site->origin_set = std::make_shared<OriginSet>(
        row, site->origins, same != nullptr ? same->origin_set.get() : nullptr);
    for (const std::string& written : row.hosts) {
      std::string host = http::LowerName(written);
      http::DropRootDot(&host);
      if (host == "*") {
        any_ = site.get();
      } else if (host.starts_with("*.")) {
        suffix_.emplace(host.substr(2), site.get());
      } else {
        exact_.emplace(host, site.get());
      }
    }
    sites_.push_back(std::move(site));
  }
}

const Site* SiteTable::Find(std::string_view host) const {
  if (!exact_.empty()) {
    if (auto found = exact_.find(host); found != exact_.end()) return found->second;
  }
  if (!suffix_.empty()) {
    for (size_t dot = host.find('.'); dot != std::string_view::npos;
         dot = host.find('.', dot + 1)) {
      if (auto found = suffix_.find(host.substr(dot + 1)); found != suffix_.end()) {
        return found->second;
      }
    }
  }
  return any_;
}

const Site* SiteTable::FindByName(std::string_view name) const {
  for (const auto& site : sites_) {
    if (site->settings.name == name) return site.get();
  }
  return nullptr;
}

}  // namespace nearside::edge
