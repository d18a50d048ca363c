#include "http/weight.h"

#include "http/characters.h"
#include "http/field_list.h"

namespace nearside::http {
namespace {

constexpr int kWhole = 1000;

std::optional<int> ParseWeight(std::string_view text) {
  if (text.empty() || (text.front() != '0' && text.front() != '1')) return std::nullopt;
  int thousandths = text.front() == '1' ? kWhole : 0;
  text.remove_prefix(1);
  if (text.empty()) return thousandths;
  if (text.front() != '.') return std::nullopt;
  text.remove_prefix(1);
  int unit = kWhole / 10;
  for (const char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    thousandths += unit * (c - '0');
    unit /= 10;
  }
  return thousandths <= kWhole ? std::optional(thousandths) : std::nullopt;
}

}  // namespace

WeightedMember SplitWeight(std::string_view member) {
  const size_t end = member.find(';');
  WeightedMember weighted{.value = TrimSpace(member.substr(0, end))};
  if (end == std::string_view::npos) return weighted;
  ListReader parameters(member.substr(end + 1), ';');
  while (const auto parameter = parameters.Next()) {
    const Argument argument = SplitArgument(*parameter);
    if (!EqualsIgnoringCase(argument.name, "q")) continue;
    weighted.thousandths = ParseWeight(argument.value.value_or(""));
    break;
  }
  return weighted;
}

std::string FormatWeight(int thousandths) {
  if (thousandths >= kWhole) return "1";
  if (thousandths <= 0) return "0";
  std::string text = "0.";
  for (int unit = kWhole / 10; thousandths > 0; unit /= 10) {
    text += static_cast<char>('0' + thousandths / unit);
    thousandths %= unit;
  }
  return text;
}

}  // namespace nearside::http
