#include "edge/site_settings.h"

#include <algorithm>
#include <utility>

#include "edge/settings.h"
#include "edge/visitor_settings.h"
#include "http/characters.h"
#include "http/session/client.h"
#include "http/uri.h"
#include "net/address.h"

namespace nearside::edge {
namespace {

using settings::Table;

std::string CheckHost(std::string_view text) {
  std::string_view host = text;
  if (host.starts_with("*.")) host.remove_prefix(2);
  const auto parts = http::SplitAuthority(host);
  const bool plain = net::IsIpLiteral(host) || (parts && parts->host == host);
  const bool wild = host.find('*') != std::string_view::npos;
  return text == "*" || (plain && !wild)
             ? ""
             : "a host like \"www.example.org\", \"*.example.org\" or \"*\"";
}

std::string CheckPath(std::string_view text) {
  return text.starts_with('/') && http::NormalizeTarget(text) ? "" : "a path like \"/healthz\"";
}

std::string CheckServerName(std::string_view text) {
  const auto parts = http::SplitAuthority(text);
  return text.empty() || net::IsIpLiteral(text) || (parts && parts->host == text)
             ? ""
             : "a name like \"origin.example.org\"";
}

Table OriginCheckTable() {
  Table table;
  table.Key("path", &OriginCheckSettings::path,
            {.required = true, .prose = "What to GET, as `/healthz`.", .check = CheckPath});
  table.Key("interval", &OriginCheckSettings::interval,
            {.fallback = "5s",
             .least = "100ms",
             .most = "1h",
             .prose = "From one check to the next, give or take a tenth; one at a time."});
  table.Key("timeout", &OriginCheckSettings::timeout,
            {.fallback = "2s",
             .least = "10ms",
             .most = "1m",
             .prose = "Of a whole check: connection, TLS and answer."});
  table.Key("rise", &OriginCheckSettings::rise,
            {.fallback = "2",
             .least = "1",
             .most = "100",
             .prose = "Successes in a row that bring it up again."});
  table.Key("fall", &OriginCheckSettings::fall,
            {.fallback = "3",
             .least = "1",
             .most = "100",
             .prose = "Failures in a row that take it down."});
  table.Key("status", &OriginCheckSettings::status,
            {.fallback = "0",
             .least = "0",
             .most = "599",
             .prose = "The status that is a success. 0: any from 200 to 399."});
  table.Where(&OriginCheckSettings::where);
  return table;
}

/// For Spec::check: "" when `text` is scheme and authority of a URL.
std::string CheckBase(std::string_view text) {
  return http::Endpoint::Parse(text) ? "" : "scheme and host, like \"https://www.example.org\"";
}

/// Adds the keys of a site that are about its origins.
Table WithOriginKeys(Table table) {
  table.Key(
      "origins", &SiteSettings::origins,
      {.required = true,
       .least = "1",
       .most = "64",
       .prose = "Where a miss goes, as `http://10.0.0.1:9000` or `https://origin.example.org`; "
                "names are looked up again when their TTL is over. With several, each request "
                "goes to the less busy one of two, and to another one when that fails."});
  table.Key("origin_host", &SiteSettings::origin_host,
            {.fallback = "", .prose = "`Host` sent to origins. Empty: the one the client sent."});
  table.Key("origin_ca", &SiteSettings::origin_ca,
            {.fallback = "",
             .prose = "PEM file of the authority that signs https origins. Empty: the system's."});
  table.Key("origin_server_name", &SiteSettings::origin_server_name,
            {.fallback = "",
             .prose = "Name for SNI that certificates of https origins must be for. Empty: the "
                      "host of the origin's URL; never that of `origin_host` or the client, who "
                      "would choose whom we trust.",
             .check = CheckServerName});
  table.Key(
      "connect_timeout", &SiteSettings::connect_timeout,
      {.fallback = "3s", .least = "10ms", .most = "5m", .prose = "For TCP and TLS to an origin."});
  table.Key(
      "origin_timeout", &SiteSettings::origin_timeout,
      {.fallback = "30s",
       .least = "10ms",
       .most = "1h",
       .prose = "Without a byte from an origin that owes one. Then: next origin, stale, or 504."});
  table.Key(
      "retries", &SiteSettings::retries,
      {.fallback = "2",
       .least = "0",
       .most = "63",
       .prose = "How often an idempotent request is made again, each time at an origin not "
                "yet asked, when one refuses, times out, answers nonsense, or 500, 502, 503 "
                "or 504. Not when a byte of its body has been sent or the answer has begun."});
  table.Key("retry_percent", &SiteSettings::retry_percent,
            {.fallback = "20",
             .least = "0",
             .most = "100",
             .prose = "Most retries of ten seconds, in percent of the site's requests to origins "
                      "in that time, and ten more. Over it the first failure stands "
                      "(`retry_budget`)."});
  table.Key("eject_after", &SiteSettings::eject_after,
            {.fallback = "5",
             .least = "1",
             .most = "1000000",
             .prose = "Failures in a row after which an origin is left alone. The last one that "
                      "is up never is; then the others are tried again at once."});
  table.Key("eject_for", &SiteSettings::eject_for,
            {.fallback = "10s",
             .least = "100ms",
             .most = "1d",
             .prose = "For how long. Then one request tries it, and when that fails it is twice "
                      "as long, …"});
  table.Key("eject_at_most", &SiteSettings::eject_at_most,
            {.fallback = "5m", .least = "100ms", .most = "1d", .prose = "… and at most so long."});
  table.Sub("check", &SiteSettings::check,
            {.prose = "Health check of each origin, as `check = { path = \"/healthz\" }`. One "
                      "that fails it is not asked, unless they all do. Without one it counts as "
                      "well."},
            OriginCheckTable());
  return table;
}

/// For Spec::check: "" when `text` is a media type without parameters.
std::string CheckMediaType(std::string_view text) {
  const size_t slash = text.find('/');
  const bool fits = slash != std::string_view::npos && http::IsToken(text.substr(0, slash)) &&
                    http::IsToken(text.substr(slash + 1));
  return fits ? "" : "a media type like \"application/x-report\"";
}

void AddCompression(Table* table) {
  table->Key(
      "compress", &SiteSettings::compress,
      {.fallback = "true",
       .prose = "Text that may be stored and has no coding is encoded once for each of `br`, "
                "`zstd` and `gzip` that clients ask for, unless `no-transform` forbids it."});
  table->Key(
      "compress_smallest", &SiteSettings::compress_smallest,
      {.fallback = "1KiB", .most = "1GiB", .prose = "Bodies known to be smaller go as they are."});
  table->Key("compress_largest", &SiteSettings::compress_largest,
             {.fallback = "10MiB",
              .most = "1TiB",
              .prose = "Bodies known to be larger go as they are, and can be asked for by range."});
  table->Key("compress_types", &SiteSettings::compress_types,
             {.fallback = "[]",
              .most = "100",
              .prose = "Media types to encode beside text, JSON, XML, scripts, WebAssembly, SVG, "
                       "plain fonts and bitmaps: `application/x-report`.",
              .check = CheckMediaType});
}

void AddNegotiation(Table* table) {
  table->Key(
      "normalize_accept_encoding", &SiteSettings::normalize_accept_encoding,
      {.fallback = "true",
       .prose = "Requests that accept the same of `br`, `gzip` and `zstd` share variants, and "
                "origins are asked for just these. `false`: `Accept-Encoding` counts and is "
                "sent to the letter."});
  table->Key("normalize_accept_language", &SiteSettings::normalize_accept_language,
             {.fallback = "true",
              .prose = "Requests that want the same languages in the same order share variants, "
                       "and one in the only language that a request wants most is taken. `false`: "
                       "`Accept-Language` counts and is sent to the letter."});
}

}  // namespace

bool OriginCheckSettings::operator==(const OriginCheckSettings& other) const {
  return path == other.path && interval == other.interval && timeout == other.timeout &&
         rise == other.rise && fall == other.fall && status == other.status;
}

/// Names stand in fields, URLs and cache keys, and the origin knows them by the same rule.
std::string CheckName(std::string_view text) {
  constexpr size_t kLongestName = 63;
  const bool fits = !text.empty() && text.size() <= kLongestName;
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return http::IsAlpha(c) || http::IsDigit(c) || c == '.' || c == '_' || c == '-';
  });
  return fits && plain ? "" : "1 to 63 letters, digits, \".\", \"_\" and \"-\"";
}

settings::Table SiteRows() {
  Table table;
  table.Key("name", &SiteSettings::name,
            {.required = true,
             .prose = "Name of the site: in purges, metrics and receipts.",
             .check = CheckName});
  table.Key("hosts", &SiteSettings::hosts,
            {.required = true,
             .least = "1",
             .most = "1000",
             .prose = "Hosts it answers to: `www.example.org`, `*.example.org`, or `*` for any.",
             .check = CheckHost});
  table = WithOriginKeys(std::move(table));
  table.Key(
      "default_ttl", &SiteSettings::default_ttl,
      {.fallback = "0s",
       .least = "0s",
       .most = "1y",
       .prose = "Freshness of a cacheable response that names none and has no `Last-Modified`."});
  table.Key("negative_ttl", &SiteSettings::negative_ttl,
            {.fallback = "5s",
             .least = "0s",
             .most = "1d",
             .prose = "Freshness of 404, 405, 410, 414 and 501 that name none."});
  table.Key(
      "stale_while_revalidate", &SiteSettings::stale_while_revalidate,
      {.fallback = "0s",
       .least = "0s",
       .most = "1y",
       .prose = "How long past its freshness a copy is served while it is validated behind, where "
                "the response does not say (RFC 5861 §3)."});
  table.Key(
      "stale_if_error", &SiteSettings::stale_if_error,
      {.fallback = "1d",
       .least = "0s",
       .most = "1y",
       .prose = "How long past its freshness a copy is served while the origin fails, where the "
                "response does not say (RFC 5861 §4). `must-revalidate` and `no-cache` win."});
  table.Key(
      "max_event_lag", &SiteSettings::max_event_lag,
      {.fallback = "1d",
       .least = "0s",
       .most = "1y",
       .prose = "An edge that has been cut off from the fleet's event log for longer than this "
                "validates every copy before it uses it, as purges may have passed it by; while "
                "the origin fails, stale ones serve. It hears of a silent end after 15 s. 0: no "
                "limit."});
  table.Key(
      "keep", &SiteSettings::keep,
      {.fallback = "1d",
       .least = "0s",
       .most = "1y",
       .prose = "How long a copy with a validator is kept past that, to be validated instead of "
                "fetched."});
  table.Key(
      "prove_releases", &SiteSettings::prove_releases,
      {.fallback = "true",
       .prose = "When the fleet's log tells of a new release, this edge asks itself for every "
                "URL that changed, so that it is here, and tells the origin whether it is "
                "right by SHA-256. `false`: only visitors fetch it, and the receipt says so."});
  table.Key(
      "keep_whole", &SiteSettings::keep_whole,
      {.fallback = "false",
       .prose = "Every URL of the release that is active at the fleet's origin is fetched and "
                "kept on disk (neither evicted nor expired, up to 80 % of it), and served "
                "however stale while the origins fail; `must-revalidate`, `s-maxage` and "
                "`no-cache` still win. The site has the same name at the origin. Needs "
                "`fleet.events` and `cache.path`."});
  table.Key("keep_at", &SiteSettings::keep_at,
            {.fallback = "[]",
             .most = "100",
             .prose = "Where visitors come to, as `https://www.example.org`: copies are kept, and "
                      "releases proved, for these. Empty: each full name among `hosts`, and those "
                      "that the origin has, with https where there is a TLS listener and with http "
                      "where there is one without and no `redirect_https`.",
             .check = CheckBase});
  table.Key(
      "set_cookie", &SiteSettings::set_cookie,
      {.fallback = "bypass",
       .one_of = {"bypass", "store"},
       .prose = "`bypass`: a response with `Set-Cookie` is never stored. `store`: RFC 9111 to the "
                "letter, which lets it be."});
  table.Key(
      "slice", &SiteSettings::slice,
      {.fallback = "4MiB",
       .least = "0B",
       .most = "64MiB",
       .prose =
           "A request for a range of what is not stored asks the origin for the slice of this "
           "length that holds it (in whole chunks of 65,520 bytes). Where the origin names a "
           "length and a strong validator, the rest is fetched in slices as it is wanted. 0: the "
           "whole is fetched."});
  AddKeyRows(&table);
  table.Key(
      "request_directives", &SiteSettings::request_directives,
      {.fallback = "obey",
       .one_of = {"obey", "ignore"},
       .prose = "`ignore`: `no-cache`, `no-store`, `max-age`, `min-fresh`, `max-stale` and "
                "`stale-if-error` of requests, and `Pragma`, are not looked at nor sent on by "
                "a miss. `only-if-cached` is obeyed in any case."});
  table.Key("cache_status_key", &SiteSettings::cache_status_key,
            {.fallback = "false",
             .prose = "`Cache-Status` tells the URL that stands in the key as well."});
  AddVisitorRows(&table);
  AddCompression(&table);
  AddNegotiation(&table);
  table.Where(&SiteSettings::where);
  return table;
}

}  // namespace nearside::edge
