#pragma once

// How the edge words its answers: from a stored response, from one that is arriving, or an error of
// its own.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge/bodies.h"
#include "edge/multipart.h"
#include "edge/reason.h"
#include "edge/stored_response.h"
#include "http/message.h"
#include "http/range.h"

namespace nearside::edge {

/// What part of a representation answers a request, after its conditions and its range (RFC 9110
/// §13, §14).
struct Selection {
  int status = 200;           ///< that of the response, or 206, 304, 412, 416
  ByteSpan span;              ///< the bytes to send; empty for 304, 412 and 416
  std::string content_range;  ///< of 416, and of a 206 with one range
  /// Of a 206 with several, in the order asked for; `span` is the first then.
  std::vector<http::ByteRange> ranges;
  bool whole() const {
    return content_range.empty() && ranges.empty() && status != 304 && status != 412;
  }
};

/// `body_bytes` unknown: ranges are not looked at. Only a response with status 200 is selected
/// from.
Selection Select(const http::RequestHead& request, const StoredResponse& response,
                 std::optional<uint64_t> body_bytes, WallTime now);

/// The lines of an answer that is not the whole response: a 304's, 412's, 416's or 206's, from the
/// response's.
http::Fields PartialFields(const StoredResponse& response, const Selection& selection);

/// The lines of a 206 with several ranges.
http::Fields MultipartFields(const StoredResponse& response, const Multipart& layout);

/// Cache-Status of an answer (RFC 9211), built in place.
struct StatusLine {
  Reason reason = Reason::kFresh;
  std::optional<Reason> forwarded;  ///< why it had been sent on, where `reason` does not say
  std::optional<milliseconds> time_to_live;
  int origin_status = 0;  ///< 0: no origin answered
  bool stored = false;
  bool collapsed = false;
  std::string_view key;     ///< "": not told
  std::string_view detail;  ///< beside the reason: why it was not stored
};
void AppendStatusLine(std::string_view edge, const StatusLine& line, std::string* out);

/// The text of an error that the edge answers itself, with what it means and whom to ask.
std::string ErrorText(int status, Reason reason, std::string_view explanation,
                      std::string_view request_id);
/// 502, 504, 421, … for a reason that is an error.
int StatusOf(Reason reason);

}  // namespace nearside::edge
