#include "http/fields.h"
#include "http/session/client.h"
#include "http/uri.h"

namespace nearside::http {

namespace {

tl::unexpected<Error> BadUrl(std::string_view url, std::string_view why) {
  return Fail(Fault::kOperator, "bad_url", "\"" + std::string(url) + "\": " + std::string(why));
}

}  // namespace

Result<Endpoint> Endpoint::Parse(std::string_view url) {
  const Result<Uri> uri = SplitUri(url);
  if (!uri) return BadUrl(url, "expected http://HOST[:PORT] or https://HOST[:PORT]");
  if ((!uri->path.empty() && uri->path != "/") || uri->has_query) {
    return BadUrl(url, "expected no path and no query behind host and port");
  }
  const std::optional<Authority> authority = SplitAuthority(uri->authority);
  Endpoint endpoint;
  endpoint.tls = LowerName(uri->scheme) == "https";
  endpoint.host = LowerName(authority->host);
  endpoint.port = authority->port.value_or(DefaultPort(uri->scheme));
  if (endpoint.port == 0) return BadUrl(url, "the port must be from 1 to 65535");
  return endpoint;
}

std::string Endpoint::ToString() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (tls ? "https://" : "http://") + (ipv6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

}  // namespace nearside::http
