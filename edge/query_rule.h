#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "edge/settings.h"

namespace nearside::edge {

/// Which parameters of a query stand in a site's keys, and in which order. A fill asks the origin
/// for the same: what a key leaves out shapes no stored response, however an origin reads it ("&"
/// alone separates parameters here; some origins take ";" as well). Immutable, any thread.
class QueryRule {
 public:
  /// Keeps every query as it is.
  QueryRule() = default;
  explicit QueryRule(const SiteSettings& site);

  /// Whether any target comes out other than it went in.
  bool changes() const { return changes_; }
  /// `normal_target` is as http::NormalizeTarget gives it. Doing it twice changes nothing more. A
  /// query of which nothing is left goes with its "?".
  std::string Apply(std::string normal_target) const;

 private:
  /// A parameter's name, or with a final "*" the beginning of names.
  struct Pattern {
    std::string text;
    bool is_prefix = false;
    bool Matches(std::string_view name) const;
  };
  static std::vector<Pattern> PatternsOf(const std::vector<std::string>& names);
  static bool AnyMatches(const std::vector<Pattern>& patterns, std::string_view name);
  bool Keeps(std::string_view name) const;

  bool changes_ = false;
  bool ignores_all_ = false;
  bool sorts_ = false;
  std::vector<Pattern> ignored_;
  std::vector<Pattern> kept_;  ///< empty: all
};

}  // namespace nearside::edge
