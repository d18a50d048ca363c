#pragma once

// A `_redirects` file, in the convention that Netlify began: a line "FROM TO [STATUS[!]]" a rule.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/path_pattern.h"
#include "runtime/result.h"

namespace nearside::http {

inline constexpr size_t kRedirectRules = 2'000;

/// What a rule makes of a request.
struct RedirectTarget {
  int status = 0;
  std::string location;  ///< of 301, 302, 303, 307, 308: percent-encoded, "/…" or "https://…"
  std::string page;      ///< of 200, 404, 410: the path of the site's that is served, not encoded
};

/// Where a rule leads: texts, and the names of what was captured between them.
class RedirectTemplate {
 public:
  enum class Form {
    kLocation,  ///< percent-encoded, as a client is told
    kPage,      ///< a path of the site's own, not encoded
  };
  /// Errors: kClient bad_rule.
  static Result<RedirectTemplate> Parse(std::string_view text, Form form, const PathPattern& from);
  std::string Fill(const Captures& captures) const;
  bool is_plain() const { return pieces_.size() == 1 && !pieces_[0].captured; }
  /// The text of a plain one.
  const std::string& text() const { return pieces_.front().text; }

 private:
  struct Piece {
    std::string text;       ///< or the name of what was captured
    bool captured = false;  ///< its value stands here
    bool in_query = false;
  };
  Status AddText(std::string_view text);
  Status AddAll(std::string_view text, const PathPattern& from);

  Form form_ = Form::kLocation;
  std::vector<Piece> pieces_;
};

/// Immutable.
class RedirectRules {
 public:
  /// Error: kClient bad_rules, naming file and line.
  static Result<RedirectRules> Parse(std::string_view text);

  /// What stands above a file of the site: the first rule with "!" that matches the path (as of
  /// PathPattern::Match).
  std::optional<RedirectTarget> FindForced(std::string_view path) const;
  /// What holds where the site has no file: the first rule that matches.
  std::optional<RedirectTarget> Find(std::string_view path) const;
  /// Whether a rule may serve the file at this path of the site ("docs/index.html") under another.
  bool MayServe(std::string_view asset) const;
  size_t size() const { return rules_.size(); }

 private:
  struct Rule {
    PathPattern from;
    RedirectTemplate to;
    int status = 301;
    bool forced = false;
  };
  static Result<Rule> ParseLine(std::string_view line);
  static std::optional<RedirectTarget> Apply(const Rule& rule, std::string_view path);

  std::vector<Rule> rules_;
};

}  // namespace nearside::http
