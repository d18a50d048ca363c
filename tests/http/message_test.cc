#include "http/message.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(MessageTest, HostIsTheAuthorityWithoutPortAndBrackets) {
  const struct {
    const char* authority;
    const char* host;
  } rows[] = {
      {"www.demo.test", "www.demo.test"},
      {"www.demo.test:8443", "www.demo.test"},
      {"[::1]:80", "::1"},
      {"[2001:db8::1]", "2001:db8::1"},
      {"127.0.0.1:1", "127.0.0.1"},
      {"", ""},
      {"[::1", "::1"},
      {":80", ""},
  };
  for (const auto& row : rows) {
    RequestHead head;
    head.authority = row.authority;
    EXPECT_EQ(head.host(), row.host) << row.authority;
  }
}

TEST(MessageTest, TargetIsPathAndQuery) {
  const struct {
    const char* target;
    const char* path;
    const char* query;
  } rows[] = {
      {"/", "/", ""},    {"/a/b?c=d", "/a/b", "c=d"}, {"/a?", "/a", ""},
      {"/?x", "/", "x"}, {"/a?b?c", "/a", "b?c"},     {"*", "*", ""},
  };
  for (const auto& row : rows) {
    RequestHead head;
    head.target = row.target;
    EXPECT_EQ(head.path(), row.path) << row.target;
    EXPECT_EQ(head.query(), row.query) << row.target;
  }
}

TEST(MessageTest, ReasonPhrases) {
  EXPECT_EQ(ReasonPhrase(100), "Continue");
  EXPECT_EQ(ReasonPhrase(200), "OK");
  EXPECT_EQ(ReasonPhrase(404), "Not Found");
  EXPECT_EQ(ReasonPhrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(ReasonPhrase(511), "Network Authentication Required");
  for (int status : {0, 99, 199, 306, 418, 420, 599, 600, -1}) EXPECT_EQ(ReasonPhrase(status), "");
}

TEST(MessageTest, MethodProperties) {
  const struct {
    const char* method;
    bool safe;
    bool idempotent;
  } rows[] = {
      {"GET", true, true},    {"HEAD", true, true},    {"OPTIONS", true, true},
      {"TRACE", true, true},  {"PUT", false, true},    {"DELETE", false, true},
      {"POST", false, false}, {"PATCH", false, false}, {"CONNECT", false, false},
      {"get", false, false},  {"", false, false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(IsSafeMethod(row.method), row.safe) << row.method;
    EXPECT_EQ(IsIdempotentMethod(row.method), row.idempotent) << row.method;
  }
}

TEST(MessageTest, StatusesWithoutContent) {
  for (int status : {100, 101, 103, 199, 204, 304})
    EXPECT_TRUE(StatusHasNoContent(status)) << status;
  for (int status : {200, 203, 205, 206, 301, 303, 305, 404, 500}) {
    EXPECT_FALSE(StatusHasNoContent(status)) << status;
  }
}

}  // namespace
}  // namespace nearside::http
