#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "runtime/hash.h"

namespace nearside::edge {

/// An authority as keys see it: RFC 9110 §4.2.3, the port that the scheme implies is the same as an
/// empty one and as none. A view into it.
std::string_view NormalAuthority(std::string_view scheme, std::string_view authority);

/// The URI of a request as keys see it: scheme, authority without its default port, and the target
/// normalised (http/uri.h), which is also what a fill asks the origin for: what shapes a stored
/// response is what stands in its key.
std::string NormalUrl(const http::RequestHead& request, std::string_view normal_target);

/// The normal URL that a reference in a response to a request for `normal_url` means; nullopt when
/// it means none that a request could name.
std::optional<std::string> NormalReference(std::string_view normal_url, std::string_view reference);
/// The target in a normal URL.
std::string_view TargetOf(std::string_view normal_url);

/// Where the resource's response, or the index of its variants, is stored. The method is not part
/// of it: only responses to GET are stored, and HEAD is answered from them.
Key256 PrimaryKey(std::string_view site, std::string_view normal_url);
/// Where one variant is stored. `selecting` has a line for each field that Vary names, in order of
/// name.
Key256 VariantKey(const Key256& primary, const http::Fields& selecting);

/// The values of the fields named by `vary` (a response's joined Vary value) in a request,
/// normalised (whitespace around commas removed; RFC 9111 §4.1), sorted by name, "" for absent
/// ones.
http::Fields SelectingFields(std::string_view vary, const http::Fields& request);
/// The same fields of another request: what would select a variant of its own.
http::Fields SelectingLike(const http::Fields& selecting, const http::Fields& request);
/// Whether a request selects a variant stored with `selecting`.
bool Selects(const http::Fields& selecting, const http::Fields& request);

}  // namespace nearside::edge
