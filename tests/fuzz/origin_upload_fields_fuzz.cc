// What requests say about uploads in several goes: nothing that is read breaks the rules of what it
// is to become, and metadata that was read is written so that it is read again.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/characters.h"
#include "origin/asset_path.h"
#include "origin/upload_fields.h"
#include "runtime/text_bytes.h"

namespace {

using namespace nearside;
using namespace nearside::origin;

void ReadMetadata(std::string_view text) {
  const Result<MetadataPairs> pairs = ParseUploadMetadata(text);
  if (!pairs) return;
  std::string again;
  for (const auto& [key, value] : *pairs) {
    again += (again.empty() ? "" : ",") + key + " " + Base64Encode(AsBytes(value));
  }
  if (again.size() > kMetadataBytes) return;  // a key alone has grown by its space
  const Result<MetadataPairs> second = ParseUploadMetadata(again);
  if (!second || *second != *pairs) std::abort();
}

void ReadUpload(std::string_view text, UploadProtocol protocol) {
  if (!http::IsFieldValue(text)) return;
  http::Fields fields;
  fields.Add("upload-metadata", http::TrimSpace(text));
  const auto upload = ReadNewUpload(fields, protocol, "");
  if (!upload) return;
  if (!CheckAssetPath(upload->asset.path)) std::abort();
  if (!http::IsFieldValue(upload->asset.content_type)) std::abort();
  for (const auto& [name, value] : upload->asset.headers) {
    if (!http::IsToken(name) || !http::IsFieldValue(value)) std::abort();
  }
  for (const auto& [name, value] : upload->conditions) {
    if (!http::IsFieldValue(value)) std::abort();
  }
}

void ReadClaims(std::string_view text) {
  if (!http::IsFieldValue(text)) return;
  for (const std::string_view name : {"upload-offset", "upload-length", "upload-complete",
                                      "upload-checksum", "upload-defer-length", "content-digest"}) {
    http::Fields fields;
    fields.Add("tus-resumable", kTusVersion);
    fields.Add(name, text);
    (void)ReadUploadClaims("PATCH", fields);
    fields.Remove("tus-resumable");
    (void)ReadUploadClaims("PATCH", fields);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      ReadMetadata(text);
      break;
    case 1:
      ReadUpload(text, UploadProtocol::kTus);
      break;
    case 2:
      ReadUpload(text, UploadProtocol::kDraft);
      break;
    default:
      ReadClaims(text);
      break;
  }
  return 0;
}
