#include "http/http1_body.h"

#include <algorithm>
#include <vector>

#include "http/characters.h"
#include "http/field_list.h"

namespace nearside::http {

namespace {

constexpr size_t kChunkSizeDigits = 15;  // 2^60 - 1: cannot overflow

}  // namespace

Refusal ParseChunkSize(std::string_view line, uint64_t* size) {
  size_t digits = 0;
  *size = 0;
  while (digits < line.size() && HexValue(line[digits]) >= 0) {
    if (digits == kChunkSizeDigits) return Refusal::kBadChunkSize;
    *size = *size * 16 + static_cast<uint64_t>(HexValue(line[digits++]));
  }
  if (digits == 0) return Refusal::kBadChunkSize;
  const std::string_view extension = TrimSpace(line.substr(digits));
  if (digits < line.size() && !extension.starts_with(';')) return Refusal::kBadChunkSize;
  return Refusal::kNone;
}

void Http1BodyReader::Start(BodyFraming framing, uint64_t length, const Http1Limits& limits) {
  framing_ = framing;
  left_ = framing == BodyFraming::kLength ? length : 0;
  limits_ = limits;
  extension_bytes_ = 0;
  lines_.Reset();
  trailers_.Clear();
  piece_ = {};
  refusal_ = Refusal::kNone;
  switch (framing) {
    case BodyFraming::kNone:
      step_ = Step::kEnd;
      break;
    case BodyFraming::kLength:
      step_ = left_ == 0 ? Step::kEnd : Step::kData;
      break;
    case BodyFraming::kChunked:
      step_ = Step::kChunkSize;
      break;
    case BodyFraming::kUntilClose:
      step_ = Step::kData;
      break;
  }
}

Http1BodyReader::State Http1BodyReader::Refuse(Refusal refusal) {
  refusal_ = refusal;
  return State::kRefused;
}

Http1BodyReader::State Http1BodyReader::Next(std::string_view* input) {
  while (refusal_ == Refusal::kNone) {
    State state = State::kEnd;
    switch (step_) {
      case Step::kEnd:
        return State::kEnd;
      case Step::kData:
        return TakeData(input);
      case Step::kChunkSize:
        state = TakeChunkSize(input);
        break;
      case Step::kChunkEnd:
        state = TakeChunkEnd(input);
        break;
      case Step::kTrailers:
        state = TakeTrailers(input);
        break;
    }
    // kPiece stands for "go on" here: only TakeData has pieces.
    if (state != State::kPiece) return state;
  }
  return State::kRefused;
}

Http1BodyReader::State Http1BodyReader::TakeData(std::string_view* input) {
  if (input->empty()) return State::kMore;
  const bool bounded = framing_ != BodyFraming::kUntilClose;
  const auto size = static_cast<size_t>(bounded ? std::min<uint64_t>(left_, input->size())
                                                : uint64_t{input->size()});
  piece_ = {reinterpret_cast<const uint8_t*>(input->data()), size};
  input->remove_prefix(size);
  if (!bounded) return State::kPiece;
  left_ -= size;
  if (left_ == 0) step_ = framing_ == BodyFraming::kChunked ? Step::kChunkEnd : Step::kEnd;
  return State::kPiece;
}

Http1BodyReader::State Http1BodyReader::TakeChunkSize(std::string_view* input) {
  std::string_view line;
  switch (lines_.Take(input, kChunkLineBytes, &line)) {
    case LineResult::kMore:
      return State::kMore;
    case LineResult::kTooLong:
      return Refuse(Refusal::kChunkLineTooLong);
    case LineResult::kRefused:
      return Refuse(lines_.refusal());
    case LineResult::kLine:
      break;
  }
  const Refusal refusal = ParseChunkSize(line, &left_);
  if (refusal != Refusal::kNone) return Refuse(refusal);
  const size_t extension = line.find(';');
  if (extension != std::string_view::npos) extension_bytes_ += line.size() - extension;
  if (extension_bytes_ > kChunkExtensionBytes) return Refuse(Refusal::kTooManyExtensions);
  step_ = left_ == 0 ? Step::kTrailers : Step::kData;
  if (left_ == 0) trailer_reader_.Start(limits_, &trailers_);
  return State::kPiece;
}

Http1BodyReader::State Http1BodyReader::TakeChunkEnd(std::string_view* input) {
  std::string_view line;
  switch (lines_.Take(input, 0, &line)) {
    case LineResult::kMore:
      return State::kMore;
    case LineResult::kTooLong:
    case LineResult::kRefused:
      return Refuse(Refusal::kBadChunkEnd);
    case LineResult::kLine:
      break;
  }
  step_ = Step::kChunkSize;
  return State::kPiece;
}

Http1BodyReader::State Http1BodyReader::TakeTrailers(std::string_view* input) {
  switch (trailer_reader_.Read(&lines_, input)) {
    case FieldSectionReader::State::kMore:
      return State::kMore;
    case FieldSectionReader::State::kRefused:
      return Refuse(trailer_reader_.refusal());
    case FieldSectionReader::State::kDone:
      break;
  }
  // Rare: of the lines only those that may not be there are looked for again.
  std::vector<std::string_view> misplaced;
  for (const FieldLine& line : trailers_.lines()) {
    if (!MayBeTrailer(line.name)) misplaced.push_back(line.name);
  }
  for (std::string_view name : misplaced) trailers_.Remove(name);
  step_ = Step::kEnd;
  return State::kEnd;
}

bool Http1BodyReader::EndOfInput() {
  if (refusal_ != Refusal::kNone) return false;
  if (framing_ == BodyFraming::kUntilClose) step_ = Step::kEnd;
  return step_ == Step::kEnd;
}

}  // namespace nearside::http
