#pragma once

// A query as it came off the wire (RFC 1035 §4.1), read without allocation and without a copy.

#include <cstdint>
#include <optional>
#include <span>

#include "dns/edns.h"
#include "dns/malformed.h"
#include "dns/name.h"
#include "dns/record_type.h"

namespace nearside::dns {

inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kMaxMessageBytes = 65'535;

namespace flag {
inline constexpr uint16_t kResponse = 0x8000;
inline constexpr uint16_t kAuthoritative = 0x0400;
inline constexpr uint16_t kTruncated = 0x0200;
inline constexpr uint16_t kRecursionDesired = 0x0100;
inline constexpr uint16_t kCheckingDisabled = 0x0010;
}  // namespace flag

struct Header {
  uint16_t id = 0;
  uint16_t flags = 0;
  uint16_t questions = 0;
  uint16_t answers = 0;
  uint16_t authorities = 0;
  uint16_t additionals = 0;

  bool is_response() const { return (flags & flag::kResponse) != 0; }
  Opcode opcode() const { return static_cast<Opcode>(flags >> 11 & 0xF); }
};

struct Question {
  NameView name;  ///< into the message, case as sent
  uint16_t type = 0;
  uint16_t rr_class = 0;
  uint16_t wire_bytes = 0;  ///< of the whole question; it begins at byte 12
};

/// What of a query could be read. Views are valid as long as the message.
struct Query {
  Header header;
  std::optional<Question>
      question;  ///< set as soon as it was read, even if something later is malformed
  std::optional<Edns> edns;
};

/// Reads a whole query. One without a question is sound only when it has a cookie: it asks for ours
/// and for nothing else (RFC 7873 §5.4). Records other than OPT are stepped over and
/// bounds-checked. On kHeaderCutOff and kIsResponse nothing may be answered, on all other errors
/// FORMERR with what `query` holds.
Malformed ParseQuery(std::span<const uint8_t> message, Query* query);

}  // namespace nearside::dns
