#pragma once

// Cookies as an origin reads and sets them (RFC 6265 §4.2, §5.4; the prefix of RFC 6265bis §4.1.3).
// Pure.

#include <string>
#include <string_view>

#include "http/fields.h"
#include "runtime/clock.h"

namespace nearside::origin {

/// The value of a cookie, without quotes around it; "" when there is none, and when there are
/// several that differ: then nobody can say which of them we set.
std::string CookieOf(const http::Fields& fields, std::string_view name);

/// How our cookies are named and kept.
struct CookieStyle {
  /// True: `__Host-` before the name, and Secure. Browsers keep such a cookie for this one host, as
  /// set by it over https. False: for http in development.
  bool secure = true;

  std::string NameOf(std::string_view name) const;
  /// The value of Set-Cookie: HttpOnly, SameSite=Lax, for the whole host. `life` 0: until the
  /// browser is closed.
  std::string Set(std::string_view name, std::string_view value, seconds life) const;
  /// The one that takes it away.
  std::string Clear(std::string_view name) const;
};

}  // namespace nearside::origin
