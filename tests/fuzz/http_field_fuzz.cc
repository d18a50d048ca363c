// The smaller readers: dates, entity tags, lists, quoted strings, weights, targets, URIs.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/accept_encoding.h"
#include "http/accept_language.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/field_list.h"
#include "http/media_type.h"
#include "http/uri.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nearside::http;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const nearside::WallTime now(nearside::seconds(1'795'000'000));
  if (const auto date = ParseDate(input, now)) {
    if (ParseDate(FormatDate(*date), now) != date) std::abort();
  }
  ListReader members(input);
  while (const auto member = members.Next()) {
    if (member->empty()) std::abort();
    SplitArgument(*member);
    Unquote(*member);
  }
  EntityTagReader tags(input);
  while (const auto tag = tags.Next()) {
    if (tag->opaque.size() < 2) std::abort();
  }
  if (const auto target = NormalizeTarget(input)) {
    if (NormalizeTarget(*target) != *target) std::abort();
  }
  if (const auto uri = SplitUri(input)) {
    if (!SplitAuthority(uri->authority)) std::abort();
  }
  const Fields request = {{"if-none-match", input},
                          {"if-match", input},
                          {"if-modified-since", input},
                          {"if-range", input}};
  Validators validators;
  validators.etag = ParseEntityTag("\"x\"");
  EvaluatePreconditions("GET", request, validators, now);
  IfRangeHolds(request, validators, now);
  const CodingSet codings = AcceptedCodings({{"accept-encoding", input}});
  if (AcceptedCodings({{"accept-encoding", codings.text()}}) != codings) std::abort();
  if (const auto asked = AcceptLanguage::Parse({{"accept-language", input}})) {
    const std::string text = asked->ToText();
    const auto again = AcceptLanguage::Parse({{"accept-language", text}});
    if (!again || again->ToText() != text) std::abort();
  }
  MediaTypeOfPath(input);
  PercentDecode(input);
  return 0;
}
