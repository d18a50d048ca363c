#include "origin/rules_files.h"

#include <span>

#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

constexpr size_t kRewriteTagDigits = 16;

Result<std::optional<storage::BlobId>> FindContentOf(storage::Metadata& metadata,
                                                     storage::ReleaseId release,
                                                     std::string_view path) {
  if (release == storage::kNoRelease) return std::nullopt;
  Result<std::optional<storage::Asset>> asset = metadata.FindAsset(release, std::string(path));
  if (!asset) return unexpected(std::move(asset.error()));
  if (!*asset) return std::nullopt;
  return (*asset)->blob;
}

Status ReadContentOf(const storage::BlobStore& blobs, const storage::BlobId& blob,
                     std::string_view path, http::SiteRules* rules) {
  auto reader = blobs.Read(blob);
  if (!reader && reader.error().reason == "no_such_blob") {
    return Fail(Fault::kClient, "missing_blobs",
                "the content of " + std::string(path) +
                    " has not been uploaded: PUT /v1/blobs/{sha256} for " +
                    storage::BlobName(blob));
  }
  if (!reader) return unexpected(std::move(reader.error()));
  // One byte more than may be, so that the parser sees that it is too large.
  std::string text(std::min<uint64_t>((*reader)->size(), http::kRuleFileBytes + 1), '\0');
  Result<size_t> n = (*reader)->ReadAt(0, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
  if (!n) return unexpected(std::move(n.error()));
  return http::ReadRulesFile(path, text, rules);
}

}  // namespace

Result<RulesFiles> FindRulesFiles(storage::Metadata& metadata, storage::ReleaseId release) {
  Result<std::optional<storage::BlobId>> headers =
      FindContentOf(metadata, release, http::kHeadersFile);
  if (!headers) return unexpected(std::move(headers.error()));
  Result<std::optional<storage::BlobId>> redirects =
      FindContentOf(metadata, release, http::kRedirectsFile);
  if (!redirects) return unexpected(std::move(redirects.error()));
  return RulesFiles{*headers, *redirects};
}

Result<http::SiteRules> ReadRulesFiles(const storage::BlobStore& blobs, const RulesFiles& files) {
  http::SiteRules rules;
  Status read;
  if (files.headers) read = ReadContentOf(blobs, *files.headers, http::kHeadersFile, &rules);
  if (read && files.redirects) {
    read = ReadContentOf(blobs, *files.redirects, http::kRedirectsFile, &rules);
  }
  if (!read) return unexpected(std::move(read.error()));
  return rules;
}

Status CheckRulesAsset(const storage::BlobStore& blobs, const storage::Asset& asset) {
  if (!http::IsRulesFile(asset.path)) return {};
  http::SiteRules rules;
  return ReadContentOf(blobs, asset.blob, asset.path, &rules);
}

std::string RewriteTagOf(std::string_view asset_path) {
  return "nearside-rewrite-" + HexEncode(Sha256Of(asset_path)).substr(0, kRewriteTagDigits);
}

}  // namespace nearside::origin
