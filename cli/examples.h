#pragma once

// What stands below the options in each command's --help: the lines that people came for, and what
// they should know of them.

namespace nearside::cli {

inline constexpr const char* kExamples = R"(Examples:
  nearside publish ./public --site demo --host www.example.com   # the first time: makes the site
  nearside publish ./public --site demo --dry-run                # what would change
  nearside purge https://www.example.com/a.css                   # which edge forgot it, in how many ms
  nearside status                                                # one screen
  nearside rollback --site demo                                  # back to the release before
  nearside token create ci --site demo --expires 90d             # for a pipeline: this site alone

The origin is --origin or what ~/.config/nearside/client.toml says:
  origin = "http://127.0.0.1:9000"
  token_file = "/etc/nearside/admin.token"

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but not confirmed by every edge.)";

inline constexpr const char* kPurgeExamples = R"(Examples:
  nearside purge https://www.example.com/a.css https://www.example.com/b.js
  nearside purge /a.css --site demo             # the same by path; all the site's hosts at once
  nearside purge --prefix /img/ --site demo     # everything below a folder
  nearside purge --tag product-7 --site demo    # by Surrogate-Key or Cache-Tag
  nearside purge --all --soft --site demo       # validate everything before its next use

A URL without a query covers that path with every query. Prints a line an edge; exits 3 unless all have
confirmed. An edge that is gone for good: nearside edges forget NAME.)";

inline constexpr const char* kPublishExamples = R"(Examples:
  nearside publish ./public --site demo --host www.example.com
  nearside publish ./public --site demo

Hidden files are left out (but for .well-known). Symbolic links that leave the folder are refused.
Only contents that the origin lacks are sent. The switch is one step: a visitor gets the whole old or
the whole new release. Files with a hash in their names stay reachable for a few releases. Afterwards
each edge asks itself for every URL that changed; the table tells who serves what the origin has, by
SHA-256, and is kept: nearside receipt ID. Exits 3 unless all edges that serve the site have proved it,
and where none of them serves it.)";

inline constexpr const char* kReceiptExamples = R"(Examples:
  nearside receipt 12            # the table that publish printed, as it is now
  nearside receipt --site demo   # the last switches of a site

A line an edge: when it had applied the switch, when it had asked itself for every URL that changed and
found the SHA-256 of what it serves to be right, how much of the site it holds (keep_whole), and a digest
over all of these, which the origin compares with its own. Exits 3 unless every edge has proved it.)";

inline constexpr const char* kExplainExamples = R"(Examples:
  nearside explain https://www.example.com/a.css --edge http://127.0.1.1:7080
  nearside explain https://www.example.com/ -H 'Accept-Language: de'   # with edge in client.toml
  nearside explain --dns www.example.com --client 133.11.0.1 --geodns http://127.0.0.1:7053

Prints the cache key and what it is made of, every response that is stored, its age and lifetime in numbers
and which field or setting says so, and what a request would get now, with the reason that Cache-Status
would name.

With --dns: which point of presence a client gets for a name from GeoDNS and why: the network and place found,
every point with its distance and why it was left out, the answer, its TTL and scope.)";

inline constexpr const char* kDrainExamples = R"(Examples:
  nearside drain frankfurt --geodns http://192.0.2.53:7053 --geodns http://198.51.100.53:7053
  nearside undrain frankfurt

Every name server that is named is told; each keeps it over a restart and a reload (geodns.state). Clients
leave as their answers' TTL ends. The token is that of GeoDNS's admin listener: --token-file, or
geodns_token_file in client.toml.)";

inline constexpr const char* kSteerExamples = R"(Examples:
  nearside steer --without frankfurt --geodns http://127.0.0.1:7053
  nearside steer --name www.example.com --without frankfurt --without tokyo --json
  nearside steer --load frankfurt:1.4    # what it would give away at that load

Changes nothing: asks the rules for clients all over the networks that the databases know, evenly by
addresses, now and as it would be, and prints who goes where by point of presence, continent and country.)";

inline constexpr const char* kReloadExamples = R"(Examples:
  nearside reload --geodns http://127.0.0.1:7053 --token-file /etc/nearside/geodns.token
  nearside reload                        # with geodns and geodns_token_file in client.toml

Reads settings, zone files and databases again, as SIGHUP does, and says what came of it. What is wrong is named
with file and line; the server then goes on with what it had, and the command exits 1.)";

inline constexpr const char* kReleasesExamples = R"(Examples:
  nearside releases --site demo             # the newest first; the active one is marked
  nearside rollback --site demo             # to the one before
  nearside rollback 41 --site demo          # to any that is still listed)";

inline constexpr const char* kAssetsExamples = R"(Examples:
  nearside assets put report.pdf docs/report.pdf --site demo --tag reports
  nearside assets ls docs/ --site demo
  nearside assets get docs/report.pdf --site demo | sha256sum
  nearside assets rm docs/report.pdf --site demo

Each change is an event like a release's: edges forget the URL at once. A publish replaces them all.)";

inline constexpr const char* kSitesExamples = R"(Examples:
  nearside sites put demo --host www.example.com --host example.com
  nearside sites quota demo --bytes 20GiB --files 50000
  nearside sites ls
  nearside sites rm demo                    # with all its releases)";

inline constexpr const char* kTokenExamples = R"(Examples:
  nearside token create ci --site demo --expires 90d --save ci.token   # read, publish and purge one site
  nearside token create watch --all-sites --scope read                 # for nearside status and check
  nearside token create cache --site shop --scope purge                # for a shop that purges its pages
  nearside --token-file ci.token publish ./public --site demo          # the pipeline
  nearside token list                                                  # who has one, when it was last used
  nearside token revoke 0a1b2c3d4e5f60718293                           # opens nothing, on all origins at once

Scopes: read (see releases and assets), publish (change assets, make and activate releases), purge, and
admin (all of these, the site's hosts and its tokens). A token is for one site, or with --all-sites for all.
Its id and the secret beside it are a key pair for S3 clients. Secrets are shown once, when they are made.)";

inline constexpr const char* kAuditExamples = R"(Examples:
  nearside audit                          # the last 50 changes, the newest last
  nearside audit --site demo --limit 200
  nearside audit --after 1200 --json      # what came since, for a program that keeps it

WHO is the token's name and id; "auth.token_file" is the token in the origin's own file. Reading is not on
record, and neither are contents that were uploaded and that no release names.)";

inline constexpr const char* kJobsExamples = R"(Examples:
  nearside jobs                           # how many there are, and the next 50
  nearside jobs --dead                    # those that failed for good, and why
  nearside jobs retry 1234                # with all its attempts, once the reason is gone

Jobs are work that nobody waits for: encoding a release's text once for all who will ask for it.)";

inline constexpr const char* kAccountExamples = R"(Examples:
  nearside account create alice@example.org --site demo --scope read,publish   # asks for a password
  nearside account grant alice@example.org --site shop --scope admin
  nearside account withdraw alice@example.org --site shop
  nearside account sign-out alice@example.org     # everywhere, at once
  openssl rand -base64 18 | tee /dev/tty | nearside account password alice@example.org

Accounts are for people who sign in on the origin's pages (accounts.hosts); programs have tokens. Scopes are
those of tokens: read (see a site), publish (roll back), purge, admin (the site's tokens).)";

}  // namespace nearside::cli
