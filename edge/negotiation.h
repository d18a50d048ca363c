#pragma once

// What a request wants of the representations of a resource (RFC 9110 §12.5), in the one form in
// which variants compare it and a fill asks the origin for it: what is not in the key must not
// shape what is stored.

#include <optional>
#include <string>
#include <string_view>

#include "edge/settings.h"
#include "http/accept_encoding.h"
#include "http/fields.h"

namespace nearside::edge {

/// The codings that an answer to the request may have. None for a range, whose positions are of the
/// identity (those of one coding mean nothing in another), and none for `no-transform`.
http::CodingSet CodingsFor(const http::Fields& request);

/// The text that stands for a request's field `name` (lower case), where the site lets it be
/// normalised: Accept-Encoding as the set of codings that we know, Accept-Language as languages by
/// rank. nullopt: the field is taken as it came. Accept-Encoding's does not allocate.
std::optional<std::string> Negotiated(std::string_view name, const http::Fields& request,
                                      const SiteSettings& site);

}  // namespace nearside::edge
