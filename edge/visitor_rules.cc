#include "edge/visitor_rules.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "http/characters.h"
#include "http/uri.h"

namespace nearside::edge {
namespace {

using http::FieldLine;
using http::RequestHead;

/// RFC 8555 §8.3: the authority that makes certificates comes by cleartext, before there is one.
constexpr std::string_view kAcmePath = "/.well-known/acme-challenge/";
/// RFC 8615: no pages of the site.
constexpr std::string_view kWellKnownPath = "/.well-known/";
/// What every answer says of CORS; more is in the answer to a preflight alone.
constexpr std::array<std::string_view, 3> kCorsFields = {"access-control-allow-origin",
                                                         "access-control-allow-credentials",
                                                         "access-control-expose-headers"};
/// Browsers remember a permanent redirect; a mistake is not to last.
constexpr std::string_view kRedirectControl = "max-age=3600";

bool Reads(const RequestHead& request) {
  return request.method == "GET" || request.method == "HEAD";
}

VisitorAnswer Redirect(const RequestHead& request, Reason reason, const std::string& location) {
  VisitorAnswer answer;
  // 301 lets a client change the method (RFC 9110 §15.4.2), and every client knows it.
  answer.status = Reads(request) ? 301 : 308;
  answer.reason = reason;
  answer.fields.Add("location", location);
  answer.fields.Add("content-type", "text/plain; charset=utf-8");
  answer.fields.Add("cache-control", kRedirectControl);
  answer.text = "Moved to " + location + "\n";
  return answer;
}

std::string Joined(const std::vector<std::string>& members) {
  std::string text;
  for (const std::string& member : members) {
    if (!text.empty()) text += ", ";
    text += member;
  }
  return text;
}

std::string SecondsOf(milliseconds span) {
  return std::to_string(std::chrono::floor<seconds>(span).count());
}

std::string HstsOf(const HstsSettings& settings) {
  std::string text = "max-age=" + SecondsOf(settings.max_age);
  if (settings.include_subdomains) text += "; includeSubDomains";
  if (settings.preload) text += "; preload";
  return text;
}

/// `allowed` is "https://app.example.org", or with a "*." before the host for every name below it.
bool IsOrigin(std::string_view allowed, std::string_view origin) {
  const size_t star = allowed.find('*');
  if (star == std::string_view::npos) return origin == allowed;
  const std::string_view scheme = allowed.substr(0, star);
  const std::string_view parent = allowed.substr(star + 1);  // ".example.org:8443"
  if (origin.size() <= scheme.size() + parent.size()) return false;
  if (!origin.starts_with(scheme) || !origin.ends_with(parent)) return false;
  origin.remove_prefix(scheme.size());
  origin.remove_suffix(parent.size());
  constexpr http::CharacterSet kLabel = http::AlphanumericAnd("-._");
  return http::AllIn(kLabel, origin);
}

bool Has(std::span<const FieldLine> lines, std::string_view name) {
  return std::any_of(lines.begin(), lines.end(),
                     [name](const FieldLine& line) { return line.name == name; });
}

bool IsCors(const FieldLine& line) {
  return std::find(kCorsFields.begin(), kCorsFields.end(), line.name) != kCorsFields.end();
}

}  // namespace

VisitorRules::VisitorRules(const SiteSettings& site)
    : to_https_(site.redirect_https), https_port_(site.redirect_https_port) {
  if (site.trailing_slash == "add") slash_ = Slash::kAdd;
  if (site.trailing_slash == "remove") slash_ = Slash::kRemove;
  if (site.hsts) hsts_ = HstsOf(*site.hsts);
  if (site.cors) {
    const CorsSettings& cors = *site.cors;
    const bool any = std::find(cors.origins.begin(), cors.origins.end(), "*") != cors.origins.end();
    cors_ = Cors{.any_origin = any,
                 .origins = cors.origins,
                 .credentials = cors.credentials,
                 .methods = Joined(cors.methods),
                 .headers = Joined(cors.headers),
                 .expose = Joined(cors.expose),
                 .max_age = SecondsOf(cors.max_age)};
  }
  answers_ = to_https_ || slash_ != Slash::kKeep || cors_;
  adds_fields_ = !hsts_.empty() || cors_;
}

std::optional<VisitorAnswer> VisitorRules::Answer(const RequestHead& request) const {
  if (!request.target.starts_with('/')) return std::nullopt;
  // Browsers do not follow a redirect of a preflight.
  if (auto answer = Preflight(request)) return answer;
  if (auto answer = ToHttps(request)) return answer;
  return ToSlash(request);
}

bool VisitorRules::Cors::Allows(std::string_view origin) const {
  if (any_origin) return true;
  return std::any_of(origins.begin(), origins.end(),
                     [origin](const std::string& allowed) { return IsOrigin(allowed, origin); });
}

// Fetch §3.2.2: which methods and fields may be used is told, and the browser compares.
std::optional<VisitorAnswer> VisitorRules::Preflight(const RequestHead& request) const {
  if (!cors_ || request.method != "OPTIONS") return std::nullopt;
  const auto origin = request.fields.Get("origin");
  if (!origin || !request.fields.Has("access-control-request-method")) return std::nullopt;
  VisitorAnswer answer;
  if (!cors_->Allows(*origin)) {
    answer.status = 403;
    answer.reason = Reason::kCorsRefused;
    answer.fields.Add("content-type", "text/plain; charset=utf-8");
    answer.fields.Add("cache-control", "no-store");
    answer.text = "This site lets no page of this origin use it (cors.origins).\n";
    return answer;
  }
  answer.status = 204;
  answer.reason = Reason::kPreflight;
  answer.fields.Add("access-control-allow-methods", cors_->methods);
  if (!cors_->headers.empty()) answer.fields.Add("access-control-allow-headers", cors_->headers);
  answer.fields.Add("access-control-max-age", cors_->max_age);
  return answer;
}

std::optional<VisitorAnswer> VisitorRules::ToHttps(const RequestHead& request) const {
  if (!to_https_ || request.scheme == "https") return std::nullopt;
  if (request.path().starts_with(kAcmePath)) return std::nullopt;
  const std::string_view host = request.host();
  const bool is_ipv6 = host.find(':') != std::string_view::npos;
  std::string location = "https://";
  location += is_ipv6 ? "[" + std::string(host) + "]" : std::string(host);
  if (https_port_ != http::DefaultPort("https")) location += ":" + std::to_string(https_port_);
  location += request.target;
  return Redirect(request, Reason::kRedirectHttps, location);
}

std::optional<VisitorAnswer> VisitorRules::ToSlash(const RequestHead& request) const {
  if (slash_ == Slash::kKeep) return std::nullopt;
  std::string path(request.path());
  // Behind these two a browser reads a host and not a path.
  const bool is_path = path.size() > 1 && path[1] != '/' && path[1] != '\\';
  if (!is_path || path.starts_with(kWellKnownPath)) return std::nullopt;
  const bool ends_in_slash = path.back() == '/';
  if (ends_in_slash != (slash_ == Slash::kRemove)) return std::nullopt;
  if (slash_ == Slash::kRemove) {
    path.resize(path.find_last_not_of('/') + 1);
  } else if (path.find('.', path.rfind('/')) != std::string::npos) {
    return std::nullopt;  // a file
  } else {
    path += '/';
  }
  return Redirect(request, Reason::kTrailingSlash,
                  path + request.target.substr(request.path().size()));
}

void VisitorRules::AddCors(const http::Fields& request, http::Fields* fields) const {
  if (cors_->any_origin) {
    fields->Add("access-control-allow-origin", "*");
  } else {
    // Also where there is no Origin: a cache on the way learns it from any answer.
    fields->Add("vary", "origin");
    const auto origin = request.Get("origin");
    if (!origin || !cors_->Allows(*origin)) return;
    fields->Add("access-control-allow-origin", *origin);
    if (cors_->credentials) fields->Add("access-control-allow-credentials", "true");
  }
  if (!cors_->expose.empty()) fields->Add("access-control-expose-headers", cors_->expose);
}

std::span<const FieldLine> VisitorRules::AddFields(const RequestHead& request,
                                                   std::span<const FieldLine> prepared,
                                                   http::Fields* extra) const {
  constexpr std::string_view kHsts = "strict-transport-security";
  // RFC 6797 §7.2: not over cleartext.
  const bool secure = request.scheme == "https" && !hsts_.empty();
  if (secure && !Has(prepared, kHsts) && !extra->Has(kHsts)) extra->Add(kHsts, hsts_);
  if (!cors_) return prepared;
  if (std::any_of(prepared.begin(), prepared.end(), IsCors)) {
    for (const FieldLine& line : prepared) {
      if (!IsCors(line)) extra->Add(line.name, line.value);
    }
    prepared = {};
  }
  for (std::string_view name : kCorsFields) extra->Remove(name);
  AddCors(request.fields, extra);
  return prepared;
}

}  // namespace nearside::edge
