#include "edge/settings.h"

#include <algorithm>
#include <set>
#include <utility>

#include "edge/visitor_settings.h"
#include "http/characters.h"
#include "http/session/client.h"
#include "http/uri.h"
#include "net/address.h"
#include "net/address_ranges.h"

namespace nearside::edge {
namespace {

using settings::Table;

/// For Spec::check: "" when `text` is an address with a port.
std::string CheckAddress(std::string_view text) {
  return net::SocketAddress::Parse(text) ? "" : "an address and port like \"127.0.0.1:8443\"";
}

std::string CheckOptionalAddress(std::string_view text) {
  return text.empty() ? "" : CheckAddress(text);
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

std::string CheckRange(std::string_view text) {
  return net::AddressRanges::Parse({std::string(text)})
             ? ""
             : "a network like \"10.0.0.0/8\" or \"2001:db8::/32\", or an address";
}

Table NodeTable() {
  Table table;
  table.Where(&NodeSettings::where);
  table.Key(
      "name", &NodeSettings::name,
      {.required = true,
       .prose = "Name of this edge: in `Cache-Status`, in receipts, in `nearside status`. A host "
                "of this name answers `/healthz`.",
       .restart = true,
       .check = CheckName});
  table.Key("workers", &NodeSettings::workers,
            {.fallback = "0",
             .least = "0",
             .most = "256",
             .prose = "Event loops, each on a thread of its own. 0: one a core.",
             .restart = true});
  table.Key("vaes", &NodeSettings::vaes,
            {.fallback = "true",
             .prose = "Takes the ciphers of TLS from libipsec-mb where its module is installed "
                      "(`lib/nearside/vaes.so`) and the processor has AVX-512 and VAES; the log "
                      "says at the start whether. `false`: OpenSSL's.",
             .restart = true});
  table.Key("access_log", &NodeSettings::access_log,
            {.fallback = "off",
             .prose = "`off`, `stdout`, or a file: one JSON line a request. A file is reopened on "
                      "SIGHUP, so that logrotate works.",
             .restart = true});
  table.Key("drain_timeout", &NodeSettings::drain_timeout,
            {.fallback = "30s",
             .least = "0s",
             .most = "1h",
             .prose = "How long SIGTERM waits for responses under way before it cuts them off."});
  table.Key(
      "trusted_proxies", &NodeSettings::trusted_proxies,
      {.fallback = "[]",
       .most = "1000",
       .prose =
           "Networks of proxies in front of the edge, as `10.0.0.0/8`: they may say who a "
           "client is, by the PROXY protocol or by `client_address_field`, and whether it came "
           "by https, by `X-Forwarded-Proto` or `proto=`. What others say of that is "
           "removed.",
       .check = CheckRange});
  table.Key(
      "client_address_field", &NodeSettings::client_address_field,
      {.fallback = "x-forwarded-for",
       .one_of = {"x-forwarded-for", "forwarded"},
       .prose = "The field in which they say so. The client is the last address in it that is "
                "no trusted proxy's. The other field is made anew: take the one that every "
                "proxy writes, since the other comes from anywhere."});
  return table;
}

Table ListenTable() {
  Table table;
  table.Key(
      "address", &ListenSettings::address,
      {.required = true, .prose = "Address and port.", .restart = true, .check = CheckAddress});
  table.Key("tls", &ListenSettings::tls,
            {.fallback = "false",
             .prose = "TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1 by ALPN. Without it: HTTP/1.1, and "
                      "HTTP/2 by prior knowledge.",
             .restart = true});
  table.Key(
      "proxy_protocol", &ListenSettings::proxy_protocol,
      {.fallback = "false",
       .prose = "Each connection comes from one of `trusted_proxies` and begins with a PROXY "
                "header of version 2, before TLS, which says whose it is, and perhaps that it came "
                "to the proxy over TLS (`send-proxy-v2-ssl`): https then. Others are closed.",
       .restart = true});
  table.Where(&ListenSettings::where);
  return table;
}

Table AdminTable() {
  Table table;
  table.Key(
      "address", &AdminSettings::address,
      {.fallback = "",
       .prose = "Address and port of `/healthz`, `/metrics`, `/status`, `/explain`, `/purge` and "
                "`/drain`. Empty: no admin listener. Off loopback it wants a token.",
       .restart = true,
       .check = CheckOptionalAddress});
  table.Key("token_file", &AdminSettings::token_file,
            {.fallback = "",
             .prose = "File whose first line is the bearer token that POST requests must carry. "
                      "Without one POST is refused.",
             .restart = true});
  table.Where(&AdminSettings::where);
  return table;
}

Table CacheTable() {
  Table table;
  table.Key("path", &CacheSettings::path,
            {.fallback = "",
             .prose = "Folder of the cache's files, made when absent. Empty: memory only, nothing "
                      "survives a restart.",
             .restart = true});
  table.Key("disk", &CacheSettings::disk,
            {.fallback = "1GiB",
             .least = "64MiB",
             .most = "64TiB",
             .prose = "Space reserved on disk; the cache never grows past it.",
             .restart = true});
  table.Key("memory", &CacheSettings::memory,
            {.fallback = "256MiB",
             .least = "4MiB",
             .most = "4TiB",
             .prose = "RAM for object heads and bodies.",
             .restart = true});
  table.Key("largest_object", &CacheSettings::largest_object,
            {.fallback = "0B",
             .prose = "Bodies above this pass through and are not stored. 0: half of `disk`.",
             .restart = true});
  table.Key(
      "disk_min_uses", &CacheSettings::disk_min_uses,
      {.fallback = "1",
       .least = "1",
       .most = "2",
       .prose =
           "Objects of up to 65,520 bytes go to disk when they are asked for so often. 2: those "
           "asked for once are in memory alone, and gone after a restart; what nobody "
           "asks for again costs no writing. Others go to disk at once.",
       .restart = true});
  table.Key(
      "fill_window", &CacheSettings::fill_window,
      {.fallback = "16MiB",
       .least = "256KiB",
       .most = "1GiB",
       .prose = "How far one response may run ahead of the reader that paces it before the edge "
                "stops reading from the origin: its fastest while it is being stored, else its "
                "slowest. Smaller when all such responses hold over a quarter of `memory`, "
                "and over 64MiB."});
  table.Key("encoders", &CacheSettings::encoders,
            {.fallback = "64",
             .least = "1",
             .most = "100000",
             .prose = "Bodies that are encoded at once (`compress`), at up to 5MiB of memory each. "
                      "Further ones are stored and served as they come."});
  table.Key("encoder_threads", &CacheSettings::encoder_threads,
            {.fallback = "0",
             .least = "0",
             .most = "1024",
             .prose = "Threads that encode them, but for those of 8KiB and less, so that no event "
                      "loop does. They are started when there is work. 0: one a core."});
  table.Key("reader_threads", &CacheSettings::reader_threads,
            {.fallback = "2",
             .least = "1",
             .most = "64",
             .prose = "Threads that read cold bodies from disk, so that no event loop ever does.",
             .restart = true});
  table.Key(
      "read_timeout", &CacheSettings::read_timeout,
      {.fallback = "2s",
       .least = "100ms",
       .most = "1m",
       .prose = "A read from disk that takes longer is given up and the origin asked instead, "
                "as for a miss.",
       .restart = true});
  table.Where(&CacheSettings::where);
  return table;
}

Table CertificateTable() {
  Table table;
  table.Key("chain", &CertificateSettings::chain,
            {.required = true, .prose = "PEM file: the certificate, then its intermediates."});
  table.Key("key", &CertificateSettings::key, {.required = true, .prose = "PEM file of its key."});
  table.Where(&CertificateSettings::where);
  return table;
}

Table LimitTable() {
  Table table;
  table.Key("request_line", &LimitSettings::request_line,
            {.fallback = "16KiB", .least = "1KiB", .most = "1MiB", .prose = "Longer: 414."});
  table.Key("fields", &LimitSettings::fields,
            {.fallback = "64KiB",
             .least = "4KiB",
             .most = "1MiB",
             .prose = "Sum of name, value and 32 for each field of a request. More: 431."});
  table.Key("field_lines", &LimitSettings::field_lines,
            {.fallback = "200",
             .least = "16",
             .most = "10000",
             .prose = "Field lines of a request. More: 431."});
  table.Key("body", &LimitSettings::body,
            {.fallback = "0B", .prose = "Bytes of a request's body. More: 413. 0: no limit."});
  table.Key(
      "streams", &LimitSettings::streams,
      {.fallback = "128",
       .least = "1",
       .most = "10000",
       .prose = "Requests at once on one HTTP/2 connection (SETTINGS_MAX_CONCURRENT_STREAMS)."});
  table.Key(
      "abuse_budget", &LimitSettings::abuse_budget,
      {.fallback = "200",
       .least = "10",
       .most = "1000000",
       .prose = "Resets, pings, settings and empty frames that an HTTP/2 connection may send at "
                "once. Spent: GOAWAY with ENHANCE_YOUR_CALM."});
  table.Key("abuse_refill", &LimitSettings::abuse_refill,
            {.fallback = "20",
             .least = "1",
             .most = "1000000",
             .prose = "How much of that budget comes back each second."});
  table.Key("head_timeout", &LimitSettings::head_timeout,
            {.fallback = "10s",
             .least = "100ms",
             .most = "10m",
             .prose = "From the first byte of a request's head to its last."});
  table.Key("idle_timeout", &LimitSettings::idle_timeout,
            {.fallback = "2m",
             .least = "1s",
             .most = "1d",
             .prose = "A connection without a request under way is closed after this."});
  table.Key("body_timeout", &LimitSettings::body_timeout,
            {.fallback = "30s",
             .least = "100ms",
             .most = "1h",
             .prose = "Without one byte of a request's body that is expected."});
  table.Key("send_timeout", &LimitSettings::send_timeout,
            {.fallback = "30s",
             .least = "100ms",
             .most = "1h",
             .prose = "Without the client taking one byte that waits for it."});
  table.Key(
      "half_closed_timeout", &LimitSettings::half_closed_timeout,
      {.fallback = "5s",
       .least = "0s",
       .most = "1h",
       .prose = "HTTP/1.1: a client that has ended its side of the connection has left when its "
                "response has been silent for so long. 0s: at once."});
  table.Key(
      "least_rate", &LimitSettings::least_rate,
      {.fallback = "512B",
       .least = "0B",
       .most = "1GiB",
       .prose = "Bytes a second that a client must send of a request's body on average of a "
                "`body_timeout` in which it is waited for, and take of a response on average of a "
                "`send_timeout` in which that waits for it. Slower: 408 (`slow_body`), and the "
                "response is cut off (`slow_read`). Not of WebSockets. 0: no matter how slow."});
  table.Key("connections", &LimitSettings::connections,
            {.fallback = "100000",
             .least = "1",
             .most = "10000000",
             .prose = "Connections of one listener on one worker; more are closed at once.",
             .restart = true});
  table.Key(
      "max_hops", &LimitSettings::max_hops,
      {.fallback = "1",
       .least = "1",
       .most = "100",
       .prose = "A request that has been through this edge so often, as `Via` or `CDN-Loop` (RFC "
                "8586) says, is not sent on: 508. 2 or more where an origin of a site leads to "
                "another site of the same edge."});
  table.Key("tunnels", &LimitSettings::tunnels,
            {.fallback = "10000",
             .least = "0",
             .most = "10000000",
             .prose = "WebSockets open at once. More: 503. Each has a connection to an origin."});
  table.Key("tunnel_idle_timeout", &LimitSettings::tunnel_idle_timeout,
            {.fallback = "10m",
             .least = "1s",
             .most = "30d",
             .prose = "A WebSocket on which neither side says anything is ended after this."});
  return table;
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

Table SiteRows() {
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

Table FleetTable() {
  Table table;
  table.Key(
      "events", &FleetSettings::events,
      {.fallback = "[]",
       .prose = "Origins whose event log this edge follows, as `http://10.0.0.1:9000`; the first "
                "that answers is used. Empty: the edge stands alone.",
       .restart = true});
  table.Key("token_file", &FleetSettings::token_file,
            {.fallback = "",
             .prose = "File whose first line is the fleet's bearer token.",
             .restart = true});
  table.Key("ca", &FleetSettings::ca,
            {.fallback = "",
             .prose = "PEM file of the authorities that those origins' certificates may come from, "
                      "for `https://` URLs. Without it: the system's.",
             .restart = true});
  table.Key(
      "keep_rate", &FleetSettings::keep_rate,
      {.fallback = "20MiB",
       .most = "100GiB",
       .prose = "Bytes a second that this edge reads, from its cache or the origins, to prove "
                "releases and to keep sites whole. 0: no limit."});
  table.Key("keep_parallel", &FleetSettings::keep_parallel,
            {.fallback = "16",
             .least = "1",
             .most = "64",
             .prose = "Of these requests so many at once."});
  table.Key(
      "prepare_most", &FleetSettings::prepare_most,
      {.fallback = "1GiB",
       .most = "1TiB",
       .prose = "Bytes of a site's next release that this edge fetches before the switch, when the "
                "origin asks for it (`nearside publish` does), by `keep_rate` and `keep_parallel`; "
                "never more than a quarter of the cache. 0: none, and the receipt says so."});
  table.Where(&FleetSettings::where);
  return table;
}

Status CheckUrls(const settings::Origin& where, std::string_view key,
                 const std::vector<std::string>& urls) {
  for (const std::string& url : urls) {
    if (auto endpoint = http::Endpoint::Parse(url); !endpoint) {
      return Fail(Fault::kOperator, "bad_settings",
                  where.Of(key) + ": " + endpoint.error().message);
    }
  }
  return {};
}

/// One that is named twice would count as two.
Status CheckOriginsDiffer(const SiteSettings& site) {
  std::set<std::string> origins;
  for (const std::string& url : site.origins) {
    if (origins.insert(http::Endpoint::Parse(url)->ToString()).second) continue;
    return Fail(Fault::kOperator, "bad_settings",
                site.where.Of("origins") + ": \"" + url + "\" is named twice");
  }
  return {};
}

Status CheckSites(const EdgeSettings& settings) {
  std::set<std::string> names, hosts;
  for (const SiteSettings& site : settings.sites) {
    if (!names.insert(site.name).second) {
      return Fail(Fault::kOperator, "bad_settings",
                  site.where.Of("name") + ": two sites are called \"" + site.name + "\"");
    }
    for (const std::string& host : site.hosts) {
      if (!hosts.insert(http::LowerName(host)).second) {
        return Fail(Fault::kOperator, "bad_settings",
                    site.where.Of("hosts") + ": \"" + host + "\" is named twice");
      }
    }
    if (auto ok = CheckUrls(site.where, "origins", site.origins); !ok) return ok;
    if (auto ok = CheckOriginsDiffer(site); !ok) return ok;
  }
  return {};
}

Status CheckKept(const EdgeSettings& settings) {
  for (const SiteSettings& site : settings.sites) {
    if (!site.keep_whole) continue;
    const bool can = !settings.fleet.events.empty() && !settings.cache.path.empty();
    if (can) continue;
    return Fail(Fault::kOperator, "bad_settings",
                site.where.Of("keep_whole") +
                    ": expected fleet.events, which tells what the site has, and cache.path, where "
                    "it is kept");
  }
  return {};
}

Status CheckAcross(const EdgeSettings& settings) {
  std::set<std::string> addresses;
  for (const ListenSettings& listen : settings.listen) {
    // Sharing a port is what listeners of several workers do, so the system would not mind.
    if (!addresses.insert(net::SocketAddress::Parse(listen.address)->ToString()).second) {
      return Fail(Fault::kOperator, "bad_settings",
                  listen.where.Of("address") + ": another [[listen]] has \"" + listen.address +
                      "\" already");
    }
    if (listen.proxy_protocol && settings.node.trusted_proxies.empty()) {
      return Fail(Fault::kOperator, "bad_settings",
                  listen.where.Of("proxy_protocol") +
                      ": expected edge.trusted_proxies, which says whose header is believed");
    }
    if (listen.tls && settings.certificates.empty()) {
      return Fail(Fault::kOperator, "bad_settings",
                  listen.where.Of("tls") + ": expected a [[certificate]] for a TLS listener");
    }
  }
  if (!settings.admin.address.empty() && settings.admin.token_file.empty() &&
      !net::SocketAddress::Parse(settings.admin.address)->IsLoopback()) {
    return Fail(Fault::kOperator, "bad_settings",
                settings.admin.where.Of("token_file") +
                    ": expected a token file, because admin.address is not a loopback address");
  }
  if (!settings.fleet.events.empty() && settings.fleet.token_file.empty()) {
    return Fail(Fault::kOperator, "bad_settings",
                settings.fleet.where.Of("token_file") +
                    ": expected the file with the fleet's token, because fleet.events is set");
  }
  if (auto ok = CheckSites(settings); !ok) return ok;
  if (auto ok = CheckKept(settings); !ok) return ok;
  return CheckUrls(settings.fleet.where, "events", settings.fleet.events);
}

}  // namespace

bool OriginCheckSettings::operator==(const OriginCheckSettings& other) const {
  return path == other.path && interval == other.interval && timeout == other.timeout &&
         rise == other.rise && fall == other.fall && status == other.status;
}

settings::Table EdgeTable() {
  Table table;
  table.KeepRestartValues(&EdgeSettings::restart_values);
  table.Sub("edge", &EdgeSettings::node, {.required = true, .prose = "The node itself."},
            NodeTable());
  table.Each("listen", &EdgeSettings::listen,
             {.least = "1", .most = "64", .prose = "A public listener; each worker opens its own."},
             ListenTable());
  table.Sub("admin", &EdgeSettings::admin, {.prose = "For operators; never for the public."},
            AdminTable());
  table.Sub("cache", &EdgeSettings::cache, {.prose = "The RAM and disk tiers."}, CacheTable());
  table.Each("certificate", &EdgeSettings::certificates,
             {.prose = "Chosen by SNI; read again on SIGHUP and when the files change."},
             CertificateTable());
  table.Sub("limits", &EdgeSettings::limits, {.prose = "Limits of client connections."},
            LimitTable());
  table.Each("site", &EdgeSettings::sites, {.least = "1", .prose = "A site that this edge serves."},
             SiteRows());
  table.Sub("fleet", &EdgeSettings::fleet,
            {.prose = "The event log that tells this edge what to forget."}, FleetTable());
  return table;
}

Result<EdgeSettings> ReadEdgeSettings(const std::string& path) {
  EdgeSettings settings;
  if (auto read = EdgeTable().ReadFile(path, &settings); !read) {
    return tl::unexpected<Error>(read.error());
  }
  if (auto checked = CheckAcross(settings); !checked) return tl::unexpected<Error>(checked.error());
  return settings;
}

}  // namespace nearside::edge
