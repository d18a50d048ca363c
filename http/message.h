#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/fields.h"

namespace nearside::http {

/// A request's control data and fields, the same for HTTP/1.1 and HTTP/2 (RFC 9110 §6.2). No
/// pseudo-fields and no Host in `fields`: the authority has its own place. Valid as a message when
/// a session hands it out.
struct RequestHead {
  std::string method;     ///< case kept: "GET"
  std::string scheme;     ///< "http" or "https"
  std::string authority;  ///< host[:port] as sent, lower case, without the root's dot; from
                          ///< :authority, the absolute target, or Host
  std::string target;    ///< path and query as sent, "/…"; "*" for OPTIONS; authority for CONNECT
  std::string protocol;  ///< what it asks to change to, by RFC 8441 or Upgrade ("websocket"), or ""
  Fields fields;

  std::string_view host() const;   ///< authority without port and brackets kept off
  std::string_view path() const;   ///< target before "?"
  std::string_view query() const;  ///< after "?", without it; "" when none
};

struct ResponseHead {
  int status = 0;
  Fields fields;
  bool http10 = false;  ///< it came by HTTP/1.0
};

/// "OK", "Not Found", …; "" for a status without a registered phrase.
std::string_view ReasonPhrase(int status);
/// RFC 9110 §9.2.1, §9.2.2.
bool IsSafeMethod(std::string_view method);
bool IsIdempotentMethod(std::string_view method);
/// No content after these whatever the fields say: 1xx, 204, 304 (and every answer to HEAD).
bool StatusHasNoContent(int status);

}  // namespace nearside::http
