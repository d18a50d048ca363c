#pragma once

#include <string_view>

#include "http/fields.h"

namespace nearside::edge {

/// How often a request has been through the edge called `edge`: as many times as its Via (RFC 9110
/// §7.6.3) or its CDN-Loop (RFC 8586) names it, whichever is more. Others on the way may take one
/// of them out. Pure.
int HopsThrough(std::string_view edge, const http::Fields& request);

}  // namespace nearside::edge
