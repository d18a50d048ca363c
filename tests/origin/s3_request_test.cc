#include "origin/s3_request.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

constexpr std::string_view kDomain = "s3.example.org";

http::RequestHead S3Head(const std::string& line, const std::string& host = "127.0.0.1:9000") {
  http::RequestHead head;
  head.method = line.substr(0, line.find(' '));
  head.target = line.substr(line.find(' ') + 1);
  if (head.method == "COPY") {
    head.method = "PUT";
    head.fields.Add("x-amz-copy-source", "/a/b");
  }
  head.authority = host;
  return head;
}

/// "operation bucket key", or the reason of the refusal.
std::string ReadLine(const std::string& line, const std::string& host = "127.0.0.1:9000") {
  const http::RequestHead head = S3Head(line, host);
  const Result<S3Request> request = ParseS3Request(head, kDomain);
  if (!request) return request.error().reason;
  return std::to_string(static_cast<int>(request->operation)) + " " + request->bucket + " " +
         request->key;
}

std::string Is(S3Operation operation, const std::string& bucket = "", const std::string& key = "") {
  return std::to_string(static_cast<int>(operation)) + " " + bucket + " " + key;
}

TEST(S3RequestTest, EveryOperationIsFound) {
  const std::pair<const char*, std::string> rows[] = {
      {"GET /", Is(S3Operation::kListBuckets)},
      {"HEAD /demo", Is(S3Operation::kHeadBucket, "demo")},
      {"PUT /demo", Is(S3Operation::kCreateBucket, "demo")},
      {"DELETE /demo/", Is(S3Operation::kDeleteBucket, "demo")},
      {"GET /demo", Is(S3Operation::kListObjects, "demo")},
      {"GET /demo/?prefix=a", Is(S3Operation::kListObjects, "demo")},
      {"GET /demo?list-type=2", Is(S3Operation::kListObjectsV2, "demo")},
      {"GET /demo?location", Is(S3Operation::kBucketLocation, "demo")},
      {"GET /demo?versioning", Is(S3Operation::kBucketFact, "demo")},
      {"POST /demo?delete", Is(S3Operation::kDeleteObjects, "demo")},
      {"GET /demo?uploads", Is(S3Operation::kListUploads, "demo")},
      {"GET /demo/a/b%20c", Is(S3Operation::kGetObject, "demo", "a/b c")},
      {"HEAD /demo/a", Is(S3Operation::kHeadObject, "demo", "a")},
      {"GET /demo/a?acl", Is(S3Operation::kObjectAcl, "demo", "a")},
      {"PUT /demo/a", Is(S3Operation::kPutObject, "demo", "a")},
      {"COPY /demo/a", Is(S3Operation::kCopyObject, "demo", "a")},
      {"DELETE /demo/a", Is(S3Operation::kDeleteObject, "demo", "a")},
      {"POST /demo/a?uploads", Is(S3Operation::kCreateUpload, "demo", "a")},
      {"PUT /demo/a?partNumber=1&uploadId=x", Is(S3Operation::kUploadPart, "demo", "a")},
      {"COPY /demo/a?partNumber=1&uploadId=x", Is(S3Operation::kUploadPartCopy, "demo", "a")},
      {"GET /demo/a?uploadId=x", Is(S3Operation::kListParts, "demo", "a")},
      {"POST /demo/a?uploadId=x", Is(S3Operation::kCompleteUpload, "demo", "a")},
      {"DELETE /demo/a?uploadId=x", Is(S3Operation::kAbortUpload, "demo", "a")},
      {"GET /demo/a?tagging", Is(S3Operation::kObjectTagging, "demo", "a")},
      {"DELETE /demo/a?x-id=DeleteObject&versionId=null",
       Is(S3Operation::kDeleteObject, "demo", "a")},
      {"PUT /demo/a?X-Amz-Signature=1&x-amz-meta-a=1", Is(S3Operation::kPutObject, "demo", "a")},
      {"GET /demo/a?versionId=null", Is(S3Operation::kGetObject, "demo", "a")},
  };
  for (const auto& [line, expected] : rows) EXPECT_EQ(ReadLine(line), expected) << line;
}

TEST(S3RequestTest, WhatIsNotThereIsRefusedByName) {
  const std::pair<const char*, const char*> rows[] = {
      {"PUT /", "method_not_allowed"},
      {"PATCH /demo/a", "method_not_allowed"},
      {"POST /demo/a", "method_not_allowed"},
      {"PUT /demo/a?uploadId=x", "method_not_allowed"},
      {"POST /demo", "not_implemented"},
      {"PUT /demo?acl", "not_implemented"},
      {"PUT /demo?versioning", "not_implemented"},
      {"DELETE /demo?metadataConfiguration", "not_implemented"},
      {"PUT /demo?whatever", "not_implemented"},
      {"PUT /demo/a?cors", "not_implemented"},
      {"PUT /demo/a?delete", "not_implemented"},
      {"COPY /demo/a?uploads", "not_implemented"},
      {"DELETE /demo/a?tagging", "not_implemented"},
      {"DELETE /demo/a?partNumber2=1", "not_implemented"},
      {"POST /demo?delete&metadataTable2", "not_implemented"},
      {"POST /demo/a?uploads&uploadId=x", "not_implemented"},
      {"DELETE /demo/a?uploadId=x&partNumber=1", "not_implemented"},
      {"GET /demo?versions", "not_implemented"},
      {"PUT /demo/a?tagging", "not_implemented"},
      {"GET /demo/a?versionId=3", "not_implemented"},
      {"GET /demo/a?partNumber=1", "not_implemented"},
      {"GET /demo/a?attributes", "not_implemented"},
      {"GET /demo/a%zz", "invalid_uri"},
      {"GET /demo/a?x=%z", "invalid_uri"},
  };
  for (const auto& [line, reason] : rows) EXPECT_EQ(ReadLine(line), reason) << line;
}

TEST(S3RequestTest, TheHostMayNameTheBucket) {
  EXPECT_EQ(ReadLine("GET /a/b", "demo.s3.example.org:9000"),
            Is(S3Operation::kGetObject, "demo", "a/b"));
  EXPECT_EQ(ReadLine("GET /", "demo.s3.example.org"), Is(S3Operation::kListObjects, "demo"));
  EXPECT_EQ(ReadLine("GET /demo/a", "s3.example.org"), Is(S3Operation::kGetObject, "demo", "a"));
  EXPECT_EQ(ReadLine("GET /demo/a", "xs3.example.org"), Is(S3Operation::kGetObject, "demo", "a"));
  EXPECT_TRUE(IsS3Host("demo.s3.example.org", kDomain));
  EXPECT_TRUE(IsS3Host("s3.example.org", kDomain));
  EXPECT_FALSE(IsS3Host("xs3.example.org", kDomain));
  EXPECT_FALSE(IsS3Host(".s3.example.org", kDomain));
  EXPECT_FALSE(IsS3Host("s3.example.org", ""));
}

TEST(S3RequestTest, CopySourcesAreRead) {
  for (const char* text : {"demo/a%20b/c", "/demo/a%20b/c", "demo/a b/c?versionId=null"}) {
    const Result<S3CopySource> source = ParseCopySource(text);
    ASSERT_TRUE(source) << text;
    EXPECT_EQ(source->bucket + "|" + source->key, "demo|a b/c");
  }
  for (const char* text : {"", "/", "demo", "demo/", "/demo/", "//a", "demo/%zz"}) {
    const Result<S3CopySource> source = ParseCopySource(text);
    EXPECT_EQ(source ? "" : source.error().reason, "invalid_argument") << text;
  }
  EXPECT_EQ(ParseCopySource("demo/a?versionId=7").error().reason, "not_implemented");
}

TEST(S3RequestTest, FieldsMayStandInTheQuery) {
  const http::RequestHead head = S3Head(
      "PUT "
      "/demo/a?X-Amz-Meta-Colour=light%20red&x-amz-copy-source=%2Fdemo%2Fb&X-Amz-Date=2&x-id=1");
  const http::RequestHead whole = WithQueryFields(head).value();
  EXPECT_EQ(whole.fields.Get("x-amz-meta-colour"), "light red");
  EXPECT_FALSE(whole.fields.Has("x-amz-date"));
  EXPECT_FALSE(whole.fields.Has("x-id"));
  EXPECT_EQ(ParseS3Request(whole, kDomain)->operation, S3Operation::kCopyObject);
  for (const char* query : {"x-amz-meta-a=1%0d%0aevil:1", "x-amz-meta-a%20b=1",
                            "x-amz-meta-a=1&x-amz-meta-a=2", "x-amz-copy-source=%2Fother"}) {
    const auto refused = WithQueryFields(S3Head("COPY /demo/a?" + std::string(query)));
    EXPECT_EQ(refused ? "" : refused.error().reason, "invalid_argument") << query;
  }
  EXPECT_TRUE(WithQueryFields(S3Head("COPY /demo/a?x-amz-copy-source=%2Fa%2Fb")));
}

TEST(S3RequestTest, RightsAreThoseOfTheOperation) {
  EXPECT_EQ(RightOf(S3Operation::kGetObject), Right::kRead);
  EXPECT_EQ(RightOf(S3Operation::kListObjectsV2), Right::kRead);
  EXPECT_EQ(RightOf(S3Operation::kPutObject), Right::kPublish);
  EXPECT_EQ(RightOf(S3Operation::kDeleteObjects), Right::kPublish);
  EXPECT_EQ(RightOf(S3Operation::kListParts), Right::kPublish);
  EXPECT_EQ(RightOf(S3Operation::kCreateBucket), Right::kAdmin);
  EXPECT_EQ(RightOf(S3Operation::kDeleteBucket), Right::kAdmin);
}

}  // namespace
}  // namespace nearside::origin
