#pragma once

// What people see: colours and progress on a terminal, plain lines elsewhere.

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"

namespace nearside::cli {

enum class Colour { kNone, kGreen, kYellow, kRed, kDim, kBold };

/// Where output goes. Main thread, but for Progress.
class Terminal {
 public:
  /// Colours and progress when `out` is a terminal, NO_COLOR is not set and TERM is not "dumb".
  Terminal(std::FILE* out, std::FILE* errors);

  void Line(std::string_view text);
  void Error(std::string_view text);
  std::string Paint(Colour colour, std::string_view text) const;
  bool is_terminal() const { return is_terminal_; }
  std::FILE* out() const { return out_; }
  size_t width() const;

 private:
  std::FILE* out_;
  std::FILE* errors_;
  bool is_terminal_ = false;
  bool colours_ = false;
};

/// Columns that line up whatever is in them. Cells may be painted.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { Add(std::move(header), Colour::kNone); }
  void Add(std::vector<std::string> cells, Colour colour = Colour::kNone);
  void Print(Terminal& terminal) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    Colour colour;
  };
  std::vector<Row> rows_;
};

/// A bar on a terminal, redrawn a few times a second; elsewhere one line at the end. Any thread.
class Progress {
 public:
  Progress(Terminal& terminal, std::string label, uint64_t total_bytes, size_t total_items);
  void AddBytes(uint64_t bytes);
  void ItemDone();
  /// Leaves the last state on the screen.
  void Finish();

 private:
  void Draw(bool last);

  Terminal& terminal_;
  const std::string label_;
  const uint64_t total_bytes_;
  const size_t total_items_;
  std::mutex mutex_;
  uint64_t bytes_ = 0;
  size_t items_ = 0;
  MonoTime started_ = MonoNow();
  MonoTime drawn_;
  bool finished_ = false;
};

/// "812 B", "37.9 MB": decimal, for people.
std::string HumanBytes(uint64_t bytes);
/// "3 ms", "1.2 s", "5 min", "2 h", "3 d".
std::string HumanDuration(milliseconds duration);
/// "2026-11-20 08:05:23Z" of milliseconds since 1970.
std::string HumanTime(int64_t unix_millis);
/// "1 site", "2 sites".
std::string Count(size_t number, std::string_view noun);
/// Characters that a terminal would obey are shown as "?".
std::string Printable(std::string_view text);

}  // namespace nearside::cli
