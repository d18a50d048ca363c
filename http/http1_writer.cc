#include "http/http1_writer.h"

#include <array>
#include <charconv>

namespace nearside::http {

using std::string_view_literals::operator""sv;  // compares lengths first

namespace {

/// Of a request's head, beside its target and fields.
constexpr size_t kUsualFramingBytes = 64;

void AppendLine(std::string_view name, std::string_view value, std::string* out) {
  out->append(name).append(": "sv).append(value).append("\r\n"sv);
}

void AppendStatusLine(int status, std::string* out) {
  const std::array<char, 3> digits = {static_cast<char>('0' + status / 100 % 10),
                                      static_cast<char>('0' + status / 10 % 10),
                                      static_cast<char>('0' + status % 10)};
  out->append("HTTP/1.1 ").append(digits.data(), digits.size()).append(" ");
  out->append(ReasonPhrase(status)).append("\r\n");
}

void AppendUpgrade(std::string_view protocol, std::string* out) {
  if (protocol.empty()) return;
  out->append("connection: upgrade\r\n");
  AppendLine("upgrade", protocol, out);
}

bool IsFramingOrHost(std::string_view name) {
  return name == "content-length"sv || name == "transfer-encoding"sv || name == "connection"sv ||
         name == "host"sv || name == "keep-alive"sv || name == "te"sv || name == "trailer"sv ||
         name == "upgrade"sv || name == "proxy-connection"sv;
}

}  // namespace

void AppendResponseHead(int status, std::span<const FieldLine> lines,
                        std::span<const FieldLine> more, const ResponseFraming& framing,
                        std::string* out) {
  AppendStatusLine(status, out);
  for (const FieldLine& line : lines) AppendLine(line.name, line.value, out);
  for (const FieldLine& line : more) AppendLine(line.name, line.value, out);
  if (!framing.date.empty()) AppendLine("date", framing.date, out);
  if (framing.chunked) out->append("transfer-encoding: chunked\r\n");
  if (framing.zero_length) out->append("content-length: 0\r\n");
  if (framing.close) out->append("connection: close\r\n");
  if (framing.keep_alive) out->append("connection: keep-alive\r\n");
  AppendUpgrade(framing.upgrade, out);
  out->append("\r\n");
}

void AppendInterimHead(int status, const Fields& fields, std::string* out) {
  AppendStatusLine(status, out);
  for (const FieldLine& line : fields.lines()) AppendLine(line.name, line.value, out);
  out->append("\r\n");
}

void AppendRequestHead(const RequestHead& head, const RequestFraming& framing, std::string* out) {
  out->reserve(head.target.size() + head.authority.size() + head.fields.wire_size() +
               kUsualFramingBytes);
  out->append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  AppendLine("host", head.authority, out);
  for (const FieldLine& line : head.fields.lines()) {
    if (!IsFramingOrHost(line.name)) AppendLine(line.name, line.value, out);
  }
  if (framing.body_bytes) {
    AppendLine("content-length", std::to_string(*framing.body_bytes), out);
  } else if (framing.has_body) {
    out->append("transfer-encoding: chunked\r\n");
  } else if (head.method == "POST" || head.method == "PUT" || head.method == "PATCH") {
    // RFC 9110 §8.6: these anticipate content, so say that there is none.
    out->append("content-length: 0\r\n");
  }
  if (framing.close) out->append("connection: close\r\n");
  AppendUpgrade(framing.upgrade, out);
  out->append("\r\n");
}

std::string_view FormatChunkHeader(uint64_t size, char (&buffer)[kChunkHeaderBytes]) {
  char* end = std::to_chars(buffer, buffer + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return {buffer, static_cast<size_t>(end - buffer)};
}

void AppendLastChunk(const Fields* trailers, std::string* out) {
  out->append("0\r\n");
  if (trailers != nullptr) {
    for (const FieldLine& line : trailers->lines()) AppendLine(line.name, line.value, out);
  }
  out->append("\r\n");
}

}  // namespace nearside::http
