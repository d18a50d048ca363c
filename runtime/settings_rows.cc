#include "runtime/settings_rows.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "runtime/fatal.h"
#include "runtime/nearest_word.h"

namespace nearside::settings {

namespace {

template <typename N>
std::optional<Parsed> ParseNumber(std::string_view text) {
  N number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return Parsed(number);
}

template <typename T>
std::optional<Parsed> ToParsed(Result<T> result) {
  if (!result) return std::nullopt;
  return Parsed(*result);
}

Parsed Measure(const Parsed& value) {
  return std::visit(
      [](const auto& held) -> Parsed {
        if constexpr (requires { held.size(); }) {
          return static_cast<int64_t>(held.size());
        } else {
          return held;
        }
      },
      value);
}

std::string_view Form(Type type) {
  switch (type) {
    case Type::kText:
      return "text";
    case Type::kBool:
      return "true or false";
    case Type::kInteger:
      return "a whole number";
    case Type::kNumber:
      return "a number";
    case Type::kSize:
      return "a size like \"1GiB\"";
    case Type::kDuration:
      return "a duration like \"2s\"";
    case Type::kTexts:
      return "a list of texts";
    case Type::kIntegers:
      return "a list of whole numbers";
    case Type::kNumbers:
      return "a list of numbers";
  }
  return "";
}

/// "1 to 16", "2" when both are equal, "at least 1", "at most 16".
std::string Between(const std::string& least, const std::string& most) {
  if (least == most) return least;
  if (most.empty()) return "at least " + least;
  if (least.empty()) return "at most " + most;
  return least + " to " + most;
}

/// "a size from 64MiB to 16TiB", "a whole number of at least 1".
std::string Within(std::string_view noun, const std::string& least, const std::string& most) {
  const bool both = !least.empty() && !most.empty() && least != most;
  return std::string(noun) + (both ? " from " : " of ") + Between(least, most);
}

/// "a list of 1 to 16 texts", "a list of at least 1 text".
std::string Counted(std::string_view noun, std::string_view things, const std::string& least,
                    const std::string& most) {
  std::string text = std::string(noun) + " of " + Between(least, most) + " " + std::string(things);
  const bool one = most == "1" || (most.empty() && least == "1");
  if (one) text.pop_back();  // every noun counted here ends in s
  return text;
}

std::string OneOf(const std::vector<std::string>& choices, std::string_view last_joint) {
  std::string text;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) text += i + 1 == choices.size() ? last_joint : ", ";
    text += Quote(choices[i]);
  }
  return text;
}

}  // namespace

bool IsList(Type type) {
  return type == Type::kTexts || type == Type::kIntegers || type == Type::kNumbers;
}

Type ElementType(Type list) {
  if (list == Type::kTexts) return Type::kText;
  return list == Type::kIntegers ? Type::kInteger : Type::kNumber;
}

std::optional<Parsed> ParseBound(Type type, std::string_view text) {
  switch (type) {
    case Type::kInteger:
      return ParseNumber<int64_t>(text);
    case Type::kNumber:
      return ParseNumber<double>(text);
    case Type::kSize:
      return ToParsed(ParseSize(text));
    case Type::kDuration:
      return ToParsed(ParseDuration(text));
    default:
      return std::nullopt;
  }
}

std::string Quote(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (byte < ' ' || byte == 0x7f) {
      quoted += "\\u00";
      quoted += kDigits[byte >> 4];
      quoted += kDigits[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string Literal(Type type, std::string_view text) {
  if (type == Type::kText || type == Type::kSize || type == Type::kDuration) return Quote(text);
  if (!IsList(type) || text == "[]") return std::string(text);
  std::string literal = "[";
  while (true) {
    const size_t comma = text.find(',');
    std::string_view element = text.substr(0, comma);
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    literal += Literal(ElementType(type), element);
    if (comma == std::string_view::npos) return literal + "]";
    literal += ", ";
    text.remove_prefix(comma + 1);
  }
}

void Rows::Row::ReadBounds() {
  const Type type = IsCounted() ? Type::kInteger : kind.type;
  const auto read = [&](const std::string& text, Bound* bound) {
    if (text.empty()) return;
    *bound = ParseBound(type, text);
    if (!*bound) Fatal("setting " + key + ": \"" + text + "\" is no bound for its type");
  };
  read(spec.least, &least);
  read(spec.most, &most);
  if (shape == Shape::kKey && kind.type == Type::kInteger) {
    using Limits = std::numeric_limits<int64_t>;
    if (!least && kind.least != Limits::min()) least = Parsed(kind.least);
    if (!most && kind.most != Limits::max()) most = Parsed(kind.most);
    if ((least && std::get<int64_t>(*least) < kind.least) ||
        (most && std::get<int64_t>(*most) > kind.most)) {
      Fatal("setting " + key + ": its bounds do not fit its C++ type");
    }
  }
  if (spec.required && !least && IsCounted()) least = Parsed(int64_t{1});
  if (least && most && *most < *least) {
    Fatal("setting " + key + ": its bounds are the wrong way round");
  }
}

bool Rows::Row::IsCounted() const {
  if (shape != Shape::kKey) return shape == Shape::kEach;
  return IsList(kind.type) || kind.type == Type::kText;
}

std::optional<Miss> Rows::Row::OutOfRange(const Parsed& value) const {
  const Parsed measure = Measure(value);
  if (least && measure < *least) return Miss::kTooSmall;
  if (most && *most < measure) return Miss::kTooLarge;
  return std::nullopt;
}

bool Rows::Row::Allows(std::string_view text) const {
  const std::vector<std::string>& choices = spec.one_of;
  return choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end();
}

std::string Rows::Row::ExpectedChoice() const { return "one of " + OneOf(spec.one_of, ", "); }

std::string Rows::Row::ExpectedElement() const {
  return std::string(Form(ElementType(kind.type))) + " in this list";
}

std::string Rows::Row::Expected(Miss miss) const {
  if (shape == Shape::kSub || shape == Shape::kOptionalSub) return "a table";
  if (!spec.one_of.empty() && kind.type == Type::kText) return ExpectedChoice();
  std::string from = spec.least;
  std::string to = spec.most;
  // Bounds that no row wrote: one for what must not be empty, and those of the C++ type, told when
  // they matter.
  const bool counted = IsCounted();
  const bool wrote_none = from.empty() && to.empty();
  if (counted || (kind.type == Type::kInteger && miss != Miss::kForm)) {
    const bool tell_least = counted || wrote_none || miss == Miss::kTooSmall;
    const bool tell_most = counted || wrote_none || miss == Miss::kTooLarge;
    if (from.empty() && least && tell_least) from = std::to_string(std::get<int64_t>(*least));
    if (to.empty() && most && tell_most) to = std::to_string(std::get<int64_t>(*most));
  }
  const bool bounded = !from.empty() || !to.empty();
  if (shape == Shape::kEach) {
    const std::string header = " ([[" + key + "]])";
    return (bounded ? Counted("a list", "tables", from, to) : "a list of tables") + header;
  }
  std::string form(Form(kind.type));
  if (!bounded) return form;
  switch (kind.type) {
    case Type::kText:
      if (from == "1" && to.empty()) return "text that is not empty";
      return Counted(form, "bytes", from, to);
    case Type::kSize:
    case Type::kDuration:
      if (miss == Miss::kForm) return form;
      return Within(kind.type == Type::kSize ? "a size" : "a duration", from, to);
    case Type::kTexts:
      return Counted("a list", "texts", from, to);
    case Type::kIntegers:
      return Counted("a list", "whole numbers", from, to);
    case Type::kNumbers:
      return Counted("a list", "numbers", from, to);
    default:
      return Within(form, from, to);
  }
}

std::string Rows::Row::Range() const {
  if (!spec.one_of.empty()) return OneOf(spec.one_of, " or ");
  if (spec.least.empty() && spec.most.empty()) return "";
  std::string range = Between(spec.least, spec.most);
  if (!IsCounted()) return range;
  return range + (kind.type == Type::kText && shape == Shape::kKey ? " bytes" : " of them");
}

Rows::Row Rows::NewRow(std::string_view key, const Spec& spec, Shape shape, Kind kind) const {
  if (Find(key) != nullptr) Fatal("setting " + std::string(key) + " has two rows");
  Row row;
  row.key = key;
  row.spec = spec;
  row.shape = shape;
  row.kind = kind;
  row.ReadBounds();
  return row;
}

std::string Rows::Keys() const {
  std::string text;
  for (const Row& row : rows) {
    if (!text.empty()) text += ", ";
    text += row.key;
  }
  return text;
}

const Rows::Row* Rows::Find(std::string_view key) const {
  for (const Row& row : rows) {
    if (row.key == key) return &row;
  }
  return nullptr;
}

std::string_view Rows::Nearest(std::string_view key) const {
  std::vector<std::string_view> keys;
  for (const Row& row : rows) keys.emplace_back(row.key);
  return NearestWord(key, keys);
}

}  // namespace nearside::settings
