#include "origin/acme.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

constexpr const char* kFolder = "/.well-known/acme-challenge/";

class AcmeTest : public testing::Test {
 protected:
  AcmeTest() { std::filesystem::create_directories(dir_.path() + kFolder); }
  std::optional<Answer> Ask(const std::string& target, const std::string& method = "GET") {
    http::RequestHead request;
    request.method = method;
    request.target = target;
    return AnswerChallenge(dir_.path(), request);
  }
  nearside::test::TempDir dir_;
};

TEST_F(AcmeTest, WhatTheClientHasPutThereIsAnswered) {
  dir_.Write(std::string(kFolder).substr(1) + "a-B_9", "a-B_9.key");
  const auto answer = Ask(std::string(kFolder) + "a-B_9");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body.front().text, "a-B_9.key");
  EXPECT_EQ(answer->fields.Get("cache-control"), "no-store");
  EXPECT_EQ(answer->fields.Get("content-type"), "text/plain");
  EXPECT_EQ(Ask(std::string(kFolder) + "a-B_9?x=1")->status, 200);
  EXPECT_EQ(Ask(std::string(kFolder) + "a-B_9", "HEAD")->status, 200);
}

TEST_F(AcmeTest, NothingElseIs) {
  const std::string folder = std::string(kFolder).substr(1);
  dir_.Write(folder + "large", std::string(1025, 'x'));
  dir_.Write(folder + "empty", "");
  dir_.Write("secret", "secret");
  std::filesystem::create_symlink(dir_.In("secret"), dir_.In(folder + "link"));
  std::filesystem::create_directory(dir_.In(folder + "folder"));
  for (const char* name : {"large", "empty", "link", "folder", "none", "", ".", "..",
                           "../../secret", "..%2f..%2fsecret", "a.b", "a/b", "a%00"}) {
    const auto answer = Ask(std::string(kFolder) + name);
    ASSERT_TRUE(answer) << name;
    EXPECT_EQ(answer->status, 404) << name;
    EXPECT_EQ(answer->fields.Get("cache-control"), "no-store") << name;
  }
  EXPECT_EQ(Ask(std::string(kFolder) + std::string(129, 'a'))->status, 404);
}

TEST_F(AcmeTest, OtherRequestsAreTheSites) {
  EXPECT_FALSE(Ask("/"));
  EXPECT_FALSE(Ask("/.well-known/security.txt"));
  EXPECT_FALSE(Ask(std::string(kFolder) + "a", "POST"));
  http::RequestHead request;
  request.method = "GET";
  request.target = std::string(kFolder) + "a";
  EXPECT_FALSE(AnswerChallenge("", request)) << "no web root is set";
}

}  // namespace
}  // namespace nearside::origin
