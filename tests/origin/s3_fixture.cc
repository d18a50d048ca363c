#include "tests/origin/s3_fixture.h"

#include <algorithm>
#include <filesystem>

namespace nearside::origin::test {
namespace {

std::string BasicTimeOf(WallTime time) {
  std::string text;
  for (const char c : FormatIsoTime(time).substr(0, 19)) {
    if (c != '-' && c != ':') text += c;
  }
  return text + "Z";
}

}  // namespace

void S3Test::SetUp() {
  OriginTest::SetUp();
  MakeSite();
  MakeSite("other", "www.other.test");
  MakeKey("reader", "\"demo\"", "\"read\"");
  MakeKey("writer", "\"demo\"", "\"read\",\"publish\"");
  MakeKey("admin", "null", "\"admin\"");
  MakeKey("stranger", "\"other\"", "\"read\",\"publish\"");
}

void S3Test::MakeKey(const std::string& name, const std::string& site, const std::string& scopes) {
  const Reply made = Admin("POST /v1/tokens", "{\"name\":\"" + name + "\",\"site\":" + site +
                                                  ",\"scopes\":[" + scopes + "]}");
  ASSERT_EQ(made.status, 201) << made.body;
  keys_[name] = Json(made)["s3"]["access_key_id"];
}

std::string S3Test::SignedText(const std::string& line, const std::string& content,
                               const Signing& signing) {
  http::RequestHead head;
  head.method = line.substr(0, line.find(' '));
  head.target = line.substr(line.find(' ') + 1);
  head.authority = signing.host;
  S3Authorization authorization;
  const auto known = keys_.find(signing.key);
  authorization.access_key_id = known == keys_.end() ? signing.key : known->second;
  const std::string secret = signing.secret.empty()
                                 ? node_->access.S3SecretOf(authorization.access_key_id)
                                 : signing.secret;
  authorization.time = BasicTimeOf(WallNow() - signing.age);
  authorization.region = "us-east-1";
  authorization.payload_text =
      signing.payload.empty() ? HexEncode(Sha256Of(content)) : signing.payload;
  std::map<std::string, std::string> fields(signing.fields.begin(), signing.fields.end());
  fields["x-amz-date"] = authorization.time;
  fields["x-amz-content-sha256"] = authorization.payload_text;
  authorization.signed_headers = {"host"};
  for (const auto& [name, value] : fields) {
    head.fields.Add(name, value);
    authorization.signed_headers.push_back(name);
  }
  std::sort(authorization.signed_headers.begin(), authorization.signed_headers.end());
  const std::string canonical = S3CanonicalRequest(head, authorization).value();
  const Sha256Digest key = S3SigningKey(secret, authorization.date(), "us-east-1");
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + authorization.time + "\n" +
                              authorization.scope() + "\n" + HexEncode(Sha256Of(canonical));
  const Sha256Digest signature =
      HmacSha256({reinterpret_cast<const char*>(key.data()), key.size()}, to_sign);
  if (signing.chunks != nullptr) {
    *signing.chunks = {.key = key,
                       .time = authorization.time,
                       .scope = authorization.scope(),
                       .previous = HexEncode(signature)};
  }
  std::string names;
  for (const std::string& name : authorization.signed_headers) {
    names += (names.empty() ? "" : ";") + name;
  }
  std::string text = "authorization: AWS4-HMAC-SHA256 Credential=" + authorization.access_key_id +
                     "/" + authorization.scope() + ", SignedHeaders=" + names +
                     ", Signature=" + HexEncode(signature) + "\r\n";
  for (const auto& [name, value] : fields) text += name + ": " + value + "\r\n";
  return Text(line, text, content, signing.host);
}

std::string S3Test::Element(const Reply& reply, const std::string& name) {
  const size_t begin = reply.body.find("<" + name + ">");
  const size_t end = reply.body.find("</" + name + ">");
  if (begin == std::string::npos || end == std::string::npos) return "";
  return reply.body.substr(begin + name.size() + 2, end - begin - name.size() - 2);
}

size_t S3Test::BlobFiles() const {
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.In("blobs"))) {
    if (entry.is_regular_file()) ++files;
  }
  return files;
}

}  // namespace nearside::origin::test
