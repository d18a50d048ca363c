#pragma once

// What a release answers, URL by URL: what edges hold, and what they prove that they serve.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "origin/node.h"
#include "runtime/result.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// A URL of the site and what a visitor gets there.
struct ContentUrl {
  std::string url;  ///< "/docs/"
  int status = 0;
  std::optional<storage::BlobId> blob;  ///< of a 200: its content
  uint64_t bytes = 0;
  std::string etag;  ///< that it is sent with; "": none
};

struct ContentRange {
  storage::ReleaseId release = storage::kNoRelease;
  /// Only what differs from this release, with what is gone since; kNoRelease: everything that is
  /// there.
  storage::ReleaseId since = storage::kNoRelease;
  std::string after;    ///< path, exclusive
  size_t limit = 1000;  ///< paths to look at
};

struct ContentPage {
  std::vector<ContentUrl> urls;  ///< by path, those of one path in the order of UrlsOfAsset
  std::string next;              ///< the next page's `after`; "" behind the last one
};

/// `site` may have another active release than the one that is asked for.
Result<ContentPage> ListContent(Node& node, const storage::Site& site, const ContentRange& range);

/// SHA-256 over "URL SHA256\n" of each URL with a content that a receipt is about, in the order of
/// ListContent, as hexadecimal digits: an edge that serves the release has the same.
Result<std::string> DigestOfChange(Node& node, const storage::PublishReceipt& receipt);

}  // namespace nearside::origin
