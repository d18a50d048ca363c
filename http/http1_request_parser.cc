#include "http/characters.h"
#include "http/field_list.h"
#include "http/http1_framing.h"
#include "http/http1_parser.h"
#include "http/uri.h"
#include "http/websocket.h"

namespace nearside::http {

namespace {

/// RFC 9112 §2.2: left over by old clients behind a body.
constexpr size_t kEmptyLinesBefore = 2;
constexpr size_t kMethodBytes = 32;

}  // namespace

void Http1RequestParser::Start(RequestHead* head) {
  head_ = head;
  head->method.clear();
  head->scheme.clear();
  head->authority.clear();
  head->target.clear();
  head->protocol.clear();
  head->fields.Clear();
  step_ = Step::kRequestLine;
  empty_lines_ = 0;
  absolute_ = false;
  expects_continue_ = false;
  framing_ = {};
  lines_.Reset();
  refusal_ = Refusal::kNone;
}

ParseEvent Http1RequestParser::Refuse(Refusal refusal) {
  refusal_ = refusal;
  return ParseEvent::kRefused;
}

ParseEvent Http1RequestParser::Next(std::string_view* input) {
  if (refusal_ != Refusal::kNone) return ParseEvent::kRefused;
  switch (step_) {
    case Step::kRequestLine:
      return TakeRequestLine(input);
    case Step::kFields:
      return TakeFields(input);
    case Step::kBody:
      return TakeBody(input);
    case Step::kEnd:
      break;
  }
  return ParseEvent::kEnd;
}

ParseEvent Http1RequestParser::TakeRequestLine(std::string_view* input) {
  while (true) {
    std::string_view line;
    switch (lines_.Take(input, limits_.first_line_bytes, &line)) {
      case LineResult::kMore:
        return ParseEvent::kMore;
      case LineResult::kTooLong:
        return Refuse(Refusal::kTargetTooLong);
      case LineResult::kRefused:
        return Refuse(lines_.refusal());
      case LineResult::kLine:
        break;
    }
    if (line.empty() && ++empty_lines_ <= kEmptyLinesBefore) continue;
    const Refusal refusal = ReadRequestLine(line);
    if (refusal != Refusal::kNone) return Refuse(refusal);
    step_ = Step::kFields;
    fields_.Start(limits_, &head_->fields);
    return TakeFields(input);
  }
}

Refusal Http1RequestParser::ReadRequestLine(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return Refusal::kBadRequestLine;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (method.size() > kMethodBytes || !IsToken(method)) return Refusal::kBadMethod;
  bool is_version = false;
  if (!ReadVersion(version, &framing_.http10, &is_version)) {
    return is_version ? Refusal::kBadVersion : Refusal::kBadRequestLine;
  }
  head_->method = method;
  return ReadTarget(target);
}

/// RFC 9112 §3.2: origin form, absolute form, authority form for CONNECT, "*" for OPTIONS.
Refusal Http1RequestParser::ReadTarget(std::string_view target) {
  if (target.empty() || !AllIn(kTargetCharacters, target)) return Refusal::kBadTarget;
  if (head_->method == "CONNECT") {
    const auto authority = SplitAuthority(target);
    if (!authority || !authority->port) return Refusal::kBadTarget;
    head_->target = target;
    return Refusal::kNone;
  }
  if (target.front() == '/' || (target == "*" && head_->method == "OPTIONS")) {
    head_->target = target;
    return Refusal::kNone;
  }
  const Result<Uri> uri = SplitUri(target);
  if (!uri) return Refusal::kBadTarget;
  absolute_ = true;
  SetAuthority(uri->authority);
  if (uri->path.empty()) {
    // RFC 9112 §3.2.4: OPTIONS without a path asks about the server.
    head_->target = head_->method == "OPTIONS" && !uri->has_query ? "*" : "/";
  } else {
    head_->target = uri->path;
  }
  if (uri->has_query) head_->target.append("?").append(uri->query);
  return Refusal::kNone;
}

ParseEvent Http1RequestParser::TakeFields(std::string_view* input) {
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
  step_ = Step::kBody;
  body_.Start(framing_.body, framing_.length, limits_);
  return ParseEvent::kHead;
}

Refusal Http1RequestParser::FinishHead() {
  Fields& fields = head_->fields;
  Refusal refusal = ReadFraming(MessageKind::kRequest, fields, &framing_);
  if (refusal != Refusal::kNone) return refusal;
  refusal = ReadHost();
  if (refusal != Refusal::kNone) return refusal;
  if (fields.Has("expect")) {
    // RFC 9110 §10.1.1: an HTTP/1.0 client cannot mean it.
    if (!framing_.http10) {
      if (!EqualsIgnoringCase(fields.Joined("expect"), "100-continue"))
        return Refusal::kBadExpectation;
      expects_continue_ = framing_.body != BodyFraming::kNone;
    }
    fields.Remove("expect");
  }
  // RFC 9110 §7.8. Of a request with a body the upgrade is not taken up, which is always allowed.
  const bool bodiless = framing_.body == BodyFraming::kNone;
  if (framing_.websocket && bodiless && head_->method == "GET") head_->protocol = kWebSocket;
  RemoveHopByHop(&fields);
  return Refusal::kNone;
}

void Http1RequestParser::SetAuthority(std::string_view authority) {
  AssignLowered(authority, &head_->authority);
  DropRootDot(&head_->authority);
}

/// RFC 9112 §3.2: one Host, valid, even where an absolute target makes it void.
Refusal Http1RequestParser::ReadHost() {
  Fields& fields = head_->fields;
  const std::optional<std::string_view> host = fields.Get("host");
  if (!host) {
    if (!framing_.http10) return Refusal::kMissingHost;
    return Refusal::kNone;
  }
  if (!SplitAuthority(*host))
    return fields.Remove("host") > 1 ? Refusal::kSeveralHosts : Refusal::kBadHost;
  if (!absolute_) SetAuthority(*host);
  return fields.Remove("host") > 1 ? Refusal::kSeveralHosts : Refusal::kNone;
}

ParseEvent Http1RequestParser::TakeBody(std::string_view* input) {
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

}  // namespace nearside::http
