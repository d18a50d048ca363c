#include "http/characters.h"
#include "http/field_list.h"
#include "http/http1_framing.h"
#include "http/http1_parser.h"

namespace nearside::http {

namespace {

/// 1xx heads before the one that counts.
constexpr size_t kInterims = 32;
constexpr size_t kVersionBytes = 8;  // "HTTP/1.1"
constexpr int kSwitching = 101;

}  // namespace

void Http1ResponseParser::Start(std::string_view method, ResponseHead* head, bool websocket) {
  head_ = head;
  head->status = 0;
  head->fields.Clear();
  head->http10 = false;
  to_head_request_ = method == "HEAD";
  websocket_ = websocket;
  step_ = Step::kStatusLine;
  interims_ = 0;
  framing_ = {};
  lines_.Reset();
  refusal_ = Refusal::kNone;
}

ParseEvent Http1ResponseParser::Refuse(Refusal refusal) {
  refusal_ = refusal;
  return ParseEvent::kRefused;
}

ParseEvent Http1ResponseParser::Next(std::string_view* input) {
  if (refusal_ != Refusal::kNone) return ParseEvent::kRefused;
  switch (step_) {
    case Step::kStatusLine:
      return TakeStatusLine(input);
    case Step::kFields:
      return TakeFields(input);
    case Step::kBody:
      return TakeBody(input);
    case Step::kEnd:
      break;
  }
  return ParseEvent::kEnd;
}

ParseEvent Http1ResponseParser::TakeStatusLine(std::string_view* input) {
  std::string_view line;
  switch (lines_.Take(input, limits_.first_line_bytes, &line)) {
    case LineResult::kMore:
      return ParseEvent::kMore;
    case LineResult::kTooLong:
      return Refuse(Refusal::kBadStatusLine);
    case LineResult::kRefused:
      return Refuse(lines_.refusal());
    case LineResult::kLine:
      break;
  }
  head_->fields.Clear();
  framing_ = {};
  const Refusal refusal = ReadStatusLine(line);
  if (refusal != Refusal::kNone) return Refuse(refusal);
  step_ = Step::kFields;
  fields_.Start(limits_, &head_->fields);
  return TakeFields(input);
}

/// RFC 9112 §4. The space before a missing reason phrase may be missing as well: many senders
/// forget it.
Refusal Http1ResponseParser::ReadStatusLine(std::string_view line) {
  bool is_version = false;
  if (!ReadVersion(line.substr(0, kVersionBytes), &framing_.http10, &is_version)) {
    return is_version ? Refusal::kBadVersion : Refusal::kBadStatusLine;
  }
  head_->http10 = framing_.http10;
  const std::string_view rest = line.substr(kVersionBytes);
  const bool well_formed = rest.size() >= 4 && rest[0] == ' ' && rest[1] >= '1' && rest[1] <= '5' &&
                           IsDigit(rest[2]) && IsDigit(rest[3]) &&
                           (rest.size() == 4 || rest[4] == ' ');
  if (!well_formed) return Refusal::kBadStatusLine;
  head_->status = (rest[1] - '0') * 100 + (rest[2] - '0') * 10 + (rest[3] - '0');
  return head_->status == kSwitching && !websocket_ ? Refusal::kUnexpectedUpgrade : Refusal::kNone;
}

ParseEvent Http1ResponseParser::TakeFields(std::string_view* input) {
  switch (fields_.Read(&lines_, input)) {
    case FieldSectionReader::State::kMore:
      return ParseEvent::kMore;
    case FieldSectionReader::State::kRefused:
      return Refuse(fields_.refusal());
    case FieldSectionReader::State::kDone:
      break;
  }
  const Refusal refusal = FinishHead();
  if (refusal != Refusal::kNone) return Refuse(refusal);
  if (head_->status < 200 && head_->status != kSwitching) {
    if (++interims_ > kInterims) return Refuse(Refusal::kTooManyInterims);
    step_ = Step::kStatusLine;
    return ParseEvent::kInterim;
  }
  step_ = Step::kBody;
  body_.Start(framing_.body, framing_.length, limits_);
  return ParseEvent::kHead;
}

/// RFC 9112 §6.3.
Refusal Http1ResponseParser::FinishHead() {
  Fields& fields = head_->fields;
  const Refusal refusal = ReadFraming(MessageKind::kResponse, fields, &framing_);
  if (refusal != Refusal::kNone) return refusal;
  if (head_->status == kSwitching) return FinishUpgrade();
  RemoveHopByHop(&fields);
  const bool interim_or_204 = head_->status < 200 || head_->status == 204;
  if (interim_or_204) fields.Remove("content-length");
  if (to_head_request_ || StatusHasNoContent(head_->status)) {
    framing_.body = BodyFraming::kNone;
  } else if (framing_.body == BodyFraming::kNone) {
    framing_.body = BodyFraming::kUntilClose;
    framing_.keep_alive = false;
  }
  return Refusal::kNone;
}

/// RFC 9110 §15.2.2: to what was asked for, and the new protocol begins right behind the head.
Refusal Http1ResponseParser::FinishUpgrade() {
  const bool framed = framing_.body != BodyFraming::kNone &&
                      (framing_.body != BodyFraming::kLength || framing_.length > 0);
  if (!framing_.websocket || framed) return Refusal::kUnexpectedUpgrade;
  RemoveHopByHop(&head_->fields);
  head_->fields.Remove("content-length");
  framing_.body = BodyFraming::kUntilClose;
  framing_.keep_alive = false;
  return Refusal::kNone;
}

ParseEvent Http1ResponseParser::TakeBody(std::string_view* input) {
  switch (body_.Next(input)) {
    case Http1BodyReader::State::kMore:
      return ParseEvent::kMore;
    case Http1BodyReader::State::kPiece:
      return ParseEvent::kBody;
    case Http1BodyReader::State::kRefused:
      return Refuse(body_.refusal());
    case Http1BodyReader::State::kEnd:
      break;
  }
  step_ = Step::kEnd;
  return ParseEvent::kEnd;
}

ParseEvent Http1ResponseParser::EndOfInput() {
  if (refusal_ != Refusal::kNone) return ParseEvent::kRefused;
  if (step_ == Step::kBody && body_.EndOfInput()) step_ = Step::kEnd;
  return step_ == Step::kEnd ? ParseEvent::kEnd : Refuse(Refusal::kCutOff);
}

}  // namespace nearside::http
