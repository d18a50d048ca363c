#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace nearside {

/// A number in decimal digits, without memory from the heap.
class DecimalText {
 public:
  explicit DecimalText(int64_t number)
      : size_(static_cast<size_t>(
            std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr -
            digits_.data())) {}
  /// Valid as long as this.
  std::string_view text() const { return {digits_.data(), size_}; }

 private:
  std::array<char, 20> digits_;  // those of INT64_MIN
  size_t size_;
};

}  // namespace nearside
