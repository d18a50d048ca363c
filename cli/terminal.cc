#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace nearside::cli {
namespace {

constexpr milliseconds kRedraw{100};
constexpr size_t kBarCells = 24;

std::string_view Code(Colour colour) {
  switch (colour) {
    case Colour::kGreen:
      return "\x1b[32m";
    case Colour::kYellow:
      return "\x1b[33m";
    case Colour::kRed:
      return "\x1b[31m";
    case Colour::kDim:
      return "\x1b[2m";
    case Colour::kBold:
      return "\x1b[1m";
    case Colour::kNone:
      break;
  }
  return "";
}

/// Characters on the screen, for UTF-8 without wide ones.
size_t CellsOf(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

std::string Format(const char* format, double value, const char* unit) {
  char text[48];
  std::snprintf(text, sizeof text, format, value, unit);
  return text;
}

}  // namespace

Terminal::Terminal(std::FILE* out, std::FILE* errors) : out_(out), errors_(errors) {
  const char* term = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");
  is_terminal_ =
      ::isatty(::fileno(out)) == 1 && term != nullptr && std::string_view(term) != "dumb";
  colours_ = is_terminal_ && (no_colour == nullptr || *no_colour == '\0');
}

void Terminal::Line(std::string_view text) {
  std::fprintf(out_, "%.*s\n", static_cast<int>(text.size()), text.data());
  std::fflush(out_);
}

void Terminal::Error(std::string_view text) {
  std::fflush(out_);
  std::fprintf(errors_, "nearside: %.*s\n", static_cast<int>(text.size()), text.data());
}

std::string Terminal::Paint(Colour colour, std::string_view text) const {
  if (!colours_ || colour == Colour::kNone) return std::string(text);
  return std::string(Code(colour)) + std::string(text) + "\x1b[0m";
}

size_t Terminal::width() const {
  winsize size{};
  if (::ioctl(::fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void TextTable::Add(std::vector<std::string> cells, Colour colour) {
  rows_.push_back({std::move(cells), colour});
}

void TextTable::Print(Terminal& terminal) const {
  std::vector<size_t> widths;
  for (const Row& row : rows_) {
    widths.resize(std::max(widths.size(), row.cells.size()));
    for (size_t i = 0; i < row.cells.size(); ++i) {
      widths[i] = std::max(widths[i], CellsOf(row.cells[i]));
    }
  }
  for (size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows_[r].cells.size(); ++i) {
      const std::string& cell = rows_[r].cells[i];
      line += cell;
      if (i + 1 < rows_[r].cells.size()) line.append(widths[i] - CellsOf(cell) + 2, ' ');
    }
    terminal.Line(terminal.Paint(r == 0 ? Colour::kDim : rows_[r].colour, line));
  }
}

Progress::Progress(Terminal& terminal, std::string label, uint64_t total_bytes, size_t total_items)
    : terminal_(terminal),
      label_(std::move(label)),
      total_bytes_(total_bytes),
      total_items_(total_items) {}

void Progress::AddBytes(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  bytes_ = std::min(bytes_ + bytes, total_bytes_);
  Draw(/*last=*/false);
}

void Progress::ItemDone() {
  std::lock_guard lock(mutex_);
  ++items_;
  Draw(/*last=*/false);
}

void Progress::Finish() {
  std::lock_guard lock(mutex_);
  if (!std::exchange(finished_, true)) Draw(/*last=*/true);
}

void Progress::Draw(bool last) {
  const MonoTime now = MonoNow();
  const bool due = now - drawn_ >= kRedraw;
  if (!last && (!terminal_.is_terminal() || !due)) return;
  drawn_ = now;
  const double share =
      total_bytes_ == 0 ? 1.0 : static_cast<double>(bytes_) / static_cast<double>(total_bytes_);
  const double elapsed = std::chrono::duration<double>(now - started_).count();
  std::string line = label_ + "  " + std::to_string(items_) + "/" + std::to_string(total_items_) +
                     " files  " + HumanBytes(bytes_);
  if (elapsed > 0.2)
    line += "  " + HumanBytes(static_cast<uint64_t>(static_cast<double>(bytes_) / elapsed)) + "/s";
  if (terminal_.is_terminal()) {
    const auto filled = static_cast<size_t>(share * static_cast<double>(kBarCells));
    std::string bar = "[" + std::string(filled, '=') + std::string(kBarCells - filled, ' ') + "] ";
    line = (bar + line).substr(0, terminal_.width() - 1);
    std::fprintf(terminal_.out(), "\r\x1b[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(terminal_.out(), "%s\n", line.c_str());
  }
  std::fflush(terminal_.out());
}

std::string HumanBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return Format(unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
}

std::string HumanDuration(milliseconds duration) {
  const auto ms = static_cast<double>(duration.count());
  if (ms < 1000) return Format("%.0f %s", ms, "ms");
  if (ms < 120'000) return Format("%.1f %s", ms / 1000, "s");
  if (ms < 7'200'000) return Format("%.0f %s", ms / 60'000, "min");
  if (ms < 172'800'000) return Format("%.0f %s", ms / 3'600'000, "h");
  return Format("%.0f %s", ms / 86'400'000, "d");
}

std::string HumanTime(int64_t unix_millis) {
  const std::time_t seconds_since = static_cast<std::time_t>(unix_millis / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds_since, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &parts);
  return text;
}

std::string Count(size_t number, std::string_view noun) {
  return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

std::string Printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return shown;
}

}  // namespace nearside::cli
