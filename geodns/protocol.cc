#include "geodns/protocol.h"

#include <algorithm>

#include "runtime/crypto.h"
#include "runtime/file.h"

namespace nearside::geodns {
namespace {

tl::unexpected<Error> BadSecret(std::string message) {
  return Fail(Fault::kOperator, "bad_secret", std::move(message));
}

dns::CookieSecret& MutableOwnSecret() {
  static dns::CookieSecret secret = [] {
    dns::CookieSecret random;
    RandomBytes(random);
    return random;
  }();
  return secret;
}

}  // namespace

const dns::CookieSecret& OwnCookieSecret() { return MutableOwnSecret(); }

void InheritCookieSecret(const dns::CookieSecret& secret) { MutableOwnSecret() = secret; }

Result<dns::CookieSecrets> ParseCookieSecrets(std::string_view text) {
  std::vector<dns::CookieSecret> secrets;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    auto bytes = HexDecode(line);
    dns::CookieSecret secret;
    if (!bytes || bytes->size() != secret.size()) {
      // Not the line itself: it may be a secret with a slip of the pen.
      return BadSecret("line " + std::to_string(number) + ": expected 32 hexadecimal digits");
    }
    std::copy(bytes->begin(), bytes->end(), secret.begin());
    secrets.push_back(secret);
  }
  if (secrets.empty()) return BadSecret("expected a line of 32 hexadecimal digits");
  if (secrets.size() > 2) return BadSecret("expected one secret, or two during a rotation");
  dns::CookieSecrets made{.current = secrets.front()};
  if (secrets.size() == 2) made.other = secrets.back();
  return made;
}

Result<Protocol> Protocol::Make(const ServerSettings& server, const LimitSettings& limits) {
  Protocol made;
  made.nsid.assign(server.nsid.begin(), server.nsid.end());
  made.version = server.version;
  made.identity = server.identity;
  if (server.cookies) made.cookies = dns::CookieSecrets{.current = OwnCookieSecret()};
  if (server.cookies && !server.cookie_secret_file.empty()) {
    auto text = ReadFile(server.cookie_secret_file, 4_KiB);
    if (!text) return server.where.Refuse("cookie_secret_file", text.error());
    auto secrets = ParseCookieSecrets(*text);
    if (!secrets) {
      Error error = secrets.error();
      error.message = server.cookie_secret_file + ": " + error.message;
      return server.where.Refuse("cookie_secret_file", error);
    }
    made.cookies = *secrets;
  }
  made.keepalive =
      static_cast<uint16_t>(std::min<int64_t>(server.tcp_idle_timeout.count() / 100, UINT16_MAX));
  made.most_amplification = limits.most_amplification;
  made.rates = {.answers_per_second = limits.answers_per_second,
                .slip = limits.slip,
                .ipv4_prefix = limits.ipv4_prefix,
                .ipv6_prefix = limits.ipv6_prefix,
                .wide_answers_per_second = limits.wide_answers_per_second,
                .wide_ipv4_prefix = limits.wide_ipv4_prefix,
                .wide_ipv6_prefix = limits.wide_ipv6_prefix,
                .all_answers_per_second = limits.all_answers_per_second};
  made.spare_loopback = limits.spare_loopback;
  return made;
}

}  // namespace nearside::geodns
