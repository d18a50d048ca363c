#include "edge/settings.h"

#include <set>

#include "edge/site_settings.h"
#include "http/fields.h"
#include "http/session/client.h"
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
