#include "origin/content_digest.h"
#include "origin/s3_object.h"
#include "tests/origin/s3_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class S3MultipartTest : public S3Test {
 protected:
  std::string Begin(const std::string& key) {
    const Reply reply = With("POST /demo/" + key + "?uploads", "", {{"x-amz-meta-a", "1"}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Element(reply, "UploadId");
  }
  Reply Part(const std::string& key, const std::string& id, int number, const std::string& text) {
    return S3("PUT /demo/" + key + "?partNumber=" + std::to_string(number) + "&uploadId=" + id,
              text);
  }
  Reply Complete(const std::string& key, const std::string& id,
                 const std::vector<std::pair<int, std::string>>& parts) {
    std::string body = "<CompleteMultipartUpload>";
    for (const auto& [number, tag] : parts) {
      body += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" + tag +
              "</ETag></Part>";
    }
    return S3("POST /demo/" + key + "?uploadId=" + id, body + "</CompleteMultipartUpload>");
  }
};

TEST_F(S3MultipartTest, PartsBecomeOneObject) {
  const std::string id = Begin("big.bin");
  const std::string second = Part("big.bin", id, 7, "world").Field("etag");
  const std::string first = Part("big.bin", id, 2, "hello ").Field("etag");
  EXPECT_EQ(S3("GET /demo/big.bin").status, 404);
  EXPECT_THAT(S3("GET /demo/big.bin?uploadId=" + id).body, HasSubstr("<PartNumber>2</PartNumber>"));
  EXPECT_EQ(Element(S3("GET /demo?uploads"), "UploadId"), id);
  const Reply done = Complete("big.bin", id, {{2, first}, {7, second}});
  EXPECT_EQ(done.status, 200) << done.body;
  const Reply get = S3("GET /demo/big.bin");
  EXPECT_EQ(get.body, "hello world");
  EXPECT_EQ(get.Field("x-amz-meta-a"), "1");
  EXPECT_THAT(get.Field("etag"), testing::EndsWith("-2\""));
  EXPECT_EQ(Element(done, "ETag"), "&quot;" + get.Field("etag").substr(1, 34) + "&quot;");
  EXPECT_EQ(Element(S3("GET /demo?uploads"), "UploadId"), "");
  EXPECT_EQ(BlobFiles(), 1u);  // the parts are gone
  // The client that has lost the answer asks again.
  EXPECT_EQ(Complete("big.bin", id, {{2, first}, {7, second}}).body, done.body);
  EXPECT_EQ(Visit("/big.bin").body, "hello world");
}

TEST_F(S3MultipartTest, TheTagIsTheMd5OfTheMd5s) {
  // md5(md5("hello ") + md5("world")), by another program.
  EXPECT_EQ(
      MultipartEntityTag({"f814893777bcc2295fff05f00e508da6", "7d793037a0760186574b0282f2f435e7"}),
      "e09e4fd6265b36115fe3db32df945d84-2");
}

TEST_F(S3MultipartTest, APartIsReplacedAndAnUploadAborted) {
  const std::string id = Begin("a");
  const std::string before = Part("a", id, 1, "one").Field("etag");
  const std::string after = Part("a", id, 1, "two").Field("etag");
  EXPECT_EQ(BlobFiles(), 1u);
  EXPECT_EQ(Outcome(Complete("a", id, {{1, before}})), "400 InvalidPart");
  EXPECT_EQ(Outcome(Complete("a", id, {{1, after}, {2, after}})), "400 InvalidPart");
  EXPECT_EQ(Outcome(Complete("a", id, {{1, after}, {1, after}})), "400 InvalidPartOrder");
  EXPECT_EQ(Outcome(Complete("a", id, {})), "400 MalformedXML");
  EXPECT_EQ(Outcome(Part("a", id, 0, "x")), "400 InvalidArgument");
  EXPECT_EQ(Outcome(Part("a", id, 10'001, "x")), "400 InvalidArgument");
  EXPECT_EQ(Outcome(Part("b", id, 1, "x")), "404 NoSuchUpload");
  EXPECT_EQ(S3("DELETE /demo/a?uploadId=" + id).status, 204);
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(Outcome(Part("a", id, 1, "x")), "404 NoSuchUpload");
  EXPECT_EQ(Outcome(Complete("a", id, {{1, after}})), "404 NoSuchUpload");
  EXPECT_EQ(BlobFiles(), 0u);
}

TEST_F(S3MultipartTest, EqualPartsOfTwoUploadsAreNotOne) {
  const std::string one = Begin("a");
  const std::string two = Begin("b");
  const std::string tag = Part("a", one, 1, "same").Field("etag");
  EXPECT_EQ(Part("b", two, 1, "same").Field("etag"), tag);
  EXPECT_EQ(S3("DELETE /demo/a?uploadId=" + one).status, 204);
  EXPECT_EQ(Complete("b", two, {{1, tag}}).status, 200);
  EXPECT_EQ(S3("GET /demo/b").body, "same");
}

TEST_F(S3MultipartTest, AWrongPartIsNotKept) {
  const std::string id = Begin("a");
  std::string text = SignedText("PUT /demo/a?partNumber=1&uploadId=" + id, "right", {});
  text.replace(text.size() - 5, 5, "wrong");
  EXPECT_EQ(Outcome(Ask(port(), text)), "400 XAmzContentSHA256Mismatch");
  EXPECT_EQ(Element(S3("GET /demo/a?uploadId=" + id), "PartNumber"), "");
  EXPECT_EQ(BlobFiles(), 0u);
}

TEST_F(S3MultipartTest, APartMayBeAPieceOfAnObject) {
  (void)S3("PUT /demo/source", "hello world");
  const std::string id = Begin("a");
  const Reply part =
      With("PUT /demo/a?partNumber=1&uploadId=" + id, "",
           {{"x-amz-copy-source", "/demo/source"}, {"x-amz-copy-source-range", "bytes=6-10"}});
  EXPECT_EQ(part.status, 200) << part.body;
  std::string tag = Element(part, "ETag");
  tag = tag.substr(6, 32);
  EXPECT_EQ(Complete("a", id, {{1, tag}}).status, 200);
  EXPECT_EQ(S3("GET /demo/a").body, "world");
  EXPECT_EQ(Outcome(With("PUT /demo/a?partNumber=1&uploadId=" + Begin("a"), "",
                         {{"x-amz-copy-source", "/demo/source"},
                          {"x-amz-copy-source-range", "bytes=20-30"}})),
            "400 InvalidArgument");
}

TEST_F(S3MultipartTest, ACopiedPartOfNoNumberLeavesNothing) {
  (void)S3("PUT /demo/source", "hello world");
  for (const char* number : {"0", "10001", "x"}) {
    EXPECT_EQ(
        Outcome(With("PUT /demo/a?partNumber=" + std::string(number) + "&uploadId=" + Begin("a"),
                     "", {{"x-amz-copy-source", "/demo/source"}})),
        "400 InvalidArgument");
  }
  EXPECT_EQ(BlobFiles(), 1u);
}

TEST_F(S3MultipartTest, TheMd5OfACompletionIsThatOfItsList) {
  const std::string id = Begin("a");
  const std::string tag = Part("a", id, 1, "hello").Field("etag");
  const std::string list = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + tag +
                           "</ETag></Part></CompleteMultipartUpload>";
  const auto complete = [&](const std::string& name, const std::string& value) {
    return Outcome(With("POST /demo/a?uploadId=" + id, list, {{name, value}}));
  };
  EXPECT_EQ(complete("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="), "400 BadDigest");  // "hello"
  EXPECT_EQ(complete("x-amz-checksum-crc32", "AAAAAA=="), "400 BadDigest");
  Digest md5(DigestKind::kMd5);
  md5.Update({reinterpret_cast<const uint8_t*>(list.data()), list.size()});
  const std::string digest = md5.Finish();
  EXPECT_EQ(complete("content-md5", Base64Encode({reinterpret_cast<const uint8_t*>(digest.data()),
                                                  digest.size()})),
            "200 ");
  EXPECT_EQ(S3("GET /demo/a").body, "hello");
}

TEST_F(S3MultipartTest, WhatIsAbandonedExpires) {
  const std::string id = Begin("a");
  (void)Part("a", id, 1, "x");
  S3Service service(*node_);
  service.Expire(WallNow() + node_->settings.s3.upload_expiry - seconds(60));
  EXPECT_EQ(BlobFiles(), 1u);
  service.Expire(WallNow() + node_->settings.s3.upload_expiry + seconds(60));
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(Outcome(Part("a", id, 1, "x")), "404 NoSuchUpload");
}

TEST_F(S3MultipartTest, AnUploadOutlivesTheProcessAndNotItsSite) {
  const std::string id = Begin("a");
  const std::string tag = Part("a", id, 1, "hello").Field("etag");
  Restart();
  EXPECT_EQ(Complete("a", id, {{1, tag}}).status, 200);
  const std::string other = Begin("b");
  (void)Part("b", other, 1, "hello");
  EXPECT_EQ(Admin("DELETE /v1/sites/demo").status, 200);
  MakeSite();
  EXPECT_EQ(Element(S3("GET /demo?uploads"), "UploadId"), "");
  S3Service(*node_).Expire(WallNow());
  EXPECT_EQ(BlobFiles(), 1u);
}

}  // namespace
}  // namespace nearside::origin::test
