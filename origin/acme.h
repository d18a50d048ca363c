#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "origin/answer.h"

namespace nearside::origin {

/// Whether a request is an ACME authority's, so that AnswerChallenge has an answer. For any host: a
/// certificate has the origin's own name, too, which is no site's.
bool IsChallenge(const std::string& webroot, const http::RequestHead& request);

/// The answer to an ACME authority's http-01 challenge (RFC 8555 §8.3) from below `webroot`, where
/// an ACME client has put it; 404 where it has not. nullopt: the request is for something else, or
/// `webroot` is "". Blocks on the disk.
std::optional<Answer> AnswerChallenge(const std::string& webroot, const http::RequestHead& request);

}  // namespace nearside::origin
