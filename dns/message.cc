#include "dns/message.h"

#include "dns/wire.h"

namespace nearside::dns {
namespace {

constexpr size_t kQuestionTailBytes = 4;  // type, class
constexpr size_t kRecordTailBytes = 10;   // type, class, TTL, length of the data

Malformed ReadQuestion(std::span<const uint8_t> message, size_t* offset, Query* query) {
  size_t at = *offset;
  for (;;) {
    if (at >= message.size()) return Malformed::kNameCutOff;
    uint8_t length = message[at];
    if (length > kMaxLabelBytes) {
      return length >= 0xC0 ? Malformed::kPointerInQuestion : Malformed::kReservedLabel;
    }
    at += length + size_t{1};
    if (at - *offset > kMaxNameBytes) return Malformed::kNameTooLong;
    if (length == 0) break;
  }
  if (message.size() - at < kQuestionTailBytes) return Malformed::kQuestionCutOff;
  Question& question = query->question.emplace();
  question.name = NameView(message.data() + *offset, at - *offset);
  question.type = Load16(message.data() + at);
  question.rr_class = Load16(message.data() + at + 2);
  question.wire_bytes = static_cast<uint16_t>(at + kQuestionTailBytes - *offset);
  *offset = at + kQuestionTailBytes;
  return Malformed::kNone;
}

/// Steps over one record, taking OPT when `in_additional`.
Malformed ReadRecord(std::span<const uint8_t> message, bool in_additional, size_t* offset,
                     Query* query) {
  size_t owner_at = *offset;
  if (Malformed m = SkipName(message, offset); m != Malformed::kNone) return m;
  if (message.size() - *offset < kRecordTailBytes) return Malformed::kRecordCutOff;
  const uint8_t* tail = message.data() + *offset;
  size_t rdata_at = *offset + kRecordTailBytes;
  size_t rdata_bytes = Load16(tail + 8);
  if (message.size() - rdata_at < rdata_bytes) return Malformed::kRdataCutOff;
  *offset = rdata_at + rdata_bytes;
  if (Load16(tail) != type::kOpt) return Malformed::kNone;
  if (!in_additional) return Malformed::kOptMisplaced;
  if (message[owner_at] != 0) return Malformed::kOptOwner;
  if (query->edns) return Malformed::kSeveralOpts;
  return ParseEdns(Load16(tail + 2), Load32(tail + 4), message.subspan(rdata_at, rdata_bytes),
                   &query->edns.emplace());
}

/// Everything behind the header.
Malformed ReadSections(std::span<const uint8_t> message, Query* query) {
  const Header& header = query->header;
  size_t offset = kHeaderBytes;
  if (header.questions == 1) {
    if (Malformed m = ReadQuestion(message, &offset, query); m != Malformed::kNone) return m;
  }
  // 16-bit counts, each record at least 11 bytes: the end of the message ends the loop soon enough.
  unsigned before_additional = unsigned{header.answers} + header.authorities;
  unsigned records = before_additional + header.additionals;
  for (unsigned i = 0; i < records; ++i) {
    Malformed m = ReadRecord(message, i >= before_additional, &offset, query);
    if (m != Malformed::kNone) return m;
  }
  return offset == message.size() ? Malformed::kNone : Malformed::kTrailingBytes;
}

}  // namespace

Malformed ParseQuery(std::span<const uint8_t> message, Query* query) {
  *query = Query();
  if (message.size() < kHeaderBytes) return Malformed::kHeaderCutOff;
  const uint8_t* p = message.data();
  Header& header = query->header;
  header = {Load16(p), Load16(p + 2), Load16(p + 4), Load16(p + 6), Load16(p + 8), Load16(p + 10)};
  if (header.is_response()) return Malformed::kIsResponse;
  if (header.questions > 1) return Malformed::kSeveralQuestions;
  Malformed malformed = ReadSections(message, query);
  if (header.questions == 1) return malformed;
  bool asks_for_cookie = query->edns && !query->edns->cookie.empty();
  if (malformed == Malformed::kNone && asks_for_cookie) return Malformed::kNone;
  query->edns.reset();
  return Malformed::kNoQuestion;
}

}  // namespace nearside::dns
