#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"

namespace nearside::http {

/// The languages of an Accept-Language in the order in which they are wanted (RFC 9110 §12.5.4,
/// RFC 4647 §2.3). A value.
class AcceptLanguage {
 public:
  /// nullopt: there is no such field, it names no language that is accepted, breaks the grammar, or
  /// is longer than anybody's list of languages.
  static std::optional<AcceptLanguage> Parse(const Fields& request);

  /// One text for all fields that want the same in the same order: lower case, each language once,
  /// those of one weight in alphabetical order, weights by rank: "de, en, fr;q=0.9". What is
  /// refused stands there only as an exception from what is accepted.
  std::string ToText() const;
  /// The language that is wanted most, if it is only one; "" otherwise, and for "*".
  std::string_view first() const;

 private:
  struct Range {
    std::string tag;
    int thousandths = 0;
  };
  bool IsException(const Range& refused) const;
  std::vector<Range> ranges_;  ///< by falling weight, then by tag; never empty
};

/// The language of a response for one audience (RFC 9110 §8.5) in lower case; "" when
/// Content-Language names none or several.
std::string SoleContentLanguage(const Fields& response);

}  // namespace nearside::http
