#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/fields.h"

namespace nearside::http {

/// By this field a request's id goes from edge to origin, so that the log lines of both are found
/// by it.
inline constexpr std::string_view kRequestIdField = "x-request-id";
inline constexpr size_t kLongestRequestId = 64;

/// Ids that no other process gives: 64 bits drawn at the start, then the exchange's own number; 32
/// hexadecimal digits. Immutable: any thread.
class RequestIds {
 public:
  RequestIds();
  std::string Of(uint64_t exchange) const;

 private:
  std::string prefix_;
};

/// The id that a request brings, when it is one line's worth of letters, digits, "-", "_" and ".";
/// whoever sends it may have made it up.
std::optional<std::string_view> RequestIdOf(const Fields& fields);

}  // namespace nearside::http
