#pragma once

// The names of assets ("docs/index.html") and the URLs under which visitors and edges know them.
// Pure.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace nearside::origin {

inline constexpr size_t kAssetPathBytes = 1024;

/// What a path must be: 1 to kAssetPathBytes bytes of UTF-8; segments that are not empty, "." or
/// ".."; no control characters, no backslash. Errors: kClient bad_path, path_too_long.
Status CheckAssetPath(std::string_view path);

/// The path that a percent-encoded piece of a URL names, not normalised: what would climb is
/// refused and not resolved. "%2F" is refused. Errors: those of CheckAssetPath.
Result<std::string> DecodeAssetPath(std::string_view encoded);

/// The one URL of a path: "/docs/a%20b.html". Other spellings of it are redirected there.
std::string AssetUrl(std::string_view path);

/// Every URL whose answer depends on the asset: for "docs/index.html" also "/docs/" and "/docs".
std::vector<std::string> UrlsOfAsset(std::string_view path);

}  // namespace nearside::origin
