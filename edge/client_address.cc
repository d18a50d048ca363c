#include "edge/client_address.h"

#include <optional>
#include <string_view>
#include <vector>

#include "http/characters.h"
#include "http/field_list.h"

namespace nearside::edge {
namespace {

/// "192.0.2.7", "192.0.2.7:4711", "2001:db8::1", "[2001:db8::1]:4711": the address without its
/// port. nullopt for "unknown", "_hidden" and the like (RFC 7239 §6).
std::optional<net::SocketAddress> ReadNode(std::string_view text) {
  std::string_view ip = text;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    if (end + 1 < text.size() && text[end + 1] != ':') return std::nullopt;
    ip = text.substr(1, end - 1);
    if (ip.find(':') == std::string_view::npos) return std::nullopt;
  } else if (const size_t colon = text.find(':');
             colon != std::string_view::npos && text.find(':', colon + 1) == text.npos) {
    ip = text.substr(0, colon);
  }
  const auto address = net::SocketAddress::FromLiteral(ip, 0);
  if (!address) return std::nullopt;
  return *address;
}

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
  if (field == ForwardedField::kXForwardedFor) return ReadNode(member);
  const auto node = ParameterOf(member, "for");
  return node ? ReadNode(*node) : std::nullopt;
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
