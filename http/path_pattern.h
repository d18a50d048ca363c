#pragma once

// Patterns of paths as `_headers` and `_redirects` files write them: "/docs/*",
// "/blog/:year/:slug".

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace nearside::http {

/// What a placeholder stood for: percent-encoding undone. The star's is "splat".
struct Capture {
  std::string name;
  std::string value;
};
using Captures = std::vector<Capture>;

/// A path of texts, of placeholders (":name", a whole segment each, never empty) and at most one
/// star, which takes whatever is left. A slash at the end makes no difference, and "/docs/*" is
/// "/docs" as well. Immutable.
class PathPattern {
 public:
  enum class Star {
    kAtEnd,     ///< a whole last segment: "/docs/*"
    kAnywhere,  ///< text may stand beside it: "/img/*.png"
  };
  /// `text` may be percent-encoded; what is to be taken literally (":" that begins a segment, "*")
  /// must be. Error: kClient bad_rule.
  static Result<PathPattern> Parse(std::string_view text, Star star);

  /// `path` begins with "/", its percent-encoding undone. Takes time in proportion to its length.
  std::optional<Captures> Match(std::string_view path) const;
  /// Whether a match captures this name.
  bool Has(std::string_view name) const;
  /// Nothing but text: it matches one path.
  bool is_plain() const { return !has_star_ && pieces_.size() == 1 && !pieces_[0].placeholder; }

 private:
  struct Piece {
    std::string text;  ///< or the placeholder's name
    bool placeholder = false;
  };
  Status AddSegment(std::string_view segment, Star star);
  Status AddText(std::string_view encoded);
  std::optional<Captures> MatchWhole(std::string_view path) const;

  std::vector<Piece> pieces_;  ///< before the star
  bool has_star_ = false;
  std::string behind_star_;
};

/// The longest beginning of `text` that can be the name of a placeholder: letters, digits, "_".
std::string_view PlaceholderName(std::string_view text);

}  // namespace nearside::http
