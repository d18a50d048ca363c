#include "tests/origin/s3_fixture.h"
#include "tests/support/file_size_limit.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class S3ServiceTest : public S3Test {};

/// MD5 of "hello" and of "".
constexpr const char* kHelloTag = "\"5d41402abc4b2a76b9719d911017c592\"";

TEST_F(S3ServiceTest, AnObjectIsPutReadListedAndRemoved) {
  const Reply put = With("PUT /demo/a/b.css", "hello",
                         {{"cache-control", "no-store"}, {"x-amz-meta-mtime", "1.5"}});
  EXPECT_EQ(put.status, 200) << put.body;
  EXPECT_EQ(put.Field("etag"), kHelloTag);
  const Reply get = S3("GET /demo/a/b.css");
  EXPECT_EQ(get.body, "hello");
  EXPECT_EQ(get.Field("etag"), kHelloTag);
  EXPECT_EQ(get.Field("content-type"), "text/css; charset=utf-8");
  EXPECT_EQ(get.Field("cache-control"), "no-store");
  EXPECT_EQ(get.Field("x-amz-meta-mtime"), "1.5");
  EXPECT_EQ(S3("GET /demo?list-type=2").status, 200);
  EXPECT_EQ(Element(S3("GET /demo?list-type=2"), "Key"), "a/b.css");
  EXPECT_EQ(Element(S3("GET /demo?delimiter=%2F"), "CommonPrefixes"), "<Prefix>a/</Prefix>");
  EXPECT_EQ(S3("DELETE /demo/a/b.css").status, 204);
  EXPECT_EQ(S3("DELETE /demo/a/b.css").status, 204);
  EXPECT_EQ(Outcome(S3("GET /demo/a/b.css")), "404 NoSuchKey");
}

TEST_F(S3ServiceTest, ADiskThatIsFullIsToldAndTheOldObjectStays) {
  ASSERT_EQ(S3("PUT /demo/a", "old").status, 200);
  {
    nearside::test::FileSizeLimit limit(2 << 20);
    EXPECT_EQ(Outcome(S3("PUT /demo/a", std::string(3 << 20, 'x'))), "507 InsufficientCapacity");
  }
  EXPECT_EQ(S3("GET /demo/a").body, "old");
}

/// As a client sends them that signs each, the last one empty.
std::string SignedChunks(S3ChunkSigner signer, const std::vector<std::string>& contents) {
  std::string text;
  for (size_t i = 0; i <= contents.size(); ++i) {
    const std::string content = i < contents.size() ? contents[i] : "";
    signer.previous = signer.SignChunk(Sha256Of(content));
    text += std::to_string(content.size()) + ";chunk-signature=" + signer.previous + "\r\n" +
            content + "\r\n";
  }
  return text;
}

TEST_F(S3ServiceTest, EachChunkIsSignedBehindTheOneBeforeItAndTheFirstBehindTheHead) {
  const auto put = [&](const std::vector<std::string>& contents,
                       const std::function<void(S3ChunkSigner*, std::string*)>& tamper) {
    S3ChunkSigner signer{};
    const std::string place(SignedChunks(signer, contents).size(), '?');
    Signing signing;
    signing.payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    signing.fields = {{"x-amz-decoded-content-length", "8"}, {"content-encoding", "aws-chunked"}};
    signing.chunks = &signer;
    std::string text = SignedText("PUT /demo/chunks", place, signing);
    if (tamper) tamper(&signer, nullptr);
    std::string chunks = SignedChunks(signer, contents);
    if (tamper) tamper(nullptr, &chunks);
    return Ask(port(), text.replace(text.size() - place.size(), place.size(), chunks));
  };
  EXPECT_EQ(Outcome(put({"hello", "you"}, nullptr)), "200 ");
  EXPECT_EQ(S3("GET /demo/chunks").body, "helloyou");
  EXPECT_EQ(Outcome(put({"other", "one"},
                        [](S3ChunkSigner*, std::string* chunks) {
                          if (chunks != nullptr) chunks->replace(chunks->find("one"), 3, "two");
                        })),
            "403 SignatureDoesNotMatch");
  EXPECT_EQ(Outcome(put({"other", "one"},
                        [](S3ChunkSigner* signer, std::string*) {
                          if (signer != nullptr) signer->previous[0] ^= 1;
                        })),
            "403 SignatureDoesNotMatch");
  EXPECT_EQ(S3("GET /demo/chunks").body, "helloyou");
}

TEST_F(S3ServiceTest, AVisitorSeesThePutAndNoNotes) {
  (void)With("PUT /demo/page.html", "hello", {{"x-amz-meta-secret", "mine"}});
  const Reply visit = Visit("/page.html");
  EXPECT_EQ(visit.body, "hello");
  EXPECT_THAT(visit.head, Not(HasSubstr("x-amz")));
  EXPECT_NE(visit.Field("etag"), kHelloTag);
  const auto events = node_->metadata->Events(2, 10).value();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].body, HasSubstr("\"urls\":[\"/page.html\"]"));
  // The same once more changes no answer, so edges need not know; S3's clients see a new date.
  const WallTime before = node_->metadata->FindSite("demo")->changed;
  EXPECT_EQ(With("PUT /demo/page.html", "hello", {{"x-amz-meta-secret", "mine"}}).status, 200);
  EXPECT_EQ(node_->metadata->Events(3, 10)->size(), 0u);
  EXPECT_EQ(node_->metadata->FindSite("demo")->changed, before);
}

TEST_F(S3ServiceTest, WhoMayNotIsToldSo) {
  (void)S3("PUT /demo/a", "1");
  const auto as = [&](const std::string& key, const std::string& line) {
    Signing signing;
    signing.key = key;
    return Outcome(S3(line, "", signing));
  };
  EXPECT_EQ(as("reader", "PUT /demo/a"), "403 AccessDenied");
  EXPECT_EQ(as("reader", "DELETE /demo/a"), "403 AccessDenied");
  EXPECT_EQ(as("reader", "GET /demo/a"), "200 ");
  EXPECT_EQ(as("stranger", "GET /demo/a"), "403 AccessDenied");
  EXPECT_EQ(as("stranger", "GET /none/a"), "403 AccessDenied");
  EXPECT_EQ(as("admin", "GET /none/a"), "404 NoSuchBucket");
  EXPECT_EQ(as("writer", "PUT /fresh"), "403 AccessDenied");
  EXPECT_EQ(as("nobody", "GET /demo/a"), "403 InvalidAccessKeyId");
  Signing copy;
  copy.key = "stranger";
  copy.fields = {{"x-amz-copy-source", "/demo/a"}};
  EXPECT_EQ(Outcome(S3("PUT /other/a", "", copy)), "403 AccessDenied");
  EXPECT_EQ(S3("GET /demo/a").body, "1");
}

TEST_F(S3ServiceTest, WrongTamperedAndOldRequestsChangeNothing) {
  Signing wrong;
  wrong.secret = "another";
  EXPECT_EQ(Outcome(S3("PUT /demo/a", "1", wrong)), "403 SignatureDoesNotMatch");
  Signing old;
  old.age = seconds(901);
  EXPECT_EQ(Outcome(S3("PUT /demo/a", "1", old)), "403 RequestTimeTooSkewed");
  std::string text = SignedText("PUT /demo/a", "right", {});
  text.replace(text.size() - 5, 5, "wrong");
  EXPECT_EQ(Outcome(Ask(port(), text)), "400 XAmzContentSHA256Mismatch");
  text = SignedText("PUT /demo/a", "right", {});
  text.replace(text.find("/demo/a"), 7, "/demo/b");
  EXPECT_EQ(Outcome(Ask(port(), text)), "403 SignatureDoesNotMatch");
  EXPECT_EQ(Outcome(Ask(port(), Text("PUT /demo/a", "", "1"))), "403 AccessDenied");
  EXPECT_EQ(Element(S3("GET /demo"), "Key"), "");
  EXPECT_EQ(BlobFiles(), 0u);
}

TEST_F(S3ServiceTest, AFileOfRulesIsReadWhenItIsPutOrCopied) {
  EXPECT_EQ(Outcome(S3("PUT /demo/_redirects", "/a\n")), "400 InvalidArgument");
  EXPECT_EQ(S3("PUT /demo/_redirects", "/a /b\n").status, 200);
  EXPECT_EQ(Visit("/a").status, 301);
  EXPECT_EQ(S3("PUT /demo/wrong.txt", "/*\nSet-Cookie: a=b\n").status, 200);
  EXPECT_EQ(Outcome(With("PUT /demo/_headers", "", {{"x-amz-copy-source", "/demo/wrong.txt"}})),
            "400 InvalidArgument");
}

TEST_F(S3ServiceTest, WhatClientsSayOfTheContentIsChecked) {
  const std::pair<std::pair<std::string, std::string>, std::string> rows[] = {
      {{"content-md5", "XUFAKrxLKna5cZ2REBfFkg=="}, "200 "},
      {{"content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="}, "400 BadDigest"},
      {{"content-md5", "nonsense"}, "400 InvalidDigest"},
      {{"x-amz-checksum-crc32", "NhCmhg=="}, "200 "},
      {{"x-amz-checksum-crc32", "AAAAAA=="}, "400 BadDigest"},
      {{"x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}, "200 "},
      {{"x-amz-checksum-sha1", "AAAA"}, "400 BadDigest"},
      {{"x-amz-trailer", "x-amz-checksum-none"}, "400 InvalidRequest"},
  };
  for (const auto& [field, outcome] : rows) {
    EXPECT_EQ(Outcome(With("PUT /demo/a", "hello", {field})), outcome)
        << field.first << field.second;
  }
  EXPECT_EQ(BlobFiles(), 1u);
}

TEST_F(S3ServiceTest, SignedChunksAndTrailersAreTakenOff) {
  const std::string content = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
  Signing signing;
  signing.payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
  signing.fields = {{"content-encoding", "aws-chunked"},
                    {"x-amz-decoded-content-length", "5"},
                    {"x-amz-trailer", "x-amz-checksum-crc32"}};
  EXPECT_EQ(Outcome(S3("PUT /demo/a", content, signing)), "200 ");
  EXPECT_EQ(S3("GET /demo/a").body, "hello");
  std::string wrong = content;
  wrong[3] = 'j';
  EXPECT_EQ(Outcome(S3("PUT /demo/b", wrong, signing)), "400 BadDigest");
  EXPECT_EQ(Outcome(S3("PUT /demo/b", "5\r\nhello\r\n0\r\n\r\n", signing)), "400 IncompleteBody");
  signing.fields.erase(signing.fields.begin() + 1);
  EXPECT_EQ(Outcome(S3("PUT /demo/b", content, signing)), "411 MissingContentLength");
  EXPECT_EQ(S3("GET /demo/b").status, 404);
}

TEST_F(S3ServiceTest, ACutOffUploadLeavesNothing) {
  const std::string whole = SignedText("PUT /demo/a", std::string(100'000, 'x'), {});
  for (const size_t size : {whole.size() - 1, whole.size() - 99'999}) {
    RawClient client(port());
    client.Send(whole.substr(0, size));
    client.EndSending();
    EXPECT_EQ(Outcome(client.Read()), "400 IncompleteBody");
  }
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(S3("GET /demo/a").status, 404);
}

TEST_F(S3ServiceTest, KeysThatNoFileCanHaveAreRefusedWithTheRule) {
  for (const char* path : {"folder/", "a//b", "a/../b", "%2e", "a%5cb", "a%00b", "%ff"}) {
    EXPECT_EQ(Outcome(S3("PUT /demo/" + std::string(path), "x")), "400 InvalidArgument") << path;
    EXPECT_EQ(Outcome(S3("GET /demo/" + std::string(path))), "404 NoSuchKey") << path;
    EXPECT_EQ(S3("DELETE /demo/" + std::string(path)).status, 204) << path;
  }
  EXPECT_THAT(S3("PUT /demo/folder/", "").body, HasSubstr("folders exist by the files in them"));
  EXPECT_EQ(Outcome(S3("PUT /demo/" + std::string(1025, 'a'), "x")), "400 KeyTooLongError");
}

TEST_F(S3ServiceTest, RangesAndConditions) {
  (void)S3("PUT /demo/a", "hello");
  const Reply part = With("GET /demo/a", "", {{"range", "bytes=1-2"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "el");
  EXPECT_EQ(part.Field("content-range"), "bytes 1-2/5");
  EXPECT_EQ(Outcome(With("GET /demo/a", "", {{"range", "bytes=5-"}})), "416 InvalidRange");
  EXPECT_EQ(With("GET /demo/a", "", {{"range", "bytes=0-0,2-2"}}).body, "hello");
  EXPECT_EQ(With("GET /demo/a", "", {{"if-none-match", kHelloTag}}).status, 304);
  EXPECT_EQ(With("GET /demo/a", "", {{"if-match", kHelloTag}}).status, 200);
  EXPECT_EQ(Outcome(With("GET /demo/a", "", {{"if-match", "\"x\""}})), "412 PreconditionFailed");
  EXPECT_EQ(Outcome(With("PUT /demo/a", "2", {{"if-none-match", "*"}})), "412 PreconditionFailed");
  EXPECT_EQ(Outcome(With("PUT /demo/a", "2", {{"if-match", "\"x\""}})), "412 PreconditionFailed");
  EXPECT_EQ(Outcome(With("PUT /demo/a", "2", {{"if-match", kHelloTag}})), "200 ");
  EXPECT_EQ(S3("GET /demo/a").body, "2");
}

TEST_F(S3ServiceTest, ACopyKeepsOrReplacesWhatBelongsToIt) {
  (void)With("PUT /demo/a.txt", "hello", {{"x-amz-meta-a", "1"}, {"cache-control", "no-cache"}});
  const Reply copy = With("PUT /demo/b.bin", "", {{"x-amz-copy-source", "/demo/a.txt"}});
  EXPECT_EQ(copy.status, 200) << copy.body;
  EXPECT_EQ(Element(copy, "ETag"), "&quot;5d41402abc4b2a76b9719d911017c592&quot;");
  const Reply kept = S3("HEAD /demo/b.bin");
  EXPECT_EQ(kept.Field("x-amz-meta-a"), "1");
  EXPECT_EQ(kept.Field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(With("PUT /demo/c", "",
                 {{"x-amz-copy-source", "demo/a.txt"},
                  {"x-amz-metadata-directive", "REPLACE"},
                  {"x-amz-meta-b", "2"}})
                .status,
            200);
  const Reply replaced = S3("GET /demo/c");
  EXPECT_EQ(replaced.body, "hello");
  EXPECT_EQ(replaced.Field("x-amz-meta-a"), "");
  EXPECT_EQ(replaced.Field("x-amz-meta-b"), "2");
  EXPECT_EQ(Outcome(With("PUT /demo/d", "", {{"x-amz-copy-source", "/demo/none"}})),
            "404 NoSuchKey");
  EXPECT_EQ(Outcome(With(
                "PUT /demo/d", "",
                {{"x-amz-copy-source", "/demo/a.txt"}, {"x-amz-copy-source-if-match", "\"x\""}})),
            "412 PreconditionFailed");
}

TEST_F(S3ServiceTest, ManyAreDeletedAtOnce) {
  for (const char* key : {"a", "b&c", "d"}) {
    (void)S3("PUT /demo/" + std::string(key), key);
  }
  const std::string body =
      "<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object>"
      "<Object><Key>none</Key></Object></Delete>";
  const Reply reply = S3("POST /demo?delete", body);
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr("<Deleted><Key>b&amp;c</Key></Deleted>"));
  EXPECT_EQ(Element(S3("GET /demo"), "Key"), "d");
  EXPECT_EQ(Outcome(S3("POST /demo?delete", "<Delete>")), "400 MalformedXML");
  EXPECT_EQ(Outcome(With("POST /demo?delete", body, {{"content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="}})),
            "400 BadDigest");
}

TEST_F(S3ServiceTest, WhatAReleasePublishedHasATagThatIsNoMd5) {
  (void)Publish({{"index.html", "hello"}});
  EXPECT_THAT(S3("HEAD /demo/index.html").Field("etag"), testing::EndsWith("-0\""));
  EXPECT_EQ(S3("GET /demo/index.html").body, "hello");
}

TEST_F(S3ServiceTest, BucketsAreSites) {
  EXPECT_THAT(S3("GET /").body, HasSubstr("<Name>demo</Name>"));
  EXPECT_THAT(S3("GET /").body, Not(HasSubstr("<Name>other</Name>")));
  Signing admin;
  admin.key = "admin";
  EXPECT_EQ(S3("PUT /fresh", "", admin).status, 200);
  EXPECT_EQ(Outcome(S3("PUT /fresh", "", admin)), "409 BucketAlreadyOwnedByYou");
  EXPECT_EQ(Outcome(S3("PUT /Fresh", "", admin)), "400 InvalidBucketName");
  EXPECT_EQ(Outcome(S3("PUT /healthz2", "", admin)), "200 ");
  (void)S3("PUT /fresh/a", "1", admin);
  EXPECT_EQ(Outcome(S3("DELETE /fresh", "", admin)), "409 BucketNotEmpty");
  (void)S3("DELETE /fresh/a", "", admin);
  EXPECT_EQ(S3("DELETE /fresh", "", admin).status, 204);
  EXPECT_EQ(S3("HEAD /fresh", "", admin).status, 404);
  EXPECT_EQ(S3("HEAD /demo").status, 200);
  EXPECT_THAT(S3("GET /demo?location").body, HasSubstr("LocationConstraint"));
  EXPECT_THAT(S3("GET /demo?versioning").body, HasSubstr("VersioningConfiguration"));
  EXPECT_EQ(Outcome(S3("GET /demo?policy")), "404 NoSuchBucketPolicy");
  EXPECT_EQ(Outcome(S3("PUT /demo?versioning")), "501 NotImplemented");
}

TEST_F(S3ServiceTest, HostsSayWhoIsAsked) {
  EXPECT_EQ(Ask(port(), Text("GET /demo/a", "", "", "unknown.test")).status, 421);
  EXPECT_EQ(Outcome(Ask(port(), Text("GET /demo/a", "", ""))), "403 AccessDenied");
  EXPECT_EQ(Reason(Ask(port(), Text("GET /v1/sites", "", ""))), "unauthorized");
  Restart("[s3]\ndomain = \"s3.test\"\n");
  Signing signing;
  signing.host = "demo.s3.test";
  EXPECT_EQ(S3("PUT /a", "hello", signing).status, 200);
  EXPECT_EQ(S3("GET /demo/a").body, "hello");
  signing.host = "s3.test";
  EXPECT_EQ(S3("GET /demo/a", "", signing).body, "hello");
  Restart("[s3]\nenabled = false\n");
  EXPECT_EQ(S3("GET /demo/a").status, 404);
}

TEST_F(S3ServiceTest, NoSiteTakesTheHostOfS3) {
  MakeSite("thief", "s3.test");  // before the domain was S3's
  MakeSite("thief2", "demo.s3.test");
  Restart("[s3]\ndomain = \"s3.test\"\n");
  Signing signing;
  for (const char* host : {"s3.test", "demo.s3.test"}) {
    signing.host = host;
    const std::string bucket = signing.host == "s3.test" ? "/demo/" : "/";
    EXPECT_EQ(Outcome(S3("PUT " + bucket + "a", "hello", signing)), "200 ") << host;
    EXPECT_EQ(S3("GET " + bucket + "a", "", signing).body, "hello") << host;
  }
  const Reply refused = Admin("PUT /v1/sites/thief3", R"({"hosts":["other.s3.test"]})");
  EXPECT_EQ(Reason(refused), "bad_site");
  // Below the domain the whole path is a key; at it, these are the API's.
  for (const char* key : {"v1/sites", "healthz"}) {
    EXPECT_EQ(Outcome(S3("PUT /" + std::string(key), "hello", signing)), "200 ") << key;
    EXPECT_EQ(S3("GET /demo/" + std::string(key)).body, "hello") << key;
  }
  EXPECT_EQ(Reason(Ask(port(), Text("GET /v1/sites", "", "", "s3.test"))), "unauthorized");
}

TEST_F(S3ServiceTest, WhoGuessesLocksNobodyElseOut) {
  // [auth] is the last of the fixture's tables.
  Restart("failures = 2\nlimit_loopback = true\n[s3]\ndomain = \"s3.test\"\n");
  Signing wrong;
  wrong.key = "nobody";
  wrong.host = "unknown.test";
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(Outcome(S3("GET /demo/a", "", wrong)), "403 InvalidAccessKeyId");
  }
  EXPECT_EQ(Request("GET /v1/sites", "authorization: Bearer wrong-token-0123456789\r\n").status,
            401);
  wrong.host = "s3.test";
  EXPECT_EQ(Outcome(S3("GET /demo/a", "", wrong)), "403 InvalidAccessKeyId");
  EXPECT_EQ(Outcome(S3("GET /demo/a", "", wrong)), "503 SlowDown");
  wrong.host = "127.0.0.1";
  wrong.key = "writer";
  wrong.secret = "another";
  EXPECT_EQ(Outcome(S3("GET /demo/a", "", wrong)), "503 SlowDown");
  EXPECT_EQ(Outcome(S3("PUT /demo/a", "1")), "200 ");
  EXPECT_EQ(Fleet("GET /v1/sites").status, 200);
  EXPECT_EQ(Admin("GET /v1/sites").status, 200);
}

TEST_F(S3ServiceTest, AKeyThatOpensNothingAnyMoreIsAnsweredLikeAnUnknownOne) {
  Signing unknown;
  unknown.key = "nobody";
  const std::string message = Element(S3("GET /demo", "", unknown), "Message");
  Signing admin;
  admin.key = "admin";
  EXPECT_EQ(S3("DELETE /demo", "", admin).status, 204);
  // At once: the tokens of the site went with it.
  const Reply revoked = S3("GET /demo");
  EXPECT_EQ(Outcome(revoked), "403 InvalidAccessKeyId");
  EXPECT_EQ(Element(revoked, "Message"), message);
}

TEST_F(S3ServiceTest, WhatIsNotKnownDestroysNothing) {
  (void)S3("PUT /demo/a", "hello");
  Signing admin;
  admin.key = "admin";
  EXPECT_EQ(S3("PUT /fresh", "", admin).status, 200);
  EXPECT_EQ(Outcome(S3("DELETE /fresh?metadataConfiguration", "", admin)), "501 NotImplemented");
  EXPECT_EQ(S3("HEAD /fresh", "", admin).status, 200);
  EXPECT_EQ(Outcome(S3("PUT /demo/a?cors", "<CORSConfiguration/>")), "501 NotImplemented");
  EXPECT_EQ(S3("GET /demo/a").body, "hello");
  EXPECT_THAT(S3("GET /demo/a?tagging").body, HasSubstr("<TagSet></TagSet>"));
  EXPECT_EQ(Outcome(S3("GET /demo/none?tagging")), "404 NoSuchKey");
}

TEST_F(S3ServiceTest, FieldsInTheQueryAreKeptAsThoseOfTheHead) {
  EXPECT_EQ(Outcome(S3("PUT /demo/a?x-amz-meta-colour=red", "hello")), "200 ");
  EXPECT_EQ(S3("HEAD /demo/a").Field("x-amz-meta-colour"), "red");
  EXPECT_EQ(Outcome(S3("PUT /demo/b?x-amz-copy-source=%2Fdemo%2Fa")), "200 ");
  EXPECT_EQ(S3("GET /demo/b").body, "hello");
  EXPECT_EQ(Outcome(S3("PUT /demo/b?x-amz-tagging=a%3Db", "2")), "501 NotImplemented");
  EXPECT_EQ(S3("GET /demo/b").body, "hello");
}

TEST_F(S3ServiceTest, OneOfManyIsDeletedOnlyAsItWasNamed) {
  for (const char* key : {"a", "b", "c", "d"}) (void)S3("PUT /demo/" + std::string(key), "hello");
  const Reply reply =
      S3("POST /demo?delete",
         "<Delete><Object><Key>a</Key><ETag>\"other\"</ETag></Object>"
         "<Object><Key>b</Key><VersionId>7</VersionId></Object>"
         "<Object><Key>c</Key><ETag>5d41402abc4b2a76b9719d911017c592</ETag></Object>"
         "<Object><Key>d</Key><VersionId>null</VersionId></Object>"
         "<Object><Key>none</Key><ETag>\"other\"</ETag></Object></Delete>");
  EXPECT_THAT(reply.body, HasSubstr("<Key>a</Key><Code>PreconditionFailed</Code>"));
  EXPECT_THAT(reply.body, HasSubstr("<Key>b</Key><Code>NotImplemented</Code>"));
  EXPECT_THAT(reply.body, HasSubstr("<Key>none</Key><Code>PreconditionFailed</Code>"));
  EXPECT_EQ(S3("HEAD /demo/a").status, 200);
  EXPECT_EQ(S3("HEAD /demo/b").status, 200);
  EXPECT_EQ(S3("HEAD /demo/c").status, 404);
  EXPECT_EQ(S3("HEAD /demo/d").status, 404);
}

TEST_F(S3ServiceTest, PagesOfAllowedOriginsMaySpeakS3) {
  Restart("[s3]\ncors_origins = [\"https://app.test\"]\n");
  const auto ask = [&](const std::string& origin) {
    return Ask(port(), Text("OPTIONS /demo/a",
                            "origin: " + origin +
                                "\r\naccess-control-request-method: PUT\r\n"
                                "access-control-request-headers: content-type\r\n",
                            ""));
  };
  EXPECT_EQ(Ask(port(), Text("OPTIONS /demo/a",
                             "origin: https://app.test\r\naccess-control-request-method: PUT\r\n",
                             "", "s3.behind.proxy"))
                .status,
            200);
  const Reply allowed = ask("https://app.test");
  EXPECT_EQ(allowed.status, 200);
  EXPECT_EQ(allowed.Field("access-control-allow-origin"), "https://app.test");
  EXPECT_EQ(allowed.Field("access-control-allow-headers"), "content-type");
  EXPECT_EQ(Outcome(ask("https://evil.test")), "403 AccessForbidden");
  (void)S3("PUT /demo/a", "1");
  EXPECT_EQ(With("GET /demo/a", "", {{"origin", "https://app.test"}})
                .Field("access-control-allow-origin"),
            "https://app.test");
  EXPECT_EQ(With("GET /demo/a", "", {{"origin", "https://evil.test"}})
                .Field("access-control-allow-origin"),
            "");
}

TEST_F(S3ServiceTest, WhatIsNotKeptIsRefused) {
  EXPECT_EQ(Outcome(With("PUT /demo/a", "1", {{"x-amz-tagging", "a=b"}})), "501 NotImplemented");
  EXPECT_EQ(Outcome(With("PUT /demo/a", "1", {{"x-amz-storage-class", "GLACIER"}})),
            "400 InvalidStorageClass");
  EXPECT_EQ(Outcome(With("PUT /demo/a", "1", {{"content-encoding", "gzip"}})),
            "400 InvalidArgument");
  EXPECT_EQ(Outcome(With("PUT /demo/a", "1",
                         {{"x-amz-meta-a", std::string(5000, 'x')},
                          {"x-amz-meta-b", std::string(5000, 'x')}})),
            "400 MetadataTooLarge");
  EXPECT_EQ(S3("GET /demo/a").status, 404);
}

}  // namespace
}  // namespace nearside::origin::test
