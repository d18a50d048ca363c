#pragma once

// Uploads that come in parts: what has come so far. The blob of a part must be no other's (whoever
// makes it puts something random in front of the content), so that it can go when its part goes; it
// is not made known by AddBlob.

#include <cstdint>
#include <string>

#include "runtime/clock.h"
#include "storage/asset.h"

namespace nearside::storage {

struct MultipartUpload {
  std::string id;  ///< random: who knows it may add to it
  std::string site;
  Asset asset;  ///< what it is to become: path, content type, headers, tags, notes
  WallTime begun;
};

struct UploadPart {
  int number = 0;
  BlobId blob;
  uint64_t bytes = 0;
  std::string md5;  ///< 32 digits
  WallTime modified;
};

struct UploadRange {
  std::string prefix;
  std::string after_path;  ///< exclusive, together with `after_id`
  std::string after_id;
  size_t limit = 1000;
};

}  // namespace nearside::storage
