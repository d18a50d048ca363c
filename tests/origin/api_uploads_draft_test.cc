#include "tests/origin/uploads_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class DraftUploadsTest : public ApiUploadsTest {
 protected:
  Reply Append(const std::string& upload, size_t offset, const std::string& content, bool last,
               const std::string& fields = "") {
    return Admin("PATCH " + upload, content,
                 kDraftType + Offset(offset) +
                     (last ? "upload-complete: ?1\r\n" : "upload-complete: ?0\r\n") + fields);
  }
  const std::string kVersion = "upload-draft-interop-version: 8\r\n";
  const std::string kPut = "PUT /v1/sites/demo/assets/a.txt";
};

TEST_F(DraftUploadsTest, APutThatIsCutOffGoesOnWhereItWasTold) {
  RawClient client(port());
  client.Send(kPut + " HTTP/1.1\r\nhost: 127.0.0.1\r\n" + Auth() + kVersion +
              "upload-complete: ?1\r\ncontent-type: text/x-own\r\ncontent-length: 11\r\n\r\nhello");
  const Reply interim = client.Read();
  ASSERT_EQ(interim.status, 104) << interim.head;
  EXPECT_THAT(interim.head, HasSubstr("Upload Resumption Supported"));
  EXPECT_EQ(interim.Field("upload-draft-interop-version"), "8");
  EXPECT_THAT(interim.Field("upload-limit"), HasSubstr("max-size="));
  const std::string upload = interim.Field("location");
  client.EndSending();
  (void)client.Read();
  const Reply head = Admin("HEAD " + upload, "", kVersion);
  EXPECT_EQ(head.status, 204);
  EXPECT_EQ(head.Field("upload-offset"), "5");
  EXPECT_EQ(head.Field("upload-complete"), "?0");
  EXPECT_EQ(head.Field("upload-length"), "11");
  const Reply last = Append(upload, 5, " world", true);
  EXPECT_EQ(last.status, 201) << last.body;
  EXPECT_EQ(last.Field("upload-complete"), "?1");
  EXPECT_EQ(last.Field("upload-offset"), "11");
  EXPECT_EQ(Json(last)["sha256"], DigitsOf("hello world"));
  EXPECT_EQ(Json(last)["seq"], Events());
  EXPECT_EQ(Admin("GET /v1/sites/demo/assets/a.txt").Field("content-type"), "text/x-own");
  EXPECT_EQ(Content("a.txt"), "hello world");
}

TEST_F(DraftUploadsTest, APutThatComesThroughIsAnsweredAsEver) {
  const std::string whole = Text(kPut, Auth() + kVersion + "upload-complete: ?1\r\n", "abc");
  RawClient client(port());
  client.Send(whole);
  EXPECT_EQ(client.Read().status, 104);
  const Reply reply = client.Read();
  EXPECT_EQ(reply.status, 201) << reply.body;
  EXPECT_EQ(reply.Field("upload-complete"), "?1");
  EXPECT_EQ(reply.Field("location"), "");
  EXPECT_EQ(Json(reply)["sha256"], DigitsOf("abc"));
  // The connection is kept, as after any PUT; a client of another version is told nothing of it.
  client.Send(
      Text(kPut, Auth() + "upload-draft-interop-version: 6\r\nupload-complete: ?1\r\n", "abcd"));
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_EQ(Content("a.txt"), "abcd");
  EXPECT_EQ(node_->counters.begun_uploads.load(), 1u);
  // Nor one of HTTP/1.0, which has no interim responses.
  EXPECT_EQ(Ask(port(), kPut + " HTTP/1.0\r\nhost: 127.0.0.1\r\n" + Auth() + kVersion +
                            "upload-complete: ?1\r\ncontent-length: 1\r\n\r\nx")
                .status,
            200);
}

TEST_F(DraftUploadsTest, TheDigestOfAWholeContentHoldsOverItsGoes) {
  for (const bool right : {true, false}) {
    RawClient client(port());
    client.Send(kPut + " HTTP/1.1\r\nhost: 127.0.0.1\r\n" + Auth() + kVersion +
                "upload-complete: ?1\r\ncontent-digest: " + DigestFieldOf("abcdef") +
                "\r\ncontent-length: 6\r\n\r\nabc");
    const std::string upload = client.Read().Field("location");
    client.EndSending();
    (void)client.Read();
    EXPECT_EQ(Admin("HEAD " + upload).Field("upload-offset"), "3");
    const Reply last = Append(upload, 3, right ? "def" : "deg", true);
    EXPECT_EQ(last.status, right ? 201 : 422) << last.body;
    EXPECT_EQ(last.Field("upload-complete"), "?1");
  }
  EXPECT_EQ(Content("a.txt"), "abcdef");
  EXPECT_EQ(
      Reason(Admin(kPut, "abc",
                   kVersion + "upload-complete: ?1\r\ncontent-digest: " + DigestFieldOf("abc") +
                       "\r\nrepr-digest: " + DigestFieldOf("abd") + "\r\n")),
      "bad_digest");
}

TEST_F(DraftUploadsTest, APutMayComeInParts) {
  const Reply first = Admin(kPut, "hel", "upload-complete: ?0\r\n");
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(first.Field("upload-complete"), "?0");
  EXPECT_EQ(first.Field("upload-offset"), "3");
  EXPECT_THAT(first.Field("upload-limit"), HasSubstr("max-age="));
  const std::string upload = first.Field("location");
  EXPECT_EQ(Content("a.txt"), "no_such_asset");
  const Reply second = Append(upload, 3, "lo", false);
  EXPECT_EQ(second.status, 204);
  EXPECT_EQ(second.Field("upload-complete"), "?0");
  const Reply again = Append(upload, 3, "lo", false);
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.Field("upload-offset"), "5");
  const Reply end = Append(upload, 5, "", true, "content-length: 0\r\n");
  EXPECT_EQ(end.status, 201) << end.body;
  EXPECT_EQ(end.Field("upload-complete"), "?1");
  EXPECT_EQ(Content("a.txt"), "hello");
  EXPECT_EQ(Reason(Append(upload, 5, "x", true)), "completed_upload");
}

TEST_F(DraftUploadsTest, APostNamesThePathByQueryOrMetadata) {
  const Reply query = Admin("POST /v1/sites/demo/uploads/?path=docs/a%20b.txt", "abc",
                            "upload-complete: ?1\r\ncontent-type: text/plain\r\n");
  EXPECT_EQ(query.status, 201) << query.body;
  EXPECT_EQ(Content("docs/a%20b.txt"), "abc");
  const Reply metadata =
      Admin("POST /v1/sites/demo/uploads/", "", "upload-complete: ?0\r\n" + Named("b"));
  ASSERT_EQ(metadata.status, 201) << metadata.body;
  EXPECT_EQ(Append(metadata.Field("location"), 0, "xyz", true).status, 201);
  EXPECT_EQ(Content("b"), "xyz");
  EXPECT_EQ(Reason(Admin("POST /v1/sites/demo/uploads/", "", "upload-complete: ?0\r\n")),
            "bad_metadata");
}

TEST_F(DraftUploadsTest, LengthsMustAgree) {
  EXPECT_EQ(Reason(Admin(kPut, "abc", kVersion + "upload-complete: ?1\r\n" + Length(4))),
            "inconsistent_length");
  const std::string upload =
      Admin(kPut, "abc", "upload-complete: ?0\r\n" + Length(5)).Field("location");
  EXPECT_EQ(Reason(Append(upload, 3, "d", true)), "inconsistent_length");
  EXPECT_EQ(Reason(Append(upload, 3, "d", false, Length(6))), "inconsistent_length");
  EXPECT_EQ(Reason(Append(upload, 3, "def", false)), "upload_length_exceeded");
  const Reply chunked =
      Ask(port(), "PATCH " + upload + " HTTP/1.1\r\nhost: 127.0.0.1\r\n" + Auth() + kDraftType +
                      Offset(3) + "upload-complete: ?1\r\ntransfer-encoding: chunked\r\n\r\n" +
                      "1\r\nd\r\n0\r\n\r\n");
  EXPECT_EQ(Reason(chunked), "inconsistent_length");
  EXPECT_EQ(Admin("HEAD " + upload).Field("upload-offset"), "4");
  EXPECT_EQ(Append(upload, 4, "e", true).status, 201);
  EXPECT_EQ(Content("a.txt"), "abcde");
}

TEST_F(DraftUploadsTest, AnAppendEndsAnOlderOne) {
  const std::string upload = Admin(kPut, "", "upload-complete: ?0\r\n").Field("location");
  RawClient lost(port());
  lost.Send(PatchHead(upload, 0, 3, kDraftType + "upload-complete: ?1\r\n"));
  ASSERT_EQ(lost.Read().status, 100);
  EXPECT_EQ(Append(upload, 0, "abc", true).status, 201);
  EXPECT_TRUE(lost.Ends());
  EXPECT_EQ(Content("a.txt"), "abc");
}

TEST_F(DraftUploadsTest, AFailedPutIsNoFailureOfTheTransfer) {
  const std::string upload =
      Admin(kPut, "a", "upload-complete: ?0\r\nif-none-match: *\r\n").Field("location");
  ASSERT_EQ(Admin(kPut, "other").status, 201);
  const Reply last = Append(upload, 1, "b", true);
  EXPECT_EQ(last.status, 412);
  EXPECT_EQ(last.Field("upload-complete"), "?1");
  EXPECT_EQ(Content("a.txt"), "other");
}

TEST_F(DraftUploadsTest, TheReceiptIsWaitedForAsAfterAPut) {
  const Reply reply =
      Admin("PUT /v1/sites/demo/assets/w?wait=1ms", "abc", "upload-complete: ?0\r\n");
  ASSERT_EQ(reply.status, 201);
  const Reply last = Append(reply.Field("location") + "?wait=1ms", 3, "d", true);
  EXPECT_EQ(last.status, 201) << last.body;
  EXPECT_EQ(Json(last)["complete"], true);  // there are no edges
  EXPECT_EQ(last.Field("upload-complete"), "?1");
  EXPECT_EQ(last.Field("tus-resumable"), "1.0.0");
}

}  // namespace
}  // namespace nearside::origin::test
