#include "http/media_type.h"

#include <algorithm>
#include <array>

#include "http/characters.h"

namespace nearside::http {

namespace {

struct TypeRow {
  std::string_view extension;
  std::string_view type;
};

// In alphabetical order. Text says its character set, since without it browsers guess.
constexpr std::array kTypes = {
    TypeRow{"7z", "application/x-7z-compressed"},
    TypeRow{"aac", "audio/aac"},
    TypeRow{"apk", "application/vnd.android.package-archive"},
    TypeRow{"apng", "image/apng"},
    TypeRow{"appcache", "text/cache-manifest; charset=utf-8"},
    TypeRow{"atom", "application/atom+xml"},
    TypeRow{"avif", "image/avif"},
    TypeRow{"bmp", "image/bmp"},
    TypeRow{"br", "application/x-brotli"},
    TypeRow{"bz2", "application/x-bzip2"},
    TypeRow{"cjs", "text/javascript; charset=utf-8"},
    TypeRow{"css", "text/css; charset=utf-8"},
    TypeRow{"csv", "text/csv; charset=utf-8"},
    TypeRow{"deb", "application/vnd.debian.binary-package"},
    TypeRow{"doc", "application/msword"},
    TypeRow{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    TypeRow{"eot", "application/vnd.ms-fontobject"},
    TypeRow{"epub", "application/epub+zip"},
    TypeRow{"flac", "audio/flac"},
    TypeRow{"geojson", "application/geo+json"},
    TypeRow{"gif", "image/gif"},
    TypeRow{"glb", "model/gltf-binary"},
    TypeRow{"gltf", "model/gltf+json"},
    TypeRow{"gz", "application/gzip"},
    TypeRow{"heic", "image/heic"},
    TypeRow{"htm", "text/html; charset=utf-8"},
    TypeRow{"html", "text/html; charset=utf-8"},
    TypeRow{"ico", "image/vnd.microsoft.icon"},
    TypeRow{"ics", "text/calendar; charset=utf-8"},
    TypeRow{"iso", "application/x-iso9660-image"},
    TypeRow{"jar", "application/java-archive"},
    TypeRow{"jpeg", "image/jpeg"},
    TypeRow{"jpg", "image/jpeg"},
    TypeRow{"js", "text/javascript; charset=utf-8"},
    TypeRow{"json", "application/json"},
    TypeRow{"jsonld", "application/ld+json"},
    TypeRow{"jxl", "image/jxl"},
    TypeRow{"m3u8", "application/vnd.apple.mpegurl"},
    TypeRow{"m4a", "audio/mp4"},
    TypeRow{"m4s", "video/iso.segment"},
    TypeRow{"m4v", "video/mp4"},
    TypeRow{"map", "application/json"},
    TypeRow{"md", "text/markdown; charset=utf-8"},
    TypeRow{"mid", "audio/midi"},
    TypeRow{"mjs", "text/javascript; charset=utf-8"},
    TypeRow{"mkv", "video/matroska"},
    TypeRow{"mov", "video/quicktime"},
    TypeRow{"mp3", "audio/mpeg"},
    TypeRow{"mp4", "video/mp4"},
    TypeRow{"mpd", "application/dash+xml"},
    TypeRow{"mpeg", "video/mpeg"},
    TypeRow{"odp", "application/vnd.oasis.opendocument.presentation"},
    TypeRow{"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    TypeRow{"odt", "application/vnd.oasis.opendocument.text"},
    TypeRow{"oga", "audio/ogg"},
    TypeRow{"ogg", "audio/ogg"},
    TypeRow{"ogv", "video/ogg"},
    TypeRow{"opus", "audio/ogg"},
    TypeRow{"otf", "font/otf"},
    TypeRow{"pdf", "application/pdf"},
    TypeRow{"png", "image/png"},
    TypeRow{"ppt", "application/vnd.ms-powerpoint"},
    TypeRow{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    TypeRow{"rar", "application/vnd.rar"},
    TypeRow{"rpm", "application/x-rpm"},
    TypeRow{"rss", "application/rss+xml"},
    TypeRow{"rtf", "application/rtf"},
    TypeRow{"svg", "image/svg+xml"},
    TypeRow{"svgz", "image/svg+xml"},
    TypeRow{"tar", "application/x-tar"},
    TypeRow{"tif", "image/tiff"},
    TypeRow{"tiff", "image/tiff"},
    TypeRow{"toml", "application/toml"},
    TypeRow{"ts", "video/mp2t"},
    TypeRow{"ttf", "font/ttf"},
    TypeRow{"txt", "text/plain; charset=utf-8"},
    TypeRow{"vcf", "text/vcard; charset=utf-8"},
    TypeRow{"vtt", "text/vtt; charset=utf-8"},
    TypeRow{"wasm", "application/wasm"},
    TypeRow{"wav", "audio/wav"},
    TypeRow{"weba", "audio/webm"},
    TypeRow{"webm", "video/webm"},
    TypeRow{"webmanifest", "application/manifest+json"},
    TypeRow{"webp", "image/webp"},
    TypeRow{"woff", "font/woff"},
    TypeRow{"woff2", "font/woff2"},
    TypeRow{"xhtml", "application/xhtml+xml"},
    TypeRow{"xls", "application/vnd.ms-excel"},
    TypeRow{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    TypeRow{"xml", "application/xml"},
    TypeRow{"xsl", "application/xml"},
    TypeRow{"xz", "application/x-xz"},
    TypeRow{"yaml", "application/yaml"},
    TypeRow{"yml", "application/yaml"},
    TypeRow{"zip", "application/zip"},
    TypeRow{"zst", "application/zstd"},
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
      [](const TypeRow& candidate, std::string_view text) { return candidate.extension < text; });
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
