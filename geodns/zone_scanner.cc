#include "geodns/zone_scanner.h"

namespace nearside::geodns {
namespace {

tl::unexpected<Error> Bad(std::string message) {
  return Fail(Fault::kOperator, "bad_zone", std::move(message));
}

bool EndsWord(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';' || c == '(' || c == ')' ||
         c == '"';
}

}  // namespace

Result<bool> ZoneScanner::Next(ZoneEntry* entry) {
  *entry = ZoneEntry();
  int open_line = 0;  // of the open parenthesis; 0: none is open
  bool at_line_start = true;
  while (!at_end()) {
    char c = text_[at_];
    if (at_line_start && entry->words.empty() && open_line == 0)
      entry->begins_blank = c == ' ' || c == '\t';
    at_line_start = false;
    if (c == '\n') {
      ++at_;
      ++line_;
      if (open_line == 0 && !entry->words.empty()) return true;
      at_line_start = true;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++at_;
    } else if (c == ';') {
      SkipToLineEnd();
    } else if (c == '(') {
      if (open_line != 0) {
        SkipToLineEnd();
        return Bad("a parenthesis inside parentheses");
      }
      open_line = line_;
      ++at_;
    } else if (c == ')') {
      if (open_line == 0) {
        SkipToLineEnd();
        return Bad("a closing parenthesis without an opening one");
      }
      open_line = 0;
      ++at_;
    } else {
      if (entry->words.empty()) entry->line = line_;
      if (c != '"') {
        ScanWord(entry);
      } else if (auto status = ScanQuoted(entry); !status) {
        return tl::unexpected(std::move(status.error()));
      }
    }
  }
  if (open_line != 0)
    return Bad("the parenthesis of line " + std::to_string(open_line) + " is never closed");
  return !entry->words.empty();
}

void ZoneScanner::ScanWord(ZoneEntry* entry) {
  size_t begin = at_;
  while (!at_end() && !EndsWord(text_[at_])) {
    if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
    ++at_;
  }
  entry->words.push_back({std::string(text_.substr(begin, at_ - begin)), false});
}

Status ZoneScanner::ScanQuoted(ZoneEntry* entry) {
  const bool glued = at_ > 0 && !EndsWord(text_[at_ - 1]) && !entry->words.empty();
  size_t begin = ++at_;
  while (!at_end() && text_[at_] != '"') {
    if (text_[at_] == '\n') return Bad("a quote that is not closed on its line");
    if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
    ++at_;
  }
  if (at_end()) return Bad("a quote that is not closed on its line");
  entry->words.push_back({std::string(text_.substr(begin, at_ - begin)), true, glued});
  ++at_;
  return {};
}

void ZoneScanner::SkipToLineEnd() {
  while (!at_end() && text_[at_] != '\n') ++at_;
}

}  // namespace nearside::geodns
