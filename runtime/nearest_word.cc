#include "runtime/nearest_word.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace nearside {
namespace {

constexpr size_t kLongestWord = 64;

/// Levenshtein's distance, with the swap of two neighbours as one step.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last;
  std::vector<size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    std::vector<size_t> row(b.size() + 1);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = std::exchange(last, std::move(row));
  }
  return last.back();
}

}  // namespace

std::string_view NearestWord(std::string_view word, std::span<const std::string_view> words) {
  if (word.size() > kLongestWord) return {};
  std::string_view nearest;
  size_t allowed = std::max<size_t>(1, word.size() / 3);
  for (const std::string_view known : words) {
    const size_t distance = Distance(word, known);
    if (distance > allowed || (distance == allowed && !nearest.empty())) continue;
    allowed = distance;
    nearest = known;
  }
  return nearest;
}

}  // namespace nearside
