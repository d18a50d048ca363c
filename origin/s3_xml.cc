#include "origin/s3_xml.h"

#include <algorithm>
#include <charconv>

#include "origin/s3_errors.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':' || static_cast<uint8_t>(c) >= 0x80;
}

tl::unexpected<Error> Malformed(std::string_view why) {
  return S3Fail("malformed_xml", "the XML of the content " + std::string(why));
}

/// UTF-8 of a character reference; "" for what XML 1.0 does not allow (§2.2).
std::string Utf8Of(uint32_t code) {
  const bool allowed = code == 0x9 || code == 0xA || code == 0xD ||
                       (code >= 0x20 && code < 0xD800) || (code >= 0xE000 && code <= 0xFFFD) ||
                       (code >= 0x10000 && code <= 0x10FFFF);
  if (!allowed) return "";
  std::string text;
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
  return text;
}

/// "amp", "#10", "#x41"; "" when it is none.
std::string EntityText(std::string_view name) {
  if (name == "amp") return "&";
  if (name == "lt") return "<";
  if (name == "gt") return ">";
  if (name == "quot") return "\"";
  if (name == "apos") return "'";
  if (!name.starts_with('#')) return "";
  name.remove_prefix(1);
  const bool hex = name.starts_with('x');
  if (hex) name.remove_prefix(1);
  uint32_t code = 0;
  const auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), code, hex ? 16 : 10);
  if (error != std::errc() || end != name.data() + name.size()) return "";
  return Utf8Of(code);
}

/// Walks over the document once, with a stack of its own.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  Result<XmlElement> Read();

 private:
  bool Take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void SkipSpace() {
    while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
  }
  /// Comments, and the declaration in front.
  Status SkipMisc();
  Result<std::string> TakeName();
  Status TakeAttributes();
  Status TakeElement();
  Status TakeEnd();
  Status TakeText();
  Status TakeCdata();
  Status Close();

  std::string_view rest_;
  std::vector<XmlElement> open_;
  XmlElement root_;
  size_t elements_ = 0;
  bool done_ = false;
};

Status Reader::SkipMisc() {
  while (true) {
    SkipSpace();
    const bool comment = rest_.starts_with("<!--");
    if (!comment && !rest_.starts_with("<?")) return {};
    const std::string_view end = comment ? "-->" : "?>";
    const size_t at = rest_.find(end, 2);
    if (at == std::string_view::npos) return Malformed("has a comment or declaration without end");
    rest_.remove_prefix(at + end.size());
  }
}

Result<std::string> Reader::TakeName() {
  const auto end = std::find_if_not(rest_.begin(), rest_.end(), IsNameCharacter);
  std::string_view name = rest_.substr(0, static_cast<size_t>(end - rest_.begin()));
  if (name.empty()) return Malformed("has an element without name");
  rest_.remove_prefix(name.size());
  return std::string(
      name.substr(name.find(':') == std::string_view::npos ? 0 : name.find(':') + 1));
}

/// They say nothing that we need; their form is checked all the same.
Status Reader::TakeAttributes() {
  while (true) {
    SkipSpace();
    if (rest_.empty() || rest_.front() == '>' || rest_.front() == '/') return {};
    if (Result<std::string> name = TakeName(); !name) return unexpected(std::move(name.error()));
    SkipSpace();
    if (!Take("=")) return Malformed("has an attribute without value");
    SkipSpace();
    const char quote = rest_.empty() ? ' ' : rest_.front();
    if (quote != '"' && quote != '\'') return Malformed("has an attribute without quotes");
    const size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) return Malformed("has an attribute without end");
    if (rest_.substr(0, end).find('<') != std::string_view::npos) {
      return Malformed("has < inside an attribute");
    }
    rest_.remove_prefix(end + 1);
  }
}

Status Reader::TakeElement() {
  if (++elements_ > kXmlElements) return Malformed("has too many elements");
  if (open_.size() == kXmlDepth) return Malformed("is nested too deep");
  Result<std::string> name = TakeName();
  if (!name) return unexpected(std::move(name.error()));
  if (Status taken = TakeAttributes(); !taken) return taken;
  open_.push_back({std::move(*name), "", {}});
  if (Take("/>")) return Close();
  if (!Take(">")) return Malformed("has a tag without end");
  return {};
}

Status Reader::Close() {
  XmlElement closed = std::move(open_.back());
  open_.pop_back();
  if (open_.empty()) {
    root_ = std::move(closed);
    done_ = true;
  } else {
    open_.back().children.push_back(std::move(closed));
  }
  return {};
}

Status Reader::TakeEnd() {
  Result<std::string> name = TakeName();
  if (!name) return unexpected(std::move(name.error()));
  SkipSpace();
  if (!Take(">")) return Malformed("has a tag without end");
  if (*name != open_.back().name) return Malformed("closes an element that is not open");
  return Close();
}

Status Reader::TakeText() {
  const size_t end = std::min(rest_.find('<'), rest_.size());
  std::string_view text = rest_.substr(0, end);
  rest_.remove_prefix(end);
  std::string& out = open_.back().text;
  while (!text.empty()) {
    const size_t plain = std::min(text.find('&'), text.size());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const size_t semicolon = text.find(';');
    const std::string entity =
        semicolon == std::string_view::npos ? "" : EntityText(text.substr(1, semicolon - 1));
    if (entity.empty()) return Malformed("has an entity that is not one of XML's five");
    out += entity;
    text.remove_prefix(semicolon + 1);
  }
  return {};
}

Status Reader::TakeCdata() {
  const size_t end = rest_.find("]]>");
  if (end == std::string_view::npos) return Malformed("has CDATA without end");
  open_.back().text += rest_.substr(0, end);
  rest_.remove_prefix(end + 3);
  return {};
}

Result<XmlElement> Reader::Read() {
  if (rest_.find('\0') != std::string_view::npos) return Malformed("holds a NUL");
  (void)Take("\xEF\xBB\xBF");
  if (Status skipped = SkipMisc(); !skipped) return unexpected(std::move(skipped.error()));
  if (rest_.starts_with("<!")) return Malformed("has a DOCTYPE, which is not allowed");
  if (!Take("<")) return Malformed("begins with no element");
  Status taken = TakeElement();
  while (taken && !done_) {
    if (rest_.empty()) return Malformed("ends inside an element");
    if (rest_.starts_with("<!--") || rest_.starts_with("<?")) {
      taken = SkipMisc();
    } else if (Take("<![CDATA[")) {
      taken = TakeCdata();
    } else if (Take("</")) {
      taken = TakeEnd();
    } else if (Take("<")) {
      taken = TakeElement();
    } else {
      taken = TakeText();
    }
  }
  if (taken) taken = SkipMisc();
  if (!taken) return unexpected(std::move(taken.error()));
  if (!rest_.empty()) return Malformed("goes on behind its end");
  return std::move(root_);
}

}  // namespace

XmlWriter::XmlWriter() : text_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {}

void XmlWriter::Open(std::string_view name, std::string_view attributes) {
  text_ += '<';
  text_ += name;
  text_ += attributes;
  text_ += '>';
  open_.emplace_back(name);
}

void XmlWriter::OpenS3(std::string_view name) {
  Open(name, " xmlns=\"" + std::string(kS3Namespace) + "\"");
}

void XmlWriter::Close() {
  text_ += "</" + open_.back() + ">";
  open_.pop_back();
}

void XmlWriter::Element(std::string_view name, std::string_view text) {
  Open(name);
  Text(text);
  Close();
}

void XmlWriter::Element(std::string_view name, uint64_t number) {
  Element(name, std::string_view(std::to_string(number)));
}

void XmlWriter::Flag(std::string_view name, bool value) {
  Element(name, std::string_view(value ? "true" : "false"));
}

void XmlWriter::Text(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    // U+FFFE and U+FFFF are no characters of XML either.
    const bool noncharacter = text.substr(i).starts_with("\xEF\xBF") && i + 2 < text.size() &&
                              static_cast<uint8_t>(text[i + 2]) >= 0xBE;
    if (byte == '&') {
      text_ += "&amp;";
    } else if (byte == '<') {
      text_ += "&lt;";
    } else if (byte == '>') {
      text_ += "&gt;";
    } else if (byte == '"') {
      text_ += "&quot;";
    } else if (byte == '\r') {
      text_ += "&#13;";
    } else if (noncharacter) {
      text_ += kReplacement;
      i += 2;
    } else if (byte < 0x20 && byte != '\t' && byte != '\n') {
      text_ += kReplacement;
    } else {
      text_ += text[i];
    }
  }
}

Answer S3XmlAnswer(int status, XmlWriter xml) {
  Answer answer;
  answer.status = status;
  answer.fields.Add("content-type", "application/xml");
  answer.fields.Add("cache-control", "no-store");
  answer.body.push_back(BodyPiece::Text(std::move(xml).Take()));
  return answer;
}

const XmlElement* XmlElement::Child(std::string_view child) const {
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const XmlElement& element) { return element.name == child; });
  return found == children.end() ? nullptr : &*found;
}

std::string_view XmlElement::ChildText(std::string_view child) const {
  const XmlElement* found = Child(child);
  return found == nullptr ? std::string_view() : std::string_view(found->text);
}

Result<XmlElement> ParseXml(std::string_view text) { return Reader(text).Read(); }

}  // namespace nearside::origin
