#pragma once

// A `_headers` file, in the convention that Netlify began: a path, and below it fields of the
// answers whose path it matches.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/path_pattern.h"
#include "runtime/result.h"

namespace nearside::http {

inline constexpr size_t kHeaderRules = 1'000;    ///< paths of a file
inline constexpr size_t kHeaderRuleFields = 32;  ///< of one path
inline constexpr size_t kHeaderRuleTags = 60;    ///< of Surrogate-Key and Cache-Tag, in all

/// Names in lower case.
using HeaderFields = std::vector<std::pair<std::string, std::string>>;

/// Immutable.
class HeaderRules {
 public:
  /// Error: kClient bad_rules, naming file and line: also for a field that IsSettableField refuses.
  static Result<HeaderRules> Parse(std::string_view text);

  /// The fields of all rules that match the path (as of PathPattern::Match), each name once:
  /// several lines of one rule are joined by ", ", a later rule replaces what an earlier one says.
  /// Tags come together as "surrogate-key", parted by spaces.
  HeaderFields FieldsOf(std::string_view path) const;
  size_t size() const { return rules_.size(); }

 private:
  struct Rule {
    PathPattern path;
    HeaderFields fields;
    std::vector<std::string> tags;
  };
  Status AddPath(std::string_view line);
  Status AddField(std::string_view line);
  Status AddTags(std::string_view value);

  std::vector<Rule> rules_;
  size_t tags_ = 0;
};

}  // namespace nearside::http
