#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "dns/name.h"

using namespace nearside::dns;

/// The same bytes as a message full of names and as a name in presentation form.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const uint8_t> message(data, size);
  for (size_t begin = 0; begin <= size && begin < 64; ++begin) {
    size_t read_end = begin;
    size_t skip_end = begin;
    Name name;
    Malformed read = ReadName(message, &read_end, &name);
    Malformed skipped = SkipName(message, &skip_end);
    if (read != Malformed::kNone) continue;
    if (skipped != Malformed::kNone || skip_end != read_end || read_end > size) std::abort();
    auto again = Name::FromText(name.ToText());
    if (!again || !again->view().Equals(name)) std::abort();
  }
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto name = Name::FromText(text)) {
    auto again = Name::FromText(name->ToText());
    if (!again || !again->view().Equals(*name)) std::abort();
  }
  return 0;
}
