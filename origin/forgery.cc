#include "origin/forgery.h"

#include <optional>

#include "http/uri.h"
#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

/// The same host and port, however they are written.
bool IsSameAuthority(std::string_view a, std::string_view b, std::string_view scheme) {
  const std::optional<http::Authority> one = http::SplitAuthority(a);
  const std::optional<http::Authority> other = http::SplitAuthority(b);
  const uint16_t usual = http::DefaultPort(scheme);
  return one && other && http::LowerName(one->host) == http::LowerName(other->host) &&
         one->port.value_or(usual) == other->port.value_or(usual);
}

}  // namespace

bool ComesFromOurPages(const http::RequestHead& request, bool https) {
  const auto site = request.fields.Get("sec-fetch-site");
  if (site && *site != "same-origin") return false;
  const auto origin = request.fields.Get("origin");
  if (!origin) return true;
  const std::string_view scheme = https ? "https" : "http";
  const Result<http::Uri> uri = http::SplitUri(*origin);  // "null" is none
  return uri && uri->path.empty() && !uri->has_query && uri->scheme == scheme &&
         IsSameAuthority(uri->authority, request.authority, scheme);
}

std::string FormTokenOf(std::string_view cookie) {
  return Base64UrlEncode(HmacSha256(cookie, "nearside account form"));
}

bool IsFormToken(std::string_view shown, std::string_view cookie) {
  return !cookie.empty() && EqualInConstantTime(shown, FormTokenOf(cookie));
}

}  // namespace nearside::origin
