// A site's quota, over each way in that the origin has.

#include "tests/origin/s3_fixture.h"
#include "tests/origin/uploads_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

class QuotaTest : public S3Test {
 protected:
  void SetUp() override {
    S3Test::SetUp();
    EXPECT_EQ(Quota(R"({"bytes":10,"files":3})").status, 200);
  }
  Reply Quota(const std::string& quota) {
    return Admin("PUT /v1/sites/demo", R"({"hosts":["www.demo.test"],"quota":)" + quota + "}");
  }
  std::string Put(const std::string& path, const std::string& content) {
    const Reply reply = Admin("PUT /v1/sites/demo/assets/" + path, content);
    return reply.status < 300 ? "" : Reason(reply);
  }
  nlohmann::json Site() { return Json(Admin("GET /v1/sites/demo")); }
};

TEST_F(QuotaTest, IsShownWithWhatIsUsedAndStaysWhenHostsChange) {
  EXPECT_EQ(Put("a", "1234"), "");
  EXPECT_EQ(Site()["quota"], nlohmann::json({{"bytes", 10}, {"files", 3}}));
  EXPECT_EQ(Site()["used"], nlohmann::json({{"bytes", 4}, {"files", 1}}));
  EXPECT_EQ(Admin("PUT /v1/sites/demo", R"({"hosts":["www.demo.test","b.test"]})").status, 200);
  EXPECT_EQ(Site()["quota"]["bytes"], 10);
  EXPECT_EQ(Json(Admin("GET /v1/sites"))["sites"][0]["quota"]["files"], 3);
  metrics::Registry registry;
  node_->quota_figures.ExportMetrics(registry);
  const std::string metrics = registry.Expose();
  EXPECT_THAT(metrics, HasSubstr("nearside_origin_site_quota_bytes{site=\"demo\"} 10\n"));
  EXPECT_THAT(metrics, HasSubstr("nearside_origin_site_used_bytes{site=\"demo\"} 4\n"));
  EXPECT_THAT(metrics, HasSubstr("nearside_origin_site_quota_files{site=\"demo\"} 3\n"));
  EXPECT_THAT(metrics, HasSubstr("nearside_origin_site_used_files{site=\"demo\"} 1\n"));
  EXPECT_EQ(Quota("{}").status, 200);
  EXPECT_EQ(Put("b", "12345678901"), "") << "no limit any more";
}

TEST_F(QuotaTest, WhatIsNoQuotaIsRefused) {
  for (const char* quota : {"7", "[]", R"({"bytes":-1})", R"({"bytes":"1GiB"})", R"({"size":1})",
                            R"({"bytes":9223372036854775807})"}) {
    EXPECT_EQ(Reason(Quota(quota)), "bad_site") << quota;
  }
  EXPECT_EQ(Site()["quota"]["bytes"], 10);
}

TEST_F(QuotaTest, IsChangedByWhoeverHasEverySiteAlone) {
  const Reply made = Admin("POST /v1/tokens",
                           R"({"name":"own","site":"demo","scopes":["admin"],"expires_in":"1d"})");
  const std::string own =
      "authorization: Bearer " + Json(made)["token"].get<std::string>() + "\r\n";
  const auto put = [&](const std::string& body) {
    return Request("PUT /v1/sites/demo", own, body).status;
  };
  EXPECT_EQ(put(R"({"hosts":["www.demo.test"],"quota":{"bytes":1000,"files":3}})"), 403);
  EXPECT_EQ(put(R"({"hosts":["www.demo.test"],"quota":{}})"), 403);
  EXPECT_EQ(put(R"({"hosts":["www.demo.test"],"quota":{"bytes":10,"files":3}})"), 200);
  EXPECT_EQ(put(R"({"hosts":["www.demo.test"]})"), 200);
  EXPECT_EQ(Site()["quota"]["bytes"], 10);
}

TEST_F(QuotaTest, AnAssetOverItIsA413ThatSaysWhatToDo) {
  EXPECT_EQ(Put("a", "123456"), "");
  const Reply refused = Admin("PUT /v1/sites/demo/assets/b", "abcdef");
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(Reason(refused), "quota_exceeded");
  EXPECT_EQ(Json(refused)["detail"],
            "site \"demo\" may have 10 bytes (quota.bytes): 6 are used, and this wants 6 more. "
            "Delete assets or uploads, wait until past releases are dropped, or let whoever runs "
            "the origin raise the quota by PUT /v1/sites/demo");
  EXPECT_EQ(Put("b", "1"), "");
  EXPECT_EQ(Put("c", "2"), "");
  EXPECT_EQ(Put("d", "3"), "quota_exceeded") << "three files";
}

TEST_F(QuotaTest, AManifestOverItIsRefusedBeforeAnythingIsUploaded) {
  const auto release = [&](const std::string& content) {
    return Admin("POST /v1/sites/demo/releases", R"({"assets":[{"path":"a","sha256":")" +
                                                     DigitsOf(content) + R"(","bytes":)" +
                                                     std::to_string(content.size()) + "}]}");
  };
  EXPECT_EQ(release("12345678901").status, 413);
  EXPECT_EQ(Site()["used"]["bytes"], 0);
  const Reply fits = release("1234567890");
  EXPECT_EQ(fits.status, 201);
  EXPECT_EQ(Admin("PUT /v1/blobs/" + DigitsOf("1234567890"), "1234567890").status, 201);
  EXPECT_EQ(Quota(R"({"bytes":5})").status, 200);
  const std::string activate =
      "POST /v1/sites/demo/releases/" + Json(fits)["id"].get<std::string>() + "/activate";
  EXPECT_EQ(Reason(Admin(activate)), "quota_exceeded");
  EXPECT_EQ(Quota(R"({"bytes":10})").status, 200);
  EXPECT_EQ(Admin(activate).status, 200);
}

TEST_F(QuotaTest, UploadsInSeveralGoesAreRefusedAtTheirBeginning) {
  const auto begin = [&](size_t bytes) {
    return Admin("POST /v1/sites/demo/uploads/", "",
                 kTus + "upload-metadata: path " + Base64("big") +
                     "\r\nupload-length: " + std::to_string(bytes) + "\r\n");
  };
  const Reply over = begin(11);
  EXPECT_EQ(over.status, 413);
  EXPECT_EQ(Reason(over), "quota_exceeded");
  const Reply begun = begin(8);
  ASSERT_EQ(begun.status, 201) << begun.body;
  EXPECT_EQ(Site()["used"]["bytes"], 8);
  EXPECT_EQ(Put("a", "123"), "quota_exceeded") << "the room is taken";
  const Reply done = Admin("PATCH " + begun.Field("location"), "12345678",
                           kTus + kTusType + "upload-offset: 0\r\n");
  EXPECT_EQ(done.status, 204) << done.body;
  EXPECT_EQ(Admin("GET /v1/sites/demo/assets/big").body, "12345678");
  EXPECT_EQ(Site()["used"]["bytes"], 8);
}

TEST_F(QuotaTest, TheDraftsPutIsRefusedAsWell) {
  const Reply over = Admin("PUT /v1/sites/demo/assets/big", "12345678901",
                           "upload-complete: ?1\r\nupload-draft-interop-version: 6\r\n");
  EXPECT_EQ(over.status, 413) << over.body;
  EXPECT_EQ(Reason(over), "quota_exceeded");
  EXPECT_EQ(Reason(Admin("GET /v1/sites/demo/assets/big")), "no_such_asset");
}

TEST_F(QuotaTest, S3SaysSoInItsWords) {
  EXPECT_EQ(S3("PUT /demo/a", "123456").status, 200);
  EXPECT_EQ(Outcome(S3("PUT /demo/b", "abcdef")), "403 QuotaExceeded");
  EXPECT_EQ(S3("PUT /demo/b", "abcd").status, 200);
  EXPECT_EQ(S3("DELETE /demo/b").status, 204);
  const std::string id = Element(S3("POST /demo/big?uploads"), "UploadId");
  ASSERT_NE(id, "");
  const std::string part = "PUT /demo/big?partNumber=1&uploadId=" + id;
  EXPECT_EQ(Outcome(S3(part, "12345")), "403 QuotaExceeded");
  EXPECT_EQ(S3(part, "1234").status, 200);
  EXPECT_EQ(Site()["used"]["bytes"], 10);
  EXPECT_EQ(Outcome(S3("PUT /demo/c", "x")), "403 QuotaExceeded");
  EXPECT_EQ(S3("DELETE /demo/big?uploadId=" + id).status, 204);
  EXPECT_EQ(Site()["used"]["bytes"], 6);
}

}  // namespace
}  // namespace nearside::origin::test
