#pragma once

#include <cstdint>
#include <string_view>

namespace nearside::dns {

/// Everything that can be wrong with a message, one name a case: it feeds tests, metrics and
/// explain. An enum, not an Error: a flood of garbage must not allocate.
enum class Malformed : uint8_t {
  kNone,
  kHeaderCutOff,       ///< fewer than 12 bytes: nothing to answer
  kIsResponse,         ///< QR is set: nothing to answer
  kNoQuestion,         ///< QDCOUNT is 0
  kSeveralQuestions,   ///< QDCOUNT above 1 (RFC 9619)
  kNameCutOff,         ///< the message ends inside a name
  kNameTooLong,        ///< above 255 bytes
  kReservedLabel,      ///< label type 01 or 10 (RFC 6891 §5 retired the last use)
  kPointerForward,     ///< a compression pointer that does not lead backwards
  kPointerLimit,       ///< more pointers in a row than a name has labels
  kPointerInQuestion,  ///< the question is the first name: there is nothing to point to
  kQuestionCutOff,     ///< no room for type and class
  kRecordCutOff,       ///< no room for a record's fixed part
  kRdataCutOff,        ///< RDLENGTH leads out of the message
  kTrailingBytes,      ///< bytes after the last record
  kOptOwner,           ///< an OPT record that is not owned by the root
  kOptMisplaced,       ///< an OPT record outside the additional section
  kSeveralOpts,        ///< RFC 6891 §6.1.1
  kOptionCutOff,       ///< an option's length leads out of the OPT record
  kSubnetCutOff,       ///< client subnet of fewer than 4 bytes
  kSubnetFamily,       ///< neither IPv4 nor IPv6 (RFC 7871 §7.1.2)
  kSubnetSource,       ///< source prefix longer than an address
  kSubnetScope,        ///< scope is not 0 in a query (RFC 7871 §6)
  kSubnetLength,       ///< not exactly the octets that the source prefix needs
  kSubnetBits,         ///< bits beyond the source prefix are set
  kSeveralSubnets,     ///< two client subnet options
  kCookieLength,       ///< neither 8 nor 16 to 40 bytes (RFC 7873 §5.2.2)
};

inline constexpr int kMalformedCount = static_cast<int>(Malformed::kCookieLength) + 1;

/// "name_too_long" and so on.
std::string_view MalformedName(Malformed malformed);

}  // namespace nearside::dns
