#include "origin/settings.h"

#include "http/fields.h"
#include "http/uri.h"
#include "net/address.h"
#include "net/address_ranges.h"

namespace nearside::origin {
namespace {

using settings::Table;

std::string CheckAddress(std::string_view text) {
  return net::SocketAddress::Parse(text) ? "" : "an address and port like \"127.0.0.1:9000\"";
}

std::string CheckOptionalAddress(std::string_view text) {
  return text.empty() ? "" : CheckAddress(text);
}

/// For URLs whose engine is chosen by scheme: `now` is what this version has, `later` what the
/// design names.
std::string CheckScheme(std::string_view url, std::string_view now, std::string_view later) {
  if (url.starts_with(now) && url.size() > now.size()) return "";
  std::string expected = "a URL like \"" + std::string(now) + "var/origin/…\"";
  if (url.starts_with(later)) {
    expected += " (\"" + std::string(later) + "\" is not supported by this version)";
  }
  return expected;
}

Table NodeTable() {
  Table table;
  table.Where(&NodeSettings::where);
  table.Key("name", &NodeSettings::name,
            {.required = true,
             .prose = "Name of this node, in logs and `/status`. A request whose host it is "
                      "gets `/healthz` answered.",
             .restart = true});
  table.Key("api", &NodeSettings::api,
            {.required = true,
             .least = "1",
             .most = "16",
             .prose = "Addresses and ports of the API and the event log. The same addresses serve "
                      "the sites, by `Host`, to edges.",
             .restart = true});
  table.Key("cleartext_api", &NodeSettings::cleartext_api,
            {.fallback = "false",
             .prose = "Tokens travel in clear on the API's addresses, so these must be on "
                      "loopback unless this is true: say so only for a private network. "
                      "`tls_api` is for all others."});
  table.Key("tls_api", &NodeSettings::tls_api,
            {.fallback = "[]",
             .most = "16",
             .prose = "Addresses and ports where the same is spoken through TLS 1.2 and 1.3, with "
                      "the certificates of `[[certificate]]`: for edges, S3 clients and whoever "
                      "publishes, from other networks. HTTP/1.1.",
             .restart = true});
  table.Key("access_log", &NodeSettings::access_log,
            {.fallback = "off",
             .prose = "`off`, `stdout`, or a file: one JSON line a request of visitors, edges, the "
                      "API and S3, with the id that an edge gave it. A file is reopened on SIGHUP, "
                      "so that logrotate works.",
             .restart = true});
  table.Key(
      "acme_webroot", &NodeSettings::acme_webroot,
      {.fallback = "",
       .prose = "Folder that an ACME client on this machine takes for the web root: "
                "`/.well-known/acme-challenge/` of every host is answered from below it, here "
                "and, since nothing of it is stored, at every edge.",
       .restart = true});
  table.Key("drain_timeout", &NodeSettings::drain_timeout,
            {.fallback = "30s",
             .least = "0s",
             .most = "1h",
             .prose = "How long SIGTERM waits for uploads and responses under way before it cuts "
                      "them off.",
             .restart = true});
  return table;
}

Table ListenTable() {
  Table table;
  table.Where(&ListenSettings::where);
  table.Key("address", &ListenSettings::address,
            {.required = true,
             .prose = "Address and port for visitors, where DNS leads when no edge is left: the "
                      "sites, the pages of accounts, and nothing else.",
             .restart = true,
             .check = CheckAddress});
  table.Key("tls", &ListenSettings::tls,
            {.fallback = "true",
             .prose = "TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1 by ALPN. Without it: HTTP/1.1, "
                      "and HTTP/2 by prior knowledge.",
             .restart = true});
  return table;
}

Table CertificateTable() {
  Table table;
  table.Where(&CertificateSettings::where);
  table.Key("chain", &CertificateSettings::chain,
            {.required = true, .prose = "PEM file: the certificate, then its intermediates."});
  table.Key("key", &CertificateSettings::key, {.required = true, .prose = "PEM file of its key."});
  return table;
}

Table AdminTable() {
  Table table;
  table.Where(&AdminSettings::where);
  table.Key("address", &AdminSettings::address,
            {.fallback = "",
             .prose = "Address and port of `/healthz`, `/metrics` and `/status`. Empty: no admin "
                      "listener. Off loopback it wants a token.",
             .restart = true,
             .check = CheckOptionalAddress});
  table.Key("token_file", &AdminSettings::token_file,
            {.fallback = "",
             .prose = "File with the bearer token that POST requests must carry, one a line. "
                      "Without one POST is refused. Read again on SIGHUP."});
  return table;
}

Table StorageTable() {
  Table table;
  table.Where(&StorageSettings::where);
  table.Key("metadata", &StorageSettings::metadata,
            {.required = true,
             .prose = "Sites, releases, event log: `sqlite:FILE`. Several origins on one machine "
                      "may share it. (`postgresql:` comes with a later version.)",
             .restart = true,
             .check = [](auto url) { return CheckScheme(url, "sqlite:", "postgresql:"); }});
  table.Key("blobs", &StorageSettings::blobs,
            {.required = true,
             .prose = "Contents by SHA-256: `file:FOLDER`. (`s3:` comes with a later version.)",
             .restart = true,
             .check = [](auto url) { return CheckScheme(url, "file:", "s3:"); }});
  table.Key(
      "sessions", &StorageSettings::sessions,
      {.fallback = "",
       .prose = "Sessions of people who sign in: `lmdb:FOLDER`. Several origins on one machine "
                "may share it, and must, to answer for each other. Empty: nobody can. (`redis:` "
                "comes with a later version.)",
       .restart = true,
       .check = [](auto url) { return url.empty() ? "" : CheckScheme(url, "lmdb:", "redis:"); }});
  table.Key(
      "queue", &StorageSettings::queue,
      {.fallback = "",
       .prose = "Jobs that need no answer (see `[jobs]`): `lmdb:FOLDER`. Several origins on one "
                "machine may share it. Empty: there are none. (`amqp:` comes with a later "
                "version.)",
       .restart = true,
       .check = [](auto url) { return url.empty() ? "" : CheckScheme(url, "lmdb:", "amqp:"); }});
  return table;
}

Table AuthTable() {
  Table table;
  table.Where(&AuthSettings::where);
  table.Key(
      "token_file", &AuthSettings::token_file,
      {.required = true,
       .prose = "File with the bearer token that may do everything, 16 characters or more, one a "
                "line (several while one is being replaced). Read again on SIGHUP."});
  table.Key("fleet_token_file", &AuthSettings::fleet_token_file,
            {.fallback = "",
             .prose = "File with the token of the edges: it reads events, sites and edges, and "
                      "reports as an edge, nothing more. Empty: edges use the one above."});
  table.Key("s3_key_file", &AuthSettings::s3_key_file,
            {.fallback = "",
             .prose = "File with the key from which the secrets of S3 key pairs are made, 32 "
                      "characters or more; every origin of one database needs the same. Another "
                      "key makes all S3 secrets invalid, and no other token. Empty: `s3.key` "
                      "beside the database, made at the first start. Read again on SIGHUP."});
  table.Key(
      "tokens", &AuthSettings::tokens,
      {.fallback = "10000",
       .least = "1",
       .most = "100000",
       .prose = "Tokens made by the API that are kept; over one site a tenth of these at most. "
                "When there is no room, the oldest "
                "that is revoked or has expired goes; when all still open something, no "
                "further one is made (409).",
       .restart = true});
  table.Key("failures", &AuthSettings::failures,
            {.fallback = "30",
             .least = "0",
             .most = "10000",
             .prose = "Wrong tokens that a client address may show in a minute. Then it is "
                      "answered 429 with `Retry-After` to what it shows besides (right tokens are "
                      "always taken), and may try once every 60 s / `failures`. An IPv6 client is "
                      "its /64. 0: no limit.",
             .restart = true});
  table.Key("limit_loopback", &AuthSettings::limit_loopback,
            {.fallback = "false",
             .prose = "Whether `failures` holds for clients on loopback as well. False where a "
                      "proxy on this machine speaks for everybody, or tools are tried out.",
             .restart = true});
  return table;
}

std::string CheckAccountHost(std::string_view text) {
  const std::optional<http::Authority> authority = http::SplitAuthority(text);
  const bool name =
      authority && !authority->port && authority->host == text && http::LowerName(text) == text;
  return name ? "" : "a host in lower case like \"account.example.org\", without port";
}

std::string CheckRange(std::string_view text) {
  const auto ranges = net::AddressRanges::Parse({std::string(text)});
  return ranges ? "" : "a network like \"10.0.0.0/8\", or an address";
}

Table AccountTable() {
  Table table;
  table.Where(&AccountSettings::where);
  table.Key("hosts", &AccountSettings::hosts,
            {.fallback = "[]",
             .most = "16",
             .prose = "Hosts whose requests get the pages where people sign in and see their sites "
                      "(`/account`): `account.example.org`. No site can have them. Edges take them "
                      "as a `[[site]]` of this origin. Empty: no pages.",
             .restart = true,
             .check = CheckAccountHost});
  table.Key("sign_up", &AccountSettings::sign_up,
            {.fallback = "closed",
             .one_of = {"closed", "open"},
             .prose = "Who makes accounts: whoever has an admin's token (`nearside account "
                      "create`), or anybody by a page. A new account may do nothing until it is "
                      "granted something.",
             .restart = true});
  table.Key("secure", &AccountSettings::secure,
            {.fallback = "true",
             .prose = "Pages are for https alone, and cookies are `__Host-` ones that browsers "
                      "send over https only. False for http in development: then cookies, and "
                      "passwords, go in clear.",
             .restart = true});
  table.Key("hsts", &AccountSettings::hsts,
            {.fallback = "1y",
             .least = "0s",
             .most = "10y",
             .prose = "How long browsers come to these hosts by https only, whatever a link says "
                      "(`Strict-Transport-Security`). 0s: it is not sent. Nor is it without "
                      "`secure`.",
             .restart = true});
  table.Key("trusted_proxies", &AccountSettings::trusted_proxies,
            {.fallback = "127.0.0.0/8, ::1",
             .most = "1000",
             .prose = "Networks of the edges and proxies that say by `X-Forwarded-For` and "
                      "`X-Forwarded-Proto` who a client is and whether it came by https. Guessers "
                      "are counted by that address; without it all clients of an edge are one.",
             .restart = true,
             .check = CheckRange});
  table.Key("accounts", &AccountSettings::accounts,
            {.fallback = "10000",
             .least = "1",
             .most = "10000000",
             .prose = "Accounts; no further one is made (409).",
             .restart = true});
  table.Key("sessions", &AccountSettings::sessions,
            {.fallback = "100000",
             .least = "1",
             .most = "1000000",
             .prose = "Sessions of all accounts together; whoever signs in then is answered 503.",
             .restart = true});
  table.Key("sessions_of_account", &AccountSettings::sessions_of_account,
            {.fallback = "20",
             .least = "1",
             .most = "1000",
             .prose = "Sessions of one account; with another one the one that was used least "
                      "lately ends.",
             .restart = true});
  table.Key("session_idle", &AccountSettings::session_idle,
            {.fallback = "1d",
             .least = "1s",
             .most = "1y",
             .prose = "A session ends when it was not used for so long; each use moves the end.",
             .restart = true});
  table.Key("session_life", &AccountSettings::session_life,
            {.fallback = "30d",
             .least = "1s",
             .most = "10y",
             .prose = "A session ends so long after signing in, however it is used.",
             .restart = true});
  table.Key("failures", &AccountSettings::failures,
            {.fallback = "10",
             .least = "1",
             .most = "10000",
             .prose = "Wrong passwords that may come from one address, and for one name, within "
                      "`failure_window`; as many accounts may be made from one address. Then 429 "
                      "with `Retry-After`, and one more each `failure_window` / `failures`. "
                      "Addresses on loopback are spared unless `auth.limit_loopback`; names "
                      "never are. A browser that was signed in as the account before, and who "
                      "is, are counted by themselves: nobody else locks them out.",
             .restart = true});
  table.Key("failure_window", &AccountSettings::failure_window,
            {.fallback = "10m",
             .least = "1s",
             .most = "1d",
             .prose = "See `failures`.",
             .restart = true});
  table.Key("hash_memory", &AccountSettings::hash_memory,
            {.fallback = "64MiB",
             .least = "8KiB",
             .most = "1GiB",
             .prose = "Memory that hashing a password takes (Argon2id). Passwords hashed otherwise "
                      "are hashed anew when their owner signs in.",
             .restart = true});
  table.Key("hash_passes", &AccountSettings::hash_passes,
            {.fallback = "3",
             .least = "1",
             .most = "100",
             .prose = "Passes of Argon2id over that memory.",
             .restart = true});
  table.Key("hashes", &AccountSettings::hashes,
            {.fallback = "2",
             .least = "1",
             .most = "64",
             .prose = "Passwords hashed at once: so many cores at most, and so many times "
                      "`hash_memory`.",
             .restart = true});
  table.Key("hash_queue", &AccountSettings::hash_queue,
            {.fallback = "8",
             .least = "0",
             .most = "1000",
             .prose = "Passwords that wait to be hashed; whoever comes then is answered 503 with "
                      "`Retry-After`. With `hashes` less than `threads.accounts`, so that pages "
                      "are served meanwhile.",
             .restart = true});
  return table;
}

std::string CheckS3Domain(std::string_view text) {
  const std::optional<http::Authority> authority = http::SplitAuthority(text);
  const bool name = authority && !authority->port && authority->host == text &&
                    http::LowerName(text) == text && !net::IsIpLiteral(text);
  return text.empty() || name ? "" : "a name in lower case like \"s3.example.org\", without port";
}

std::string CheckCorsOrigin(std::string_view text) {
  const Result<http::Uri> uri = http::SplitUri(text);
  const bool origin = uri && uri->path.empty() && !uri->has_query;
  return text == "*" || origin ? "" : "an origin like \"https://app.example.org\", or \"*\"";
}

Table S3Table() {
  Table table;
  table.Key("enabled", &S3Settings::enabled,
            {.fallback = "true",
             .prose = "Whether the API's addresses answer S3 clients as well: a bucket is a site. "
                      "Nothing is answered without a signature.",
             .restart = true});
  table.Key("domain", &S3Settings::domain,
            {.fallback = "",
             .prose = "With `s3.example.org`, requests for the host `BUCKET.s3.example.org` name "
                      "their bucket by it (virtual-host style). Path style always works.",
             .restart = true,
             .check = CheckS3Domain});
  table.Key("region", &S3Settings::region,
            {.fallback = "us-east-1",
             .least = "1",
             .most = "64",
             .prose = "What clients that ask for a bucket's region are told. Signatures are taken "
                      "for any.",
             .restart = true});
  table.Key("cors_origins", &S3Settings::cors_origins,
            {.fallback = "[]",
             .most = "100",
             .prose = "Origins whose pages may speak S3 from a browser (`https://app.example.org`, "
                      "or `*`), still with signatures. Empty: none.",
             .restart = true,
             .check = CheckCorsOrigin});
  table.Key(
      "upload_expiry", &S3Settings::upload_expiry,
      {.fallback = "7d",
       .least = "1m",
       .most = "90d",
       .prose = "An upload in parts that was neither completed nor aborted this long after it "
                "began is removed with its parts.",
       .restart = true});
  return table;
}

Table UploadTable() {
  Table table;
  table.Key(
      "open", &UploadSettings::open,
      {.fallback = "1000",
       .least = "1",
       .most = "1000000",
       .prose = "Uploads in several goes that may be under way at once, by all origins of one "
                "database together; more are answered 429.",
       .restart = true});
  table.Key("open_of_site", &UploadSettings::open_of_site,
            {.fallback = "200",
             .least = "1",
             .most = "1000000",
             .prose = "Of these, so many of one site.",
             .restart = true});
  table.Key(
      "expiry", &UploadSettings::expiry,
      {.fallback = "1d",
       .least = "1m",
       .most = "90d",
       .prose = "An upload to which nothing was added for this long is removed, and its space "
                "given back. What became of a finished one is told for an hour.",
       .restart = true});
  table.Key("cors_origins", &UploadSettings::cors_origins,
            {.fallback = "[]",
             .most = "100",
             .prose = "Origins whose pages may upload from a browser "
                      "(`https://app.example.org`, or `*`), still with a token. Empty: none.",
             .restart = true,
             .check = CheckCorsOrigin});
  return table;
}

Table ThreadTable() {
  Table table;
  table.Key("visitors", &ThreadSettings::visitors,
            {.fallback = "16",
             .least = "1",
             .most = "1024",
             .prose = "Threads that answer edges' and visitors' requests on the API's addresses.",
             .restart = true});
  table.Key("api", &ThreadSettings::api,
            {.fallback = "8",
             .least = "1",
             .most = "1024",
             .prose = "Threads for API requests with small bodies, edges' reports among them.",
             .restart = true});
  table.Key("s3", &ThreadSettings::s3,
            {.fallback = "8",
             .least = "1",
             .most = "1024",
             .prose = "Threads for S3 requests that bring no content: listings and downloads.",
             .restart = true});
  table.Key("uploads", &ThreadSettings::uploads,
            {.fallback = "16",
             .least = "1",
             .most = "1024",
             .prose = "Threads that take uploads and manifests: as many at once; more wait.",
             .restart = true});
  table.Key("accounts", &ThreadSettings::accounts,
            {.fallback = "16",
             .least = "2",
             .most = "1024",
             .prose = "Threads for the pages of accounts, and as many for those of `[[listen]]`; "
                      "some of them hash passwords.",
             .restart = true});
  table.Key("disk", &ThreadSettings::disk,
            {.fallback = "4",
             .least = "1",
             .most = "256",
             .prose = "Threads that read for the visitors of `[[listen]]`, so that its event loop "
                      "never waits for a disk.",
             .restart = true});
  return table;
}

Table EventTable() {
  Table table;
  table.Key("keep", &EventSettings::keep,
            {.fallback = "100000",
             .least = "100",
             .most = "100000000",
             .prose = "Events kept. An edge that is further behind is answered 410 and validates "
                      "everything it holds.",
             .restart = true});
  table.Key("heartbeat", &EventSettings::heartbeat,
            {.fallback = "5s",
             .least = "100ms",
             .most = "1m",
             .prose = "A stream of events that had nothing to say for this long says so.",
             .restart = true});
  table.Key("followers", &EventSettings::followers,
            {.fallback = "1000",
             .least = "1",
             .most = "100000",
             .prose = "Streams of events at once; more are answered 503.",
             .restart = true});
  return table;
}

Table AuditTable() {
  Table table;
  table.Key(
      "keep", &AuditSettings::keep,
      {.fallback = "100000",
       .least = "100",
       .most = "100000000",
       .prose = "Changes that `/v1/audit` remembers of each site: so many of its contents, and so "
                "many of the site and its tokens; and so many of accounts. Up to a tenth more may "
                "be kept.",
       .restart = true});
  return table;
}

Table ReleaseTable() {
  Table table;
  table.Key("keep", &ReleaseSettings::keep,
            {.fallback = "3",
             .least = "0",
             .most = "10000",
             .prose = "So many releases of a site that were active before are kept: a rollback "
                      "may lead there, and their files with a hash in their names are still "
                      "served, so that a page that is open in a browser never loses its scripts "
                      "and styles. Others are dropped, and their contents collected.",
             .restart = true});
  table.Key("keep_for", &ReleaseSettings::keep_for,
            {.fallback = "1d",
             .least = "0s",
             .most = "10y",
             .prose = "Beside these, all releases are kept that were active within this time.",
             .restart = true});
  table.Key("open_expiry", &ReleaseSettings::open_expiry,
            {.fallback = "7d",
             .least = "1m",
             .most = "1y",
             .prose = "A release that was never activated is dropped this long after it was made.",
             .restart = true});
  table.Key("collect_every", &ReleaseSettings::collect_every,
            {.fallback = "10m",
             .least = "1s",
             .most = "1d",
             .prose = "How often releases and contents are looked at for what is no longer needed. "
                      "A content that nothing names goes with the second look.",
             .restart = true});
  table.Key("blob_grace", &ReleaseSettings::blob_grace,
            {.fallback = "1d",
             .least = "1s",
             .most = "1y",
             .prose = "A content that nothing names stays this long after it was last uploaded: "
                      "whoever uploads contents first and names them later has so much time.",
             .restart = true});
  return table;
}

Table JobTable() {
  Table table;
  table.Key("concurrency", &JobSettings::concurrency,
            {.fallback = "1",
             .least = "1",
             .most = "64",
             .prose = "Jobs that one process does at a time, on threads that give way to all "
                      "others. `--role api` does none.",
             .restart = true});
  table.Key("attempts", &JobSettings::attempts,
            {.fallback = "10",
             .least = "1",
             .most = "1000",
             .prose = "A job that has failed so often, or whose worker has died, is dead: "
                      "`nearside jobs --dead` lists it, `nearside jobs retry` begins it anew.",
             .restart = true});
  table.Key("backoff", &JobSettings::backoff,
            {.fallback = "5s",
             .least = "10ms",
             .most = "1h",
             .prose = "How long a job waits after it has failed once; then twice as long each "
                      "time.",
             .restart = true});
  table.Key("backoff_most", &JobSettings::backoff_most,
            {.fallback = "1h",
             .least = "10ms",
             .most = "1d",
             .prose = "The longest wait between two attempts.",
             .restart = true});
  table.Key("lease", &JobSettings::lease,
            {.fallback = "1m",
             .least = "1s",
             .most = "1h",
             .prose = "A worker that has not been heard of for so long has lost its job to "
                      "another one. At work it says so three times as often.",
             .restart = true});
  table.Key("poll", &JobSettings::poll,
            {.fallback = "1s",
             .least = "10ms",
             .most = "1m",
             .prose = "How often a worker looks for new jobs, and for releases that make some.",
             .restart = true});
  table.Key("most", &JobSettings::most,
            {.fallback = "100000",
             .least = "1000",
             .most = "200000",
             .prose = "Jobs that wait or are under way. When there are so many, what makes further "
                      "ones waits.",
             .restart = true});
  table.Key("most_dead", &JobSettings::most_dead,
            {.fallback = "1000",
             .least = "1",
             .most = "100000",
             .prose = "Dead jobs that are remembered; then the oldest goes.",
             .restart = true});
  table.Key("compress", &JobSettings::compress,
            {.fallback = "true",
             .prose = "Text of active releases is encoded once with `br`, `zstd` and `gzip`, as "
                      "small as they can, and served so to whoever accepts it.",
             .restart = true});
  table.Key("compress_smallest", &JobSettings::compress_smallest,
            {.fallback = "1KiB",
             .least = "1B",
             .most = "1GiB",
             .prose = "Smaller contents are not encoded.",
             .restart = true});
  table.Key("compress_largest", &JobSettings::compress_largest,
            {.fallback = "10MiB",
             .least = "1B",
             .most = "1GiB",
             .prose = "Larger contents are not encoded: a MiB takes seconds.",
             .restart = true});
  return table;
}

Table LimitTable() {
  Table table;
  table.Key("asset", &LimitSettings::asset,
            {.fallback = "50GiB",
             .least = "1KiB",
             .most = "1TiB",
             .prose = "Bytes of one asset. More: 413.",
             .restart = true});
  table.Key("json_body", &LimitSettings::json_body,
            {.fallback = "64MiB",
             .least = "64KiB",
             .most = "1GiB",
             .prose = "Bytes of a manifest; other JSON bodies are held to 1 MiB. More: 413.",
             .restart = true});
  table.Key("connections", &LimitSettings::connections,
            {.fallback = "10000",
             .least = "8",
             .most = "1000000",
             .prose = "Connections on the API's addresses together; more are closed at once.",
             .restart = true});
  table.Key("queue", &LimitSettings::queue,
            {.fallback = "1000",
             .least = "1",
             .most = "100000",
             .prose = "Requests that wait for a thread of their kind; more are answered 503. One "
                      "client (an IPv4 address, an IPv6 /64) may have half of them waiting, and "
                      "half of the threads; visitors, who come through edges, are not counted.",
             .restart = true});
  table.Key("head_timeout", &LimitSettings::head_timeout,
            {.fallback = "10s",
             .least = "100ms",
             .most = "10m",
             .prose = "From a connection's beginning, or the first byte of a head, to its last.",
             .restart = true});
  table.Key("idle_timeout", &LimitSettings::idle_timeout,
            {.fallback = "2m",
             .least = "100ms",
             .most = "1d",
             .prose = "A connection without a request under way is closed after this. Holds no "
                      "thread meanwhile.",
             .restart = true});
  table.Key("body_timeout", &LimitSettings::body_timeout,
            {.fallback = "30s",
             .least = "100ms",
             .most = "1h",
             .prose = "Without one byte of an upload.",
             .restart = true});
  table.Key("send_timeout", &LimitSettings::send_timeout,
            {.fallback = "30s",
             .least = "100ms",
             .most = "1h",
             .prose = "Without the client taking one byte that waits for it.",
             .restart = true});
  table.Key("least_rate", &LimitSettings::least_rate,
            {.fallback = "1KiB",
             .least = "0B",
             .most = "1GiB",
             .prose = "Bytes a second that an upload on the API's addresses must reach in every 20 "
                      "seconds, and a download on average after its first 20, or it is cut off.",
             .restart = true});
  return table;
}

Status CheckAcross(const OriginSettings& settings) {
  const auto bad = [](const settings::Origin& where, std::string_view key, std::string message) {
    return where.Refuse(key, Error{Fault::kOperator, "bad_settings", std::move(message)});
  };
  for (const std::string& address : settings.node.api) {
    if (std::string expected = CheckAddress(address); !expected.empty()) {
      return bad(settings.node.where, "api", "expected " + expected + ", got \"" + address + "\"");
    }
    if (!settings.node.cleartext_api && !net::SocketAddress::Parse(address)->IsLoopback()) {
      return bad(settings.node.where, "api",
                 address +
                     " is not on loopback, and tokens would travel in clear: expected "
                     "a loopback address, tls_api instead, or cleartext_api = true for a private "
                     "network");
    }
  }
  for (const std::string& address : settings.node.tls_api) {
    if (std::string expected = CheckAddress(address); !expected.empty()) {
      return bad(settings.node.where, "tls_api",
                 "expected " + expected + ", got \"" + address + "\"");
    }
  }
  if (!settings.node.tls_api.empty() && settings.certificates.empty()) {
    return bad(settings.node.where, "tls_api", "expected a [[certificate]] for it");
  }
  for (const ListenSettings& listen : settings.listen) {
    if (listen.tls && settings.certificates.empty()) {
      return bad(listen.where, "tls", "expected a [[certificate]] for a TLS listener");
    }
  }
  const AccountSettings& accounts = settings.accounts;
  if (!accounts.hosts.empty() && settings.storage.sessions.empty()) {
    return bad(accounts.where, "hosts", "expected storage.sessions for whoever signs in there");
  }
  if (!accounts.hosts.empty() &&
      accounts.hashes + accounts.hash_queue >= settings.threads.accounts) {
    return bad(accounts.where, "hash_queue",
               "expected hashes and hash_queue together to be less than threads.accounts (" +
                   std::to_string(settings.threads.accounts) + ")");
  }
  const AdminSettings& admin = settings.admin;
  if (!admin.address.empty() && admin.token_file.empty() &&
      !net::SocketAddress::Parse(admin.address)->IsLoopback()) {
    return bad(admin.where, "token_file",
               "expected a token file, because admin.address is not a loopback address");
  }
  return {};
}

}  // namespace

settings::Table OriginTable() {
  Table table;
  table.KeepRestartValues(&OriginSettings::restart_values);
  table.Sub("origin", &OriginSettings::node, {.required = true, .prose = "The node."}, NodeTable());
  table.Each("listen", &OriginSettings::listen,
             {.most = "16", .prose = "Listeners for visitors; none is needed."}, ListenTable());
  table.Each("certificate", &OriginSettings::certificates,
             {.most = "1000",
              .prose = "Certificates of the TLS listeners, chosen by SNI; the first one serves "
                       "clients that name none. Read again on SIGHUP, and when a file changes."},
             CertificateTable());
  table.Sub("admin", &OriginSettings::admin, {.prose = "What operators and Prometheus read."},
            AdminTable());
  table.Sub("storage", &OriginSettings::storage,
            {.required = true,
             .prose = "All state, by URL: each has an engine inside the process, and a larger one "
                      "for when one machine is too small."},
            StorageTable());
  table.Sub("auth", &OriginSettings::auth, {.required = true, .prose = "Who may use the API."},
            AuthTable());
  table.Sub("accounts", &OriginSettings::accounts,
            {.prose = "People who sign in to see their sites, and where they do."}, AccountTable());
  table.Sub("s3", &OriginSettings::s3, {.prose = "The S3-compatible endpoint."}, S3Table());
  table.Sub(
      "uploads", &OriginSettings::uploads,
      {.prose = "Uploads that come in several goes: tus 1.0 and the IETF's resumable uploads."},
      UploadTable());
  table.Sub(
      "threads", &OriginSettings::threads,
      {.prose = "Each kind of work has threads of its own, so that none keeps another waiting."},
      ThreadTable());
  table.Sub("events", &OriginSettings::events, {.prose = "The event log that edges follow."},
            EventTable());
  table.Sub("audit", &OriginSettings::audit, {.prose = "Who changed what: `nearside audit`."},
            AuditTable());
  table.Sub("releases", &OriginSettings::releases, {.prose = "Releases of sites."}, ReleaseTable());
  table.Sub("jobs", &OriginSettings::jobs,
            {.prose = "Work that nobody waits for, where `storage.queue` names a queue: done by "
                      "this process, or by one with `--role worker`."},
            JobTable());
  table.Sub("limits", &OriginSettings::limits,
            {.prose = "Every limit has one outcome and is counted."}, LimitTable());
  return table;
}

Result<OriginSettings> ReadOriginSettings(const std::string& path) {
  OriginSettings settings;
  if (Status read = OriginTable().ReadFile(path, &settings); !read) {
    return unexpected(std::move(read.error()));
  }
  if (Status good = CheckAcross(settings); !good) return unexpected(std::move(good.error()));
  return settings;
}

}  // namespace nearside::origin
