#pragma once

// The `_headers` and `_redirects` files of a release: assets like others, which visitors do not
// get.

#include <optional>
#include <string>
#include <string_view>

#include "http/site_rules.h"
#include "storage/blob_store.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// Which contents the rules of a site are made of.
struct RulesFiles {
  std::optional<storage::BlobId> headers;
  std::optional<storage::BlobId> redirects;
  bool operator==(const RulesFiles&) const = default;
};

/// Those of a release. Errors: of Metadata.
Result<RulesFiles> FindRulesFiles(storage::Metadata& metadata, storage::ReleaseId release);

/// The rules that the files hold. Errors: kClient bad_rules (naming file and line), missing_blobs
/// (a content has not been uploaded); kSelf of the disk.
Result<http::SiteRules> ReadRulesFiles(const storage::BlobStore& blobs, const RulesFiles& files);

/// Of an asset that is to be put: nothing to say against it unless it is a rules file. Errors:
/// those of ReadRulesFiles.
Status CheckRulesAsset(const storage::BlobStore& blobs, const storage::Asset& asset);

/// The tag of every answer that serves this asset under another path by a rewrite: who changes the
/// asset names it in the event.
std::string RewriteTagOf(std::string_view asset_path);

}  // namespace nearside::origin
