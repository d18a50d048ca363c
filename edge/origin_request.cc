#include "edge/origin_request.h"

#include <algorithm>
#include <array>

#include "edge/cache_key.h"
#include "edge/negotiation.h"
#include "http/characters.h"
#include "http/field_list.h"
#include "http/request_id.h"

namespace nearside::edge {
namespace {

/// Fields by which a client could claim to be somebody else or to ask for something else than its
/// target. They shape responses and are in no key. In alphabetical order.
constexpr std::array<std::string_view, 30> kClaims = {"cf-connecting-ip",
                                                      "client-ip",
                                                      "fastly-client-ip",
                                                      "forwarded",
                                                      "front-end-https",
                                                      "proxy",  // CVE-2016-5385
                                                      "true-client-ip",
                                                      "x-arr-ssl",
                                                      "x-client-ip",
                                                      "x-cluster-client-ip",
                                                      "x-host",
                                                      "x-http-destinationurl",
                                                      "x-http-host-override",
                                                      "x-http-method",
                                                      "x-http-method-override",
                                                      "x-http-path-override",
                                                      "x-https",
                                                      "x-method-override",
                                                      "x-original-host",
                                                      "x-original-method",
                                                      "x-original-uri",
                                                      "x-original-url",
                                                      "x-originating-ip",
                                                      "x-real-ip",
                                                      "x-remote-addr",
                                                      "x-remote-ip",
                                                      "x-rewrite-url",
                                                      "x-scheme",
                                                      "x-script-name",
                                                      "x-url-scheme"};
constexpr std::string_view kClaimsPrefix = "x-forwarded-";
/// Framing is the client session's; Host comes from the authority; 100-continue is between
/// neighbours.
constexpr std::array<std::string_view, 5> kOurs = {"host", "content-length", "transfer-encoding",
                                                   "expect", http::kRequestIdField};
constexpr std::array<std::string_view, 6> kConditions = {
    "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"};

constexpr std::array<std::string_view, 2> kDirectives = {"cache-control", "pragma"};
/// What is usually added to a request for an origin.
constexpr size_t kAddedLines = 8;
constexpr size_t kAddedBytes = 256;
/// A fill asks by what is in its key.
constexpr std::array<std::string_view, 2> kNegotiated = {"accept-encoding", "accept-language"};

template <size_t N>
bool In(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// Whether a field ends here. Origins behind CGI or WSGI read an underscore in a name as a hyphen.
bool EndsHere(std::string_view name) {
  if (name.find('_') != std::string_view::npos) {
    std::string hyphened(name);
    std::replace(hyphened.begin(), hyphened.end(), '_', '-');
    return EndsHere(hyphened);
  }
  return name.starts_with(kClaimsPrefix) || In(kOurs, name) ||
         std::binary_search(kClaims.begin(), kClaims.end(), name);
}

/// RFC 7239 §6: IPv6 addresses in brackets, and then quoted.
std::string NodeOf(const std::string& ip) {
  return ip.find(':') != std::string::npos ? "\"[" + ip + "]\"" : ip;
}

/// What a trusted proxy told of those before it is kept and appended to.
void AddForwarded(const http::RequestHead& request, std::string_view authority, const Asker& asker,
                  http::Fields* fields) {
  const auto told = [&asker](ForwardedField field) {
    return asker.field == field && !asker.chain.empty();
  };
  const std::string forwarded = told(ForwardedField::kForwarded)
                                    ? asker.chain + ", for=" + NodeOf(asker.peer)
                                    : "for=" + NodeOf(asker.address);
  fields->Add("forwarded",
              forwarded + ";proto=" + request.scheme + ";host=" + http::Quote(authority));
  fields->Add("x-forwarded-for", told(ForwardedField::kXForwardedFor)
                                     ? asker.chain + ", " + asker.peer
                                     : asker.address);
  fields->Add("x-forwarded-proto", request.scheme);
  fields->Add("x-forwarded-host", authority);
}

/// RFC 9110 §7.6.3: the version that the request came by.
std::string_view ReceivedProtocol(http::Version version) {
  switch (version) {
    case http::Version::kHttp10:
      return "1.0 ";
    case http::Version::kHttp11:
      return "1.1 ";
    case http::Version::kHttp2:
      return "2.0 ";
  }
  return "";
}

/// More hops than that are as good as any.
constexpr uint64_t kMostHops = 1'000'000;

}  // namespace

std::optional<uint64_t> HopsLeft(const http::RequestHead& request) {
  if (request.method != "OPTIONS" && request.method != "TRACE") return std::nullopt;
  const auto text = request.fields.Get("max-forwards");
  if (!text || text->empty()) return std::nullopt;
  uint64_t hops = 0;
  for (const char c : *text) {
    if (!http::IsDigit(c)) return std::nullopt;
    hops = std::min(kMostHops, hops * 10 + static_cast<uint64_t>(c - '0'));
  }
  return hops;
}

http::Fields OriginTrailers(const http::Fields& trailers) {
  http::Fields kept;
  for (const http::FieldLine& line : trailers.lines()) {
    const bool ours = EndsHere(line.name) || line.name == "via";
    if (!ours && !In(kConditions, line.name)) kept.Add(line.name, line.value);
  }
  return kept;
}

http::RequestHead OriginRequest(const http::RequestHead& request, std::string_view target,
                                const Site& site, const Asker& asker, OriginMode mode,
                                const StoredResponse* stored) {
  http::RequestHead head;
  head.method = request.method;
  head.scheme = request.scheme;
  // In a fill as the key has it: ":443" and ":0443" are one key, and an origin might tell them.
  const std::string_view authority = mode == OriginMode::kFill
                                         ? NormalAuthority(request.scheme, request.authority)
                                         : request.authority;
  head.authority = site.settings.origin_host.empty() ? authority : site.settings.origin_host;
  head.target = target;
  const bool ignores = site.request_directives == RequestDirectives::kIgnore;
  head.fields.Reserve(request.fields.size() + kAddedLines,
                      request.fields.wire_size() + kAddedBytes);
  for (const http::FieldLine& line : request.fields.lines()) {
    if (EndsHere(line.name)) continue;
    if (mode == OriginMode::kFill && In(kConditions, line.name)) continue;
    if (mode == OriginMode::kFill && ignores && In(kDirectives, line.name)) continue;
    // The site's rules answer for CORS: whoever asked first shapes nothing.
    if (mode == OriginMode::kFill && site.settings.cors && line.name == "origin") continue;
    head.fields.Add(line.name, line.value);
  }
  http::RemoveHopByHop(&head.fields);
  if (mode == OriginMode::kFill) {
    for (std::string_view name : kNegotiated) {
      if (auto value = Negotiated(name, request.fields, site.settings)) {
        head.fields.Set(name, *value);
      }
    }
  }
  if (stored != nullptr) {
    if (!stored->origin_etag.empty()) {
      head.fields.Add("if-none-match", stored->origin_etag);
    } else if (const auto etag = stored->fields.Get("etag")) {
      head.fields.Add("if-none-match", *etag);
    }
    if (const auto modified = stored->fields.Get("last-modified")) {
      head.fields.Add("if-modified-since", *modified);
    }
  }
  if (const auto hops = HopsLeft(request); hops && *hops > 0) {
    head.fields.Set("max-forwards", std::to_string(*hops - 1));
  }
  AddForwarded(request, authority, asker, &head.fields);
  head.fields.Add("via", std::string(ReceivedProtocol(asker.version)) + std::string(asker.edge));
  head.fields.Add("cdn-loop", asker.edge);  // RFC 8586
  head.fields.Add(http::kRequestIdField, asker.request_id);
  return head;
}

}  // namespace nearside::edge
