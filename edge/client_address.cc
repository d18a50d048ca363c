#include "edge/client_address.h"

#include <optional>
#include <string_view>
#include <vector>

#include "http/characters.h"
#include "http/field_list.h"

namespace nearside::edge {
namespace {

/// RFC 7239 §4: for=192.0.2.7;proto=https, in any order.
std::optional<std::string> ParameterOf(std::string_view member, std::string_view name) {
  http::ListReader pairs(member, ';');
  while (const auto pair = pairs.Next()) {
    const http::Argument argument = http::SplitArgument(*pair);
    if (!http::EqualsIgnoringCase(argument.name, name) || !argument.value) continue;
    return http::UnquoteIfQuoted(*argument.value);
  }
  return std::nullopt;
}

/// The hop that one member of the field names.
std::optional<net::SocketAddress> ReadHop(std::string_view member, ForwardedField field) {
  if (field == ForwardedField::kXForwardedFor) return net::ReadForwardedNode(member);
  const auto node = ParameterOf(member, "for");
  return node ? net::ReadForwardedNode(*node) : std::nullopt;
}

std::string_view KnownScheme(std::string_view text) {
  for (const std::string_view scheme : {"https", "http"}) {
    if (http::EqualsIgnoringCase(text, scheme)) return scheme;
  }
  return {};
}

/// What the nearest proxy wrote stands last.
std::string_view ForwardedProto(const http::Fields& request) {
  const std::string all = request.Joined("x-forwarded-proto");
  http::ListReader reader(all);
  std::string_view last;
  while (const auto member = reader.Next()) last = *member;
  return KnownScheme(last);
}

}  // namespace

ClientAddress ClientOf(const net::SocketAddress& peer, const http::Fields& request,
                       const net::AddressRanges& trusted, ForwardedField field) {
  ClientAddress client{.address = peer.Ip(), .chain = {}, .scheme = {}};
  if (trusted.empty() || !trusted.Contains(peer)) return client;
  client.chain =
      request.Joined(field == ForwardedField::kForwarded ? "forwarded" : "x-forwarded-for");
  std::vector<std::string_view> members;
  http::ListReader reader(client.chain);
  while (const auto member = reader.Next()) members.push_back(*member);
  if (field == ForwardedField::kXForwardedFor) client.scheme = ForwardedProto(request);
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    const auto hop = ReadHop(*member, field);
    if (!hop) break;
    if (field == ForwardedField::kForwarded) {
      client.scheme = KnownScheme(ParameterOf(*member, "proto").value_or(""));
    }
    client.address = hop->Ip();
    if (!trusted.Contains(*hop)) break;
  }
  return client;
}

}  // namespace nearside::edge
