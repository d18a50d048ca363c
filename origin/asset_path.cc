#include "origin/asset_path.h"

#include <cstdint>

#include "http/uri.h"

namespace nearside::origin {
namespace {

/// Characters of a path that stand unencoded in its URL, beside the unreserved: what browsers leave
/// alone.
constexpr std::string_view kPlainInUrl = "/!$&'()*+,;=:@[]|";
constexpr std::string_view kIndex = "index.html";

tl::unexpected<Error> BadPath(std::string_view why) {
  return Fail(Fault::kClient, "bad_path", "the path " + std::string(why));
}

/// The length of the UTF-8 sequence that begins `text`, 0 when it is none (RFC 3629 §4).
size_t SequenceLength(std::string_view text) {
  const auto at = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  const auto continues = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  const uint8_t first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && at(1) < 0xA0) return 0;  // overlong
    if (first == 0xED && at(1) > 0x9F) return 0;  // surrogates
    return continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && at(1) < 0x90) return 0;
    if (first == 0xF4 && at(1) > 0x8F) return 0;
    return continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

Status CheckCharacters(std::string_view path) {
  for (std::string_view rest = path; !rest.empty();) {
    const size_t length = SequenceLength(rest);
    if (length == 0) return BadPath("is not UTF-8");
    const auto byte = static_cast<uint8_t>(rest[0]);
    const bool c1_control = byte == 0xC2 && static_cast<uint8_t>(rest[1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || c1_control) return BadPath("holds a control character");
    if (byte == '\\') return BadPath("holds a backslash");
    rest.remove_prefix(length);
  }
  return {};
}

}  // namespace

Status CheckAssetPath(std::string_view path) {
  if (path.empty()) return BadPath("is empty");
  if (path.size() > kAssetPathBytes) {
    return Fail(Fault::kClient, "path_too_long",
                "the path has " + std::to_string(path.size()) + " bytes, at most " +
                    std::to_string(kAssetPathBytes) + " are allowed");
  }
  if (Status good = CheckCharacters(path); !good) return good;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    if (segment.empty()) return BadPath("has an empty segment: no / at either end, no //");
    if (segment == "." || segment == "..") return BadPath("has a segment \".\" or \"..\"");
    at = end + 1;
  }
  return {};
}

Result<std::string> DecodeAssetPath(std::string_view encoded) {
  // Three bytes stand for one at most: longer cannot become short enough.
  if (encoded.size() > 3 * kAssetPathBytes) {
    return Fail(Fault::kClient, "path_too_long",
                "the path has more than the " + std::to_string(kAssetPathBytes) +
                    " bytes that are allowed");
  }
  if (encoded.find("%2F") != std::string_view::npos ||
      encoded.find("%2f") != std::string_view::npos) {
    return BadPath("holds an encoded slash");
  }
  std::optional<std::string> path = http::PercentDecode(encoded);
  if (!path) return BadPath("has a % without two hexadecimal digits");
  if (Status good = CheckAssetPath(*path); !good) return unexpected(std::move(good.error()));
  return *std::move(path);
}

std::string AssetUrl(std::string_view path) { return "/" + http::PercentEncode(path, kPlainInUrl); }

std::vector<std::string> UrlsOfAsset(std::string_view path) {
  std::vector<std::string> urls = {AssetUrl(path)};
  if (path == kIndex) {
    urls.push_back("/");
  } else if (path.ends_with("/index.html")) {
    const std::string_view folder = path.substr(0, path.size() - kIndex.size() - 1);
    urls.push_back(AssetUrl(folder) + "/");
    urls.push_back(AssetUrl(folder));
  }
  return urls;
}

}  // namespace nearside::origin
