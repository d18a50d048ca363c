#include "http/settable_field.h"

#include <algorithm>
#include <array>

namespace nearside::http {
namespace {

constexpr std::array<std::string_view, 28> kNotSettable = {"accept-ranges",
                                                           "age",
                                                           "allow",
                                                           "alt-svc",
                                                           "cache-status",
                                                           "connection",
                                                           "content-digest",
                                                           "content-encoding",
                                                           "content-length",
                                                           "content-range",
                                                           "date",
                                                           "etag",
                                                           "host",
                                                           "keep-alive",
                                                           "last-modified",
                                                           "location",
                                                           "proxy-authenticate",
                                                           "proxy-authentication-info",
                                                           "proxy-connection",
                                                           "repr-digest",
                                                           "server",
                                                           "set-cookie",
                                                           "te",
                                                           "trailer",
                                                           "transfer-encoding",
                                                           "upgrade",
                                                           "via",
                                                           "www-authenticate"};

}  // namespace

bool IsSettableField(std::string_view name) {
  return std::find(kNotSettable.begin(), kNotSettable.end(), name) == kNotSettable.end();
}

}  // namespace nearside::http
