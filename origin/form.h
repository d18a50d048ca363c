#pragma once

// What an HTML form sends: application/x-www-form-urlencoded (the URL Standard §5). Pure.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/fields.h"
#include "runtime/result.h"

namespace nearside::origin {

inline constexpr size_t kFormBytes = 16 << 10;
inline constexpr size_t kFormFields = 64;

class Form {
 public:
  /// Strict: a name that comes twice, a NUL and bad percent-encoding are no form of ours. Errors:
  /// kClient bad_form.
  static Result<Form> Parse(std::string_view text);

  /// "" when it is absent.
  std::string_view Get(std::string_view name) const;
  size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// Whether the content says that it is a form; parameters do not matter.
bool IsForm(const http::Fields& fields);

}  // namespace nearside::origin
