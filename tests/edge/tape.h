#pragma once

// What random histories are read from: numbers, so that whoever makes tapes (rapidcheck) can also
// make them smaller. One that has ended goes on with zeros, which stand for the plainest choice.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

namespace nearside::edge::model {

using Tape = std::vector<uint16_t>;

class TapeReader {
 public:
  /// `tape` outlives it.
  explicit TapeReader(const Tape& tape) : tape_(tape) {}
  size_t Below(size_t end) { return position_ < tape_.size() ? tape_[position_++] % end : 0; }
  bool OneIn(size_t times) { return Below(times) == times - 1; }
  template <typename Pool>
  auto Of(const Pool& pool) {
    return pool[Below(std::size(pool))];
  }

 private:
  const Tape& tape_;
  size_t position_ = 0;
};

}  // namespace nearside::edge::model
