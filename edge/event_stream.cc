#include "edge/event_stream.h"

#include <utility>

namespace nearside::edge {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

bool EventStreamParser::Feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (after_carriage_return_) {
      after_carriage_return_ = false;
      if (c == '\n') continue;  // CR LF is one line end
    }
    if (c == '\n' || c == '\r') {
      after_carriage_return_ = c == '\r';
      Line(line_);
      line_.clear();
    } else {
      line_.push_back(c);
    }
    if (line_.size() + data_.size() > kLongestEvent) return false;
  }
  return true;
}

void EventStreamParser::Line(std::string_view line) {
  if (!std::exchange(begun_, true) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) {
    if (has_data_) on_event_(id_, type_, data_);
    type_.clear();
    data_.clear();
    has_data_ = false;
    return;
  }
  const size_t colon = line.find(':');
  if (colon == 0) return;  // a comment: the log's heartbeat
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (name == "id") {
    id_ = value;
  } else if (name == "event") {
    type_ = value;
  }
}

}  // namespace nearside::edge
