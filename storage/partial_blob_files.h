#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/result.h"
#include "storage/blob_store.h"

namespace nearside::storage {

/// Contents that come in several goes, as files: FOLDER/partial/NAME, renamed to their place among
/// the blobs when they are whole. Whoever has one open holds its lock (flock), which ends with its
/// process. Any thread.
class PartialBlobFiles {
 public:
  explicit PartialBlobFiles(std::string root)
      : root_(std::move(root)), folder_(root_ + "/partial") {}
  /// Makes the folder. Error: kSelf with errno's name.
  Status Start() const;
  /// As BlobStore::OpenPartial.
  Result<std::unique_ptr<PartialBlob>> Open(const std::string& name, bool make) const;
  /// As BlobStore::Partials.
  Result<std::vector<std::string>> Names() const;

 private:
  const std::string root_;
  const std::string folder_;
};

}  // namespace nearside::storage
