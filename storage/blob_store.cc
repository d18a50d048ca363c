#include "storage/blob_store.h"

#include <algorithm>
#include <span>

#include "runtime/crypto.h"
#include "storage/blob_files.h"

namespace nearside::storage {

std::string BlobName(const BlobId& id) { return HexEncode(id.bytes); }

Result<BlobId> ParseBlobName(std::string_view text) {
  BlobId id;
  Result<std::string> bytes = HexDecode(text);
  if (!bytes || bytes->size() != id.bytes.size()) {
    return Fail(Fault::kClient, "bad_digest",
                "expected a SHA-256 as 64 hexadecimal digits, got \"" +
                    std::string(text.substr(0, 80)) + "\"");
  }
  std::copy(bytes->begin(), bytes->end(), id.bytes.begin());
  return id;
}

Result<std::unique_ptr<BlobStore>> BlobStore::Open(std::string_view url) {
  constexpr std::string_view kFile = "file:";
  if (url.starts_with(kFile) && url.size() > kFile.size()) {
    return OpenBlobFiles(std::string(url.substr(kFile.size())));
  }
  if (url.starts_with("s3:")) {
    return Fail(Fault::kOperator, "bad_url",
                "\"" + std::string(url) +
                    "\": blobs in S3 are not supported by this version; expected "
                    "\"file:FOLDER\", for example \"file:var/origin/blobs\"");
  }
  return Fail(Fault::kOperator, "bad_url",
              "\"" + std::string(url) +
                  "\": expected the URL of a blob store, for example \"file:var/origin/blobs\"");
}

}  // namespace nearside::storage
