#pragma once

// What clients send as JSON and in fields, made into what storage keeps. Pure.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"
#include "origin/event.h"
#include "storage/metadata.h"

namespace nearside::origin {

inline constexpr size_t kManifestAssets = 100'000;
inline constexpr size_t kHeadersOfAsset = 32;
inline constexpr size_t kTagsOfAsset = 64;
inline constexpr size_t kTagBytes = 256;
inline constexpr size_t kPurgeItems = 5'000;  ///< of each kind in one purge
inline constexpr size_t kPurgeUrlBytes = 8 << 10;
inline constexpr size_t kHostsOfSite = 100;
inline constexpr uint64_t kQuotaMost = uint64_t{1} << 60;  ///< of either number

/// {"assets":[{"path","sha256","bytes","content_type"?,"headers"?:{…},"tags"?:[…]}]}: the assets of
/// a release. Errors: kClient bad_json, bad_manifest (names the entry).
Result<std::vector<storage::Asset>> ParseManifest(std::string_view json);

/// Extra fields that an asset may have: no framing, no validators, nothing that makes a response
/// private. Error: kClient bad_manifest.
Status CheckAssetHeader(std::string_view name, std::string_view value);

/// "a b, c" as Surrogate-Key and Cache-Tag write it. Error: kClient bad_manifest.
Result<std::vector<std::string>> ParseTags(std::string_view text);

/// Fills content type, headers and tags from the fields of a PUT: Content-Type (not curl's form
/// type), Cache-Control and the like, Surrogate-Key or Cache-Tag. Errors: kClient bad_manifest.
Status ReadAssetFields(const http::Fields& fields, storage::Asset* asset);

/// Contents are stored as they are. Error: kClient unsupported_coding.
Status CheckContentCoding(const http::Fields& fields);

/// Hosts that are the origin's own: a site that had one would answer in place of the API, or take
/// what S3's clients send.
struct OwnHosts {
  std::string_view node;                       ///< node.name
  std::string_view s3_domain;                  ///< s3.domain, with all below it; "": none
  std::span<const std::string> accounts = {};  ///< accounts.hosts
};

/// {"name"?,"hosts":[…],"quota"?:{"bytes"?,"files"?}}. `name` is that of the path, or "" when the
/// body names the site. Errors: kClient bad_json, bad_site.
Result<storage::SiteDraft> ParseSite(std::string_view json, std::string_view name,
                                     const OwnHosts& own);
Status CheckSiteName(std::string_view name);

/// {"site"?,"urls"?,"prefixes"?,"tags"?,"all"?,"soft"?}, as sent: site-relative or absolute URLs.
struct PurgeRequest {
  std::string site;
  Forget forget;
};
/// Errors: kClient bad_json, bad_purge.
Result<PurgeRequest> ParsePurge(std::string_view json);
/// Folders that a purge's prefix may name, one below the other. Edges look up each folder above an
/// object and stop here; a deeper prefix they could only answer by forgetting the whole site.
inline constexpr size_t kPrefixSegments = 16;
/// Makes URLs and prefixes site-relative and normal. Error: kClient bad_purge (another site's
/// host, a prefix that is no folder or too deep).
Status ResolvePurge(const storage::Site& site, Forget* forget);
/// The host of the first absolute URL among URLs and prefixes; "" when there is none.
std::string HostOfPurge(const Forget& forget);

}  // namespace nearside::origin
