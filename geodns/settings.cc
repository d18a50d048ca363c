#include "geodns/settings.h"

namespace nearside::geodns {
namespace {

using settings::Table;

/// What the server tells of itself, and cookies.
void AddIdentity(Table* table) {
  table->Key("nsid", &ServerSettings::nsid,
             {.fallback = "",
              .most = "64",
              .prose = "Text that tells which server answered, for whoever asks (`dig +nsid`, RFC "
                       "5001). Empty: none."});
  table->Key("version", &ServerSettings::version,
             {.fallback = "",
              .most = "255",
              .prose = "Answer to `version.bind` and `version.server` (TXT, class CH). Empty: "
                       "REFUSED."});
  table->Key(
      "identity", &ServerSettings::identity,
      {.fallback = "",
       .most = "255",
       .prose = "Answer to `id.server` and `hostname.bind` (TXT, class CH). Empty: REFUSED."});
  table->Key(
      "cookies", &ServerSettings::cookies,
      {.fallback = "true",
       .prose = "DNS cookies (RFC 7873, 9018): a client that shows it has our answers at its "
                "address is spared the limits."});
  table->Key("cookie_secret_file", &ServerSettings::cookie_secret_file,
             {.fallback = "",
              .prose = "File with the secret of server cookies, 32 hexadecimal digits, the same on "
                       "all servers of one address. A second line is believed as well: the next "
                       "secret before a change, the last one after it. Empty: random at each "
                       "start; a process that takes over has that of the one before."});
}

/// For ALIAS records of zone files.
void AliasKeys(Table* table) {
  table->Key("resolvers", &ServerSettings::resolvers,
             {.fallback = "[]",
              .most = "8",
              .prose = "Resolvers, as `192.0.2.53:53`, that are asked in this order for names that "
                       "ALIAS records lead to. Empty: those of /etc/resolv.conf."});
  table->Key("alias_least_ttl", &ServerSettings::alias_least_ttl,
             {.fallback = "10",
              .least = "1",
              .most = "86400",
              .prose = "Seconds that what an ALIAS leads to counts at least, whatever the resolver "
                       "says."});
  table->Key("alias_most_ttl", &ServerSettings::alias_most_ttl,
             {.fallback = "3600",
              .least = "1",
              .most = "86400",
              .prose = "Seconds that it counts at most. Half of them it is kept, then it is asked "
                       "for again; the other half is the TTL of the answers."});
  table->Key("alias_stale", &ServerSettings::alias_stale,
             {.fallback = "1d",
              .least = "0s",
              .most = "30d",
              .prose = "How long the addresses of an ALIAS stand after their time when no resolver "
                       "answers; then SERVFAIL."});
  table->Key("alias_networks", &ServerSettings::alias_networks,
             {.fallback = "1024",
              .least = "0",
              .most = "16384",
              .prose = "Networks of clients, in all, for which the own answer of an ALIAS is kept "
                       "where its target tells clients apart; the others get the answer for all. "
                       "Their subnet, /24 or /56 at most, is told to the resolvers (ECS, RFC "
                       "7871). 0: to nobody."});
}

Table ServerTable() {
  Table table;
  table.Key(
      "listen", &ServerSettings::listen,
      {.required = true,
       .least = "1",
       .most = "64",
       .prose = "Addresses and ports for UDP and TCP, as `192.0.2.1:53` or `[2001:db8::1]:53`. "
                "On `0.0.0.0` and `[::]` each answer leaves from the address that was asked.",
       .restart = true});
  table.Key("threads", &ServerSettings::threads,
            {.fallback = "0",
             .least = "0",
             .most = "256",
             .prose = "Threads that answer, each with sockets of its own. 0: one a core.",
             .restart = true});
  table.Key("gather_microseconds", &ServerSettings::gather_microseconds,
            {.fallback = "50",
             .least = "0",
             .most = "1000",
             .prose = "While a socket gets more than two queries over UDP in this time, they may "
                      "wait as long at most to be taken together, if that costs less: both ways "
                      "are tried, and the cheaper one is kept. 0: none waits.",
             .restart = true});
  table.Key(
      "state", &ServerSettings::state,
      {.fallback = "",
       .prose =
           "Folder for what survives a restart (the health last seen, what operators drained, the "
           "shares of overloaded points of presence, the keys of signed zones), made when absent. "
           "Empty: a start knows nothing until its first checks.",
       .restart = true});
  table.Key("tcp_connections", &ServerSettings::tcp_connections,
            {.fallback = "1000",
             .least = "1",
             .most = "1000000",
             .prose = "TCP connections of one address on one thread. When there are so many, the "
                      "one longest without a query is closed for a new one.",
             .restart = true});
  table.Key(
      "tcp_idle_timeout", &ServerSettings::tcp_idle_timeout,
      {.fallback = "10s",
       .least = "100ms",
       .most = "10m",
       .prose = "A TCP connection without a whole query for so long is closed (RFC 7766 §6.2.3).",
       .restart = true});
  table.Key(
      "signature_cache", &ServerSettings::signature_cache,
      {.fallback = "16MiB",
       .least = "64KiB",
       .most = "16GiB",
       .prose = "Memory of each thread for DNSSEC signatures, 92 bytes each: half for names of "
                "the zones, a quarter for names that queries make up, a quarter for steered "
                "answers that are drawn. Taken when a zone has `dnssec = true`.",
       .restart = true});
  table.Key(
      "signature_validity", &ServerSettings::signature_validity,
      {.fallback = "7d",
       .least = "2d",
       .most = "60d",
       .prose = "How long a signature is good for, less up to an eighth; it is made anew when "
                "half of that is left. It begins an hour before it is made.",
       .restart = true});
  table.Key("signatures_a_second", &ServerSettings::signatures_a_second,
            {.fallback = "5000",
             .least = "1",
             .most = "1000000",
             .prose = "Signatures that each thread makes a second, and as many over TCP, for names "
                      "that do not exist or that a wildcard stands for; and again as many for "
                      "answers with several points of presence drawn by `weighted`. Over it a "
                      "query by UDP is told to come by TCP (TC), and one by TCP is answered "
                      "SERVFAIL. Everything else is signed without a limit.",
             .restart = true});
  table.Key("drain_timeout", &ServerSettings::drain_timeout,
            {.fallback = "2s",
             .least = "0s",
             .most = "1m",
             .prose = "How long SIGTERM waits for answers under way over TCP."});
  table.Key("user", &ServerSettings::user,
            {.fallback = "",
             .prose = "User to become once the ports are open, with its groups, when started by "
                      "root. `state` and all files that a reload reads must be its to use. Empty: "
                      "stay who started it.",
             .restart = true});
  AddIdentity(&table);
  table.Key("watch_interval", &ServerSettings::watch_interval,
            {.fallback = "5s",
             .least = "0s",
             .most = "1h",
             .prose = "How often to look whether zone files (and what they include) or databases "
                      "were replaced, which is a reload once they have stood still for as long; "
                      "0: SIGHUP alone. The settings themselves are read again on SIGHUP only."});
  AliasKeys(&table);
  table.Where(&ServerSettings::where);
  return table;
}

/// For addresses that are forged all over a large network, or everywhere.
void AddWideRates(Table* table) {
  table->Key("wide_answers_per_second", &LimitSettings::wide_answers_per_second,
             {.fallback = "20000",
              .least = "0",
              .most = "10000000",
              .prose = "The same for a large network, of which `wide_ipv4_prefix` and "
                       "`wide_ipv6_prefix` say the bits: what a provider gets at most whose "
                       "addresses are forged, all of them in turn. 0: no limit."});
  table->Key("wide_ipv4_prefix", &LimitSettings::wide_ipv4_prefix,
             {.fallback = "16",
              .least = "1",
              .most = "32",
              .prose = "Bits of an IPv4 address that make a large network."});
  table->Key("wide_ipv6_prefix", &LimitSettings::wide_ipv6_prefix,
             {.fallback = "32",
              .least = "1",
              .most = "128",
              .prose = "Bits of an IPv6 address that make a large network."});
  table->Key("all_answers_per_second", &LimitSettings::all_answers_per_second,
             {.fallback = "0",
              .least = "0",
              .most = "10000000",
              .prose = "The same for everybody together: what a thread sends at most to addresses "
                       "that may be forged, for a line that is soon full. While a flood spends "
                       "it, resolvers without cookies come by TCP. 0: no limit."});
}

Table LimitTable() {
  Table table;
  table.Key(
      "answers_per_second", &LimitSettings::answers_per_second,
      {.fallback = "1000",
       .least = "0",
       .most = "1000000",
       .prose = "Answers over UDP that one network gets from one thread, and so many at "
                "once. Queries with a cookie of ours, and TCP, are not counted. 0: no limit."});
  table.Key(
      "slip", &LimitSettings::slip,
      {.fallback = "2",
       .least = "0",
       .most = "100",
       .prose = "Over the limit every so many-th query gets an empty answer that sends its "
                "client to TCP (or gives it a cookie), the others get none. 0: none at all."});
  table.Key("ipv4_prefix", &LimitSettings::ipv4_prefix,
            {.fallback = "24",
             .least = "1",
             .most = "32",
             .prose = "Bits of an IPv4 address that make a network for the rate."});
  table.Key("ipv6_prefix", &LimitSettings::ipv6_prefix,
            {.fallback = "56",
             .least = "1",
             .most = "128",
             .prose = "Bits of an IPv6 address that make a network for the rate."});
  AddWideRates(&table);
  table.Key("networks", &LimitSettings::networks,
            {.fallback = "65536",
             .least = "1024",
             .most = "16777216",
             .prose = "Networks, large ones included, that a thread keeps count of, 16 bytes each; "
                      "beyond it those that "
                      "asked least lately are forgotten.",
             .restart = true});
  table.Key("most_amplification", &LimitSettings::most_amplification,
            {.fallback = "20",
             .least = "0",
             .most = "100",
             .prose = "An answer over UDP has at most so many times the bytes of its query, unless "
                      "the query has a cookie of ours; a longer one is truncated, and its client "
                      "comes by TCP. 0: no limit but 1232 bytes."});
  table.Key(
      "tcp_connections_per_client", &LimitSettings::tcp_connections_per_client,
      {.fallback = "100",
       .least = "1",
       .most = "1000000",
       .prose = "TCP connections of one network (`ipv4_prefix`, `ipv6_prefix`) on one thread; "
                "more are closed at once.",
       .restart = true});
  table.Key("spare_loopback", &LimitSettings::spare_loopback,
            {.fallback = "true",
             .prose = "Whether 127.0.0.0/8 and ::1 are free of the rate and of "
                      "`tcp_connections_per_client`."});
  table.Where(&LimitSettings::where);
  return table;
}

Table AdminTable() {
  Table table;
  table.Key("address", &AdminSettings::address,
            {.fallback = "",
             .prose = "Address and port of `/healthz`, `/metrics`, `/status`, "
                      "`/explain?name=&client=`, `/steer?without=` and, with POST, `/drain?pop=` "
                      "and `/undrain?pop=`. Empty: no admin listener. Off loopback it wants a "
                      "token.",
             .restart = true});
  table.Key("token_file", &AdminSettings::token_file,
            {.fallback = "",
             .prose = "File whose first line is the bearer token that POST requests must carry. "
                      "Without one POST is refused."});
  table.Where(&AdminSettings::where);
  return table;
}

Table GeoTable() {
  Table table;
  table.Key(
      "databases", &GeoSettings::databases,
      {.fallback = "[]",
       .most = "8",
       .prose = "MMDB files that tell where a client is: MaxMind's GeoIP2 and GeoLite2 (City, "
                "Country, ASN) or the flat layout (`country_code`, `latitude`, `longitude`, "
                "`autonomous_system_number`). With several, the first that knows an address's "
                "place counts, and so for its autonomous system. Replace them by renaming."});
  table.Where(&GeoSettings::where);
  return table;
}

Table CheckTable() {
  Table table;
  table.Key(
      "url", &CheckSettings::url,
      {.required = true,
       .prose = "What to GET, over http or https. `Nearside-Drain: 1` in the answer keeps new "
                "clients away, `Nearside-Load` is compared with `most_load`, "
                "`Nearside-Lag` with `most_lag`. `tcp://192.0.2.1:443`: that a connection "
                "can be made is enough."});
  table.Key(
      "ca", &CheckSettings::ca,
      {.fallback = "",
       .prose = "PEM file of the authority that signed the certificate. Empty: the system's."});
  table.Key(
      "server_name", &CheckSettings::server_name,
      {.fallback = "", .prose = "Name for SNI and verification. Empty: the host of the URL."});
  table.Key("interval", &CheckSettings::interval,
            {.fallback = "5s",
             .least = "100ms",
             .most = "1h",
             .prose = "From one check to the next, give or take a tenth; one at a time."});
  table.Key("timeout", &CheckSettings::timeout,
            {.fallback = "2s",
             .least = "10ms",
             .most = "1m",
             .prose = "Of a whole check: connection, TLS and answer."});
  table.Key("rise", &CheckSettings::rise,
            {.fallback = "2",
             .least = "1",
             .most = "100",
             .prose = "Successes in a row that bring it up again."});
  table.Key("fall", &CheckSettings::fall,
            {.fallback = "3",
             .least = "1",
             .most = "100",
             .prose = "Failures in a row that take it down."});
  table.Key("expect_status", &CheckSettings::expect_status,
            {.fallback = "[]",
             .most = "32",
             .prose = "Statuses that are a success, as `[200, 204]`. Empty: 200 to 399."});
  table.Key(
      "expect_body", &CheckSettings::expect_body,
      {.fallback = "",
       .most = "1024",
       .prose = "Text that must stand in the first 64 KiB of the body. Empty: the body is not "
                "read."});
  table.Key("most_lag", &CheckSettings::most_lag,
            {.fallback = "0s",
             .least = "0s",
             .most = "7d",
             .prose = "An edge that tells of being further behind the origin's purges "
                      "(`Nearside-Lag`, in seconds) gets no new clients, as if it drained. 0s: not "
                      "looked at."});
  table.Where(&CheckSettings::where);
  return table;
}

Table PopTable() {
  Table table;
  table.Key("name", &PopSettings::name,
            {.required = true, .prose = "Name, for rules and metrics."});
  table.Key("addresses", &PopSettings::addresses,
            {.required = true,
             .least = "1",
             .most = "16",
             .prose = "IPv4 and IPv6 addresses that clients get, all of them."});
  table.Key(
      "location", &PopSettings::location,
      {.fallback = "[]",
       .most = "2",
       .prose = "Latitude and longitude in degrees, north and east positive: `[50.11, 8.68]`. "
                "Needed where a rule of policy `nearest` names it."});
  table.Key(
      "weight", &PopSettings::weight,
      {.fallback = "1",
       .least = "0",
       .most = "1000000",
       .prose = "Share under policy `weighted`, relative to the others. 0: only when no other "
                "is up."});
  table.Sub("check", &PopSettings::check,
            {.prose = "Health check, as `check = { url = … }`. Without one it is always up."},
            CheckTable());
  table.Key(
      "most_load", &PopSettings::most_load,
      {.fallback = "0",
       .least = "0",
       .most = "1000",
       .prose = "Load (`Nearside-Load` of the check's answer; an edge tells the CPU time of "
                "its workers, 1 being all of it) above which it gives its farthest clients to "
                "their next points of presence. 0: no limit."});
  table.Key("take_back_load", &PopSettings::take_back_load,
            {.least = "0",
             .most = "900",
             .prose = "Load below which it takes clients back, at most 0.9 of `most_load`; without "
                      "it 0.8 of that."});
  table.Where(&PopSettings::where);
  return table;
}

Table OverrideTable() {
  Table table;
  table.Key("countries", &OverrideSettings::countries,
            {.fallback = "[]", .prose = "ISO 3166 codes like `JP`."});
  table.Key("continents", &OverrideSettings::continents,
            {.fallback = "[]", .prose = "`AF`, `AN`, `AS`, `EU`, `NA`, `OC`, `SA`."});
  table.Key("cidrs", &OverrideSettings::cidrs,
            {.fallback = "[]", .prose = "Networks like `10.0.0.0/8` or `2001:db8::/32`."});
  table.Key("asns", &OverrideSettings::asns,
            {.fallback = "[]",
             .prose = "Autonomous system numbers, as `[64496]`; they want a database that has "
                      "them."});
  table.Key(
      "pops", &OverrideSettings::pops,
      {.required = true,
       .least = "1",
       .most = "250",
       .prose = "Points of presence for these clients, in order or by the rule's policy. When "
                "none of them is up, the rule's others."});
  table.Where(&OverrideSettings::where);
  return table;
}

Table SteeringTable() {
  Table table;
  table.Key(
      "names", &SteerSettings::names,
      {.required = true,
       .least = "1",
       .most = "100000",
       .prose = "Names in the zone, relative (`www`, `@`, `*.cdn`) or absolute with a final dot. "
                "Their A and AAAA come from here; other types from the zone file."});
  table.Key("policy", &SteerSettings::policy,
            {.fallback = "nearest",
             .one_of = {"nearest", "weighted", "failover"},
             .prose = "`nearest` by great-circle distance, `weighted` by weight and sticky for a "
                      "client's /24 or /56, `failover` in the order of `pops`."});
  table.Key("pops", &SteerSettings::pops,
            {.required = true,
             .least = "1",
             .most = "250",
             .prose = "Points of presence to choose from."});
  table.Key("ttl", &SteerSettings::ttl,
            {.fallback = "30",
             .least = "0",
             .most = "86400",
             .prose = "TTL of the answers, in seconds."});
  table.Key("answers", &SteerSettings::answers,
            {.fallback = "1",
             .least = "1",
             .most = "16",
             .prose = "Points of presence in one answer, each with all its addresses."});
  table.Key(
      "answers_within", &SteerSettings::answers_within,
      {.fallback = "",
       .prose = "How far from the first point of an answer the others may lie, as `\"500km\"`: "
                "where none that is up does, the first one is answered alone, rather than "
                "beside one on another continent. Empty: however far."});
  table.Key("far_ipv6", &SteerSettings::far_ipv6,
            {.fallback = "false",
             .prose = "Whether a query for AAAA passes over points of presence without IPv6, as "
                      "one for A always does over those without IPv4. Clients that have both "
                      "prefer IPv6, and would go far; false: no AAAA where the chosen point has "
                      "none, and they take its A."});
  table.Key("fallback", &SteerSettings::fallback,
            {.fallback = "[]",
             .most = "16",
             .prose = "Addresses for when no point of presence is up: the origin's."});
  table.Key("min_healthy", &SteerSettings::min_healthy,
            {.fallback = "1",
             .least = "1",
             .most = "250",
             .prose = "With fewer of `pops` up than this the fallback addresses are answered, so "
                      "that the few that are left are not toppled. While the fallback is down as "
                      "well, those that are up."});
  table.Sub(
      "fallback_check", &SteerSettings::fallback_check,
      {.prose = "Health check of the fallback. When it fails as well, answers are given as if "
                "all were well. Without one the fallback is always up."},
      CheckTable());
  table.Each("override", &SteerSettings::overrides,
             {.most = "64", .prose = "Clients that go elsewhere; the first that matches wins."},
             OverrideTable());
  table.Key("unknown", &SteerSettings::unknown,
            {.fallback = "[]",
             .most = "250",
             .prose = "Points of presence, in order, for clients whose place no database tells. "
                      "Empty: `pops` in their order."});
  table.Where(&SteerSettings::where);
  return table;
}

Table ZoneTable() {
  Table table;
  table.Key("name", &ZoneSettings::name,
            {.required = true, .prose = "Name of the zone: `demo.test`."});
  table.Key("file", &ZoneSettings::file,
            {.required = true, .prose = "Its zone file (RFC 1035), read again on SIGHUP."});
  table.Key(
      "dnssec", &ZoneSettings::dnssec,
      {.fallback = "false",
       .prose =
           "Signs the answers (DNSSEC) with the keys that `nearside-geodns keygen` makes, which "
           "needs `geodns.state`. TTLs above a day are cut to a day."});
  table.Each("steer", &ZoneSettings::steers,
             {.prose = "Names whose addresses depend on the client."}, SteeringTable());
  table.Where(&ZoneSettings::where);
  return table;
}

}  // namespace

settings::Table GeodnsTable() {
  Table table;
  table.Sub("geodns", &GeodnsSettings::server, {.required = true, .prose = "The server itself."},
            ServerTable());
  table.Sub("limits", &GeodnsSettings::limits,
            {.prose = "What strangers may take, by forged addresses or many connections."},
            LimitTable());
  table.Sub("admin", &GeodnsSettings::admin, {.prose = "For operators; never for the public."},
            AdminTable());
  table.Sub("geo", &GeodnsSettings::geo, {.prose = "Where clients are."}, GeoTable());
  table.Each("pop", &GeodnsSettings::pops,
             {.most = "250", .prose = "A point of presence: what names are steered to."},
             PopTable());
  table.Each("zone", &GeodnsSettings::zones,
             {.least = "1", .prose = "A zone that this server answers for."}, ZoneTable());
  table.KeepRestartValues(&GeodnsSettings::restart);
  return table;
}

Result<GeodnsSettings> ReadGeodnsSettings(const std::string& path) {
  GeodnsSettings settings;
  if (auto read = GeodnsTable().ReadFile(path, &settings); !read) {
    return tl::unexpected<Error>(read.error());
  }
  return settings;
}

}  // namespace nearside::geodns
