#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "origin/s3_signature.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {

/// An origin that S3's clients talk to: key pairs by the names of what they may.
class S3Test : public OriginTest {
 protected:
  void SetUp() override;

  struct Signing {
    std::string key = "writer";  ///< reader, writer, admin, stranger (another site's)
    std::string secret;          ///< "": the right one
    std::string host = "127.0.0.1";
    std::vector<std::pair<std::string, std::string>> fields;  ///< signed as well
    std::string payload;  ///< x-amz-content-sha256; "": of the content
    milliseconds age{0};
    S3ChunkSigner* chunks = nullptr;  ///< becomes what chunks behind this head are signed with
  };
  /// The text of a signed request, "PUT /demo/a".
  std::string SignedText(const std::string& line, const std::string& content,
                         const Signing& signing);
  Reply S3(const std::string& line, const std::string& content = "") {
    return S3(line, content, Signing());
  }
  Reply S3(const std::string& line, const std::string& content, const Signing& signing) {
    return Ask(port(), SignedText(line, content, signing));
  }
  Reply With(const std::string& line, const std::string& content,
             std::vector<std::pair<std::string, std::string>> fields) {
    Signing signing;
    signing.fields = std::move(fields);
    return S3(line, content, signing);
  }
  /// The text of an element; "" when there is none.
  static std::string Element(const Reply& reply, const std::string& name);
  /// "404 NoSuchKey".
  static std::string Outcome(const Reply& reply) {
    return std::to_string(reply.status) + " " + Element(reply, "Code");
  }
  size_t BlobFiles() const;

 private:
  void MakeKey(const std::string& name, const std::string& site, const std::string& scopes);
  std::map<std::string, std::string> keys_;  ///< ids of tokens by the names above
};

}  // namespace nearside::origin::test
