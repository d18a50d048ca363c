#include "origin/form.h"

#include <algorithm>
#include <optional>

#include "http/uri.h"

namespace nearside::origin {
namespace {

tl::unexpected<Error> BadForm(std::string message) {
  return Fail(Fault::kClient, "bad_form", std::move(message));
}

/// nullopt for what no form of ours holds.
std::optional<std::string> DecodeFormText(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  std::optional<std::string> plain = http::PercentDecode(spaced);
  if (plain && plain->find('\0') != std::string::npos) return std::nullopt;
  return plain;
}

}  // namespace

Result<Form> Form::Parse(std::string_view text) {
  Form form;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    std::optional<std::string> name = DecodeFormText(pair.substr(0, equals));
    std::optional<std::string> value =
        DecodeFormText(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value) return BadForm("the form is badly encoded");
    const auto same = [&](const auto& field) { return field.first == *name; };
    if (std::any_of(form.fields_.begin(), form.fields_.end(), same)) {
      return BadForm("a field of the form comes twice");
    }
    if (form.fields_.size() == kFormFields) return BadForm("the form has too many fields");
    form.fields_.emplace_back(std::move(*name), std::move(*value));
  }
  return form;
}

std::string_view Form::Get(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (key == name) return value;
  }
  return {};
}

bool IsForm(const http::Fields& fields) {
  constexpr std::string_view kType = "application/x-www-form-urlencoded";
  const std::string_view type = fields.Get("content-type").value_or("");
  std::string_view plain = type.substr(0, type.find(';'));
  while (!plain.empty() && (plain.back() == ' ' || plain.back() == '\t')) plain.remove_suffix(1);
  return http::LowerName(plain) == kType;
}

}  // namespace nearside::origin
