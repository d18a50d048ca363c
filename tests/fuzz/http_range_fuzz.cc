// Range and Content-Range: what is selected lies within the body, and what is written is read back.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/range.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nearside::http;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, ~uint64_t{0}}) {
    const RangeSelection selection = SelectRanges(input, length);
    if (selection.outcome == RangeOutcome::kSatisfiable && selection.ranges.empty()) std::abort();
    if (selection.ranges.size() > kRangesInRequest) std::abort();
    for (const ByteRange& range : selection.ranges) {
      if (range.first > range.last || range.last >= length) std::abort();
    }
  }
  const auto content_range = ParseContentRange(input);
  if (content_range && ParseContentRange(FormatContentRange(*content_range)) != content_range) {
    std::abort();
  }
  return 0;
}
