// Structured fields: what is read can be written, and is then read as the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/structured_field.h"

namespace {

template <typename Value, typename Parse>
void RoundTrip(std::string_view input, Parse parse) {
  const std::optional<Value> value = parse(input);
  if (!value) return;
  const std::optional<std::string> text = nearside::http::structured::Serialize(*value);
  if (!text || parse(*text) != value) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nearside::http::structured;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  RoundTrip<Item>(input, [](std::string_view text) { return ParseItem(text); });
  RoundTrip<List>(input, [](std::string_view text) { return ParseList(text); });
  RoundTrip<Dictionary>(input, [](std::string_view text) { return ParseDictionary(text); });
  return 0;
}
