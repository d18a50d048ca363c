#include "edge/error_pages.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace nearside::edge {
namespace {

class ErrorPagesTest : public testing::Test {
 protected:
  std::string Page(const ErrorPages& pages, int status) {
    const std::string* page = pages.Find(status);
    return page != nullptr ? *page : "none";
  }
  test::TempDir dir_;
};

TEST_F(ErrorPagesTest, NoFolderNoPages) {
  const auto pages = ErrorPages::Read("");
  ASSERT_TRUE(pages);
  EXPECT_EQ(Page(*pages, 404), "none");
}

TEST_F(ErrorPagesTest, TheStatusThenItsClass) {
  dir_.Write("404.html", "not here");
  dir_.Write("5xx.html", "broken");
  dir_.Write("503.html", "");
  dir_.Write("200.html", "no error");
  dir_.Write("readme.txt", "no page");
  const auto pages = ErrorPages::Read(dir_.path());
  ASSERT_TRUE(pages);
  EXPECT_EQ(Page(*pages, 404), "not here");
  EXPECT_EQ(Page(*pages, 403), "none");
  EXPECT_EQ(Page(*pages, 502), "broken");
  EXPECT_EQ(Page(*pages, 503), "");
  EXPECT_EQ(Page(*pages, 599), "broken");
  EXPECT_EQ(Page(*pages, 200), "none");
  EXPECT_EQ(Page(*pages, 600), "none");
  EXPECT_EQ(Page(*pages, 4), "none");
}

TEST_F(ErrorPagesTest, WhatIsWrongIsNamed) {
  const auto none = ErrorPages::Read(dir_.In("nowhere"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::kOperator);
  EXPECT_EQ(none.error().reason, "bad_error_pages");
  EXPECT_NE(none.error().message.find("nowhere: expected a folder with pages"), std::string::npos);
  dir_.Write("404.html", std::string(kLargestErrorPage.bytes, 'x'));
  EXPECT_TRUE(ErrorPages::Read(dir_.path()));
  dir_.Write("404.html", std::string(kLargestErrorPage.bytes + 1, 'x'));
  const auto large = ErrorPages::Read(dir_.path());
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().reason, "bad_error_pages");
  EXPECT_NE(large.error().message.find("404.html: larger than 64KiB"), std::string::npos)
      << large.error().message;
}

TEST(ErrorPageFieldsTest, OnlyWhatDescribesTheBodyGoes) {
  const http::Fields fields = {{"content-type", "application/json"},
                               {"content-length", "5"},
                               {"content-encoding", "br"},
                               {"content-security-policy", "default-src 'self'"},
                               {"etag", "\"v\""},
                               {"last-modified", "x"},
                               {"accept-ranges", "bytes"},
                               {"cache-control", "max-age=5"},
                               {"retry-after", "9"},
                               {"www-authenticate", "Basic"},
                               {"repr-digest", "x"},
                               {"via", "1.1 frankfurt"}};
  http::Fields kept;
  AddWithoutBodyFields(fields.lines(), &kept);
  EXPECT_EQ(kept.ToText(),
            "content-security-policy: default-src 'self'\ncache-control: max-age=5\n"
            "retry-after: 9\nwww-authenticate: Basic\nvia: 1.1 frankfurt\n");
}

}  // namespace
}  // namespace nearside::edge
