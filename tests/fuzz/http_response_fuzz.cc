// The response parser: whatever comes, it neither crashes nor depends on how the input is cut.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tests/http/http1_trace.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nearside::http;
  if (size == 0) return 0;
  const std::string_view method = data[0] % 2 == 0 ? "GET" : "HEAD";
  const bool websocket = data[0] % 4 == 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Http1Limits limits = {.first_line_bytes = 256, .field_bytes = 2048, .field_lines = 20};
  const std::string whole = TraceResponses(method, {input}, limits, websocket);
  for (const size_t piece : {size_t{1}, size_t{7}}) {
    if (TraceResponses(method, PiecesOf(input, piece), limits, websocket) != whole) std::abort();
  }
  return 0;
}
