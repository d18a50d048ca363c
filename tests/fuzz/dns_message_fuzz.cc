#include <cstdint>
#include <cstdlib>

#include "dns/message.h"

using namespace nearside::dns;

/// What ParseQuery accepts lies inside the message and keeps its promises.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Query query;
  Malformed malformed = ParseQuery({data, size}, &query);
  if (malformed != Malformed::kNone) return MalformedName(malformed).empty() ? std::abort(), 1 : 0;
  if (!query.question || query.header.is_response()) std::abort();
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
