#pragma once

// What a cache sends of a whole response that it has, told a second time: from the text of RFC 9110
// §13 and §14 and RFC 9111 §4.3.2, and where they leave a choice from docs/conformance.md, without
// a line of edge/answer or http/.

#include <vector>

#include "tests/edge/model_text.h"

namespace nearside::edge::model {

/// A whole response in the cache, and when it came.
struct Representation {
  int status = 200;
  Lines fields;
  uint64_t body_bytes = 0;
  int64_t received = 0;
};

/// Positions of the first and the last byte.
struct Part {
  uint64_t first = 0;
  uint64_t last = 0;
  bool operator==(const Part&) const = default;
};

struct Answering {
  int status = 200;
  std::vector<Part> parts;  ///< of a 206, in the order asked for
  /// RFC 9110 §14.2: Range may be ignored as well, and the whole be sent.
  bool or_whole = false;
};

Answering Answer(const std::string& method, const Lines& request,
                 const Representation& representation, int64_t now);

/// "bytes 0-4/10", "bytes */10"; "" where an answer has none in its head (RFC 9110 §14.4,
/// §15.3.7.2).
std::string ContentRangeOf(const Answering& answering, uint64_t body_bytes);

/// Whether a line of the representation has to go along with a part of it, or a 304 (§15.3.7,
/// §15.4.5; RFC 9530 §2).
bool IsSentWith(const Answering& answering, std::string_view name);

}  // namespace nearside::edge::model
