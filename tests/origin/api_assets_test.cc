#include <filesystem>

#include "tests/origin/origin_fixture.h"
#include "tests/support/file_size_limit.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class ApiAssetsTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    MakeSite();
  }
  static std::string At(const std::string& path) { return "/v1/sites/demo/assets/" + path; }
  Reply Put(const std::string& path, const std::string& content, const std::string& fields = "") {
    return Admin("PUT " + At(path), content, fields);
  }
  /// Files of the blob store, half-written ones included.
  size_t FilesOfBlobs() const {
    size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.In("blobs"))) {
      if (entry.is_regular_file()) ++files;
    }
    return files;
  }
  /// The same, once nothing is half-written any more: a connection's end is noticed by its thread a
  /// moment later.
  size_t FilesWhenSettled() {
    while (!server_->idle()) std::this_thread::yield();
    return FilesOfBlobs();
  }
};

TEST_F(ApiAssetsTest, AnAssetIsStoredReadReplacedAndRemoved) {
  const Reply put = Put("a/b.css", "body{}");
  EXPECT_EQ(put.status, 201) << put.body;
  EXPECT_EQ(Json(put)["sha256"], DigitsOf("body{}"));
  EXPECT_EQ(Json(put)["bytes"], 6);
  EXPECT_EQ(Json(put)["content_type"], "text/css; charset=utf-8");
  const Reply get = Admin("GET " + At("a/b.css"));
  EXPECT_EQ(get.body, "body{}");
  EXPECT_EQ(get.Field("etag"), Json(put)["etag"]);
  EXPECT_EQ(get.Field("repr-digest"), DigestFieldOf("body{}"));
  EXPECT_EQ(Put("a/b.css", "p{}").status, 200);
  const Reply head = Admin("HEAD " + At("a/b.css"));
  EXPECT_EQ(head.Field("content-length"), "3");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(Admin("DELETE " + At("a/b.css")).status, 200);
  EXPECT_EQ(Reason(Admin("GET " + At("a/b.css"))), "no_such_asset");
  EXPECT_EQ(Reason(Admin("DELETE " + At("a/b.css"))), "no_such_asset");
}

TEST_F(ApiAssetsTest, EachChangeIsAPurgeOfItsUrls) {
  (void)Put("docs/index.html", "1");
  (void)Put("docs/index.html", "2");
  (void)Admin("DELETE " + At("docs/index.html"));
  const auto events = node_->metadata->Events(1, 10).value();
  ASSERT_EQ(events.size(), 3u);
  for (const storage::Event& event : events) {
    EXPECT_EQ(event.type, "purge");
    EXPECT_THAT(event.body, HasSubstr(R"("urls":["/docs/index.html","/docs/","/docs"])"));
  }
  EXPECT_THAT(events[1].body, HasSubstr("\"soft\":true"));
  EXPECT_THAT(events[2].body, HasSubstr("\"soft\":false"));
}

TEST_F(ApiAssetsTest, ADiskThatIsFullIsToldAndNothingIsSeenOfIt) {
  EXPECT_EQ(Put("a", "old").status, 201);
  const std::string large(3 << 20, 'x');
  {
    nearside::test::FileSizeLimit limit(2 << 20);
    const Reply asset = Put("a", large);
    EXPECT_EQ(asset.status, 507) << asset.body;
    const Reply blob = Admin("PUT /v1/blobs/" + DigitsOf(large), large);
    EXPECT_EQ(blob.status, 507) << blob.body;
    EXPECT_EQ(Put("b", "small").status, 201) << "what fits goes on";
  }
  EXPECT_EQ(Admin("GET " + At("a")).body, "old");
  EXPECT_EQ(FilesWhenSettled(), 2u) << "its space is given back";
  EXPECT_EQ(Put("a", large).status, 200);
  EXPECT_EQ(Admin("GET " + At("a")).body, large);
}

TEST_F(ApiAssetsTest, DigestsAreChecked) {
  for (const char* name : {"repr-digest", "content-digest"}) {
    const auto field = [&](const std::string& text) { return name + (": " + text + "\r\n"); };
    EXPECT_EQ(Put("a", "hello", field(DigestFieldOf("hello"))).status, 201 - (name[0] == 'c'));
    const Reply wrong = Put("b", "hello", field(DigestFieldOf("other")));
    EXPECT_EQ(wrong.status, 422);
    EXPECT_EQ(Reason(wrong), "digest_mismatch");
    EXPECT_EQ(Reason(Put("b", "hello", field("sha-256=nonsense"))), "bad_digest");
  }
  EXPECT_EQ(Admin("GET " + At("b")).status, 404);
  EXPECT_EQ(FilesWhenSettled(), 1u);
  EXPECT_EQ(node_->counters.failed_uploads.load(), 4u);
}

TEST_F(ApiAssetsTest, ConditionalWritesLoseNoUpdate) {
  EXPECT_EQ(Put("a", "1", "if-none-match: *\r\n").status, 201);
  EXPECT_EQ(Reason(Put("a", "2", "if-none-match: *\r\n")), "precondition_failed");
  const std::string tag = Admin("HEAD " + At("a")).Field("etag");
  EXPECT_EQ(Put("a", "2", "if-match: " + tag + "\r\n").status, 200);
  const Reply late = Put("a", "3", "if-match: " + tag + "\r\n");
  EXPECT_EQ(late.status, 412);
  EXPECT_EQ(Admin("GET " + At("a")).body, "2");
  EXPECT_EQ(Reason(Put("b", "1", "if-match: *\r\n")), "precondition_failed");
  EXPECT_EQ(Admin("DELETE " + At("a"), "", "if-match: " + tag + "\r\n").status, 412);
  EXPECT_EQ(Admin("DELETE " + At("a"), "", "if-match: *\r\n").status, 200);
}

TEST_F(ApiAssetsTest, WhatIsSaidOfAnAssetIsNotLostByConditionalWritesEither) {
  EXPECT_EQ(Put("a.txt", "1").status, 201);
  const std::string plain = Admin("HEAD " + At("a.txt")).Field("etag");
  const std::string said = "cache-control: no-store\r\nsurrogate-key: news\r\n";
  EXPECT_EQ(Put("a.txt", "1", said + "if-match: " + plain + "\r\n").status, 200);
  EXPECT_EQ(Put("a.txt", "1", "if-match: " + plain + "\r\n").status, 412) << "same bytes";
  const Reply now = Admin("HEAD " + At("a.txt"));
  const std::string tag = now.Field("etag");
  EXPECT_EQ(Admin("GET " + At("a.txt"), "", "if-none-match: " + tag + "\r\n").status, 304);
  EXPECT_EQ(Json(Admin("GET /v1/sites/demo/assets?prefix=a.txt"))["assets"][0]["etag"], tag);
  EXPECT_EQ(Put("a.txt", "1",
                "cache-control: no-store\r\nsurrogate-key: sport\r\nif-match: " + tag + "\r\n")
                .status,
            200);
  EXPECT_EQ(Put("a.txt", "1", said + "if-match: " + tag + "\r\n").status, 412) << "other tags";
  const std::string last = Admin("HEAD " + At("a.txt")).Field("etag");
  EXPECT_EQ(Admin("DELETE " + At("a.txt"), "", "if-match: " + tag + "\r\n").status, 412);
  EXPECT_EQ(Admin("DELETE " + At("a.txt"), "", "if-match: " + last + "\r\n").status, 200);
}

TEST_F(ApiAssetsTest, ADateIsAConditionOfAWriteInWholeSeconds) {
  EXPECT_EQ(Put("a", "1").status, 201);
  const std::string date = Admin("HEAD " + At("a")).Field("last-modified");
  EXPECT_EQ(Put("a", "2", "if-unmodified-since: " + date + "\r\n").status, 200);
  EXPECT_EQ(Put("a", "3", "if-unmodified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n").status, 412);
}

TEST_F(ApiAssetsTest, OfTwoWritersWithOneTagOneWins) {
  (void)Put("a", "0");
  const std::string tag = Admin("HEAD " + At("a")).Field("etag");
  // Both are past the early check when the first byte of content is asked for.
  RawClient first(port());
  RawClient second(port());
  const std::string head =
      "PUT " + At("a") + " HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " + kAdminToken +
      "\r\nif-match: " + tag + "\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n";
  first.Send(head);
  second.Send(head);
  EXPECT_EQ(first.Read().status, 100);
  EXPECT_EQ(second.Read().status, 100);
  first.Send("1");
  EXPECT_EQ(first.Read().status, 200);
  second.Send("2");
  EXPECT_EQ(second.Read().status, 412);
  EXPECT_EQ(Admin("GET " + At("a")).body, "1");
}

TEST_F(ApiAssetsTest, ARefusedUploadIsNeverAskedForItsContent) {
  RawClient client(port());
  client.Send("PUT " + At("a") +
              " HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
  EXPECT_EQ(client.Read().status, 401);
  EXPECT_TRUE(client.Ends());
}

TEST_F(ApiAssetsTest, EveryOddPathIsRefusedAndNothingIsStored) {
  const std::pair<std::string, int> rows[] = {
      {"../x", 400},
      {"a/../../x", 400},
      {"%2e%2e/x", 400},
      {"a%00b", 400},
      {"a%0d%0ab", 400},
      {"a%5c..%5cx", 400},
      {"a//b", 400},
      {"/etc/passwd", 400},
      {"a/", 400},
      {"%ff", 400},
      {"a%2fb", 400},
      {"a%zz", 400},
      {std::string(1025, 'a'), 414},
  };
  for (const auto& [path, status] : rows) {
    const Reply reply = Put(path, "x");
    EXPECT_EQ(reply.status, status) << path.substr(0, 40) << reply.body;
  }
  EXPECT_EQ(FilesWhenSettled(), 0u);
  EXPECT_EQ(Json(Admin("GET /v1/sites/demo/assets"))["assets"].size(), 0u);
}

TEST_F(ApiAssetsTest, ATenKilobytePathIsRefusedAndTheConnectionSaysSo) {
  const Reply reply = Put(std::string(10'000, 'a'), "x");
  EXPECT_EQ(reply.status, 414);
}

TEST_F(ApiAssetsTest, AnUploadCutOffAnywhereLeavesNothing) {
  const std::string content(200'000, 'x');
  const std::string whole =
      Text("PUT " + At("cut.bin"), "authorization: Bearer " + std::string(kAdminToken) + "\r\n",
           content);
  const size_t head = whole.find("\r\n\r\n") + 4;
  for (const size_t size : {head, head + 1, head + 70'000, whole.size() - 1}) {
    RawClient client(port());
    client.Send(whole.substr(0, size));
    client.EndSending();
    EXPECT_TRUE(client.Ends()) << size;
  }
  {
    RawClient client(port());
    client.Send(whole.substr(0, head + 100'000));
    client.Reset();
  }
  EXPECT_EQ(FilesWhenSettled(), 0u);
  EXPECT_EQ(Admin("GET " + At("cut.bin")).status, 404);
  EXPECT_EQ(Admin("PUT " + At("cut.bin"), content).status, 201);
}

TEST_F(ApiAssetsTest, AChunkedUploadIsWholeOnlyWithItsLastChunk) {
  const std::string head = "PUT " + At("c") +
                           " HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " + kAdminToken +
                           "\r\ntransfer-encoding: chunked\r\n\r\n";
  EXPECT_EQ(Ask(port(), head + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").status, 201);
  EXPECT_EQ(Admin("GET " + At("c")).body, "hello world");
  for (const std::string& cut : std::initializer_list<std::string>{
           "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n"}) {
    RawClient client(port());
    client.Send(head + cut);
    client.EndSending();
    const Reply reply = client.Read();
    EXPECT_EQ(reply.status, 400) << cut;
    EXPECT_EQ(Reason(reply), "body_cut_off");
  }
  const Reply bad = Ask(port(), head + "zz\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(Reason(bad), "bad_body");
  EXPECT_EQ(Admin("GET " + At("c")).body, "hello world");
  EXPECT_EQ(FilesWhenSettled(), 1u);
}

TEST_F(ApiAssetsTest, APutNeedsContentThatIsTheWhole) {
  EXPECT_EQ(Put("empty", "").status, 201);
  EXPECT_EQ(Admin("GET " + At("empty")).Field("content-length"), "0");
  const Reply none =
      Ask(port(), "PUT " + At("x") + " HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " +
                      kAdminToken + "\r\n\r\n");
  EXPECT_EQ(none.status, 400);
  EXPECT_EQ(Put("x", "a", "content-range: bytes 0-0/5\r\n").status, 400);
  EXPECT_EQ(Reason(Put("x", "a", "content-encoding: gzip\r\n")), "unsupported_coding");
  EXPECT_EQ(Reason(Admin("PUT /v1/sites/none/assets/x", "a")), "no_such_site");
}

TEST_F(ApiAssetsTest, AnAssetBeyondTheLimitIsRefused) {
  Restart("[limits]\nasset = \"1KiB\"\n");
  EXPECT_EQ(Put("fits", std::string(1024, 'x')).status, 201);
  const Reply announced = Put("large", std::string(1025, 'x'));
  EXPECT_EQ(announced.status, 413);
  EXPECT_THAT(Json(announced)["detail"].get<std::string>(), HasSubstr("limits.asset"));
  std::string chunks;
  for (int i = 0; i < 3; ++i) chunks += "200\r\n" + std::string(512, 'x') + "\r\n";
  const Reply chunked = Ask(
      port(), "PUT " + At("large") + " HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " +
                  kAdminToken + "\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n");
  EXPECT_EQ(chunked.status, 413);
  EXPECT_EQ(FilesWhenSettled(), 1u);
}

TEST_F(ApiAssetsTest, FieldsOfThePutComeWithTheAsset) {
  (void)Put("a.html", "x", "cache-control: no-store\r\nsurrogate-key: news product-7\r\n");
  const Reply visit = Visit("/a.html");
  EXPECT_EQ(visit.Field("cache-control"), "no-store");
  EXPECT_EQ(visit.Field("surrogate-key"), "news product-7");
}

TEST_F(ApiAssetsTest, ReadingHasRangesAndConditionals) {
  (void)Put("a", "0123456789");
  EXPECT_EQ(Admin("GET " + At("a"), "", "range: bytes=2-4\r\n").body, "234");
  const std::string tag = Admin("HEAD " + At("a")).Field("etag");
  EXPECT_EQ(Admin("GET " + At("a"), "", "if-none-match: " + tag + "\r\n").status, 304);
}

TEST_F(ApiAssetsTest, ListingIsPaged) {
  for (const char* path : {"a/1", "a/2", "a/3", "b/1"}) (void)Put(path, path);
  const auto list = [&](const std::string& query) {
    const nlohmann::json json = Json(Admin("GET /v1/sites/demo/assets?" + query));
    std::string text;
    for (const auto& asset : json["assets"]) text += asset["path"].get<std::string>() + " ";
    return text + (json["next"].is_null() ? "." : "→" + json["next"].get<std::string>());
  };
  EXPECT_EQ(list(""), "a/1 a/2 a/3 b/1 .");
  EXPECT_EQ(list("prefix=a%2F"), "a/1 a/2 a/3 .");
  EXPECT_EQ(list("prefix=a/&limit=2"), "a/1 a/2 →a/2");
  EXPECT_EQ(list("prefix=a/&limit=2&after=a%2F2"), "a/3 .");
  EXPECT_EQ(Reason(Admin("GET /v1/sites/demo/assets?limit=0")), "bad_query");
}

TEST_F(ApiAssetsTest, ABlobIsStoredUnderItsDigestAlone) {
  EXPECT_EQ(Admin("PUT /v1/blobs/" + DigitsOf("x"), "x").status, 201);
  EXPECT_EQ(Admin("PUT /v1/blobs/" + DigitsOf("x"), "x").status, 200);
  EXPECT_EQ(Admin("GET /v1/blobs/" + DigitsOf("x")).body, "x");
  EXPECT_EQ(Reason(Admin("PUT /v1/blobs/" + DigitsOf("x"), "y")), "digest_mismatch");
  EXPECT_EQ(Reason(Admin("PUT /v1/blobs/" + DigitsOf("y"), "y",
                         "repr-digest: " + DigestFieldOf("x") + "\r\n")),
            "digest_mismatch");
  EXPECT_EQ(Reason(Admin("PUT /v1/blobs/nonsense", "x")), "bad_digest");
  EXPECT_EQ(Reason(Admin("GET /v1/blobs/" + DigitsOf("y"))), "no_such_blob");
  EXPECT_EQ(FilesWhenSettled(), 1u);
}

TEST_F(ApiAssetsTest, ALargeAssetComesBackByteForByte) {
  std::string content(5'000'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 2654435761u >> 24);
  ASSERT_EQ(Put("large.bin", content).status, 201);
  EXPECT_EQ(Visit("/large.bin").body, content);
  EXPECT_EQ(Visit("/large.bin", "range: bytes=4999990-\r\n").body, content.substr(4'999'990));
}

TEST_F(ApiAssetsTest, ContentThatHasGoneFromTheDiskIsAnErrorOfOurs) {
  (void)Put("a", "x");
  ASSERT_TRUE(node_->blobs->Remove(storage::ParseBlobName(DigitsOf("x")).value()));
  EXPECT_EQ(Admin("GET " + At("a")).status, 500);
  EXPECT_EQ(Visit("/a").status, 500);
  EXPECT_EQ(Visit("/a").Field("cache-control"), "no-store");
}

}  // namespace
}  // namespace nearside::origin::test
