#pragma once

// ListObjects, versions 1 and 2: which keys and common prefixes a page has, and its XML. What is
// below a common prefix is not read: the listing goes on behind it. Pure but for the source.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "origin/answer.h"
#include "origin/s3_request.h"
#include "storage/metadata.h"

namespace nearside::origin {

inline constexpr size_t kS3MaxKeys = 1000;

struct S3ListQuery {
  bool second = true;  ///< version 2
  std::string prefix;
  std::string delimiter;
  std::string after;  ///< keys behind this one
  size_t max_keys = kS3MaxKeys;
  bool url_encoding = false;
};
/// Errors: kClient invalid_argument.
Result<S3ListQuery> ReadS3ListQuery(const S3Request& request);

struct S3Listing {
  std::vector<storage::Asset> contents;
  std::vector<std::string> prefixes;
  bool truncated = false;
  std::string last;      ///< the last key or common prefix of the page
  std::string position;  ///< behind which the next page begins
};

/// Assets of a release in the order of their paths' bytes, as Metadata::ListAssets has them.
using AssetSource =
    std::function<Result<std::vector<storage::Asset>>(const storage::AssetRange& range)>;

/// Errors: those of the source.
Result<S3Listing> ListS3(const S3ListQuery& query, const AssetSource& source);
Answer S3ListAnswer(const S3Request& request, const S3ListQuery& query, const S3Listing& listing);

/// A page's place as a token that survives any client, and back. Error: kClient invalid_argument.
std::string EncodeS3Position(std::string_view position);
Result<std::string> DecodeS3Position(std::string_view token);
/// `?name=` as a number from 0 to `most`: what is above counts as `most`, what is absent as
/// `fallback`. Error: kClient invalid_argument.
Result<size_t> S3Number(const S3Request& request, std::string_view name, size_t fallback,
                        size_t most);

}  // namespace nearside::origin
