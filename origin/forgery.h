#pragma once

// Requests that a page of somebody else makes a browser send (CSRF). Two things keep them out, each
// by itself: what the browser says of where a request comes from, and a token in each form that
// only our own pages hold, since it is made of a cookie that no page can read. Pure.

#include <string>
#include <string_view>

#include "http/message.h"

namespace nearside::origin {

/// By Sec-Fetch-Site, and by Origin as compared with the authority that was asked (Fetch §3.2; an
/// old browser sends none, and the token decides alone). `https`: what the client speaks.
bool ComesFromOurPages(const http::RequestHead& request, bool https);

/// The token of a form: HMAC-SHA256 of a fixed word with a secret of the browser's cookie (the
/// session's id, or before there is one the form's own cookie).
std::string FormTokenOf(std::string_view cookie);
/// In a time that tells nothing. An empty cookie has no token.
bool IsFormToken(std::string_view shown, std::string_view cookie);

}  // namespace nearside::origin
