#include "origin/upload_fields.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/characters.h"
#include "http/structured_field.h"
#include "origin/asset_path.h"
#include "origin/content_digest.h"
#include "origin/manifest.h"

namespace nearside::origin {
namespace {

/// Fields of a PUT that Upload-Metadata may say as well.
constexpr std::array<std::string_view, 9> kMetadataFields = {
    "cache-control",    "cdn-cache-control", "nearside-cache-control",
    "surrogate-key",    "cache-tag",         "content-disposition",
    "content-language", "repr-digest",       "content-encoding"};
constexpr std::array<std::string_view, 3> kConditions = {"if-match", "if-none-match",
                                                         "if-unmodified-since"};
/// What clients call the path and the type, the first that is there.
constexpr std::array<std::string_view, 3> kPathKeys = {"path", "filename", "name"};
constexpr std::array<std::string_view, 3> kTypeKeys = {"content-type", "filetype", "type"};

tl::unexpected<Error> BadMetadata(std::string message) {
  return Fail(Fault::kClient, "bad_metadata", "Upload-Metadata: " + std::move(message));
}

template <size_t kCount>
const std::string* FindAny(const MetadataPairs& pairs,
                           const std::array<std::string_view, kCount>& keys) {
  for (const std::string_view key : keys) {
    for (const auto& [name, value] : pairs) {
      if (http::EqualsIgnoringCase(name, key)) return &value;
    }
  }
  return nullptr;
}

std::optional<uint64_t> ParseCountItem(std::string_view text) {
  const auto item = http::structured::ParseItem(text);
  const auto* number = item ? std::get_if<int64_t>(&item->value) : nullptr;
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<uint64_t>(*number);
}

std::optional<bool> ParseBoolItem(std::string_view text) {
  const auto item = http::structured::ParseItem(text);
  const auto* value = item ? std::get_if<bool>(&item->value) : nullptr;
  return value != nullptr ? std::optional<bool>(*value) : std::nullopt;
}

Result<UploadProtocol> ProtocolOf(std::string_view method, const http::Fields& fields) {
  if (fields.Has("tus-resumable")) {
    if (fields.Joined("tus-resumable") == kTusVersion) return UploadProtocol::kTus;
  } else if (method == "HEAD" || method == "DELETE" || fields.Has("upload-complete") ||
             fields.Has("upload-draft-interop-version") ||
             fields.Get("content-type").value_or("") == kDraftContent) {
    return UploadProtocol::kDraft;
  }
  return Fail(Fault::kClient, "unsupported_version",
              "expected Tus-Resumable: 1.0.0, or Upload-Complete: ?0 or ?1 "
              "(draft-ietf-httpbis-resumable-upload)");
}

Status ReadTusClaims(const http::Fields& fields, UploadClaims* claims) {
  const auto read = [&](std::string_view name, std::optional<uint64_t>* count) {
    if (!fields.Has(name)) return true;
    *count = ParseByteCount(fields.Joined(name));
    return count->has_value();
  };
  if (!read("upload-offset", &claims->offset)) {
    return Fail(Fault::kClient, "bad_offset", "Upload-Offset: expected a number of bytes");
  }
  const bool defer_given = fields.Has("upload-defer-length");
  claims->deferred = fields.Joined("upload-defer-length") == "1";
  if (!read("upload-length", &claims->length) || defer_given != claims->deferred ||
      (claims->deferred && claims->length)) {
    return Fail(Fault::kClient, "bad_length",
                "expected Upload-Length with a number of bytes, or Upload-Defer-Length: 1 where it "
                "is not known yet");
  }
  if (!fields.Has("upload-checksum")) return {};
  Result<ContentCheck> check = ParseUploadChecksum(fields.Joined("upload-checksum"));
  if (!check) return unexpected(std::move(check.error()));
  claims->check = std::move(*check);
  return {};
}

void ReadDraftClaims(const http::Fields& fields, UploadClaims* claims) {
  claims->offset = ParseCountItem(fields.Joined("upload-offset"));
  claims->length = ParseCountItem(fields.Joined("upload-length"));
  claims->complete = ParseBoolItem(fields.Joined("upload-complete"));
  claims->informed = fields.Joined("upload-draft-interop-version") == kDraftVersion;
}

/// The fields of the PUT that an upload stands for.
Result<http::Fields> FieldsOfPut(const http::Fields& fields, UploadProtocol protocol,
                                 const MetadataPairs& metadata) {
  http::Fields put;
  const auto take = [&](std::string_view name) -> Status {
    const std::string* said = FindAny(metadata, std::array<std::string_view, 1>{name});
    if (said != nullptr && !http::IsFieldValue(*said)) {
      return BadMetadata("the value of \"" + std::string(name) + "\" is no field's");
    }
    if (said != nullptr) put.Add(name, http::TrimSpace(*said));
    if (said == nullptr && fields.Has(name)) put.Add(name, fields.Joined(name));
    return {};
  };
  for (const std::string_view name : kMetadataFields) {
    if (Status taken = take(name); !taken) return unexpected(std::move(taken.error()));
  }
  for (const std::string_view name : kConditions) {
    if (Status taken = take(name); !taken) return unexpected(std::move(taken.error()));
  }
  std::string_view type;
  if (protocol == UploadProtocol::kDraft) type = fields.Get("content-type").value_or("");
  if (type == kDraftContent) type = {};
  if (const std::string* said = FindAny(metadata, kTypeKeys); said != nullptr && !said->empty()) {
    type = *said;
  }
  if (!http::IsFieldValue(type)) return BadMetadata("the content type is no field's value");
  if (!type.empty()) put.Add("content-type", type);
  return put;
}

}  // namespace

std::optional<uint64_t> ParseByteCount(std::string_view text) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count <= uint64_t{INT64_MAX} ? std::optional<uint64_t>(count) : std::nullopt;
}

Result<MetadataPairs> ParseUploadMetadata(std::string_view text) {
  if (text.size() > kMetadataBytes) {
    return BadMetadata("expected at most " + std::to_string(kMetadataBytes) + " bytes");
  }
  MetadataPairs pairs;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view pair = http::TrimSpace(text.substr(0, comma));
    const size_t space = pair.find(' ');
    const std::string_view key = pair.substr(0, space);
    const bool printable =
        std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (key.empty() || !printable) return BadMetadata("expected pairs like \"path aW5kZXg=\"");
    if (FindAny(pairs, std::array<std::string_view, 1>{key}) != nullptr) {
      return BadMetadata("\"" + std::string(key.substr(0, 80)) + "\" comes twice");
    }
    Result<std::string> value =
        space == std::string_view::npos ? std::string() : Base64Decode(pair.substr(space + 1));
    if (!value) {
      return BadMetadata("the value of \"" + std::string(key.substr(0, 80)) + "\" is no base64");
    }
    pairs.emplace_back(key, std::move(*value));
    if (pairs.size() > kMetadataPairs) {
      return BadMetadata("expected at most " + std::to_string(kMetadataPairs) + " pairs");
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (http::TrimSpace(text).empty()) return BadMetadata("there is nothing behind the last comma");
  }
  return pairs;
}

Result<ContentCheck> ParseUploadChecksum(std::string_view text) {
  struct Row {
    std::string_view name;
    DigestKind kind;
    size_t bytes;
  };
  constexpr Row kRows[] = {{"sha1", DigestKind::kSha1, 20},
                           {"sha256", DigestKind::kSha256, 32},
                           {"md5", DigestKind::kMd5, 16}};
  const size_t space = std::min(text.find(' '), text.size());
  const std::string_view name = text.substr(0, space);
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                 [&](const Row& one) { return one.name == name; });
  if (row == std::end(kRows)) {
    return Fail(Fault::kClient, "unsupported_checksum",
                "Upload-Checksum: expected one of " + std::string(kTusChecksums));
  }
  Result<std::string> digest = Base64Decode(text.substr(std::min(space + 1, text.size())));
  if (!digest || digest->size() != row->bytes) {
    return Fail(Fault::kClient, "bad_checksum",
                "Upload-Checksum: expected \"" + std::string(name) + "\", a space and " +
                    std::to_string(row->bytes) + " bytes in base64");
  }
  return ContentCheck{row->kind, std::move(*digest), /*tus=*/true};
}

Result<UploadClaims> ReadUploadClaims(std::string_view method, const http::Fields& fields) {
  UploadClaims claims;
  Result<UploadProtocol> protocol = ProtocolOf(method, fields);
  if (!protocol) return unexpected(std::move(protocol.error()));
  claims.protocol = *protocol;
  Result<std::optional<storage::BlobId>> digest = ReadDigestField(fields, "content-digest");
  if (!digest) return unexpected(std::move(digest.error()));
  if (*digest) {
    const auto& bytes = (**digest).bytes;
    claims.check = ContentCheck{DigestKind::kSha256, std::string(bytes.begin(), bytes.end()),
                                /*tus=*/false};
  }
  if (claims.protocol == UploadProtocol::kDraft) {
    ReadDraftClaims(fields, &claims);
    return claims;
  }
  if (Status read = ReadTusClaims(fields, &claims); !read) {
    return unexpected(std::move(read.error()));
  }
  return claims;
}

Result<storage::ResumableUpload> ReadNewUpload(const http::Fields& fields, UploadProtocol protocol,
                                               std::string_view path) {
  storage::ResumableUpload upload;
  upload.metadata = fields.Joined("upload-metadata");
  Result<MetadataPairs> metadata = ParseUploadMetadata(upload.metadata);
  if (!metadata) return unexpected(std::move(metadata.error()));
  const std::string* named = FindAny(*metadata, kPathKeys);
  if (path.empty() && named != nullptr) path = *named;
  if (path.empty()) {
    return BadMetadata("expected \"path\" (or \"filename\"): where the upload is to stand");
  }
  if (Status good = CheckAssetPath(path); !good) return unexpected(std::move(good.error()));
  upload.asset.path = path;
  Result<http::Fields> put = FieldsOfPut(fields, protocol, *metadata);
  if (!put) return unexpected(std::move(put.error()));
  if (Status good = CheckContentCoding(*put); !good) return unexpected(std::move(good.error()));
  if (Status good = ReadAssetFields(*put, &upload.asset); !good) {
    return unexpected(std::move(good.error()));
  }
  Result<std::optional<storage::BlobId>> expected = ReadDigestField(*put, "repr-digest");
  if (!expected) return unexpected(std::move(expected.error()));
  upload.expected = *expected;
  for (const std::string_view name : kConditions) {
    if (put->Has(name)) upload.conditions.emplace_back(name, put->Joined(name));
  }
  return upload;
}

}  // namespace nearside::origin
