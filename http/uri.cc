#include "http/uri.h"

#include <algorithm>
#include <vector>

#include "http/characters.h"

namespace nearside::http {

namespace {

/// RFC 3986 §3.2.2 reg-name without percent-encoding: names that DNS has, and what people call
/// services.
constexpr CharacterSet kHostCharacters = AlphanumericAnd("-._~!$&'()*+,;=");
constexpr CharacterSet kIpv6Characters = [] {
  CharacterSet set{};
  for (char c : std::string_view("0123456789abcdefABCDEF:.")) set[static_cast<uint8_t>(c)] = true;
  return set;
}();

/// RFC 3986 §3.3, §3.4: what may stand unencoded, and brackets, braces and the like, that browsers
/// send.
constexpr CharacterSet kPathCharacters = AlphanumericAnd("-._~!$&'()*+,;=:@/[]|^{}`\\\"<>");
constexpr CharacterSet kQueryCharacters = AlphanumericAnd("-._~!$&'()*+,;=:@/[]|^{}`\\\"<>?");

constexpr std::string_view kUpperHex = "0123456789ABCDEF";

void AppendEncoded(uint8_t byte, std::string* text) {
  *text += '%';
  *text += kUpperHex[byte >> 4];
  *text += kUpperHex[byte & 15];
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  uint32_t port = 0;
  for (char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

tl::unexpected<Error> BadUri(std::string_view text, std::string_view why) {
  return Fail(Fault::kClient, "bad_uri", "\"" + std::string(text) + "\": " + std::string(why));
}

tl::unexpected<Error> BadTarget(std::string_view why) {
  return Fail(Fault::kClient, "bad_target", "the request target " + std::string(why));
}

/// Appends `text` with one spelling of each character. Answers what is wrong, or "".
std::string_view AppendNormalized(std::string_view text, const CharacterSet& plain,
                                  std::string* out) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte <= 0x20 || byte == 0x7f || byte == '#') return "holds a character that none may hold";
    if (byte != '%') {
      if (plain[byte]) {
        *out += text[i];
      } else {
        AppendEncoded(byte, out);
      }
      continue;
    }
    const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) return "has a % without two hexadecimal digits";
    const auto decoded = static_cast<uint8_t>(high * 16 + low);
    if (decoded == 0) return "holds an encoded NUL";
    if (kUnreservedCharacters[decoded]) {
      *out += static_cast<char>(decoded);
    } else {
      AppendEncoded(decoded, out);
    }
    i += 2;
  }
  return "";
}

/// RFC 3986 §5.2.4, but climbing above the root is an error and not ignored. False then.
bool RemoveDotSegments(std::string_view path, std::string* out) {
  std::vector<std::string_view> segments;
  bool ends_in_directory = false;
  for (size_t at = 1; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    ends_in_directory = segment == "." || segment == "..";
    if (segment == "..") {
      if (segments.empty()) return false;
      segments.pop_back();
    } else if (segment != ".") {
      segments.push_back(segment);
    }
    at = end + 1;
  }
  for (std::string_view segment : segments) out->append("/").append(segment);
  if (ends_in_directory || segments.empty()) *out += '/';
  return true;
}

}  // namespace

Result<Uri> SplitUri(std::string_view text) {
  if (!AllIn(kTargetCharacters, text)) {
    return BadUri(text, "holds a space, a control character or a fragment");
  }
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos)
    return BadUri(text, "expected http:// or https:// and a host");
  Uri uri;
  uri.scheme = text.substr(0, colon);
  if (!EqualsIgnoringCase(uri.scheme, "http") && !EqualsIgnoringCase(uri.scheme, "https")) {
    return BadUri(text, "the scheme must be http or https");
  }
  const std::string_view rest = text.substr(colon + 3);
  const size_t authority_size = std::min(rest.find_first_of("/?"), rest.size());
  uri.authority = rest.substr(0, authority_size);
  if (!SplitAuthority(uri.authority)) {
    return BadUri(text, "expected a host, with a port from 0 to 65535 if any, and no user");
  }
  const std::string_view behind = rest.substr(authority_size);
  const size_t mark = behind.find('?');
  uri.path = behind.substr(0, mark);
  uri.has_query = mark != std::string_view::npos;
  if (uri.has_query) uri.query = behind.substr(mark + 1);
  return uri;
}

Result<std::string> ResolveUri(std::string_view base, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  const auto from = SplitUri(base);
  if (!from) return tl::unexpected<Error>(from.error());
  const size_t delimiter = reference.find_first_of(":/?");
  const bool absolute = delimiter != std::string_view::npos && reference[delimiter] == ':';
  std::string uri;
  if (!absolute) uri.append(from->scheme).append(":");
  if (!absolute && !reference.starts_with("//")) {
    uri.append("//").append(from->authority);
    const std::string_view path = from->path.empty() ? std::string_view("/") : from->path;
    if (reference.empty()) {
      uri += path;
      if (from->has_query) uri.append("?").append(from->query);
    } else if (reference.starts_with('?')) {
      uri += path;
    } else if (!reference.starts_with('/')) {
      uri += path.substr(0, path.rfind('/') + 1);
    }
  }
  uri += reference;
  if (auto split = SplitUri(uri); !split) return tl::unexpected<Error>(split.error());
  return uri;
}

std::optional<Authority> SplitAuthority(std::string_view text) {
  Authority authority;
  std::string_view behind;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    authority.host = text.substr(1, end - 1);
    behind = text.substr(end + 1);
    if (!AllIn(kIpv6Characters, authority.host)) return std::nullopt;
  } else {
    const size_t colon = std::min(text.find(':'), text.size());
    authority.host = text.substr(0, colon);
    behind = text.substr(colon);
    if (!AllIn(kHostCharacters, authority.host)) return std::nullopt;
  }
  if (authority.host.empty()) return std::nullopt;
  if (behind.empty()) return authority;
  if (behind.front() != ':') return std::nullopt;
  if (behind.size() == 1) return authority;  // RFC 3986 §3.2.3: the port may be empty
  authority.port = ParsePort(behind.substr(1));
  if (!authority.port) return std::nullopt;
  return authority;
}

void DropRootDot(std::string* authority) {
  const size_t colon = authority->rfind(':');  // of a port: an IPv6 address has no dot at its end
  const size_t end = std::min(colon, authority->size());
  if (end > 1 && (*authority)[end - 1] == '.') authority->erase(end - 1, 1);
}

uint16_t DefaultPort(std::string_view scheme) {
  return EqualsIgnoringCase(scheme, "https") ? 443 : 80;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

std::string PercentEncode(std::string_view text, std::string_view keep) {
  std::string encoded;
  for (char c : text) {
    if (kUnreservedCharacters[static_cast<uint8_t>(c)] || keep.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      AppendEncoded(static_cast<uint8_t>(c), &encoded);
    }
  }
  return encoded;
}

Result<std::string> NormalizeTarget(std::string_view target) {
  if (target == "*") return std::string(target);
  if (!target.starts_with('/')) return BadTarget("does not begin with /");
  const size_t mark = std::min(target.find('?'), target.size());
  std::string path;
  path.reserve(target.size());
  std::string_view wrong = AppendNormalized(target.substr(0, mark), kPathCharacters, &path);
  if (!wrong.empty()) return BadTarget(wrong);
  std::string normal;
  normal.reserve(path.size() + target.size() - mark);
  if (path.find("/.") == std::string::npos) {
    normal = path;
  } else if (!RemoveDotSegments(path, &normal)) {
    return BadTarget("climbs above the root");
  }
  if (mark == target.size()) return normal;
  normal += '?';
  wrong = AppendNormalized(target.substr(mark + 1), kQueryCharacters, &normal);
  if (!wrong.empty()) return BadTarget(wrong);
  return normal;
}

}  // namespace nearside::http
