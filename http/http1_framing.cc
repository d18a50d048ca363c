#include "http/http1_framing.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "http/characters.h"
#include "http/field_list.h"
#include "http/websocket.h"

namespace nearside::http {

namespace {

constexpr size_t kLengthDigits = 18;  // below 10^18: adding to it cannot overflow

std::optional<uint64_t> ParseLength(std::string_view text) {
  if (text.empty() || text.size() > kLengthDigits) return std::nullopt;
  uint64_t length = 0;
  for (char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  return length;
}

/// What the lists in Connection and Upgrade hold.
struct Options {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool websocket = false;
};

void ReadConnection(std::string_view value, Options* options) {
  ListReader members(value);
  while (const auto member = members.Next()) {
    if (EqualsIgnoringCase(*member, "close")) options->close = true;
    if (EqualsIgnoringCase(*member, "keep-alive")) options->keep_alive = true;
    if (EqualsIgnoringCase(*member, "upgrade")) options->upgrade = true;
  }
}

void ReadUpgrade(std::string_view value, Options* options) {
  ListReader members(value);
  while (const auto member = members.Next()) {
    if (EqualsIgnoringCase(*member, kWebSocket)) options->websocket = true;
  }
}

/// Under these names the bytes are not the content (RFC 9112 §7.2, and what is common as a content
/// coding).
constexpr std::array<std::string_view, 7> kCompressions = {
    "br", "compress", "deflate", "gzip", "x-compress", "x-gzip", "zstd"};

/// Whether a response with this Transfer-Encoding ends where the connection does, for every reader:
/// one name that nobody knows. "chunked" as a part of it is read as chunked by some.
bool EndsWithConnection(std::string_view coding) {
  const std::string name = LowerName(coding);
  return IsToken(name) && name.find("chunked") == std::string::npos &&
         std::find(kCompressions.begin(), kCompressions.end(), name) == kCompressions.end();
}

}  // namespace

Refusal ReadFraming(MessageKind kind, const Fields& fields, Http1Framing* framing) {
  std::optional<std::string_view> length;
  std::optional<std::string_view> coding;
  Options options;
  for (const FieldLine& line : fields.lines()) {
    if (line.name == "content-length") {
      if (length) return Refusal::kSeveralLengths;
      length = line.value;
    } else if (line.name == "transfer-encoding") {
      if (coding) return Refusal::kUnknownCoding;
      coding = line.value;
    } else if (line.name == "connection") {
      ReadConnection(line.value, &options);
    } else if (line.name == "upgrade") {
      ReadUpgrade(line.value, &options);
    }
  }
  framing->keep_alive = !options.close && (options.keep_alive || !framing->http10);
  framing->websocket = options.upgrade && options.websocket && !framing->http10;
  if (coding) {
    if (framing->http10) return Refusal::kCodingInHttp10;
    if (length) return Refusal::kLengthAndCoding;
    if (EqualsIgnoringCase(*coding, "chunked")) {
      framing->body = BodyFraming::kChunked;
      return Refusal::kNone;
    }
    if (kind == MessageKind::kRequest || !EndsWithConnection(*coding)) {
      return Refusal::kUnknownCoding;
    }
    framing->body = BodyFraming::kUntilClose;
    framing->keep_alive = false;
  } else if (length) {
    // A list of equal lengths might be taken as one (RFC 9110 §8.6); nobody honest sends it.
    if (length->find(',') != std::string_view::npos) return Refusal::kSeveralLengths;
    const auto value = ParseLength(*length);
    if (!value) return Refusal::kBadLength;
    framing->body = BodyFraming::kLength;
    framing->length = *value;
  }
  return Refusal::kNone;
}

bool ReadVersion(std::string_view text, bool* http10, bool* is_version) {
  *is_version = text.size() == 8 && text.starts_with("HTTP/") && IsDigit(text[5]) &&
                text[6] == '.' && IsDigit(text[7]);
  if (!*is_version || text[5] != '1') return false;
  *http10 = text[7] == '0';
  return true;
}

}  // namespace nearside::http
