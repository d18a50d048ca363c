#pragma once

// What somebody who mistyped a key or a command may have meant.

#include <span>
#include <string_view>

namespace nearside {

/// The one of `words` that is `word` but for few letters: a third of them, one always. Empty when
/// there is none, or the word is longer than 64 bytes. Of equally near ones the first.
std::string_view NearestWord(std::string_view word, std::span<const std::string_view> words);

}  // namespace nearside
