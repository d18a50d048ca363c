// The pure part of S3: heads with signatures, aws-chunked contents and XML. Nothing unsigned is
// taken, what is handed out of chunks is what was announced, and XML that was read is written so
// that it is read again.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "origin/s3_chunked_body.h"
#include "origin/s3_request.h"
#include "origin/s3_signature.h"
#include "origin/s3_xml.h"

namespace {

using namespace nearside;
using namespace nearside::origin;

class FuzzedBody final : public RequestBody {
 public:
  explicit FuzzedBody(std::string_view text) : text_(text) {}
  Result<size_t> Read(std::span<uint8_t> out) override {
    const size_t n = std::min({size_t{7}, out.size(), text_.size()});
    std::copy_n(text_.begin(), n, out.begin());
    text_.remove_prefix(n);
    return n;
  }
  std::optional<uint64_t> announced_bytes() const override { return text_.size(); }
  bool present() const override { return true; }

 private:
  std::string_view text_;
};

void ReadChunks(std::string_view text, S3Payload payload, uint64_t bytes) {
  FuzzedBody raw(text);
  S3ChunkSigner signer;
  signer.previous = std::string(64, '0');
  S3ChunkedBody body(raw, payload, bytes, signer);
  std::vector<uint8_t> out(64);
  uint64_t total = 0;
  while (true) {
    const Result<size_t> n = body.Read(out);
    if (!n) return;
    if (*n == 0) break;
    total += *n;
    if (total > bytes) std::abort();
  }
  // Nobody signs with this key.
  if (total != bytes || payload != S3Payload::kUnsignedTrailer) std::abort();
}

void Write(const XmlElement& element, XmlWriter* xml) {
  xml->Open("e");
  if (element.children.empty()) xml->Text(element.text);
  for (const XmlElement& child : element.children) Write(child, xml);
  xml->Close();
}

void ReadXml(std::string_view text) {
  const Result<XmlElement> root = ParseXml(text);
  if (!root) return;
  XmlWriter xml;
  Write(*root, &xml);
  if (!ParseXml(std::move(xml).Take())) std::abort();
}

void ReadHead(std::string_view text) {
  http::RequestHead head;
  const size_t line = std::min(text.find('\n'), text.size());
  head.method = "GET";
  head.authority = "demo.s3.test";
  head.target = "/" + std::string(text.substr(0, line));
  const std::string value(text.substr(std::min(line + 1, text.size())));
  if (http::IsFieldValue(value)) head.fields.Add("authorization", value);
  head.fields.Add("x-amz-date", "20130524T000000Z");
  head.fields.Add("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
  (void)ParseS3Request(head, "s3.test");
  (void)ParseCopySource(text);
  const WallTime now = FromUnixMillis(1369353600000);
  const auto authorization = ReadS3Authorization(head, now);
  if (!authorization) return;
  if (CheckS3Signature(head, *authorization, "a secret that nobody has")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      ReadHead(text);
      break;
    case 1:
      ReadXml(text);
      break;
    case 2:
      ReadChunks(text, S3Payload::kUnsignedTrailer, data[0]);
      break;
    case 3:
      ReadChunks(text, S3Payload::kSignedChunks, data[0]);
      break;
    default:
      ReadChunks(text, S3Payload::kSignedChunksTrailer, data[0]);
      break;
  }
  return 0;
}
