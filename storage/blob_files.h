#pragma once

#include <memory>
#include <string>

#include "storage/blob_store.h"

namespace nearside::storage {

/// Blobs as files: FOLDER/ab/cd/<64 digits>, written in FOLDER/incoming and renamed when they are
/// whole and on the disk. A half-written file is locked (flock) by the process that writes it, so
/// opening the store removes exactly those whose writer is dead.
Result<std::unique_ptr<BlobStore>> OpenBlobFiles(std::string folder);

}  // namespace nearside::storage
