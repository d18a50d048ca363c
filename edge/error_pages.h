#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "runtime/result.h"
#include "runtime/units.h"

namespace nearside::edge {

inline constexpr ByteSize kLargestErrorPage{64 << 10};

/// Pages that a site has for errors, by status. Immutable, any thread.
class ErrorPages {
 public:
  /// The files 400.html to 599.html, 4xx.html and 5xx.html of a folder. "": none. Blocks. Error:
  /// kOperator bad_error_pages for a page that cannot be read or is too large, and for a folder
  /// without any.
  static Result<ErrorPages> Read(const std::string& folder);

  /// The page of `status`, else that of its class; null when there is neither. Valid as long as
  /// this.
  const std::string* Find(int status) const;

 private:
  std::map<int, std::string> pages_;  ///< 4 and 5: of the class
};

/// Adds the lines of an error's answer that still hold when a page stands for its body: all but
/// those that describe the body.
void AddWithoutBodyFields(std::span<const http::FieldLine> lines, http::Fields* kept);

}  // namespace nearside::edge
