#include "tests/origin/uploads_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

TEST_F(ApiUploadsTest, ThreeGoesAreWhatOnePutIs) {
  const uint64_t events = Events();
  const Reply begun = Begin(Named("docs/a.txt", ",filetype " + Base64("text/x-own")) + Length(11) +
                            "cache-control: no-store\r\nsurrogate-key: news\r\n");
  ASSERT_EQ(begun.status, 201) << begun.body;
  const std::string upload = begun.Field("location");
  EXPECT_THAT(upload, testing::StartsWith("/v1/sites/demo/uploads/"));
  EXPECT_THAT(begun.Field("upload-expires"), HasSubstr("GMT"));
  EXPECT_EQ(Head(upload).Field("upload-offset"), "0");
  EXPECT_EQ(Patch(upload, 0, "hello").status, 204);
  const Reply second = Patch(upload, 5, " wor");
  EXPECT_EQ(second.status, 204);
  EXPECT_EQ(second.Field("upload-offset"), "9");
  EXPECT_THAT(second.Field("upload-expires"), HasSubstr("GMT"));
  const Reply head = Head(upload);
  EXPECT_EQ(head.status, 204);
  EXPECT_EQ(head.Field("upload-offset"), "9");
  EXPECT_EQ(head.Field("upload-length"), "11");
  EXPECT_EQ(head.Field("cache-control"), "no-store");
  EXPECT_EQ(head.Field("upload-metadata"),
            "path " + Base64("docs/a.txt") + ",filetype " + Base64("text/x-own"));
  EXPECT_EQ(Content("docs/a.txt"), "no_such_asset");
  EXPECT_EQ(Events(), events);

  const Reply last = Patch(upload, 9, "ld");
  EXPECT_EQ(last.status, 204) << last.body;
  EXPECT_EQ(last.Field("upload-offset"), "11");
  EXPECT_EQ(last.Field("repr-digest"), DigestFieldOf("hello world"));
  EXPECT_EQ(last.Field("content-location"), "/v1/sites/demo/assets/docs/a.txt");
  const Reply asset = Admin("GET /v1/sites/demo/assets/docs/a.txt");
  EXPECT_EQ(asset.body, "hello world");
  EXPECT_EQ(asset.Field("etag"), last.Field("etag"));
  EXPECT_EQ(asset.Field("content-type"), "text/x-own");
  const Reply visit = Visit("/docs/a.txt");
  EXPECT_EQ(visit.Field("cache-control"), "no-store");
  EXPECT_EQ(visit.Field("surrogate-key"), "news");
  EXPECT_EQ(Events(), events + 1);
  EXPECT_THAT(node_->metadata->Events(events, 1)->front().body, HasSubstr("/docs/a.txt"));
  const nlohmann::json audit = Json(Admin("GET /v1/audit?limit=1"))["audit"][0];
  EXPECT_EQ(audit["action"], "asset_put");
  EXPECT_EQ(audit["detail"]["sha256"], DigitsOf("hello world"));
  EXPECT_TRUE(Partials().empty());
}

TEST_F(ApiUploadsTest, AFinishedUploadStillTellsWhatBecameOfIt) {
  const std::string upload = Begun("a", 2);
  const Reply last = Patch(upload, 0, "ab");
  const Reply head = Head(upload);
  EXPECT_EQ(head.status, 204);
  EXPECT_EQ(head.Field("upload-offset"), "2");
  EXPECT_EQ(head.Field("upload-complete"), "?1");
  EXPECT_EQ(head.Field("etag"), last.Field("etag"));
  EXPECT_EQ(Patch(upload, 2, "").status, 204);
  EXPECT_EQ(Reason(Patch(upload, 2, "c")), "completed_upload");
  EXPECT_EQ(Reason(Patch(upload, 0, "ab")), "offset_mismatch");
  EXPECT_EQ(Admin("DELETE " + upload, "", kTus).status, 204);
  EXPECT_EQ(Reason(Admin("DELETE " + upload, "", kTus)), "no_such_upload");
  EXPECT_EQ(Content("a"), "ab");
}

TEST_F(ApiUploadsTest, AnUploadMayBringContentAtOnceOrNone) {
  const Reply whole = Begin(Named("whole") + Length(3) + kTusType, "abc");
  EXPECT_EQ(whole.status, 201) << whole.body;
  EXPECT_EQ(whole.Field("upload-offset"), "3");
  EXPECT_EQ(whole.Field("repr-digest"), DigestFieldOf("abc"));
  EXPECT_EQ(Head(whole.Field("location")).Field("upload-complete"), "?1");
  EXPECT_EQ(Content("whole"), "abc");
  const Reply part = Begin(Named("part") + Length(3) + kTusType, "a");
  EXPECT_EQ(part.status, 201);
  EXPECT_EQ(part.Field("upload-offset"), "1");
  EXPECT_EQ(Patch(part.Field("location"), 1, "bc").status, 204);
  EXPECT_EQ(Content("part"), "abc");
  const Reply empty = Begin(Named("empty") + Length(0));
  EXPECT_EQ(empty.status, 201) << empty.body;
  EXPECT_EQ(Content("empty"), "");
  const Reply wrong = Begin(Named("wrong") + Length(3) + "content-type: text/plain\r\n", "abc");
  EXPECT_EQ(wrong.status, 415);
  EXPECT_EQ(Reason(wrong), "unsupported_type");
  EXPECT_TRUE(Partials().empty());
}

TEST_F(ApiUploadsTest, ALengthMayBeToldLater) {
  const Reply begun = Begin(Named("a") + "upload-defer-length: 1\r\n");
  ASSERT_EQ(begun.status, 201) << begun.body;
  const std::string upload = begun.Field("location");
  EXPECT_EQ(Head(upload).Field("upload-defer-length"), "1");
  EXPECT_EQ(Head(upload).Field("upload-length"), "");
  EXPECT_EQ(Patch(upload, 0, "abc").status, 204);
  EXPECT_EQ(Reason(Patch(upload, 3, "d", Length(2))), "inconsistent_length");
  EXPECT_EQ(Patch(upload, 3, "d", Length(5)).status, 204);
  EXPECT_EQ(Head(upload).Field("upload-length"), "5");
  EXPECT_EQ(Head(upload).Field("upload-defer-length"), "");
  EXPECT_EQ(Reason(Patch(upload, 4, "e", Length(6))), "inconsistent_length");
  EXPECT_EQ(Patch(upload, 4, "e", Length(5)).status, 204);
  EXPECT_EQ(Content("a"), "abcde");
  // The last byte came before the length was known.
  const std::string late = Begin(Named("b") + "upload-defer-length: 1\r\n").Field("location");
  EXPECT_EQ(Patch(late, 0, "xyz").status, 204);
  EXPECT_EQ(Patch(late, 3, "", Length(3)).Field("upload-complete"), "?1");
  EXPECT_EQ(Content("b"), "xyz");
}

TEST_F(ApiUploadsTest, OptionsTellWhatIsThereAndNeedNoToken) {
  for (const char* path :
       {"/v1/sites/demo/uploads/", "/v1/sites/none/uploads", "/v1/sites/demo/uploads/a1"}) {
    const Reply reply = Request(std::string("OPTIONS ") + path, "");
    EXPECT_EQ(reply.status, 204) << reply.body;
    EXPECT_EQ(reply.Field("tus-version"), "1.0.0");
    EXPECT_EQ(
        reply.Field("tus-extension"),
        "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration");
    EXPECT_EQ(reply.Field("tus-checksum-algorithm"), "sha1,sha256,md5");
    EXPECT_EQ(reply.Field("tus-max-size"), std::to_string(uint64_t{50} << 30));
    EXPECT_THAT(reply.Field("accept-patch"), HasSubstr("application/partial-upload"));
    EXPECT_EQ(reply.Field("upload-limit"),
              "max-size=" + std::to_string(uint64_t{50} << 30) + ", max-age=86400");
    EXPECT_EQ(reply.Field("access-control-allow-origin"), "");
  }
}

TEST_F(ApiUploadsTest, RequestsThatAreNotOfTheProtocolAreRefusedByName) {
  const std::string upload = Begun("a", 10);
  const std::string at = "PATCH " + upload;
  const std::string uploads = "POST /v1/sites/demo/uploads/";
  struct Row {
    std::string line;
    std::string fields;
    int status;
    std::string reason;
  };
  const Row rows[] = {
      {at, kTusType + Offset(0), 412, "unsupported_version"},
      {at, "tus-resumable: 0.2.2\r\n" + kTusType + Offset(0), 412, "unsupported_version"},
      {at, kTus + kTusType, 400, "bad_offset"},
      {at, kTus + kTusType + "upload-offset: -1\r\n", 400, "bad_offset"},
      {at, kTus + Offset(0), 415, "unsupported_type"},
      {at, kTus + kDraftType + Offset(0), 415, "unsupported_type"},
      {at, kDraftType + Offset(0), 400, "bad_request"},
      {at, kDraftType + "upload-complete: ?0\r\n", 400, "bad_offset"},
      {at, "upload-complete: ?0\r\n" + Offset(0), 415, "unsupported_type"},
      {at, kTus + kTusType + Offset(1), 409, "offset_mismatch"},
      {at, kTus + kTusType + Offset(0) + "content-encoding: gzip\r\n", 415, "unsupported_coding"},
      {at, kTus + kTusType + Offset(0) + Length(11), 400, "inconsistent_length"},
      {at + "0", kTus + kTusType + Offset(0), 404, "no_such_upload"},
      {uploads, Named("b") + Length(1), 412, "unsupported_version"},
      {uploads, kTus + Named("b"), 400, "bad_length"},
      {uploads, kTus + Length(1), 400, "bad_metadata"},
      {uploads, kTus + Named("../b") + Length(1), 400, "bad_path"},
      {uploads, "upload-draft-interop-version: 8\r\n" + Named("b"), 400, "bad_request"},
      {uploads, kTus + Named("b") + Length(1) + "content-range: bytes 0-0/1\r\n", 400,
       "bad_request"},
      {uploads, kTus + Named("b") + Length(1) + "upload-concat: partial\r\n", 400,
       "unsupported_extension"},
      {"POST /v1/sites/none/uploads/", kTus + Named("b") + Length(1), 404, "no_such_site"},
      {"GET " + upload, kTus, 405, "method_not_allowed"},
      {"POST " + upload, kTus, 405, "method_not_allowed"},
      {"PUT /v1/sites/demo/uploads/", kTus, 405, "method_not_allowed"},
  };
  for (const Row& row : rows) {
    const Reply reply = Admin(row.line, "", row.fields);
    EXPECT_EQ(reply.status, row.status) << row.line << "\n" << row.fields << reply.body;
    EXPECT_EQ(Reason(reply), row.reason) << row.line << "\n" << row.fields;
    EXPECT_EQ(reply.Field("tus-resumable"), "1.0.0");
  }
  EXPECT_EQ(Admin(at, "", kTusType + Offset(0)).Field("tus-version"), "1.0.0");
  EXPECT_EQ(Head(upload).Field("upload-offset"), "0");
  EXPECT_EQ(node_->metadata->CountResumables().value(), 1u);
}

TEST_F(ApiUploadsTest, AnOffsetThatIsAnothersIsToldTheRightOne) {
  const std::string upload = Begun("a", 10);
  ASSERT_EQ(Patch(upload, 0, "abc").status, 204);
  const Reply reply = Patch(upload, 0, "abc");
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(reply.Field("upload-offset"), "3");
  EXPECT_EQ(Json(reply)["expected-offset"], 3);
  EXPECT_EQ(Json(reply)["provided-offset"], 0);
}

TEST_F(ApiUploadsTest, AChecksumIsOfOneGoAndAWrongOneTakesNothing) {
  const std::string sha1 = Base64(AsText(Sha1Of("abc")));
  const std::string sha256 = Base64(AsText(Sha256Of("abc")));
  const std::string md5 = "kAFQmDzST7DWlj99KOF/cg==";
  for (const std::string& checksum : {"sha1 " + sha1, "sha256 " + sha256, "md5 " + md5}) {
    const std::string upload = Begun("a", 6);
    const std::string field = "upload-checksum: " + checksum + "\r\n";
    const Reply wrong = Patch(upload, 0, "abd", field);
    EXPECT_EQ(wrong.status, 460) << checksum;
    EXPECT_EQ(Reason(wrong), "checksum_mismatch");
    EXPECT_EQ(Json(wrong)["title"], "Checksum Mismatch");
    EXPECT_EQ(Head(upload).Field("upload-offset"), "0");
    EXPECT_EQ(Patch(upload, 0, "abc", field).status, 204) << checksum;
    EXPECT_EQ(Patch(upload, 3, "abd", field).status, 460);
    EXPECT_EQ(Patch(upload, 3, "abc", field).status, 204);
    EXPECT_EQ(Content("a"), "abcabc");
  }
  const std::string upload = Begun("b", 3);
  const Reply digest = Patch(upload, 0, "abd", "content-digest: " + DigestFieldOf("abc") + "\r\n");
  EXPECT_EQ(digest.status, 422);
  EXPECT_EQ(Reason(digest), "digest_mismatch");
  EXPECT_EQ(Head(upload).Field("upload-offset"), "0");
  EXPECT_EQ(Reason(Patch(upload, 0, "abc", "upload-checksum: crc32 AAAA\r\n")),
            "unsupported_checksum");
}

TEST_F(ApiUploadsTest, AGoWithAChecksumThatIsCutOffCountsForNothing) {
  const std::string upload = Begun("a", 6);
  RawClient client(port());
  client.Send(PatchHead(
      upload, 0, 6,
      kTus + kTusType + "upload-checksum: sha1 " + Base64(AsText(Sha1Of("abcdef"))) + "\r\n"));
  ASSERT_EQ(client.Read().status, 100);
  client.Send("abc");
  client.EndSending();
  EXPECT_EQ(Reason(client.Read()), "body_cut_off");
  EXPECT_EQ(Head(upload).Field("upload-offset"), "0");
}

TEST_F(ApiUploadsTest, ConditionsHoldAtTheBeginningAndAtTheEnd) {
  ASSERT_EQ(Admin("PUT /v1/sites/demo/assets/there", "1").status, 201);
  EXPECT_EQ(Reason(Begin(Named("there") + Length(1) + "if-none-match: *\r\n")),
            "precondition_failed");
  EXPECT_EQ(Reason(Begin(Named("there", ",if-none-match " + Base64("*")) + Length(1))),
            "precondition_failed");
  const std::string upload = Begun("new", 2, "if-none-match: *\r\n");
  ASSERT_EQ(Patch(upload, 0, "a").status, 204);
  ASSERT_EQ(Admin("PUT /v1/sites/demo/assets/new", "other").status, 201);
  const Reply late = Patch(upload, 1, "b");
  EXPECT_EQ(late.status, 412) << late.body;
  EXPECT_EQ(Content("new"), "other");
  EXPECT_EQ(Head(upload).status, 404);
  const std::string tag = Admin("HEAD /v1/sites/demo/assets/new").Field("etag");
  EXPECT_EQ(Patch(Begun("new", 1, "if-match: " + tag + "\r\n"), 0, "c").status, 204);
  EXPECT_EQ(Content("new"), "c");
}

TEST_F(ApiUploadsTest, TheWholeHasTheDigestThatWasAnnounced) {
  const std::string digest = "repr-digest: " + DigestFieldOf("abcdef") + "\r\n";
  const std::string right = Begun("right", 6, digest);
  EXPECT_EQ(Patch(right, 0, "abc").status, 204);
  EXPECT_EQ(Patch(right, 3, "def").status, 204);
  const std::string wrong = Begun("wrong", 6, digest);
  EXPECT_EQ(Patch(wrong, 0, "abc").status, 204);
  const Reply last = Patch(wrong, 3, "deg");
  EXPECT_EQ(last.status, 422);
  EXPECT_EQ(Reason(last), "digest_mismatch");
  EXPECT_EQ(Content("wrong"), "no_such_asset");
  EXPECT_EQ(Head(wrong).status, 404);
  EXPECT_TRUE(Partials().empty());
}

TEST_F(ApiUploadsTest, AFileOfRulesIsReadBeforeItIsPut) {
  const std::string upload = Begun("_redirects", 5);
  const Reply last = Patch(upload, 0, "/nons");
  EXPECT_EQ(last.status, 422);
  EXPECT_EQ(Reason(last), "bad_rules");
  EXPECT_EQ(Head(upload).status, 404);
}

TEST_F(ApiUploadsTest, MoreThanWasAnnouncedIsRefused) {
  const std::string upload = Begun("a", 5);
  const Reply announced = Patch(upload, 0, "abcdef");
  EXPECT_EQ(announced.status, 413);
  EXPECT_EQ(Reason(announced), "upload_length_exceeded");
  EXPECT_THAT(announced.Field("upload-limit"), HasSubstr("max-size="));
  EXPECT_EQ(Head(upload).Field("upload-offset"), "0");
  // In chunks nobody knows before: what came is no beginning of anything.
  const Reply chunked = Ask(
      port(), "PATCH " + upload + " HTTP/1.1\r\nhost: 127.0.0.1\r\n" + Auth() + kTus + kTusType +
                  Offset(0) + "transfer-encoding: chunked\r\n\r\n" + "6\r\nabcdef\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.status, 413) << chunked.body;
  EXPECT_EQ(Head(upload).status, 404);
  EXPECT_EQ(Content("a"), "no_such_asset");
}

TEST_F(ApiUploadsTest, NoneIsLargerThanAnAssetMayBe) {
  Restart("[limits]\nasset = \"1KiB\"\n");
  EXPECT_EQ(Reason(Begin(Named("a") + Length(1025))), "body_too_large");
  const std::string upload = Begin(Named("a") + "upload-defer-length: 1\r\n").Field("location");
  EXPECT_EQ(Patch(upload, 0, std::string(1000, 'x')).status, 204);
  EXPECT_EQ(Reason(Patch(upload, 1000, std::string(25, 'x'))), "body_too_large");
  EXPECT_EQ(Reason(Patch(upload, 1000, "", Length(1025))), "body_too_large");
  EXPECT_EQ(Patch(upload, 1000, std::string(24, 'x'), Length(1024)).status, 204);
  EXPECT_EQ(Content("a").size(), 1024u);
}

TEST_F(ApiUploadsTest, OnlySoManyMayBeUnderWay) {
  Restart("[uploads]\nopen = 3\nopen_of_site = 2\n");
  MakeSite("other", "www.other.test");
  const std::string first = Begun("a", 1);
  (void)Begun("b", 1);
  const Reply third = Begin(Named("c") + Length(1));
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(Reason(third), "too_many_uploads");
  const auto other = [&] {
    return Admin("POST /v1/sites/other/uploads/", "", kTus + Named("a") + Length(1)).status;
  };
  EXPECT_EQ(other(), 201);
  EXPECT_EQ(other(), 429);
  // A finished one is none that is under way.
  EXPECT_EQ(Patch(first, 0, "x").status, 204);
  EXPECT_EQ(Begin(Named("c") + Length(1)).status, 201);
}

TEST_F(ApiUploadsTest, WhatCameBeforeTheConnectionBrokeCounts) {
  std::string content(3'000'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 2654435761u >> 24);
  const std::string upload = Begun("large.bin", content.size());
  size_t offset = 0;
  for (const size_t piece : {size_t{1}, size_t{65'535}, size_t{1'000'000}}) {
    RawClient client(port());
    client.Send(PatchHead(upload, offset, content.size() - offset, kTus + kTusType));
    ASSERT_EQ(client.Read().status, 100);
    client.Send(content.substr(offset, piece));
    if (piece == 65'535) {
      client.Reset();
    } else {
      client.EndSending();
      EXPECT_TRUE(client.Ends());
    }
    const Reply head = Head(upload);
    const size_t kept = std::stoul(head.Field("upload-offset"));
    EXPECT_GE(kept, offset);
    EXPECT_LE(kept, offset + piece);
    if (piece != 65'535) {  // a reset may drop what was on its way
      EXPECT_EQ(kept, offset + piece);
    }
    offset = kept;
  }
  EXPECT_EQ(Patch(upload, offset, content.substr(offset)).status, 204);
  EXPECT_EQ(Visit("/large.bin").body, content);
}

TEST_F(ApiUploadsTest, ALastChunkThatIsMissingIsMissedByNobody) {
  // All bytes have come, the end of the message has not: an upload of a known length is whole.
  const std::string upload = Begun("a", 5);
  RawClient client(port());
  client.Send("PATCH " + upload + " HTTP/1.1\r\nhost: 127.0.0.1\r\n" + Auth() + kTus + kTusType +
              Offset(0) + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
  client.EndSending();
  (void)client.Read();
  EXPECT_EQ(Head(upload).Field("upload-complete"), "?1");
  EXPECT_EQ(Content("a"), "hello");
}

TEST_F(ApiUploadsTest, OfTwoThatPatchAtOnceOneIsTold423) {
  const std::string upload = Begun("a", 6);
  RawClient first(port());
  first.Send(PatchHead(upload, 0, 6, kTus + kTusType));
  ASSERT_EQ(first.Read().status, 100);  // it has the upload
  first.Send("abc");
  const Reply second = Patch(upload, 0, "xyz");
  EXPECT_EQ(second.status, 423);
  EXPECT_EQ(Reason(second), "upload_locked");
  first.Send("def");
  EXPECT_EQ(first.Read().status, 204);
  EXPECT_EQ(Content("a"), "abcdef");
}

TEST_F(ApiUploadsTest, WhoAsksForTheOffsetHasLeftTheOlderRequest) {
  const std::string upload = Begun("a", 6);
  RawClient lost(port());  // its client is gone, and nobody has told us
  lost.Send(PatchHead(upload, 0, 6, kTus + kTusType));
  ASSERT_EQ(lost.Read().status, 100);
  lost.Send("abc");
  EXPECT_EQ(Head(upload).Field("upload-offset"), "3");
  EXPECT_TRUE(lost.Ends());
  EXPECT_EQ(Patch(upload, 3, "def").status, 204);
  EXPECT_EQ(Content("a"), "abcdef");
}

TEST_F(ApiUploadsTest, RemovingOneBreaksItsConnectionAndGivesItsSpaceBack) {
  const std::string upload = Begun("a", 6);
  RawClient sending(port());
  sending.Send(PatchHead(upload, 0, 6, kTus + kTusType));
  ASSERT_EQ(sending.Read().status, 100);
  sending.Send("abc");
  EXPECT_EQ(Partials().size(), 1u);
  EXPECT_EQ(Admin("DELETE " + upload, "", kTus).status, 204);
  EXPECT_TRUE(sending.Ends());
  EXPECT_EQ(Head(upload).status, 404);
  EXPECT_EQ(Reason(Patch(upload, 3, "def")), "no_such_upload");
  EXPECT_TRUE(Partials().empty());
}

TEST_F(ApiUploadsTest, PublishingIsTheRightThatIsWanted) {
  MakeSite("other", "www.other.test");
  const auto token = [&](const std::string& site, const std::string& scope) {
    const Reply made = Admin("POST /v1/tokens", R"({"name":"t","site":")" + site +
                                                    R"(","scopes":[")" + scope + R"("]})");
    return "authorization: Bearer " + Json(made)["token"].get<std::string>() + "\r\n";
  };
  const std::string upload = Begun("a", 3);
  const auto status = [&](const std::string& auth) {
    const std::string create = Named("b") + Length(1);
    const int statuses[] = {Request("POST /v1/sites/demo/uploads/", auth + kTus + create).status,
                            Request("HEAD " + upload, auth + kTus).status,
                            Request("PATCH " + upload, auth + kTus + kTusType + Offset(0)).status,
                            Request("DELETE " + upload, auth + kTus).status};
    return testing::PrintToString(statuses);
  };
  EXPECT_EQ(status(""), "{ 401, 401, 401, 401 }");
  EXPECT_EQ(status(token("demo", "read")), "{ 403, 403, 403, 403 }");
  EXPECT_EQ(status(token("other", "publish")), "{ 403, 403, 403, 403 }");
  EXPECT_EQ(status(token("demo", "publish")), "{ 201, 204, 204, 204 }");
  // An upload is found below its own site alone.
  const std::string mine = Begun("c", 3);
  EXPECT_EQ(Admin("HEAD /v1/sites/other/uploads/" + IdOf(mine), "", kTus).status, 404);
}

TEST_F(ApiUploadsTest, ClientsWithoutPatchSayWhatTheyMean) {
  const std::string upload = Begun("a", 3);
  const Reply patch = Admin("POST " + upload, "abc",
                            kTus + kTusType + Offset(0) + "x-http-method-override: PATCH\r\n");
  EXPECT_EQ(patch.status, 204) << patch.body;
  EXPECT_EQ(Content("a"), "abc");
  EXPECT_EQ(Admin("POST " + upload, "", kTus + "x-http-method-override: DELETE\r\n").status, 204);
  EXPECT_EQ(Admin("POST " + upload, "", kTus + "x-http-method-override: PUT\r\n").status, 405);
  // Nowhere else.
  EXPECT_EQ(Admin("POST /v1/sites/demo/assets/a", "", "x-http-method-override: DELETE\r\n").status,
            405);
}

TEST_F(ApiUploadsTest, PagesOfNamedOriginsMayUpload) {
  Restart("[uploads]\ncors_origins = [\"https://app.test\"]\n");
  const std::string origin = "origin: https://app.test\r\n";
  const std::string asks =
      "access-control-request-method: PATCH\r\n"
      "access-control-request-headers: authorization, upload-offset\r\n";
  const Reply preflight = Request("OPTIONS /v1/sites/demo/uploads/a1", origin + asks);
  EXPECT_EQ(preflight.status, 200);
  EXPECT_EQ(preflight.Field("access-control-allow-origin"), "https://app.test");
  EXPECT_THAT(preflight.Field("access-control-allow-methods"), HasSubstr("PATCH"));
  EXPECT_EQ(preflight.Field("access-control-allow-headers"), "authorization, upload-offset");
  const Reply begun = Begin(origin + Named("a") + Length(3));
  EXPECT_EQ(begun.Field("access-control-allow-origin"), "https://app.test");
  for (const char* name :
       {"Location", "Upload-Offset", "Tus-Resumable", "Upload-Expires", "ETag"}) {
    EXPECT_THAT(begun.Field("access-control-expose-headers"), HasSubstr(name));
  }
  const Reply unknown =
      Request("HEAD /v1/sites/demo/uploads/a1", origin + kTus);  // a page can read why
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(unknown.Field("access-control-allow-origin"), "https://app.test");
  const Reply refused =
      Request("OPTIONS /v1/sites/demo/uploads/a1", "origin: https://evil.test\r\n" + asks);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(Reason(refused), "cors_refused");
  EXPECT_EQ(refused.Field("access-control-allow-origin"), "");
}

}  // namespace
}  // namespace nearside::origin::test
