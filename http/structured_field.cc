#include "http/structured_field.h"

#include <algorithm>

#include "http/characters.h"

namespace nearside::http::structured {

namespace {

constexpr int64_t kLargestInteger = 999'999'999'999'999;  // RFC 9651 §3.3.1
constexpr size_t kIntegerDigits = 15;
constexpr size_t kDecimalWholeDigits = 12;
constexpr size_t kDecimalFractionDigits = 3;
// RFC 9651 §3.1, §3.2 ask for 1024 members at least and 256 parameters and inner items at least;
// more serves nobody here.
constexpr size_t kMembers = 1024;
constexpr size_t kInnerItems = 256;

constexpr CharacterSet kSfTokenCharacters = AlphanumericAnd("!#$%&'*+-.^_`|~:/");

constexpr bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool IsKeyStart(char c) { return IsLower(c) || c == '*'; }
constexpr bool IsKeyCharacter(char c) {
  return IsLower(c) || IsDigit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}
constexpr bool IsPrintable(char c) { return c >= 0x20 && c < 0x7f; }

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int Base64Value(char c) {
  const size_t place = kBase64.find(c);
  return place == std::string_view::npos ? -1 : static_cast<int>(place);
}

/// RFC 9651 §4.2.7: padding may be missing.
std::optional<std::string> DecodeBase64(std::string_view text) {
  for (int pads = 0; pads < 2 && text.ends_with('='); ++pads) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    const int value = Base64Value(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xff);
  }
  return bytes;
}

std::string EncodeBase64(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += i + k <= bytes.size() ? kBase64[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size == 0 || lead > 0xf4 || text.size() - i < size) return false;
    uint32_t point = size == 1 ? lead : lead & (0xffu >> (size + 1));
    for (size_t k = 1; k < size; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3f);
    }
    const bool overlong = (size == 3 && point < 0x800) || (size == 4 && point < 0x10000);
    if (overlong || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    i += size;
  }
  return true;
}

template <typename Pairs, typename Value>
void SetKey(Pairs* pairs, std::string key, Value value) {
  const auto found = std::find_if(pairs->begin(), pairs->end(),
                                  [&](const auto& pair) { return pair.first == key; });
  if (found != pairs->end()) {
    found->second = std::move(value);
  } else {
    pairs->emplace_back(std::move(key), std::move(value));
  }
}

/// RFC 9651 §4.2, one function a production. Every one answers whether it read its part.
class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) { SkipSpaces(); }

  bool Done() {
    SkipSpaces();
    return rest_.empty();
  }

  bool ReadItem(Item* item) { return ReadBare(&item->value) && ReadParameters(&item->parameters); }

  bool ReadMember(Member* member) {
    if (!Starts('(')) return ReadItem(&member->emplace<Item>());
    return ReadInnerList(&member->emplace<InnerList>());
  }

  bool ReadMembers(List* list) {
    if (rest_.empty()) return true;
    do {
      if (list->size() == kMembers || !ReadMember(&list->emplace_back())) return false;
    } while (TakeComma());
    return !trailing_comma_;
  }

  bool ReadMembers(Dictionary* dictionary) {
    if (rest_.empty()) return true;
    do {
      std::string key;
      if (dictionary->size() == kMembers || !ReadKey(&key)) return false;
      Member member;
      if (Take('=')) {
        if (!ReadMember(&member)) return false;
      } else if (!ReadParameters(&std::get<Item>(member).parameters)) {
        return false;
      }
      SetKey(dictionary, std::move(key), std::move(member));
    } while (TakeComma());
    return !trailing_comma_;
  }

 private:
  bool Starts(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool Take(char c) {
    if (!Starts(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void SkipSpaces() {
    while (Take(' ')) {
    }
  }
  /// A comma with whitespace around it, and something behind.
  bool TakeComma() {
    const std::string_view before = rest_;
    while (Take(' ') || Take('\t')) {
    }
    if (!Take(',')) {
      rest_ = before;
      return false;
    }
    while (Take(' ') || Take('\t')) {
    }
    trailing_comma_ = rest_.empty();
    return !trailing_comma_;
  }

  template <typename Predicate>
  std::string_view TakeWhile(Predicate belongs) {
    size_t size = 0;
    while (size < rest_.size() && belongs(rest_[size])) ++size;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  bool ReadKey(std::string* key) {
    if (rest_.empty() || !IsKeyStart(rest_.front())) return false;
    *key = TakeWhile(IsKeyCharacter);
    return true;
  }

  bool ReadParameters(Parameters* parameters) {
    while (Take(';')) {
      SkipSpaces();
      std::string key;
      if (parameters->size() == kInnerItems || !ReadKey(&key)) return false;
      BareItem value = true;
      if (Take('=') && !ReadBare(&value)) return false;
      SetKey(parameters, std::move(key), std::move(value));
    }
    return true;
  }

  bool ReadInnerList(InnerList* list) {
    Take('(');
    while (!rest_.empty()) {
      SkipSpaces();
      if (Take(')')) return ReadParameters(&list->parameters);
      if (list->items.size() == kInnerItems || !ReadItem(&list->items.emplace_back())) return false;
      if (!Starts(' ') && !Starts(')')) return false;
    }
    return false;
  }

  bool ReadBare(BareItem* value) {
    if (rest_.empty()) return false;
    const char c = rest_.front();
    if (c == '-' || IsDigit(c)) return ReadNumber(value);
    if (c == '"') return ReadString(&value->emplace<std::string>());
    if (c == '*' || IsAlpha(c)) {
      value->emplace<Token>().text =
          TakeWhile([](char k) { return kSfTokenCharacters[static_cast<uint8_t>(k)]; });
      return true;
    }
    rest_.remove_prefix(1);
    if (c == ':') return ReadBytes(&value->emplace<Bytes>());
    if (c == '?') return ReadBoolean(value);
    if (c == '@') return ReadDate(value);
    if (c == '%') return ReadDisplayString(&value->emplace<DisplayString>());
    return false;
  }

  bool ReadNumber(BareItem* value) {
    const int64_t sign = Take('-') ? -1 : 1;
    const std::string_view whole = TakeWhile(IsDigit);
    if (whole.empty() || whole.size() > kIntegerDigits) return false;
    int64_t number = 0;
    for (char c : whole) number = number * 10 + (c - '0');
    if (!Take('.')) {
      *value = sign * number;
      return true;
    }
    const std::string_view fraction = TakeWhile(IsDigit);
    if (whole.size() > kDecimalWholeDigits || fraction.empty()) return false;
    if (fraction.size() > kDecimalFractionDigits) return false;
    for (size_t i = 0; i < kDecimalFractionDigits; ++i) {
      number = number * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
    }
    *value = Decimal{sign * number};
    return true;
  }

  bool ReadString(std::string* text) {
    Take('"');
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\') {
        if (!Starts('"') && !Starts('\\')) return false;
        c = rest_.front();
        rest_.remove_prefix(1);
      } else if (!IsPrintable(c)) {
        return false;
      }
      *text += c;
    }
    return false;
  }

  bool ReadBytes(Bytes* bytes) {
    const size_t end = rest_.find(':');
    if (end == std::string_view::npos) return false;
    std::optional<std::string> decoded = DecodeBase64(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    if (decoded) bytes->bytes = *std::move(decoded);
    return decoded.has_value();
  }

  bool ReadBoolean(BareItem* value) {
    if (!Starts('0') && !Starts('1')) return false;
    *value = rest_.front() == '1';
    rest_.remove_prefix(1);
    return true;
  }

  bool ReadDate(BareItem* value) {
    if (!Starts('-') && (rest_.empty() || !IsDigit(rest_.front()))) return false;
    if (!ReadNumber(value) || !std::holds_alternative<int64_t>(*value)) return false;
    *value = Date{std::get<int64_t>(*value)};
    return true;
  }

  bool ReadDisplayString(DisplayString* string) {
    if (!Take('"')) return false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return IsUtf8(string->utf8);
      if (!IsPrintable(c)) return false;
      if (c != '%') {
        string->utf8 += c;
        continue;
      }
      if (rest_.size() < 2) return false;
      const int high = HexValue(rest_[0]);
      const int low = HexValue(rest_[1]);
      const bool upper = rest_[0] != ToLower(rest_[0]) || rest_[1] != ToLower(rest_[1]);
      if (high < 0 || low < 0 || upper) return false;
      string->utf8 += static_cast<char>(high * 16 + low);
      rest_.remove_prefix(2);
    }
    return false;
  }

  std::string_view rest_;
  bool trailing_comma_ = false;
};

bool IsKey(std::string_view text) {
  return !text.empty() && IsKeyStart(text.front()) &&
         std::all_of(text.begin(), text.end(), IsKeyCharacter);
}

/// RFC 9651 §4.1, one overload a type.
struct BareWriter {
  using Text = std::optional<std::string>;

  Text operator()(bool value) const { return value ? "?1" : "?0"; }
  Text operator()(int64_t value) const {
    if (value > kLargestInteger || value < -kLargestInteger) return std::nullopt;
    return std::to_string(value);
  }
  Text operator()(Decimal value) const {
    if (value.thousandths > kLargestInteger || value.thousandths < -kLargestInteger)
      return std::nullopt;
    const uint64_t size =
        static_cast<uint64_t>(value.thousandths < 0 ? -value.thousandths : value.thousandths);
    std::string fraction = std::to_string(1000 + size % 1000).substr(1);
    while (fraction.size() > 1 && fraction.back() == '0') fraction.pop_back();
    return (value.thousandths < 0 ? "-" : "") + std::to_string(size / 1000) + "." + fraction;
  }
  Text operator()(const std::string& value) const {
    std::string text = "\"";
    for (char c : value) {
      if (!IsPrintable(c)) return std::nullopt;
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    return text + '"';
  }
  Text operator()(const Token& value) const {
    return IsToken(value.text) ? Text(value.text) : std::nullopt;
  }
  Text operator()(const Bytes& value) const { return ":" + EncodeBase64(value.bytes) + ":"; }
  Text operator()(Date value) const {
    const Text number = (*this)(value.unix_seconds);
    return number ? Text("@" + *number) : std::nullopt;
  }
  Text operator()(const DisplayString& value) const {
    static constexpr std::string_view kHex = "0123456789abcdef";
    if (!IsUtf8(value.utf8)) return std::nullopt;
    std::string text = "%\"";
    for (char c : value.utf8) {
      if (IsPrintable(c) && c != '%' && c != '"') {
        text += c;
        continue;
      }
      text += '%';
      text += kHex[static_cast<uint8_t>(c) >> 4];
      text += kHex[static_cast<uint8_t>(c) & 15];
    }
    return text + '"';
  }
};

bool Append(const std::optional<std::string>& part, std::string* text) {
  if (part) *text += *part;
  return part.has_value();
}

bool AppendParameters(const Parameters& parameters, std::string* text) {
  for (const auto& [key, value] : parameters) {
    if (!IsKey(key)) return false;
    *text += ";" + key;
    if (value == BareItem(true)) continue;
    *text += '=';
    if (!Append(Serialize(value), text)) return false;
  }
  return true;
}

bool AppendMember(const Member& member, std::string* text) {
  if (const Item* item = std::get_if<Item>(&member)) return Append(Serialize(*item), text);
  const InnerList& list = std::get<InnerList>(member);
  *text += '(';
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i != 0) *text += ' ';
    if (!Append(Serialize(list.items[i]), text)) return false;
  }
  *text += ')';
  return AppendParameters(list.parameters, text);
}

template <typename Members>
std::optional<Members> ParseMembers(std::string_view text) {
  Parser parser(text);
  Members members;
  if (!parser.ReadMembers(&members) || !parser.Done()) return std::nullopt;
  return members;
}

}  // namespace

bool IsToken(std::string_view text) {
  return !text.empty() && (IsAlpha(text.front()) || text.front() == '*') &&
         AllIn(kSfTokenCharacters, text);
}

std::optional<Item> ParseItem(std::string_view text) {
  Parser parser(text);
  Item item;
  if (!parser.ReadItem(&item) || !parser.Done()) return std::nullopt;
  return item;
}

std::optional<List> ParseList(std::string_view text) { return ParseMembers<List>(text); }

std::optional<Dictionary> ParseDictionary(std::string_view text) {
  return ParseMembers<Dictionary>(text);
}

std::optional<std::string> Serialize(const BareItem& value) {
  return std::visit(BareWriter(), value);
}

std::optional<std::string> Serialize(const Item& item) {
  std::string text;
  if (!Append(Serialize(item.value), &text) || !AppendParameters(item.parameters, &text)) {
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> Serialize(const List& list) {
  std::string text;
  for (const Member& member : list) {
    if (!text.empty()) text += ", ";
    if (!AppendMember(member, &text)) return std::nullopt;
  }
  return text;
}

std::optional<std::string> Serialize(const Dictionary& dictionary) {
  std::string text;
  for (const auto& [key, member] : dictionary) {
    if (!text.empty()) text += ", ";
    if (!IsKey(key)) return std::nullopt;
    text += key;
    const Item* item = std::get_if<Item>(&member);
    if (item != nullptr && item->value == BareItem(true)) {
      if (!AppendParameters(item->parameters, &text)) return std::nullopt;
      continue;
    }
    text += '=';
    if (!AppendMember(member, &text)) return std::nullopt;
  }
  return text;
}

}  // namespace nearside::http::structured
