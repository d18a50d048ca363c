#pragma once

#include <string>

#include "http/fields.h"
#include "net/address.h"
#include "net/address_ranges.h"

namespace nearside::edge {

/// The field by which proxies that are trusted tell who asked.
enum class ForwardedField : uint8_t { kXForwardedFor, kForwarded };

/// Who a request is from.
struct ClientAddress {
  std::string address;  ///< "192.0.2.7", "2001:db8::1"
  /// What came in the field, where it is believed: to be kept, and appended to. "" otherwise.
  std::string chain;
  /// "http" or "https", by which a trusted peer says that the client came to it; "" otherwise.
  std::string_view scheme;
};

/// The one rule by which a client's address is told. A peer that is not trusted is the client, and
/// whatever it says of others is not looked at. Of a trusted one the field is read from its end:
/// each hop wrote whom it saw, so the first address that is not trusted is the client, and what
/// stands before it is the client's own tale. A hop that is no address ("unknown") ends the search:
/// the one that wrote it is the last that is known. The scheme is that of the member which names
/// the client, or the last in X-Forwarded-Proto. Pure.
ClientAddress ClientOf(const net::SocketAddress& peer, const http::Fields& request,
                       const net::AddressRanges& trusted, ForwardedField field);

}  // namespace nearside::edge
