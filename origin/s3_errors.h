#pragma once

// Failures as S3's clients know them: a code, a status and XML. Pure.

#include <string>
#include <string_view>

#include "origin/answer.h"
#include "runtime/result.h"

namespace nearside::origin {

/// A code of S3's ("NoSuchKey") and its status. ("Error responses", Amazon S3 API reference.)
struct S3ErrorCode {
  std::string_view code;
  int status = 500;
};

/// By the error's reason; 400 InvalidRequest for a client's fault and 500 InternalError for others
/// where the reason has none of its own.
S3ErrorCode S3CodeOf(const Error& error);

/// The error as XML. `resource` is the request's path, `request_id` what the log has.
Answer S3ErrorAnswer(const Error& error, std::string_view resource, std::string_view request_id);

/// For `return S3Fail("no_such_key", "…")`: a client's fault.
tl::unexpected<Error> S3Fail(std::string_view reason, std::string message);

}  // namespace nearside::origin
