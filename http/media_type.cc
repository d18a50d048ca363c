#include "http/media_type.h"

#include <algorithm>
#include <array>

#include "http/characters.h"

namespace nearside::http {

namespace {

struct Row {
  std::string_view extension;
  std::string_view type;
};

// In alphabetical order. Text says its character set, since without it browsers guess.
constexpr std::array kTypes = {
    Row{"7z", "application/x-7z-compressed"},
    Row{"aac", "audio/aac"},
    Row{"apk", "application/vnd.android.package-archive"},
    Row{"apng", "image/apng"},
    Row{"appcache", "text/cache-manifest; charset=utf-8"},
    Row{"atom", "application/atom+xml"},
    Row{"avif", "image/avif"},
    Row{"bmp", "image/bmp"},
    Row{"br", "application/x-brotli"},
    Row{"bz2", "application/x-bzip2"},
    Row{"cjs", "text/javascript; charset=utf-8"},
    Row{"css", "text/css; charset=utf-8"},
    Row{"csv", "text/csv; charset=utf-8"},
    Row{"deb", "application/vnd.debian.binary-package"},
    Row{"doc", "application/msword"},
    Row{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    Row{"eot", "application/vnd.ms-fontobject"},
    Row{"epub", "application/epub+zip"},
    Row{"flac", "audio/flac"},
    Row{"geojson", "application/geo+json"},
    Row{"gif", "image/gif"},
    Row{"glb", "model/gltf-binary"},
    Row{"gltf", "model/gltf+json"},
    Row{"gz", "application/gzip"},
    Row{"heic", "image/heic"},
    Row{"htm", "text/html; charset=utf-8"},
    Row{"html", "text/html; charset=utf-8"},
    Row{"ico", "image/vnd.microsoft.icon"},
    Row{"ics", "text/calendar; charset=utf-8"},
    Row{"iso", "application/x-iso9660-image"},
    Row{"jar", "application/java-archive"},
    Row{"jpeg", "image/jpeg"},
    Row{"jpg", "image/jpeg"},
    Row{"js", "text/javascript; charset=utf-8"},
    Row{"json", "application/json"},
    Row{"jsonld", "application/ld+json"},
    Row{"jxl", "image/jxl"},
    Row{"m3u8", "application/vnd.apple.mpegurl"},
    Row{"m4a", "audio/mp4"},
    Row{"m4s", "video/iso.segment"},
    Row{"m4v", "video/mp4"},
    Row{"map", "application/json"},
    Row{"md", "text/markdown; charset=utf-8"},
    Row{"mid", "audio/midi"},
    Row{"mjs", "text/javascript; charset=utf-8"},
    Row{"mkv", "video/matroska"},
    Row{"mov", "video/quicktime"},
    Row{"mp3", "audio/mpeg"},
    Row{"mp4", "video/mp4"},
    Row{"mpd", "application/dash+xml"},
    Row{"mpeg", "video/mpeg"},
    Row{"odp", "application/vnd.oasis.opendocument.presentation"},
    Row{"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    Row{"odt", "application/vnd.oasis.opendocument.text"},
    Row{"oga", "audio/ogg"},
    Row{"ogg", "audio/ogg"},
    Row{"ogv", "video/ogg"},
    Row{"opus", "audio/ogg"},
    Row{"otf", "font/otf"},
    Row{"pdf", "application/pdf"},
    Row{"png", "image/png"},
    Row{"ppt", "application/vnd.ms-powerpoint"},
    Row{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    Row{"rar", "application/vnd.rar"},
    Row{"rpm", "application/x-rpm"},
    Row{"rss", "application/rss+xml"},
    Row{"rtf", "application/rtf"},
    Row{"svg", "image/svg+xml"},
    Row{"svgz", "image/svg+xml"},
    Row{"tar", "application/x-tar"},
    Row{"tif", "image/tiff"},
    Row{"tiff", "image/tiff"},
    Row{"toml", "application/toml"},
    Row{"ts", "video/mp2t"},
    Row{"ttf", "font/ttf"},
    Row{"txt", "text/plain; charset=utf-8"},
    Row{"vcf", "text/vcard; charset=utf-8"},
    Row{"vtt", "text/vtt; charset=utf-8"},
    Row{"wasm", "application/wasm"},
    Row{"wav", "audio/wav"},
    Row{"weba", "audio/webm"},
    Row{"webm", "video/webm"},
    Row{"webmanifest", "application/manifest+json"},
    Row{"webp", "image/webp"},
    Row{"woff", "font/woff"},
    Row{"woff2", "font/woff2"},
    Row{"xhtml", "application/xhtml+xml"},
    Row{"xls", "application/vnd.ms-excel"},
    Row{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    Row{"xml", "application/xml"},
    Row{"xsl", "application/xml"},
    Row{"xz", "application/x-xz"},
    Row{"yaml", "application/yaml"},
    Row{"yml", "application/yaml"},
    Row{"zip", "application/zip"},
    Row{"zst", "application/zstd"},
};

constexpr size_t kLongestExtension = 16;

constexpr std::array<std::string_view, 16> kCompressible = {"application/javascript",
                                                            "application/json",
                                                            "application/rtf",
                                                            "application/toml",
                                                            "application/vnd.apple.mpegurl",
                                                            "application/vnd.ms-fontobject",
                                                            "application/wasm",
                                                            "application/x-javascript",
                                                            "application/x-ndjson",
                                                            "application/xml",
                                                            "application/yaml",
                                                            "font/otf",
                                                            "font/ttf",
                                                            "image/bmp",
                                                            "image/vnd.microsoft.icon",
                                                            "image/x-icon"};

}  // namespace

std::string_view MediaTypeOfPath(std::string_view path) {
  static constexpr std::string_view kUnknown = "application/octet-stream";
  const size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const size_t dot = name.rfind('.');
  // ".htaccess" is a name without an extension.
  if (dot == std::string_view::npos || dot == 0) return kUnknown;
  const std::string_view extension = name.substr(dot + 1);
  if (extension.size() > kLongestExtension) return kUnknown;
  std::array<char, kLongestExtension> lowered;
  std::transform(extension.begin(), extension.end(), lowered.begin(), ToLower);
  const std::string_view wanted(lowered.data(), extension.size());
  const auto row = std::lower_bound(
      kTypes.begin(), kTypes.end(), wanted,
      [](const Row& candidate, std::string_view text) { return candidate.extension < text; });
  return row != kTypes.end() && row->extension == wanted ? row->type : kUnknown;
}

bool IsCompressible(std::string_view content_type) {
  const std::string_view type = TrimSpace(content_type.substr(0, content_type.find(';')));
  const auto ends_with = [&](std::string_view suffix) {
    return type.size() > suffix.size() &&
           EqualsIgnoringCase(type.substr(type.size() - suffix.size()), suffix);
  };
  if (EqualsIgnoringCase(type.substr(0, 5), "text/")) return true;
  if (ends_with("+json") || ends_with("+xml")) return true;
  return std::any_of(kCompressible.begin(), kCompressible.end(),
                     [&](std::string_view known) { return EqualsIgnoringCase(type, known); });
}

}  // namespace nearside::http
