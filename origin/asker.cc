#include "origin/asker.h"

#include <algorithm>

#include "net/address.h"

namespace nearside::origin {
namespace {

std::string_view Bare(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsTrusted(std::string_view address, const net::AddressRanges& trusted) {
  const auto parsed = net::SocketAddress::FromLiteral(address, 0);
  return parsed && trusted.Contains(*parsed);
}

}  // namespace

Asker AskerOf(const http::RequestHead& request, std::string_view peer,
              const net::AddressRanges& trusted) {
  Asker asker{std::string(peer), request.scheme == "https"};
  if (!IsTrusted(peer, trusted)) return asker;
  if (const auto proto = request.fields.Get("x-forwarded-proto")) asker.https = *proto == "https";
  const std::string chain = request.fields.Joined("x-forwarded-for");
  for (std::string_view rest = chain; !rest.empty();) {
    const size_t comma = rest.rfind(',');
    const auto last = net::ReadForwardedNode(
        Bare(comma == std::string_view::npos ? rest : rest.substr(comma + 1)));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
    if (!last) break;  // whoever wrote that is the last whom we know
    asker.address = last->Ip();
    if (!trusted.Contains(*last)) break;
  }
  return asker;
}

}  // namespace nearside::origin
