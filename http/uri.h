#pragma once

// URIs as HTTP uses them (RFC 3986, RFC 9110 §4): taking them apart, and one form for many
// spellings.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside::http {

/// "https://example.com:8443/a/b?q=1", as views into it.
struct Uri {
  std::string_view scheme;     ///< as written
  std::string_view authority;  ///< host[:port], never empty
  std::string_view path;       ///< "" or "/…"
  std::string_view query;      ///< behind "?"
  bool has_query = false;
  bool operator==(const Uri&) const = default;
};

/// An absolute http or https URI. Error: kClient bad_uri (control characters and spaces, another
/// scheme, no host, a user, a fragment, a bad port).
Result<Uri> SplitUri(std::string_view text);

/// The absolute URI that a reference in a message means (RFC 3986 §5.2), without its fragment; dot
/// segments stay (NormalizeTarget takes them out). `base` is absolute. Error: kClient bad_uri.
Result<std::string> ResolveUri(std::string_view base, std::string_view reference);

/// host[:port]. The host is a name, an IPv4 address, or an IPv6 address, here without its brackets.
struct Authority {
  std::string_view host;
  std::optional<uint16_t> port;
  bool operator==(const Authority&) const = default;
};

/// nullopt for an empty host, a user, a port that is none, and characters that no host has (RFC
/// 9110 §7.2).
std::optional<Authority> SplitAuthority(std::string_view text);

/// "www.example.org." names what "www.example.org" names (RFC 1034 §3.1: the root's empty label):
/// the dot behind the host goes, with a port behind it or without. A host of nothing else stays.
void DropRootDot(std::string* authority);

/// 80 or 443.
uint16_t DefaultPort(std::string_view scheme);

/// Bytes for "%41" and the like; nullopt for "%" without two hexadecimal digits.
std::optional<std::string> PercentDecode(std::string_view text);
/// "%" and two digits for all but unreserved characters and those in `keep`.
std::string PercentEncode(std::string_view text, std::string_view keep = "");

/// One spelling of path and query for all that mean the same (RFC 3986 §6.2.2): percent-encodings
/// of unreserved characters decoded, others in upper case, bytes that may not stand unencoded
/// encoded, dot segments of the path removed. Never merges slashes and never decodes "%2F": those
/// are other resources. `target` is "/…"; "*" stays. Error: kClient bad_target for control
/// characters, encoded NUL, "%" without two digits, a target not beginning with "/", and a path
/// that climbs above the root.
Result<std::string> NormalizeTarget(std::string_view target);

}  // namespace nearside::http
