#pragma once

// Lines of an HTTP/1.1 head, chunk header or trailer section, read strictly and in pieces of any
// size.

#include <cstddef>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "http/http1_refusal.h"

namespace nearside::http {

/// Limits of one message; the outcome of each is a Refusal.
struct Http1Limits {
  size_t first_line_bytes = 16 << 10;  ///< target_too_long
  size_t field_bytes = 64 << 10;  ///< fields_too_large: by Fields::wire_size and by bytes received
  size_t field_lines = 200;       ///< too_many_fields
};

/// The place of the first control character other than tab; the size when there is none.
size_t FindControl(std::string_view text);

enum class LineResult { kMore, kLine, kTooLong, kRefused };

/// Cuts CRLF-terminated lines off the input. What is refused and when does not depend on how the
/// input was cut into pieces.
class LineReader {
 public:
  /// Takes up to one line from the front of *input. kLine: *line is it, without CRLF, free of
  /// control characters but tabs, valid until the next call or the end of the input's bytes.
  /// kTooLong: more than `limit` bytes without an end.
  LineResult Take(std::string_view* input, size_t limit, std::string_view* line);
  /// After kRefused.
  Refusal refusal() const { return refusal_; }
  /// No byte of a line has been taken.
  bool empty() const { return partial_.empty() && !saw_cr_; }
  void Reset();

 private:
  LineResult Refuse(Refusal refusal);

  std::string partial_;  ///< of the line under way
  std::string whole_;    ///< the last line that came in pieces
  bool saw_cr_ = false;
  Refusal refusal_ = Refusal::kNone;
};

/// Reads the lines of a field section into Fields, under the limits.
class FieldSectionReader {
 public:
  enum class State { kMore, kDone, kRefused };
  /// Begins a section; `fields` is added to.
  void Start(const Http1Limits& limits, Fields* fields);
  State Read(LineReader* lines, std::string_view* input);
  Refusal refusal() const { return refusal_; }

 private:
  State Refuse(Refusal refusal);

  Http1Limits limits_;
  Fields* fields_ = nullptr;
  size_t bytes_ = 0;
  Refusal refusal_ = Refusal::kNone;
};

/// Takes "name: value" apart. Views into the line.
Refusal SplitFieldLine(std::string_view line, FieldLine* field);

}  // namespace nearside::http
