#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dns/rdata.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// One entry of a zone file: what stands on a line, or on several between parentheses.
struct ZoneEntry {
  bool begins_blank = false;  ///< no owner: the last one holds
  int line = 0;               ///< of its first word
  std::vector<dns::Word> words;
};

/// Cuts a zone file into words: comments, quotes, parentheses and escapes are dealt with here
/// (escapes stay in the words). The text must outlive the scanner.
class ZoneScanner {
 public:
  explicit ZoneScanner(std::string_view text) : text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);  // some editors' mark of UTF-8
  }

  /// Reads the next entry that has words; false at the end of the file. Error: kOperator bad_zone
  /// (unbalanced parentheses, a quote left open), after which line() tells where, and the scanner
  /// has gone to the next line.
  Result<bool> Next(ZoneEntry* entry);
  int line() const { return line_; }

 private:
  Status ScanQuoted(ZoneEntry* entry);
  void ScanWord(ZoneEntry* entry);
  void SkipToLineEnd();
  bool at_end() const { return at_ >= text_.size(); }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace nearside::geodns
