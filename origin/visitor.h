#pragma once

// What a visitor (or an edge on a visitor's behalf) gets for a request: from the head and the
// assets of the site's active release to a plan of the response. The same for both listeners.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "http/message.h"
#include "http/site_rules.h"
#include "origin/answer.h"
#include "runtime/clock.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// Lifetimes that answers state where neither manifest nor upload said something else.
namespace lifetime {
inline constexpr std::string_view kHashed = "public, max-age=31536000, immutable";
inline constexpr std::string_view kPage = "public, max-age=60, stale-while-revalidate=600";
inline constexpr std::string_view kOther = "public, max-age=3600";
inline constexpr std::string_view kRedirect = "public, max-age=60";
inline constexpr std::string_view kMissing = "public, max-age=10";
/// Of a hashed name that is missing: it is about to be published, or to come back by a rollback. A
/// cached 404 of such a file breaks pages long after it is there.
inline constexpr std::string_view kMissingHashed = "public, max-age=1";
}  // namespace lifetime

/// Where the assets of a site are found: one release for the whole of a response.
class SiteContent {
 public:
  virtual ~SiteContent() = default;
  virtual Result<std::optional<storage::Asset>> Find(const std::string& path) = 0;
  /// In the releases that were active before and are kept: for pages that are still open in a
  /// browser.
  virtual Result<std::optional<storage::Asset>> FindEarlier(const std::string& path) = 0;
  /// What a content was encoded to beforehand.
  virtual Result<std::vector<storage::BlobVariant>> Variants(const storage::BlobId& content) = 0;
  /// What the release's `_headers` and `_redirects` say.
  virtual const http::SiteRules& rules() const = 0;
};

/// The entity tag of a content: strong, from its SHA-256.
std::string EntityTagOf(const storage::BlobId& id);

/// For whom an asset's tag is, that is, what it tells apart beside the content.
enum class TagReader {
  /// What a cache would not learn by a 304: another type or language (which caches may leave as
  /// they have them, RFC 9111 §3.2), and that a field is there no more. Values of other fields come
  /// with every 304.
  kCaches,
  /// All that an upload says of the asset, so that no conditional write loses another's (RFC 9110
  /// §13.1.1).
  kWriters,
};
/// The content's tag, and more behind it where there is more to say than the path's usual type.
/// `content`: the asset's own, or what encoding made of it.
std::string EntityTagOf(const storage::Asset& asset, const storage::BlobId& content,
                        TagReader reader);
/// Last-Modified as a validator: whole seconds, as clients are told and send back.
WallTime LastModifiedOf(const storage::Asset& asset);

/// Answers a request for one asset that was found, as status 200, 206, 304, 412 or 416: by the
/// smallest of `variants` that the request accepts, with an entity tag of its own, where there is
/// one and the request is not for a range. Pure.
Answer ServeAsset(const http::RequestHead& request, const storage::Asset& asset, WallTime now,
                  const std::vector<storage::BlobVariant>& variants = {},
                  TagReader reader = TagReader::kCaches);

/// Answers a visitor's request. Pure but for `content`; its errors are the only ones.
Result<Answer> ServeVisitor(const http::RequestHead& request, SiteContent& content, WallTime now);

}  // namespace nearside::origin
