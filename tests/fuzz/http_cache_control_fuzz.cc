// Cache-Control and its targeted forms: no crash, and what is read stays within its bounds.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/cache_control.h"

namespace {

void Check(const nearside::http::CacheControl& control) {
  using nearside::seconds;
  for (const auto& delta : {control.max_age, control.s_maxage, control.min_fresh, control.max_stale,
                            control.stale_while_revalidate, control.stale_if_error}) {
    if (delta && (*delta < seconds(0) || *delta > nearside::http::kLongestDelta)) std::abort();
  }
  for (const auto& names : {control.no_cache_fields, control.private_fields}) {
    for (const std::string& name : names) {
      if (!nearside::http::IsToken(name)) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Check(nearside::http::ParseCacheControl(input));
  const nearside::http::Fields fields = {{"cdn-cache-control", input}};
  const auto targeted = nearside::http::ParseTargetedCacheControl(fields, "cdn-cache-control");
  if (targeted) Check(*targeted);
  return 0;
}
