#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace nearside::edge {

/// Reads a stream of server-sent events (WHATWG HTML, "event stream interpretation"): any split of
/// the bytes gives the same events. Pure; one thread.
class EventStreamParser {
 public:
  /// The longest event kept: a purge of 10,000 URLs of 100 bytes. A longer one is an error of the
  /// sender.
  static constexpr size_t kLongestEvent = 4 << 20;
  using OnEvent =
      std::function<void(std::string_view id, std::string_view type, std::string_view data)>;

  explicit EventStreamParser(OnEvent on_event) : on_event_(std::move(on_event)) {}
  /// False when an event is longer than kLongestEvent; the stream is then of no more use.
  bool Feed(std::string_view bytes);

 private:
  void Line(std::string_view line);
  OnEvent on_event_;
  std::string line_;
  std::string id_;  ///< of the last event that had one
  std::string type_;
  std::string data_;
  bool has_data_ = false;
  bool begun_ = false;  ///< the first line, which may begin with a byte order mark, is read
  bool after_carriage_return_ = false;
};

}  // namespace nearside::edge
