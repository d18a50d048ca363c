#pragma once

// Heads and chunk framing of HTTP/1.1 messages onto the wire (RFC 9112). Names and values were
// checked by whoever made them: a parser, or constants of ours.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "http/message.h"

namespace nearside::http {

/// What the session adds to a response's lines.
struct ResponseFraming {
  bool chunked = false;      ///< Transfer-Encoding: chunked
  bool zero_length = false;  ///< Content-Length: 0
  bool close = false;        ///< Connection: close
  bool keep_alive = false;   ///< Connection: keep-alive, for HTTP/1.0 clients
  std::string_view upgrade;  ///< Upgrade to this, unless ""
  std::string_view date;     ///< Date, unless ""
};

/// Appends status line, lines, framing and the empty line. Always HTTP/1.1 (RFC 9110 §2.5).
void AppendResponseHead(int status, std::span<const FieldLine> lines,
                        std::span<const FieldLine> more, const ResponseFraming& framing,
                        std::string* out);

/// A 1xx head.
void AppendInterimHead(int status, const Fields& fields, std::string* out);

/// Appends request line, Host, fields and framing: Content-Length when `body_bytes` is known,
/// chunked when there is a body of unknown size. Framing fields and Host among the head's fields
/// are left out.
struct RequestFraming {
  bool has_body = false;
  std::optional<uint64_t> body_bytes;
  bool close = false;
  std::string_view upgrade;  ///< Upgrade to this, unless ""; then without a body
};
void AppendRequestHead(const RequestHead& head, const RequestFraming& framing, std::string* out);

/// A chunk is its header, its data, and CRLF.
inline constexpr size_t kChunkHeaderBytes = 18;
/// Chunk header and the CRLF behind the chunk.
inline constexpr size_t kChunkOverhead = kChunkHeaderBytes + 2;
/// With less room than this a turn's output is full: smaller pieces are not worth their chunk
/// headers.
inline constexpr size_t kLeastChunkRoom = 64;
std::string_view FormatChunkHeader(uint64_t size, char (&buffer)[kChunkHeaderBytes]);
/// The last chunk, trailers if any, and the empty line.
void AppendLastChunk(const Fields* trailers, std::string* out);

}  // namespace nearside::http
