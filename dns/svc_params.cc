#include "dns/svc_params.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>

#include "dns/text_form.h"
#include "dns/wire.h"
#include "runtime/crypto.h"
#include "runtime/text_bytes.h"

namespace nearside::dns {
namespace {

constexpr uint16_t kMandatory = 0;
constexpr uint16_t kAlpn = 1;
constexpr uint16_t kNoDefaultAlpn = 2;
constexpr uint16_t kIpv4Hint = 4;
constexpr uint16_t kIpv6Hint = 6;
constexpr uint16_t kInvalidKey = 65'535;

/// How a value looks, in a zone file and on the wire.
enum class Form : uint8_t {
  kKeys,     ///< names of keys; ascending numbers
  kStrings,  ///< a list; each behind a length octet
  kNothing,
  kU16,
  kIpv4s,
  kIpv6s,
  kBase64,
  kText,  ///< one or more bytes
  kAny,
};

/// Key, its name, its form: the registry of RFC 9460 §14.3.2, RFC 9461 §5, RFC 9540 §4. By key.
struct Row {
  uint16_t key;
  std::string_view name;
  Form form;
};
constexpr std::array kRows = {
    Row{kMandatory, "mandatory", Form::kKeys},
    Row{kAlpn, "alpn", Form::kStrings},
    Row{kNoDefaultAlpn, "no-default-alpn", Form::kNothing},
    Row{3, "port", Form::kU16},
    Row{kIpv4Hint, "ipv4hint", Form::kIpv4s},
    Row{5, "ech", Form::kBase64},
    Row{kIpv6Hint, "ipv6hint", Form::kIpv6s},
    Row{7, "dohpath", Form::kText},
    Row{8, "ohttp", Form::kNothing},
};

Form FormOf(uint16_t key) { return key < kRows.size() ? kRows[key].form : Form::kAny; }

std::string KeyToText(uint16_t key) {
  return key < kRows.size() ? std::string(kRows[key].name) : "key" + std::to_string(key);
}

tl::unexpected<Error> Bad(std::string_view name, std::string_view what) {
  return Fail(Fault::kOperator, "bad_rdata", std::string(name) + ": " + std::string(what));
}

/// A key by its name or as key123. `by_number`: which of the two.
std::optional<uint16_t> KeyFromText(std::string_view text, bool* by_number = nullptr) {
  for (const Row& row : kRows) {
    if (row.name == text) return row.key;
  }
  if (by_number != nullptr) *by_number = true;
  if (!text.starts_with("key")) return std::nullopt;
  const std::string_view digits = text.substr(3);
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  const auto key = NumberFromText<uint16_t>(digits);
  return key == kInvalidKey ? std::nullopt : key;
}

/// RFC 9460 appendix A.1: items between commas; \, and \\ stand for themselves in them. Nothing
/// when an item is empty or an escape is another one.
std::optional<std::vector<std::string>> SplitItems(std::string_view value) {
  std::vector<std::string> items(1);
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] == ',') {
      items.emplace_back();
      continue;
    }
    if (value[i] == '\\' && (++i == value.size() || (value[i] != ',' && value[i] != '\\'))) {
      return std::nullopt;
    }
    items.back() += value[i];
  }
  const bool whole = std::none_of(items.begin(), items.end(), [](auto& s) { return s.empty(); });
  return whole ? std::optional(std::move(items)) : std::nullopt;
}

void Put16(uint16_t value, std::vector<uint8_t>* out) {
  out->push_back(static_cast<uint8_t>(value >> 8));
  out->push_back(static_cast<uint8_t>(value));
}

Status ReadKeys(std::string_view name, const std::vector<std::string>& items,
                std::vector<uint8_t>* out) {
  std::vector<uint16_t> keys;
  for (const std::string& item : items) {
    const auto key = KeyFromText(item);
    if (!key || *key == kMandatory)
      return Bad(name, "expected names of keys, got \"" + item + "\"");
    keys.push_back(*key);
  }
  std::sort(keys.begin(), keys.end());
  if (std::adjacent_find(keys.begin(), keys.end()) != keys.end()) {
    return Bad(name, "a key stands in it twice");
  }
  for (const uint16_t key : keys) Put16(key, out);
  return {};
}

Status ReadStrings(std::string_view name, const std::vector<std::string>& items,
                   std::vector<uint8_t>* out) {
  for (const std::string& item : items) {
    if (item.size() > kMaxStringBytes) return Bad(name, "an item may have 255 bytes");
    out->push_back(static_cast<uint8_t>(item.size()));
    out->insert(out->end(), item.begin(), item.end());
  }
  return {};
}

Status ReadAddresses(std::string_view name, Form form, const std::vector<std::string>& items,
                     std::vector<uint8_t>* out) {
  const bool ipv4 = form == Form::kIpv4s;
  for (const std::string& item : items) {
    uint8_t bytes[16];
    // An escaped NUL would end the text before its end.
    const bool is_text = item.find('\0') == std::string::npos;
    if (!is_text || inet_pton(ipv4 ? AF_INET : AF_INET6, item.c_str(), bytes) != 1) {
      return Bad(name, std::string("expected ") + (ipv4 ? "IPv4" : "IPv6") + " addresses, got \"" +
                           item + "\"");
    }
    out->insert(out->end(), bytes, bytes + (ipv4 ? 4 : 16));
  }
  return {};
}

/// `value`: with the escapes of the zone file undone.
Status ReadValue(std::string_view name, Form form, const std::string& value,
                 std::vector<uint8_t>* out) {
  const bool is_list =
      form == Form::kKeys || form == Form::kStrings || form == Form::kIpv4s || form == Form::kIpv6s;
  std::vector<std::string> items;
  if (is_list) {
    auto split = SplitItems(value);
    if (!split) return Bad(name, "expected items with commas between them, got \"" + value + "\"");
    items = *std::move(split);
  }
  switch (form) {
    case Form::kKeys:
      return ReadKeys(name, items, out);
    case Form::kStrings:
      return ReadStrings(name, items, out);
    case Form::kIpv4s:
    case Form::kIpv6s:
      return ReadAddresses(name, form, items, out);
    case Form::kNothing:
      if (!value.empty()) return Bad(name, "it takes no value");
      return {};
    case Form::kU16: {
      const auto number = NumberFromText<uint16_t>(value);
      if (!number) return Bad(name, "expected a number from 0 to 65535, got \"" + value + "\"");
      Put16(*number, out);
      return {};
    }
    case Form::kBase64: {
      const auto bytes = Base64Decode(value);
      if (!bytes || bytes->empty()) return Bad(name, "expected base64, got \"" + value + "\"");
      out->insert(out->end(), bytes->begin(), bytes->end());
      return {};
    }
    case Form::kText:
      if (value.empty()) return Bad(name, "expected a value");
      [[fallthrough]];
    case Form::kAny:
      out->insert(out->end(), value.begin(), value.end());
      return {};
  }
  return {};
}

bool AreKeys(std::span<const uint8_t> value) {
  if (value.empty() || value.size() % 2 != 0) return false;
  for (size_t at = 0; at < value.size(); at += 2) {
    const uint16_t key = Load16(&value[at]);
    if (key == kMandatory || key == kInvalidKey) return false;
    if (at > 0 && key <= Load16(&value[at - 2])) return false;
  }
  return true;
}

bool AreStrings(std::span<const uint8_t> value) {
  size_t at = 0;
  while (at < value.size() && value[at] != 0) at += value[at] + size_t{1};
  return at == value.size() && at > 0;
}

bool IsValue(Form form, std::span<const uint8_t> value) {
  switch (form) {
    case Form::kKeys:
      return AreKeys(value);
    case Form::kStrings:
      return AreStrings(value);
    case Form::kNothing:
      return value.empty();
    case Form::kU16:
      return value.size() == 2;
    case Form::kIpv4s:
      return !value.empty() && value.size() % 4 == 0;
    case Form::kIpv6s:
      return !value.empty() && value.size() % 16 == 0;
    case Form::kBase64:
    case Form::kText:
      return !value.empty();
    case Form::kAny:
      return true;
  }
  return false;
}

struct Param {
  uint16_t key = 0;
  std::span<const uint8_t> value;
};

/// Takes the first parameter off `*bytes`. Nothing when it is cut off.
std::optional<Param> TakeParam(std::span<const uint8_t>* bytes) {
  if (bytes->size() < 4) return std::nullopt;
  const uint16_t key = Load16(bytes->data());
  const size_t length = Load16(bytes->data() + 2);
  if (bytes->size() - 4 < length) return std::nullopt;
  const Param param{key, bytes->subspan(4, length)};
  *bytes = bytes->subspan(4 + length);
  return param;
}

/// An item of a list: the list's own escapes.
void AppendItem(std::span<const uint8_t> item, std::string* out) {
  for (const uint8_t c : item) {
    if (c == ',' || c == '\\') *out += '\\';
    *out += static_cast<char>(c);
  }
}

std::string ValueToText(Form form, std::span<const uint8_t> value) {
  std::string text;
  const auto comma = [&text] {
    if (!text.empty()) text += ',';
  };
  char address[INET6_ADDRSTRLEN];
  switch (form) {
    case Form::kKeys:
      for (size_t at = 0; at < value.size(); at += 2) {
        comma();
        text += KeyToText(Load16(&value[at]));
      }
      return text;
    case Form::kStrings:
      for (size_t at = 0; at < value.size(); at += value[at] + size_t{1}) {
        comma();
        AppendItem(value.subspan(at + 1, value[at]), &text);
      }
      return text;
    case Form::kU16:
      return std::to_string(Load16(value.data()));
    case Form::kIpv4s:
      for (size_t at = 0; at < value.size(); at += 4) {
        comma();
        text += inet_ntop(AF_INET, &value[at], address, sizeof address);
      }
      return text;
    case Form::kIpv6s:
      for (size_t at = 0; at < value.size(); at += 16) {
        comma();
        text += inet_ntop(AF_INET6, &value[at], address, sizeof address);
      }
      return text;
    case Form::kBase64:
      return Base64Encode(value);
    case Form::kNothing:
    case Form::kText:
    case Form::kAny:
      return std::string(AsText(value));
  }
  return text;
}

/// What needs no quotes and no escapes in a zone file.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7F && std::string_view("\"\\;()").find(c) == std::string_view::npos;
  });
}

using Params = std::map<uint16_t, std::vector<uint8_t>>;

/// One parameter: its word, and the quoted one that follows it without a blank.
Status ReadParam(std::string_view word, const Word* quoted, Params* params) {
  const size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  bool by_number = false;
  const auto key = KeyFromText(name, &by_number);
  if (!key) return Bad(word, "expected a parameter like alpn=h2 or key65280=text");
  std::string text;
  if (equals != std::string_view::npos) text = word.substr(equals + 1);
  if (quoted != nullptr) {
    if (equals == std::string_view::npos || !text.empty()) return Bad(word, "a misplaced quote");
    text = quoted->text;
  }
  const auto value = Unescape(text);
  if (!value) return Bad(name, "\\ must be followed by a character or three digits up to 255");
  std::vector<uint8_t> bytes;
  const Form form = by_number ? Form::kAny : FormOf(*key);
  if (auto status = ReadValue(name, form, std::string(value->begin(), value->end()), &bytes);
      !status) {
    return status;
  }
  if (bytes.size() > kMaxRdataBytes) return Bad(name, "the value is longer than 65535 bytes");
  if (!IsValue(FormOf(*key), bytes)) return Bad(name, "this is no value of it on the wire");
  if (!params->emplace(*key, std::move(bytes)).second) return Bad(name, "it is there twice");
  return {};
}

/// The first thing that is wrong with them together; "" when nothing is.
std::string WrongTogether(const std::vector<Param>& params) {
  const auto has = [&params](uint16_t key) {
    return std::any_of(params.begin(), params.end(), [key](auto& p) { return p.key == key; });
  };
  if (has(kNoDefaultAlpn) && !has(kAlpn)) return "no-default-alpn: expected alpn beside it";
  if (params.empty() || params.front().key != kMandatory) return "";
  const auto keys = params.front().value;
  for (size_t at = 0; at < keys.size(); at += 2) {
    const uint16_t key = Load16(&keys[at]);
    if (!has(key)) return "mandatory: " + KeyToText(key) + " is not there";
  }
  return "";
}

/// The parameters of a record's valid data: what stands behind priority and target.
std::span<const uint8_t> ParamsOf(std::span<const uint8_t> rdata) {
  size_t at = 2;
  while (at < rdata.size() && rdata[at] != 0) at += rdata[at] + size_t{1};
  return rdata.subspan(std::min(at + 1, rdata.size()));
}

/// Appends to a buffer that may be too small, which it then remembers.
class Output {
 public:
  explicit Output(std::span<uint8_t> room) : room_(room) {}
  void Put(std::span<const uint8_t> bytes) {
    full_ |= bytes.size() > room_.size() - size_;
    if (full_) return;
    std::copy(bytes.begin(), bytes.end(), room_.begin() + static_cast<ptrdiff_t>(size_));
    size_ += bytes.size();
  }
  void Put16(size_t value) {
    const uint8_t bytes[] = {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
    Put(bytes);
  }
  size_t size() const { return full_ ? 0 : size_; }

 private:
  std::span<uint8_t> room_;
  size_t size_ = 0;
  bool full_ = false;
};

}  // namespace

bool HasAddressHints(std::span<const uint8_t> rdata) {
  std::span<const uint8_t> params = ParamsOf(rdata);
  while (const auto param = TakeParam(&params)) {
    if (param->key == kIpv4Hint || param->key == kIpv6Hint) return true;
  }
  return false;
}

size_t ReplaceAddressHints(std::span<const uint8_t> rdata, const AddressHints& hints,
                           std::span<uint8_t> out) {
  const auto hint = [&](uint16_t key) { return key == kIpv4Hint ? hints.ipv4 : hints.ipv6; };
  const auto goes = [&](uint16_t key) {
    return (key == kIpv4Hint || key == kIpv6Hint) && hint(key).empty();
  };
  Output output(out);
  std::span<const uint8_t> params = ParamsOf(rdata);
  output.Put(rdata.first(rdata.size() - params.size()));
  while (const auto param = TakeParam(&params)) {
    if (goes(param->key)) continue;
    if (param->key == kMandatory) {
      size_t left = 0;
      for (size_t at = 0; at < param->value.size(); at += 2) {
        left += goes(Load16(&param->value[at])) ? 0 : 1;
      }
      if (left == 0) continue;
      output.Put16(kMandatory);
      output.Put16(left * 2);
      for (size_t at = 0; at < param->value.size(); at += 2) {
        if (!goes(Load16(&param->value[at]))) output.Put(param->value.subspan(at, 2));
      }
      continue;
    }
    const bool is_hint = param->key == kIpv4Hint || param->key == kIpv6Hint;
    const auto value = is_hint ? hint(param->key) : param->value;
    output.Put16(param->key);
    output.Put16(value.size());
    output.Put(value);
  }
  return output.size();
}

Status AppendSvcParams(std::span<const Word> words, std::vector<uint8_t>* out) {
  Params params;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool with_next = i + 1 < words.size() && words[i + 1].glued;
    if (words[i].quoted)
      return Bad("\"" + words[i].text + "\"", "expected a parameter like alpn=h2");
    if (auto status = ReadParam(words[i].text, with_next ? &words[i + 1] : nullptr, &params);
        !status) {
      return status;
    }
    if (with_next) ++i;
  }
  std::vector<Param> all;
  for (const auto& [key, value] : params) {
    all.push_back({key, value});
    Put16(key, out);
    Put16(static_cast<uint16_t>(value.size()), out);
    out->insert(out->end(), value.begin(), value.end());
  }
  if (auto wrong = WrongTogether(all); !wrong.empty()) {
    return Fail(Fault::kOperator, "bad_rdata", std::move(wrong));
  }
  return {};
}

bool SvcParamsAreValid(std::span<const uint8_t> bytes) {
  std::vector<Param> params;
  while (!bytes.empty()) {
    const auto param = TakeParam(&bytes);
    if (!param || param->key == kInvalidKey) return false;
    if (!params.empty() && param->key <= params.back().key) return false;
    if (!IsValue(FormOf(param->key), param->value)) return false;
    params.push_back(*param);
  }
  return WrongTogether(params).empty();
}

std::string SvcParamsToText(std::span<const uint8_t> bytes) {
  std::string text;
  while (const auto param = TakeParam(&bytes)) {
    if (!text.empty()) text += ' ';
    text += KeyToText(param->key);
    const std::string value = ValueToText(FormOf(param->key), param->value);
    if (value.empty()) continue;
    text += '=';
    if (IsPlain(value)) {
      text += value;
    } else {
      AppendQuoted(AsBytes(value), &text);
    }
  }
  return text;
}

}  // namespace nearside::dns
