#include <cstdint>
#include <cstdlib>

#include "dns/cookie.h"
#include "dns/message.h"

using namespace nearside::dns;

/// A cookie of any content is judged, and our answer to it is good the next time.
static void CheckCookie(const Edns& edns) {
  if (!edns.cookie.empty() && !IsCookieLength(edns.cookie.size())) std::abort();
  const CookieSecrets secrets{.current = {1, 2, 3}, .other = CookieSecret{4}};
  const uint8_t address[] = {192, 0, 2, 1};
  constexpr uint32_t kNow = 0xFFFFFFF0;  // the clock of 32 bits turns over meanwhile
  const ReceivedCookie first = ReceiveCookie(edns.cookie, address, secrets, kNow);
  if ((first.state == CookieState::kNone) != edns.cookie.empty()) std::abort();
  if (edns.cookie.empty()) return;
  const ReceivedCookie second = ReceiveCookie(first.answer, address, secrets, kNow + 60);
  if (second.state != CookieState::kGood) std::abort();
}

/// What ParseQuery accepts lies inside the message and keeps its promises.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Query query;
  Malformed malformed = ParseQuery({data, size}, &query);
  if (malformed != Malformed::kNone) return MalformedName(malformed).empty() ? std::abort(), 1 : 0;
  if (query.header.is_response()) std::abort();
  if (query.edns) CheckCookie(*query.edns);
  if (!query.question) return query.edns && !query.edns->cookie.empty() ? 0 : (std::abort(), 1);
  const Question& question = *query.question;
  if (question.name.data() != data + kHeaderBytes) std::abort();
  if (kHeaderBytes + question.wire_bytes > size) std::abort();
  if (question.name.size() > kMaxNameBytes || question.name.labels() > kMaxLabels) std::abort();
  if (query.edns && query.edns->subnet) {
    uint8_t encoded[24];
    ClientSubnet again;
    size_t bytes = EncodeClientSubnet(*query.edns->subnet, encoded);
    if (ParseClientSubnet({encoded + 4, bytes - 4}, &again) != Malformed::kNone) std::abort();
    if (!(again == *query.edns->subnet)) std::abort();
  }
  return 0;
}
