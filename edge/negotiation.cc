#include "edge/negotiation.h"

#include "http/accept_language.h"
#include "http/field_list.h"

namespace nearside::edge {
namespace {

bool WantsIdentity(const http::Fields& request) {
  return request.Has("range") || http::ListHas(request, "cache-control", "no-transform");
}

}  // namespace

http::CodingSet CodingsFor(const http::Fields& request) {
  return WantsIdentity(request) ? http::CodingSet() : http::AcceptedCodings(request);
}

std::optional<std::string> Negotiated(std::string_view name, const http::Fields& request,
                                      const SiteSettings& site) {
  if (name == "accept-encoding") {
    if (!site.normalize_accept_encoding && !WantsIdentity(request)) return std::nullopt;
    return std::string(CodingsFor(request).text());
  }
  if (name == "accept-language" && site.normalize_accept_language) {
    if (const auto asked = http::AcceptLanguage::Parse(request)) return asked->ToText();
  }
  return std::nullopt;
}

}  // namespace nearside::edge
