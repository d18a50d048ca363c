#pragma once

#include <string_view>

namespace nearside::http {

/// Why an HTTP/1.1 message was refused. The parser is stricter than most on purpose: what two
/// readers might read in two ways is refused, and so cannot be used to smuggle one request inside
/// another (RFC 9112 §11.2).
enum class Refusal {
  kNone,
  // Bytes and lines.
  kBareCr,            ///< CR without LF behind it
  kBareLf,            ///< LF without CR before it
  kControlCharacter,  ///< NUL and its like anywhere in a head
  // The first line.
  kBadRequestLine,  ///< not three parts with one space between them
  kBadMethod,
  kBadTarget,  ///< no form that fits the method, a fragment, another scheme
  kTargetTooLong,
  kBadVersion,  ///< not HTTP/1.x
  kBadStatusLine,
  kUnexpectedUpgrade,  ///< 101 that nobody asked for, to something else, or with a body's framing
  kTooManyInterims,
  // Fields.
  kObsFold,  ///< a line that goes on in the next (RFC 9112 §5.2)
  kMissingColon,
  kSpaceBeforeColon,  ///< RFC 9112 §5.1
  kBadFieldName,
  kFieldsTooLarge,
  kTooManyFields,
  kMissingHost,
  kSeveralHosts,
  kBadHost,
  kBadExpectation,  ///< Expect: other than 100-continue
  // Framing.
  kBadLength,
  kSeveralLengths,
  kLengthAndCoding,  ///< Content-Length together with Transfer-Encoding
  kUnknownCoding,    ///< a Transfer-Encoding that we do not undo, or several
  kCodingInHttp10,
  kBadChunkSize,
  kChunkLineTooLong,
  kTooManyExtensions,  ///< chunk extensions larger than all of them may be together
  kBadChunkEnd,        ///< no CRLF behind a chunk's data
  kCutOff,             ///< the connection ended inside the message
};

/// "bare_cr", "several_lengths", …: for metrics, logs and tests.
std::string_view RefusalName(Refusal refusal);
/// The status that answers such a request: 400, 413, 414, 417, 431, 501 or 505.
int RefusalStatus(Refusal refusal);

}  // namespace nearside::http
