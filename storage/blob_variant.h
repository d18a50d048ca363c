#pragma once

// A content encoded beforehand: other bytes, kept as a blob of their own, that a client decodes to
// the content's. A variant is kept as long as its content is.

#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/blob_store.h"

namespace nearside::storage {

struct BlobVariant {
  std::string coding;  ///< a word, opaque here: "br"
  BlobId blob;         ///< the encoded bytes
  uint64_t bytes = 0;  ///< of these; 0: there is no blob, as the coding does not make it smaller
};

/// A stretch of a release's assets by path.
struct UncodedRange {
  int64_t release = 0;
  std::string after;         ///< path, exclusive
  uint64_t least_bytes = 0;  ///< of the content
  uint64_t most_bytes = 0;
  size_t codings = 0;  ///< an asset whose content has so many variants is left out
  size_t limit = 1000;
};

}  // namespace nearside::storage
