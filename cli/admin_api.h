#pragma once

#include <string>
#include <string_view>

#include "cli/origin_api.h"

namespace nearside::cli {

/// GET of `target` at a daemon's admin address ("http://127.0.0.1:7053"): its JSON object. `whose`
/// says what should answer there, for errors ("GeoDNS"). A refusal is an error with the daemon's
/// own words, if it has any. Errors: kOrigin, kOperator bad_url.
Result<Json> AskAdmin(const std::string& url, const std::string& target, std::string_view whose,
                      milliseconds timeout = seconds(5));

/// POST of `body` (JSON, or "" for none) to `target` there, with the admin token of `token_file`:
/// the JSON object of the answer. Errors: as AskAdmin, kOperator no_token.
Result<Json> PostAdmin(const std::string& url, const std::string& target,
                       const std::string& token_file, const std::string& body,
                       std::string_view whose);

}  // namespace nearside::cli
