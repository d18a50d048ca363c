#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/crypto.h"
#include "runtime/text_bytes.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {

inline const std::string kTus = "tus-resumable: 1.0.0\r\n";
inline const std::string kTusType = "content-type: application/offset+octet-stream\r\n";
inline const std::string kDraftType = "content-type: application/partial-upload\r\n";

inline std::string Base64(std::string_view text) { return Base64Encode(AsBytes(text)); }

class ApiUploadsTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    MakeSite();
  }
  static std::string Auth() { return "authorization: Bearer " + std::string(kAdminToken) + "\r\n"; }
  static std::string Named(const std::string& path, const std::string& more = "") {
    return "upload-metadata: path " + Base64(path) + more + "\r\n";
  }
  static std::string Length(size_t bytes) {
    return "upload-length: " + std::to_string(bytes) + "\r\n";
  }
  static std::string Offset(size_t bytes) {
    return "upload-offset: " + std::to_string(bytes) + "\r\n";
  }
  Reply Begin(const std::string& fields, const std::string& content = "") {
    return Admin("POST /v1/sites/demo/uploads/", content, kTus + fields);
  }
  /// The path of a new upload.
  std::string Begun(const std::string& path, size_t bytes, const std::string& fields = "") {
    const Reply reply = Begin(Named(path) + Length(bytes) + fields);
    EXPECT_EQ(reply.status, 201) << reply.body;
    EXPECT_EQ(reply.Field("tus-resumable"), "1.0.0");
    return reply.Field("location");
  }
  Reply Patch(const std::string& upload, size_t offset, const std::string& content,
              const std::string& fields = "") {
    return Admin("PATCH " + upload, content, kTus + kTusType + Offset(offset) + fields);
  }
  Reply Head(const std::string& upload) { return Admin("HEAD " + upload, "", kTus); }
  std::string Content(const std::string& path) {
    const Reply reply = Admin("GET /v1/sites/demo/assets/" + path);
    return reply.status == 200 ? reply.body : Reason(reply);
  }
  /// The request of a PATCH whose content is to follow, up to the server's word that it wants it.
  static std::string PatchHead(const std::string& upload, size_t offset, size_t bytes,
                               const std::string& protocol) {
    return "PATCH " + upload + " HTTP/1.1\r\nhost: 127.0.0.1\r\n" + Auth() + protocol +
           Offset(offset) + "expect: 100-continue\r\ncontent-length: " + std::to_string(bytes) +
           "\r\n\r\n";
  }
  std::vector<std::string> Partials() const { return node_->blobs->Partials().value(); }
  std::string IdOf(const std::string& upload) const { return upload.substr(upload.rfind('/') + 1); }
  uint64_t Events() { return node_->metadata->Log()->last.sequence; }
};

}  // namespace nearside::origin::test
