#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "edge/client_address.h"
#include "edge/site.h"
#include "edge/stored_response.h"
#include "http/message.h"
#include "http/session/exchange.h"

namespace nearside::edge {

/// Who asked, as far as origins are told.
struct Asker {
  std::string address;  ///< "192.0.2.7", "2001:db8::1"
  http::Version version = http::Version::kHttp11;
  std::string_view edge;  ///< this edge's name, for Via
  std::string peer;       ///< who the connection is from: the client, or a proxy that is trusted
  std::string chain;      ///< what such a proxy told in `field`; "" otherwise
  ForwardedField field = ForwardedField::kXForwardedFor;
  std::string request_id;  ///< http::RequestIds
};

/// How a request is sent on.
enum class OriginMode {
  kFill,  ///< for the cache: whole and unconditional, whatever the client asked for
  kPass,  ///< for this client alone: as it came
};

/// How many more hops an OPTIONS or TRACE request may go (RFC 9110 §7.6.2); nullopt where it does
/// not say, and for other methods.
std::optional<uint64_t> HopsLeft(const http::RequestHead& request);

/// The request for an origin (DESIGN.md, "To the origin"): hop-by-hop fields and those by which a
/// client could speak for others are taken out, ours are set. With `stored`, it is made conditional
/// on it (RFC 9111 §4.3.1). Pure. `target` is the request's own, or in kFill the normalised one.
http::RequestHead OriginRequest(const http::RequestHead& request, std::string_view target,
                                const Site& site, const Asker& asker, OriginMode mode,
                                const StoredResponse* stored);

/// The fields behind a request's body for an origin: some would add them to those of the head, so
/// what a client may not say there it may not say here. Pure.
http::Fields OriginTrailers(const http::Fields& trailers);

}  // namespace nearside::edge
