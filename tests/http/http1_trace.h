#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/http1_parser.h"

namespace nearside::http {

/// What parsing gives, as text: one line an event, body pieces joined, so that two ways of cutting
/// the same input compare equal. Ends with "more" when the last message is not over.
inline void AppendEvent(std::string_view line, std::string* trace) {
  trace->append(line).append("\n");
}

inline std::string FramingText(const Http1Framing& framing) {
  std::string text = framing.body == BodyFraming::kLength
                         ? "length " + std::to_string(framing.length)
                     : framing.body == BodyFraming::kChunked ? "chunked"
                     : framing.body == BodyFraming::kNone    ? "no body"
                                                             : "until close";
  return text + (framing.keep_alive ? ", keep-alive" : ", close");
}

inline std::string HeadText(const RequestHead& head) {
  return head.method + " " + head.target + " at " + head.authority + "\n" + head.fields.ToText();
}
inline std::string HeadText(const ResponseHead& head) {
  return std::to_string(head.status) + "\n" + head.fields.ToText();
}

/// Events of one parser with its head, fed piece by piece. `ended` tells of an end of input.
template <typename Parser, typename Head, typename StartNext>
std::string TraceOf(Parser& parser, Head& head, const std::vector<std::string_view>& pieces,
                    StartNext start_next) {
  std::string trace;
  std::string body;
  const auto flush_body = [&] {
    if (!body.empty()) AppendEvent("body " + body, &trace);
    body.clear();
  };
  start_next();
  for (std::string_view piece : pieces) {
    while (true) {
      const ParseEvent event = parser.Next(&piece);
      if (event == ParseEvent::kMore) break;
      if (event == ParseEvent::kBody) {
        body.append(reinterpret_cast<const char*>(parser.body().data()), parser.body().size());
        continue;
      }
      flush_body();
      if (event == ParseEvent::kRefused) {
        AppendEvent("refused " + std::string(RefusalName(parser.refusal())), &trace);
        return trace;
      }
      if (event == ParseEvent::kInterim) AppendEvent("interim " + HeadText(head), &trace);
      if (event == ParseEvent::kHead) {
        AppendEvent(HeadText(head) + "= " + FramingText(parser.framing()), &trace);
      }
      if (event == ParseEvent::kEnd) {
        AppendEvent("end " + parser.trailers().ToText(), &trace);
        start_next();
      }
    }
  }
  flush_body();
  if (!parser.idle()) AppendEvent("more", &trace);
  return trace;
}

inline std::string TraceRequests(const std::vector<std::string_view>& pieces,
                                 const Http1Limits& limits = {}) {
  Http1RequestParser parser(limits);
  RequestHead head;
  return TraceOf(parser, head, pieces, [&] { parser.Start(&head); });
}

inline std::string TraceResponses(std::string_view method,
                                  const std::vector<std::string_view>& pieces,
                                  const Http1Limits& limits = {}, bool websocket = false) {
  Http1ResponseParser parser(limits);
  ResponseHead head;
  return TraceOf(parser, head, pieces, [&] { parser.Start(method, &head, websocket); });
}

/// `text` cut in pieces of `size` bytes.
inline std::vector<std::string_view> PiecesOf(std::string_view text, size_t size) {
  std::vector<std::string_view> pieces;
  for (; !text.empty(); text.remove_prefix(std::min(size, text.size())))
    pieces.push_back(text.substr(0, size));
  return pieces;
}

}  // namespace nearside::http
