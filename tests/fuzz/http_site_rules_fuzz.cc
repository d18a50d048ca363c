// A `_redirects` or `_headers` file and a path: whatever they are, an answer is one that a client
// can be given, a redirect stays on its host, and a refusal names the file.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "http/settable_field.h"
#include "http/site_rules.h"

namespace {

using namespace nearside;
using namespace nearside::http;

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckTarget(const std::optional<RedirectTarget>& target) {
  if (!target) return;
  Check(target->location.empty() != target->page.empty());
  Check(target->page.empty() || target->page.front() == '/');
  if (target->location.empty()) return;
  Check(target->status / 100 == 3 && IsFieldValue(target->location));
  Check(!target->location.starts_with("//"));
  Check(target->location.front() == '/' || target->location.starts_with("http"));
  for (const char c : target->location) Check(c > 0x20 && c < 0x7f);
}

void CheckFields(const HeaderFields& fields) {
  for (const auto& [name, value] : fields) {
    Check(IsToken(name) && IsFieldValue(value) && !value.empty() && IsSettableField(name));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\n'), input.size());
  const std::string path = "/" + std::string(input.substr(0, end));
  const std::string_view text = input.substr(std::min(end + 1, input.size()));
  const Result<RedirectRules> redirects = RedirectRules::Parse(text);
  if (redirects) {
    CheckTarget(redirects->Find(path));
    CheckTarget(redirects->FindForced(path));
    (void)redirects->MayServe(path.substr(1));
  } else {
    Check(redirects.error().message.starts_with("_redirects:"));
  }
  const Result<HeaderRules> headers = HeaderRules::Parse(text);
  if (headers) {
    CheckFields(headers->FieldsOf(path));
  } else {
    Check(headers.error().message.starts_with("_headers:"));
  }
  return 0;
}
