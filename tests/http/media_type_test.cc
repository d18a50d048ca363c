#include "http/media_type.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(MediaTypeTest, ByExtension) {
  const struct {
    const char* path;
    const char* type;
  } rows[] = {
      {"index.html", "text/html; charset=utf-8"},
      {"/a/b.c/page.HTM", "text/html; charset=utf-8"},
      {"style.css", "text/css; charset=utf-8"},
      {"app.js", "text/javascript; charset=utf-8"},
      {"app.min.mjs", "text/javascript; charset=utf-8"},
      {"data.json", "application/json"},
      {"app.js.map", "application/json"},
      {"logo.svg", "image/svg+xml"},
      {"photo.JPG", "image/jpeg"},
      {"photo.jpeg", "image/jpeg"},
      {"p.webp", "image/webp"},
      {"p.avif", "image/avif"},
      {"f.woff2", "font/woff2"},
      {"m.wasm", "application/wasm"},
      {"favicon.ico", "image/vnd.microsoft.icon"},
      {"site.webmanifest", "application/manifest+json"},
      {"robots.txt", "text/plain; charset=utf-8"},
      {"feed.xml", "application/xml"},
      {"v.mp4", "video/mp4"},
      {"v.m3u8", "application/vnd.apple.mpegurl"},
      {"a.tar.gz", "application/gzip"},
      {"x.7z", "application/x-7z-compressed"},
      {"x.zst", "application/zstd"},
      {"README", "application/octet-stream"},
      {"x.unknown", "application/octet-stream"},
      {".htaccess", "application/octet-stream"},
      {"a.b/c", "application/octet-stream"},
      {"x.", "application/octet-stream"},
      {"x.averyveryverylongextension", "application/octet-stream"},
      {"", "application/octet-stream"},
      {"/", "application/octet-stream"},
  };
  for (const auto& row : rows) EXPECT_EQ(MediaTypeOfPath(row.path), row.type) << row.path;
}

TEST(MediaTypeTest, CompressibleTypes) {
  for (const char* type :
       {"text/html; charset=utf-8", "TEXT/css", "text/plain", "application/json",
        "application/ld+json", "image/svg+xml", "application/xml", "application/javascript",
        "application/wasm", "font/ttf", "font/OTF", "application/manifest+json", "image/bmp",
        "image/x-icon", "application/vnd.ms-fontobject", "application/x-ndjson",
        " application/xml ;charset=utf-8"}) {
    EXPECT_TRUE(IsCompressible(type)) << type;
  }
  for (const char* type :
       {"", "image/png", "image/jpeg", "video/mp4", "font/woff2", "application/gzip",
        "application/octet-stream", "application/zip", "json", "+json"}) {
    EXPECT_FALSE(IsCompressible(type)) << type;
  }
}

}  // namespace
}  // namespace nearside::http
