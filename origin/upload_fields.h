#pragma once

// What requests say about uploads that come in several goes, in the words of two protocols: tus 1.0
// (https://tus.io/protocols/resumable-upload) and the IETF's draft
// (draft-ietf-httpbis-resumable-upload, interop version 8). Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/fields.h"
#include "http/message.h"
#include "runtime/crypto.h"
#include "runtime/result.h"
#include "storage/resumable_upload.h"

namespace nearside::origin {

inline constexpr std::string_view kTusVersion = "1.0.0";
inline constexpr std::string_view kTusExtensions =
    "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration";
inline constexpr std::string_view kTusChecksums = "sha1,sha256,md5";
inline constexpr std::string_view kTusContent = "application/offset+octet-stream";
inline constexpr std::string_view kDraftContent = "application/partial-upload";
/// Of the draft; the number is raised with each change that clients notice.
inline constexpr std::string_view kDraftVersion = "8";

enum class UploadProtocol { kTus, kDraft };

/// What the content of one request must have: Upload-Checksum, or Content-Digest.
struct ContentCheck {
  DigestKind kind = DigestKind::kSha256;
  std::string digest;  ///< its bytes
  bool tus = false;    ///< it was Upload-Checksum
};

struct UploadClaims {
  UploadProtocol protocol = UploadProtocol::kDraft;
  std::optional<uint64_t> offset;  ///< Upload-Offset
  std::optional<uint64_t> length;  ///< Upload-Length
  bool deferred = false;           ///< Upload-Defer-Length: 1
  std::optional<bool> complete;    ///< Upload-Complete: the draft's
  bool informed = false;           ///< the client reads the draft's interim responses
  std::optional<ContentCheck> check;
};

/// Errors: kClient unsupported_version (neither protocol, or another version of tus; HEAD and
/// DELETE, which mean the same in both, need to name none), bad_offset, bad_length, bad_checksum,
/// unsupported_checksum, bad_digest. What the draft wants ignored when it is malformed is ignored.
Result<UploadClaims> ReadUploadClaims(std::string_view method, const http::Fields& fields);

/// Digits alone, below 2^63.
std::optional<uint64_t> ParseByteCount(std::string_view text);

/// Of Upload-Metadata.
inline constexpr size_t kMetadataBytes = 4 << 10;
inline constexpr size_t kMetadataPairs = 64;
using MetadataPairs = std::vector<std::pair<std::string, std::string>>;
/// "filename d29ybGQ=,is_confidential": keys as sent, values decoded. Error: kClient bad_metadata.
Result<MetadataPairs> ParseUploadMetadata(std::string_view text);

/// "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=". Errors: kClient bad_checksum, unsupported_checksum.
Result<ContentCheck> ParseUploadChecksum(std::string_view text);

/// What a new upload is to become: path, type, fields and tags of the asset, conditions, digest.
/// `path` is the request's own (decoded), or "" when Upload-Metadata names it. Fields are those of
/// a PUT; Upload-Metadata may say the same under their names, and wins. Of tus, the Content-Type is
/// not the asset's. Errors: kClient bad_metadata, bad_path, path_too_long, bad_manifest,
/// bad_digest, unsupported_coding.
Result<storage::ResumableUpload> ReadNewUpload(const http::Fields& fields, UploadProtocol protocol,
                                               std::string_view path);

}  // namespace nearside::origin
