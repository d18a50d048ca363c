#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "dns/rdata.h"

namespace nearside::dns {

/// Splits at spaces and before quotes; a word in quotes is one word.
inline std::vector<Word> Words(std::string_view text) {
  std::vector<Word> words;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
    } else if (text[at] == '"') {
      const bool glued = at > 0 && text[at - 1] != ' ';
      size_t end = at + 1;
      while (text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      words.push_back({std::string(text.substr(at + 1, end - at - 1)), true, glued});
      at = end + 1;
    } else {
      size_t end = at;
      while (end < text.size() && text[end] != ' ' && text[end] != '"') {
        end += text[end] == '\\' ? 2 : 1;
      }
      end = std::min(end, text.size());
      words.push_back({std::string(text.substr(at, end - at)), false});
      at = end;
    }
  }
  return words;
}

}  // namespace nearside::dns
