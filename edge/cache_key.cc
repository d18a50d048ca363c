#include "edge/cache_key.h"

#include <algorithm>

#include "edge/negotiation.h"
#include "http/accept_language.h"
#include "http/field_list.h"
#include "http/uri.h"
#include "runtime/crypto.h"

namespace nearside::edge {
namespace {

/// A field that is there and has no members: a text that no other value is normalised to. It is not
/// the same as an absent one (RFC 9111 §4.1): an empty Accept-Encoding takes no coding, none takes
/// any.
constexpr std::string_view kEmptyValue = ",";

constexpr std::string_view kEncodings = "accept-encoding";
constexpr std::string_view kLanguages = "accept-language";
/// Before the name of a coding: no normalised Accept-Encoding begins so.
constexpr char kBest = '=';

std::string BestCodingValue(http::Coding best) {
  return kBest + std::string(http::CodingName(best));
}

/// A field's value as variants compare it, "" for an absent field. If it means nothing to us:
/// members of its list with one ", " between them. Two requests that differ in whitespace only
/// select the same variant (RFC 9111 §4.1).
std::string NormalValue(const http::Fields& fields, std::string_view name,
                        const SiteSettings& site) {
  if (auto negotiated = Negotiated(name, fields, site)) return *std::move(negotiated);
  const std::string joined = fields.Joined(name);
  http::ListReader members(joined);
  std::string normal;
  while (auto member = members.Next()) {
    if (!normal.empty()) normal += ", ";
    normal += *member;
  }
  if (normal.empty() && fields.Has(name)) normal = kEmptyValue;
  return normal;
}

/// Where the ":" before an authority's port stands, if there is one: an IPv6 address has others.
size_t PortAt(std::string_view authority) {
  const size_t bracket = authority.rfind(']');
  return authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
}

bool IsByBestCoding(const http::FieldLine& line, const SiteSettings& site) {
  return site.normalize_accept_encoding && line.name == kEncodings && line.value.starts_with(kBest);
}

}  // namespace

std::string_view NormalAuthority(std::string_view scheme, std::string_view authority) {
  const auto parts = http::SplitAuthority(authority);
  if (!parts || (parts->port && *parts->port != http::DefaultPort(scheme))) return authority;
  return authority.substr(0, PortAt(authority));
}

std::string NormalUrl(const http::RequestHead& request, std::string_view normal_target) {
  std::string url;
  url.reserve(request.scheme.size() + 3 + request.authority.size() + normal_target.size());
  url += request.scheme;
  url += "://";
  url += NormalAuthority(request.scheme, request.authority);
  url += normal_target;
  return url;
}

std::optional<std::string> NormalReference(std::string_view normal_url,
                                           std::string_view reference) {
  const auto absolute = http::ResolveUri(normal_url, reference);
  if (!absolute) return std::nullopt;
  const http::Uri uri = *http::SplitUri(*absolute);
  http::RequestHead named;
  named.scheme = http::LowerName(uri.scheme);
  named.authority = http::LowerName(uri.authority);
  named.target = uri.path.empty() ? "/" : uri.path;
  if (uri.has_query) named.target.append("?").append(uri.query);
  const auto target = http::NormalizeTarget(named.target);
  if (!target) return std::nullopt;
  return NormalUrl(named, *target);
}

std::string_view TargetOf(std::string_view normal_url) {
  return normal_url.substr(normal_url.find('/', normal_url.find("://") + 3));
}

std::vector<std::string> UrlsOfPath(const std::vector<std::string>& hosts,
                                    std::string_view normal_url) {
  const std::string_view target = TargetOf(normal_url);
  const std::string_view origin = normal_url.substr(0, normal_url.size() - target.size());
  const std::string_view scheme = origin.substr(0, origin.find("://"));
  const std::string_view authority = origin.substr(scheme.size() + 3);
  const size_t port_at = std::min(PortAt(authority), authority.size());
  const std::string own_host(authority.substr(0, port_at));
  const std::string_view port = authority.substr(port_at);
  std::vector<std::string> urls;
  const auto add = [&](std::string_view by, std::string_view host, std::string_view with_port) {
    std::string url;
    url.append(by).append("://").append(host).append(with_port).append(target);
    urls.push_back(std::move(url));
  };
  const auto add_host = [&](std::string_view host) {
    if (!port.empty()) add(scheme, host, port);
    add("https", host, "");
    add("http", host, "");
  };
  add_host(own_host);
  for (const std::string& named : hosts) {
    const std::string host = http::LowerName(named);
    if (host != own_host && !host.starts_with('*')) add_host(host);
  }
  return urls;
}

Key256 PrimaryKey(std::string_view site, std::string_view normal_url) {
  // The site's name cannot contain NUL, so no other pair gives the same text.
  std::string text;
  text.reserve(site.size() + 1 + normal_url.size());
  text.append(site).push_back('\0');
  text.append(normal_url);
  return Key256{Sha256Of(text)};
}

Key256 VariantKey(const Key256& primary, const http::Fields& selecting) {
  std::string text(reinterpret_cast<const char*>(primary.bytes.data()), primary.bytes.size());
  for (const http::FieldLine& line : selecting.lines()) {
    text.append(line.name).push_back('\0');
    text.append(line.value).push_back('\0');
  }
  return Key256{Sha256Of(text)};
}

bool SaysWhoAsks(const http::Fields& request) {
  return request.Has("cookie") || request.Has("authorization");
}

Key256 AskersKey(const Key256& key) {
  std::string text(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
  return Key256{Sha256Of(text + "askers")};
}

http::Fields SelectingFields(std::string_view vary, const http::Fields& request,
                             const SiteSettings& site) {
  std::vector<std::string> names;
  http::ListReader members(vary);
  while (auto name = members.Next()) names.push_back(http::LowerName(*name));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  http::Fields selecting;
  for (const std::string& name : names) selecting.Add(name, NormalValue(request, name, site));
  return selecting;
}

http::Fields SelectingLike(const http::Fields& selecting, const http::Fields& request,
                           const SiteSettings& site) {
  http::Fields like;
  for (const http::FieldLine& line : selecting.lines()) {
    like.Add(line.name, IsByBestCoding(line, site) ? BestCodingValue(CodingsFor(request).best())
                                                   : NormalValue(request, line.name, site));
  }
  return like;
}

void SelectByBestCoding(http::Coding best, const SiteSettings& site, http::Fields* selecting) {
  if (site.normalize_accept_encoding) selecting->Set(kEncodings, BestCodingValue(best));
}

bool Selector::Selects(const http::Fields& selecting, std::string_view language) {
  for (const http::FieldLine& line : selecting.lines()) {
    if (Matches(line)) continue;
    // RFC 9110 §12.5.4: no other one could suit the request better.
    const bool in_its_language =
        line.name == kLanguages && !language.empty() && language == wanted_language();
    if (!in_its_language) return false;
  }
  return true;
}

bool Selector::Matches(const http::FieldLine& line) {
  if (line.name == kEncodings && site_.normalize_accept_encoding) {
    if (IsByBestCoding(line, site_)) {
      return line.value.substr(1) == http::CodingName(codings().best());
    }
    return line.value == codings().text();
  }
  for (const Value& value : values_) {
    if (value.name == line.name) return value.normal == line.value;
  }
  values_.push_back(
      {.name = std::string(line.name), .normal = NormalValue(request_, line.name, site_)});
  return values_.back().normal == line.value;
}

http::CodingSet Selector::codings() {
  if (!codings_) codings_ = CodingsFor(request_);
  return *codings_;
}

std::string_view Selector::wanted_language() {
  if (!language_) {
    const auto asked = http::AcceptLanguage::Parse(request_);
    const bool counts = asked && site_.normalize_accept_language;
    language_ = counts ? std::string(asked->first()) : std::string();
  }
  return *language_;
}

bool Selects(const http::Fields& selecting, const http::Fields& request, const SiteSettings& site) {
  return Selector(request, site).Selects(selecting);
}

}  // namespace nearside::edge
