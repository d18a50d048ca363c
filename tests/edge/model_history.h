#pragma once

// Histories of one resource in a cache: responses, requests and validations at times of their own.
// Each step is read from a tape of numbers, so that whoever makes tapes (rapidcheck) can also make
// them smaller, and what they say stays a history. A tape that has ended goes on with zeros, which
// stand for the plainest choice.

#include <ostream>
#include <span>

#include "tests/edge/cache_model.h"
#include "tests/edge/tape.h"

namespace nearside::edge::model {

struct Step {
  enum class Kind {
    kAsk,       ///< a request for what is stored
    kFetch,     ///< a response to a request that nothing was stored for
    kValidate,  ///< a 304 for what is stored
  };
  Kind kind = Kind::kAsk;
  int64_t at = 0;    ///< now, and when the answer arrives
  int64_t took = 0;  ///< from the request to the answer; negative when the clock went back
  Lines request;
  int status = 200;
  Lines response;
  bool soft_purged = false;
  // Of an ask:
  std::string method = "GET";
  Lines conditions;         ///< and ranges
  uint64_t body_bytes = 0;  ///< of what is stored
};

struct History {
  Choices site;
  bool hashed_name = false;
  std::vector<Step> steps;
};

/// The first tape is the site's; each of the others is a step. `start` is when it begins.
History HistoryFrom(std::span<const Tape> tapes, int64_t start);

std::ostream& operator<<(std::ostream& out, const Step& step);
std::ostream& operator<<(std::ostream& out, const History& history);

}  // namespace nearside::edge::model
