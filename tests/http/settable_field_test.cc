#include "http/settable_field.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(SettableFieldTest, WhatFramesValidatesOrMakesPrivateIsNot) {
  for (const char* name : {"content-length", "transfer-encoding", "connection", "etag", "date",
                           "set-cookie", "location", "via", "cache-status", "alt-svc",
                           "www-authenticate", "content-encoding", "server", "age"}) {
    EXPECT_FALSE(IsSettableField(name)) << name;
  }
}

TEST(SettableFieldTest, WhatTellsOfContentAndPolicyIs) {
  for (const char* name : {"cache-control", "cdn-cache-control", "link", "x-frame-options",
                           "content-security-policy", "strict-transport-security", "vary",
                           "content-disposition", "access-control-allow-origin", "x-any"}) {
    EXPECT_TRUE(IsSettableField(name)) << name;
  }
}

}  // namespace
}  // namespace nearside::http
