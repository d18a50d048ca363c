#pragma once

// An asset as S3's clients see it: its ETag, its date, its metadata, and the answer to GET and
// HEAD. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "origin/answer.h"
#include "origin/s3_request.h"
#include "runtime/clock.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// Of all x-amz-meta-* together, names and values.
inline constexpr size_t kS3MetadataBytes = 8 << 10;

/// What an asset's notes say: "etag" is the MD5 of the content, or that of a multipart upload, and
/// "put" when it was last written, in milliseconds since 1970, "upload" the id of the upload in
/// parts that made it.
inline constexpr std::string_view kEtagNote = "etag";
inline constexpr std::string_view kPutNote = "put";
inline constexpr std::string_view kUploadNote = "upload";
inline constexpr std::string_view kMetaPrefix = "x-amz-meta-";

/// With its quotes. Of an asset that came by a release or the API, whose MD5 nobody knows, it is
/// made of the SHA-256 and ends in "-0": clients take what has a "-" for no MD5.
std::string S3EntityTagOf(const storage::Asset& asset);
/// When it was last written, in whole seconds, even if with the same content (`aws s3 sync`
/// compares this with the time of a file).
WallTime S3ModifiedOf(const storage::Asset& asset);
/// The entity tag of an upload in parts: the MD5 of their MD5s (32 digits each), and how many.
std::string MultipartEntityTag(const std::vector<std::string>& md5s);

std::optional<std::string_view> NoteOf(const storage::Asset& asset, std::string_view name);
void SetNote(std::string_view name, std::string value, storage::Asset* asset);

/// Content type, headers, tags and x-amz-meta-* of a PUT. Errors: kClient invalid_argument,
/// metadata_too_large, not_implemented, storage_class, and bad_manifest.
Status ReadS3Fields(const http::RequestHead& head, storage::Asset* asset);

/// Whether a key can be that of an asset. Errors: kClient invalid_argument, bad_path (both say the
/// rule), path_too_long.
Status CheckS3Key(std::string_view key);

/// If-Match and the like of a write against what is there. Error: kClient precondition_failed.
Status CheckS3Write(const http::RequestHead& head, const std::optional<storage::Asset>& there);
/// x-amz-copy-source-if-*. Error: kClient precondition_failed.
Status CheckS3CopySource(const http::RequestHead& head, const storage::Asset& source);

/// GET and HEAD: 200, 206, 304; the blob is still to be opened. Errors: kClient
/// precondition_failed, invalid_range.
Result<Answer> ServeS3Object(const http::RequestHead& head, const S3Request& request,
                             const storage::Asset& asset, WallTime now);

}  // namespace nearside::origin
