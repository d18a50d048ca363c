#pragma once

// Expected failures are values. Result<T> carries either a T or an Error that says what failed,
// whose fault it was and in what context. Nothing in Nearside throws; a library that throws is
// caught in the file that calls it.

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace nearside {

/// Whose fault a failure was: it decides the status code, the log level and who has to act.
enum class Fault {
  kClient,    ///< the peer that asked: bad request, bad upload, bad query
  kOrigin,    ///< the server we asked: unreachable, nonsense, cut off
  kOperator,  ///< settings, zone files, certificates, databases: exit code 78 at start
  kSelf,      ///< ourselves or the machine: disk full, out of descriptors, a bug
};

std::string_view FaultName(Fault fault);

struct Error {
  Fault fault = Fault::kSelf;
  /// A stable lower-case word or two with underscores ("bad_length"): for metrics, logs and tests.
  std::string reason;
  /// One sentence for a person: what failed, where, and what was expected.
  std::string message;

  /// "message (reason)" is what goes to a terminal or a log.
  std::string ToString() const;
  /// The same error with "context: " before its message.
  Error In(std::string_view context) &&;
};

template <typename T>
using Result = tl::expected<T, Error>;
/// Success carries nothing.
using Status = Result<void>;

using tl::unexpected;

/// For `return Fail(Fault::kClient, "bad_length", "…")` from any function that returns a Result.
inline tl::unexpected<Error> Fail(Fault fault, std::string_view reason, std::string message) {
  return tl::unexpected<Error>(Error{fault, std::string(reason), std::move(message)});
}

/// errno as an Error of ours: Fail(Fault::kSelf, "ENOSPC"-like reason, "what: No space left on
/// device").
tl::unexpected<Error> FailErrno(std::string_view what, int error_number);

}  // namespace nearside
