#include "dns/rdata.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "dns/record_type.h"
#include "dns/svc_params.h"
#include "dns/text_form.h"
#include "dns/wire.h"
#include "runtime/crypto.h"

namespace nearside::dns {
namespace {

/// RFC 8659 §4.1.
bool IsTag(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), fits);
}

tl::unexpected<Error> BadRdata(std::string message) {
  return Fail(Fault::kOperator, "bad_rdata", std::move(message));
}

/// Reads one field after the other from a record's words.
class RdataReader {
 public:
  RdataReader(std::span<const Word> words, NameView origin) : words_(words), origin_(origin) {}

  Status Read(Field field);
  bool at_end() const { return words_.empty(); }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  Status ReadOne(Field field, const std::string& text);
  Status ReadNumber(Field field, std::string_view text);
  Status ReadAddress(Field field, const std::string& text);
  Status ReadString(std::string_view text);
  Status ReadTag(std::string_view text);
  Status ReadHex();
  Status ReadBase64();
  void Put(std::span<const uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }

  std::span<const Word> words_;
  NameView origin_;
  std::vector<uint8_t> bytes_;
};

Status RdataReader::Read(Field field) {
  if (field == Field::kSvcParams) {
    const auto params = std::exchange(words_, {});
    return AppendSvcParams(params, &bytes_);
  }
  if (words_.empty()) return BadRdata("data is missing at the end of the record");
  if (field == Field::kHex) return ReadHex();
  if (field == Field::kBase64) return ReadBase64();
  do {
    if (auto status = ReadOne(field, words_.front().text); !status) return status;
    words_ = words_.subspan(1);
  } while (field == Field::kStrings && !words_.empty());
  return {};
}

Status RdataReader::ReadOne(Field field, const std::string& text) {
  switch (field) {
    case Field::kName: {
      auto name = Name::FromText(text, origin_);
      if (!name) return tl::unexpected(std::move(name.error()));
      Put(name->view().bytes());
      return {};
    }
    case Field::kIpv4:
    case Field::kIpv6:
      return ReadAddress(field, text);
    case Field::kString:
    case Field::kStrings:
      return ReadString(text);
    case Field::kTag:
      return ReadTag(text);
    case Field::kText: {
      auto bytes = Unescape(text);
      if (!bytes) return BadRdata("\\ must be followed by a character or three digits up to 255");
      Put(*bytes);
      return {};
    }
    default:
      return ReadNumber(field, text);
  }
}

Status RdataReader::ReadNumber(Field field, std::string_view text) {
  uint8_t bytes[4];
  if (field == Field::kSeconds) {
    auto value = SecondsFromText(text);
    if (!value) return tl::unexpected(std::move(value.error()));
    Store32(bytes, *value);
    Put(bytes);
    return {};
  }
  auto value = NumberFromText<uint32_t>(text);
  uint32_t most = field == Field::kU8 ? 0xFF : field == Field::kU16 ? 0xFFFF : 0xFFFFFFFF;
  if (!value || *value > most) {
    return BadRdata("expected a number from 0 to " + std::to_string(most) + ", got \"" +
                    std::string(text) + "\"");
  }
  Store32(bytes, *value);
  size_t width = field == Field::kU8 ? 1 : field == Field::kU16 ? 2 : 4;
  Put(std::span(bytes).last(width));
  return {};
}

Status RdataReader::ReadAddress(Field field, const std::string& text) {
  uint8_t bytes[16];
  bool is_ipv4 = field == Field::kIpv4;
  if (inet_pton(is_ipv4 ? AF_INET : AF_INET6, text.c_str(), bytes) != 1) {
    return BadRdata(std::string("expected an ") + (is_ipv4 ? "IPv4" : "IPv6") + " address, got \"" +
                    text + "\"");
  }
  Put(std::span(bytes).first(is_ipv4 ? 4 : 16));
  return {};
}

Status RdataReader::ReadString(std::string_view text) {
  auto bytes = Unescape(text);
  if (!bytes) return BadRdata("\\ must be followed by a character or three digits up to 255");
  if (bytes->size() > kMaxStringBytes) {
    return BadRdata("a string has " + std::to_string(bytes->size()) +
                    " bytes and may have 255: write it as several strings");
  }
  bytes_.push_back(static_cast<uint8_t>(bytes->size()));
  Put(*bytes);
  return {};
}

Status RdataReader::ReadTag(std::string_view text) {
  if (text.size() > kMaxStringBytes || !IsTag(text)) {
    return BadRdata("expected a tag of letters and digits like issue, got \"" + std::string(text) +
                    "\"");
  }
  return ReadString(text);
}

/// Hexadecimal digits to the end, in any number of words.
Status RdataReader::ReadHex() {
  std::string digits;
  for (const Word& word : words_) digits += word.text;
  words_ = {};
  auto bytes = HexDecode(digits);
  if (!bytes || bytes->empty()) {
    return BadRdata("expected pairs of hexadecimal digits, got \"" + digits.substr(0, 40) + "\"");
  }
  Put({reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()});
  return {};
}

/// The words are pieces of one text (RFC 4034 §2.2).
Status RdataReader::ReadBase64() {
  std::string text;
  for (const Word& word : std::exchange(words_, {})) text += word.text;
  auto bytes = Base64Decode(text);
  if (!bytes || bytes->empty()) {
    return BadRdata("expected base64, got \"" + text.substr(0, 40) + "\"");
  }
  Put({reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()});
  return {};
}

/// \# LENGTH HEX…
Result<std::vector<uint8_t>> ReadGeneric(uint16_t type, std::span<const Word> words) {
  auto length = words.size() > 1 ? NumberFromText<uint16_t>(words[1].text) : std::nullopt;
  if (!length) return BadRdata("expected the number of bytes after \\#");
  std::string digits;
  for (const Word& word : words.subspan(2)) digits += word.text;
  auto bytes = HexDecode(digits);
  if (!bytes || bytes->size() != *length) {
    return BadRdata("expected " + std::to_string(*length) +
                    " bytes of hexadecimal digits after \\#");
  }
  std::vector<uint8_t> rdata(bytes->begin(), bytes->end());
  if (!RdataIsValid(type, rdata))
    return BadRdata("these bytes are no data of type " + TypeToText(type));
  return rdata;
}

/// Bytes that `field` takes at the beginning of `rdata`, or nothing when it is cut off or
/// malformed.
std::optional<size_t> FieldBytes(Field field, std::span<const uint8_t> rdata) {
  auto fixed = [&](size_t n) { return rdata.size() >= n ? std::optional(n) : std::nullopt; };
  switch (field) {
    case Field::kU8:
      return fixed(1);
    case Field::kU16:
      return fixed(2);
    case Field::kU32:
    case Field::kSeconds:
    case Field::kIpv4:
      return fixed(4);
    case Field::kIpv6:
      return fixed(16);
    case Field::kText:
      return rdata.size();
    case Field::kHex:
    case Field::kBase64:
      return rdata.empty() ? std::nullopt : std::optional(rdata.size());
    case Field::kSvcParams:
      return SvcParamsAreValid(rdata) ? std::optional(rdata.size()) : std::nullopt;
    case Field::kTag: {
      if (rdata.empty() || rdata[0] >= rdata.size()) return std::nullopt;
      const size_t bytes = rdata[0] + size_t{1};
      const bool is_tag = IsTag({reinterpret_cast<const char*>(rdata.data()) + 1, rdata[0]});
      return is_tag ? std::optional(bytes) : std::nullopt;
    }
    case Field::kString:
      return rdata.empty() ? std::nullopt : fixed(rdata[0] + size_t{1});
    case Field::kStrings: {
      size_t at = 0;
      while (at < rdata.size()) at += rdata[at] + size_t{1};
      return at == rdata.size() && at != 0 ? std::optional(at) : std::nullopt;
    }
    case Field::kName: {
      size_t at = 0;
      while (at < rdata.size() && rdata[at] != 0) {
        if (rdata[at] > kMaxLabelBytes) return {};
        at += rdata[at] + size_t{1};
      }
      return at < rdata.size() && at < kMaxNameBytes ? std::optional(at + 1) : std::nullopt;
    }
  }
  return {};
}

/// 0: no unit.
uint64_t UnitSeconds(char unit) {
  switch (unit | 0x20) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86'400;
    case 'w':
      return 604'800;
    default:
      return 0;
  }
}

void AppendField(Field field, std::span<const uint8_t> bytes, std::string* out) {
  char text[INET6_ADDRSTRLEN];
  switch (field) {
    case Field::kName:
      *out += NameView(bytes.data(), bytes.size()).ToText();
      break;
    case Field::kU8:
      *out += std::to_string(bytes[0]);
      break;
    case Field::kU16:
      *out += std::to_string(Load16(bytes.data()));
      break;
    case Field::kU32:
    case Field::kSeconds:
      *out += std::to_string(Load32(bytes.data()));
      break;
    case Field::kIpv4:
      *out += inet_ntop(AF_INET, bytes.data(), text, sizeof text);
      break;
    case Field::kIpv6:
      *out += inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
      break;
    case Field::kString:
      AppendQuoted(bytes.subspan(1), out);
      break;
    case Field::kStrings:
      for (size_t at = 0; at < bytes.size(); at += bytes[at] + size_t{1}) {
        if (at != 0) *out += ' ';
        AppendQuoted(bytes.subspan(at + 1, bytes[at]), out);
      }
      break;
    case Field::kTag:
      out->append(bytes.begin() + 1, bytes.end());
      break;
    case Field::kText:
      AppendQuoted(bytes, out);
      break;
    case Field::kHex:
      *out += HexEncode(bytes);
      break;
    case Field::kBase64:
      *out += Base64Encode(bytes);
      break;
    case Field::kSvcParams:
      *out += SvcParamsToText(bytes);
      break;
  }
}

}  // namespace

Result<std::vector<uint8_t>> RdataFromWords(uint16_t type, std::span<const Word> words,
                                            NameView origin) {
  if (!words.empty() && words[0].text == "\\#" && !words[0].quoted) return ReadGeneric(type, words);
  const RecordLayout* layout = LayoutOf(type);
  if (layout == nullptr) {
    return BadRdata("data of type " + TypeToText(type) +
                    " is written as \\# LENGTH HEXADECIMAL (RFC 3597)");
  }
  RdataReader reader(words, origin);
  for (Field field : layout->fields) {
    if (auto status = reader.Read(field); !status) return tl::unexpected(std::move(status.error()));
  }
  if (!reader.at_end())
    return BadRdata("there is more data than type " + TypeToText(type) + " has");
  std::vector<uint8_t> rdata = reader.Take();
  if (rdata.size() > kMaxRdataBytes) return BadRdata("the data is longer than 65535 bytes");
  return rdata;
}

bool RdataIsValid(uint16_t type, std::span<const uint8_t> rdata) {
  if (rdata.size() > kMaxRdataBytes) return false;
  const RecordLayout* layout = LayoutOf(type);
  if (layout == nullptr) return true;
  for (Field field : layout->fields) {
    auto bytes = FieldBytes(field, rdata);
    if (!bytes) return false;
    rdata = rdata.subspan(*bytes);
  }
  return rdata.empty();
}

std::string RdataToText(uint16_t type, std::span<const uint8_t> rdata) {
  const RecordLayout* layout = LayoutOf(type);
  if (layout == nullptr || !RdataIsValid(type, rdata)) {
    return "\\# " + std::to_string(rdata.size()) + (rdata.empty() ? "" : " " + HexEncode(rdata));
  }
  std::string text;
  for (Field field : layout->fields) {
    size_t bytes = *FieldBytes(field, rdata);
    if (!text.empty() && !(field == Field::kSvcParams && bytes == 0)) text += ' ';
    AppendField(field, rdata.first(bytes), &text);
    rdata = rdata.subspan(bytes);
  }
  return text;
}

Result<uint32_t> SecondsFromText(std::string_view text) {
  auto bad = [&] {
    return Fail(
        Fault::kOperator, "bad_time",
        "expected a time up to 2147483647 like 300 or 1h30m, got \"" + std::string(text) + "\"");
  };
  uint64_t total = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  do {
    uint32_t number = 0;
    auto [behind, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return bad();
    uint64_t unit = behind == end ? 1 : UnitSeconds(*behind);
    total += number * unit;
    // RFC 2181 §8: TTLs have 31 bits.
    if (unit == 0 || total > INT32_MAX) return bad();
    at = behind == end ? end : behind + 1;
  } while (at != end);
  return static_cast<uint32_t>(total);
}

}  // namespace nearside::dns
