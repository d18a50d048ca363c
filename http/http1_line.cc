#include "http/http1_line.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <bit>

#include "http/characters.h"

namespace nearside::http {

namespace {

/// Of the memory for lines that came in pieces, this much is kept for the next message.
constexpr size_t kKeptBytes = 4096;

/// FindControl, one byte after the other.
size_t FindControlFrom(std::string_view text, size_t at) {
  while (at < text.size() && kFieldValueCharacters[static_cast<uint8_t>(text[at])]) ++at;
  return at;
}

}  // namespace

size_t FindControl(std::string_view text) {
  size_t at = 0;
#if defined(__SSE2__)
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i del = _mm_set1_epi8(0x7f);
  const __m128i tab = _mm_set1_epi8('\t');
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i found =
        _mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), _mm_or_si128(low, _mm_cmpeq_epi8(bytes, del)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (mask != 0) return at + static_cast<size_t>(std::countr_zero(mask));
  }
#endif
  return FindControlFrom(text, at);
}

LineResult LineReader::Refuse(Refusal refusal) {
  refusal_ = refusal;
  return LineResult::kRefused;
}

void LineReader::Reset() {
  partial_.clear();
  if (whole_.capacity() + partial_.capacity() > kKeptBytes) {
    whole_ = {};
    partial_ = {};
  }
  saw_cr_ = false;
  refusal_ = Refusal::kNone;
}

LineResult LineReader::Take(std::string_view* input, size_t limit, std::string_view* line) {
  if (!saw_cr_) {
    const size_t end = FindControl(*input);
    if (partial_.size() + end > limit) return LineResult::kTooLong;
    if (end == input->size()) {
      partial_.append(*input);
      *input = {};
      return LineResult::kMore;
    }
    const char control = (*input)[end];
    if (control == '\n') return Refuse(Refusal::kBareLf);
    if (control != '\r') return Refuse(Refusal::kControlCharacter);
    if (partial_.empty() && end + 1 < input->size() && (*input)[end + 1] == '\n') {
      *line = input->substr(0, end);
      input->remove_prefix(end + 2);
      return LineResult::kLine;
    }
    partial_.append(*input, 0, end);
    input->remove_prefix(end + 1);
    saw_cr_ = true;
  }
  if (input->empty()) return LineResult::kMore;
  if (input->front() != '\n') return Refuse(Refusal::kBareCr);
  input->remove_prefix(1);
  saw_cr_ = false;
  whole_.swap(partial_);
  partial_.clear();
  *line = whole_;
  return LineResult::kLine;
}

Refusal SplitFieldLine(std::string_view line, FieldLine* field) {
  if (line.front() == ' ' || line.front() == '\t') return Refusal::kObsFold;
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Refusal::kMissingColon;
  field->name = line.substr(0, colon);
  if (!field->name.empty() && (field->name.back() == ' ' || field->name.back() == '\t')) {
    return Refusal::kSpaceBeforeColon;
  }
  if (!IsToken(field->name)) return Refusal::kBadFieldName;
  field->value = TrimSpace(line.substr(colon + 1));
  return Refusal::kNone;
}

void FieldSectionReader::Start(const Http1Limits& limits, Fields* fields) {
  limits_ = limits;
  fields_ = fields;
  bytes_ = 0;
  refusal_ = Refusal::kNone;
}

FieldSectionReader::State FieldSectionReader::Refuse(Refusal refusal) {
  refusal_ = refusal;
  return State::kRefused;
}

FieldSectionReader::State FieldSectionReader::Read(LineReader* lines, std::string_view* input) {
  while (true) {
    std::string_view line;
    switch (lines->Take(input, limits_.field_bytes - bytes_, &line)) {
      case LineResult::kMore:
        return State::kMore;
      case LineResult::kTooLong:
        return Refuse(Refusal::kFieldsTooLarge);
      case LineResult::kRefused:
        return Refuse(lines->refusal());
      case LineResult::kLine:
        break;
    }
    if (line.empty()) return State::kDone;
    bytes_ += line.size();
    FieldLine field;
    const Refusal refusal = SplitFieldLine(line, &field);
    if (refusal != Refusal::kNone) return Refuse(refusal);
    if (fields_->size() == limits_.field_lines) return Refuse(Refusal::kTooManyFields);
    fields_->Add(field.name, field.value);
    if (fields_->wire_size() > limits_.field_bytes) return Refuse(Refusal::kFieldsTooLarge);
  }
}

}  // namespace nearside::http
