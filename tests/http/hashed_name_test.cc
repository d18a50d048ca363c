#include "http/hashed_name.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(HashedNameTest, NamesThatBundlersWriteAreHashed) {
  for (const char* path :
       {"main.5f3c1b2e.js", "assets/main.5f3c1b2e9a.min.css", "x.5f3c1b2e.js.map",
        "vendor-5f3c1b2e.js", "a/index-BxY3kQ9a.js", "index-Bx-3kQ9a.css", "chunk-a_9Zq-3B.js",
        "app-5XQ3PLBA.js", "vendor-CZtLkdTp.js", "page-0f3a9b2c1d4e5f60.js", "logo.BxY3kQ9a.svg"}) {
    EXPECT_TRUE(HasHashedName(path)) << path;
  }
}

TEST(HashedNameTest, WordsDatesAndNumbersAreNot) {
  for (const char* path :
       {"index.html", "main.js", "main.min.js", "hero-background.jpg", "product-2024-may.pdf",
        "report.20240101.pdf", "photo-20240101.jpg", "img-holiday2024.jpg", "img-Holiday2024.jpg",
        "hero-BackgroundImage.png", "docs-installation.html", "5f3c1b2e/main.js", "main-5f3c1b2e",
        "a.b.c", "main.5f3c1b.js", "release-12345678.zip", "x-DOCUMENT.txt", "archive.tar.gz"}) {
    EXPECT_FALSE(HasHashedName(path)) << path;
  }
}

}  // namespace
}  // namespace nearside::http
