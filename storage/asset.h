#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/clock.h"
#include "storage/blob_store.h"

namespace nearside::storage {

/// One row of a manifest.
struct Asset {
  std::string path;
  BlobId blob;
  uint64_t bytes = 0;
  std::string content_type;
  /// Extra fields of the answer; names in lower case, values without line breaks.
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::string> tags;  ///< without spaces
  /// What the uploader wants back and no visitor is told; form as of `headers`.
  std::vector<std::pair<std::string, std::string>> notes = {};
  /// When this content came to stand at this path; kept while the content stays. Given by the
  /// store.
  WallTime modified;
};

}  // namespace nearside::storage
