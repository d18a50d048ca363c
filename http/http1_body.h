#pragma once

// The body of an HTTP/1.1 message off the wire (RFC 9112 §6, §7): by length, chunked, or until the
// connection's end.

#include <cstdint>
#include <span>
#include <string_view>

#include "http/fields.h"
#include "http/http1_line.h"
#include "http/http1_refusal.h"

namespace nearside::http {

enum class BodyFraming { kNone, kLength, kChunked, kUntilClose };

/// A chunk's size line, extensions included.
inline constexpr size_t kChunkLineBytes = 256;
/// All chunk extensions of a body together: they are read for nothing (compare CVE-2023-39326).
inline constexpr size_t kChunkExtensionBytes = 16 << 10;

/// "1a", "1a;name=value": the size. Refused: no digits, more than 15, anything but an extension
/// behind.
Refusal ParseChunkSize(std::string_view line, uint64_t* size);

/// Pieces of input in, pieces of body out, nothing copied.
class Http1BodyReader {
 public:
  enum class State { kMore, kPiece, kEnd, kRefused };

  /// `length` counts for kLength only; trailers are read under `limits`.
  void Start(BodyFraming framing, uint64_t length, const Http1Limits& limits);
  /// Takes from the front of *input. kPiece: piece() is body, a view into the input. kMore: the
  /// input is used up. After kEnd what is left in *input is behind the message.
  State Next(std::string_view* input);
  /// The connection has ended: whether the body is whole.
  bool EndOfInput();

  std::span<const uint8_t> piece() const { return piece_; }
  /// After kEnd. Fields that may not come behind a body (RFC 9110 §6.5.1) are left out.
  const Fields& trailers() const { return trailers_; }
  Refusal refusal() const { return refusal_; }

 private:
  enum class Step { kData, kChunkSize, kChunkEnd, kTrailers, kEnd };

  State Refuse(Refusal refusal);
  State TakeData(std::string_view* input);
  State TakeChunkSize(std::string_view* input);
  State TakeChunkEnd(std::string_view* input);
  State TakeTrailers(std::string_view* input);

  BodyFraming framing_ = BodyFraming::kNone;
  Step step_ = Step::kEnd;
  uint64_t left_ = 0;  ///< of the body, or of the chunk
  size_t extension_bytes_ = 0;
  Http1Limits limits_;
  LineReader lines_;
  FieldSectionReader trailer_reader_;
  Fields trailers_;
  std::span<const uint8_t> piece_;
  Refusal refusal_ = Refusal::kNone;
};

}  // namespace nearside::http
