#include "origin/s3_object.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/conditional.h"
#include "http/date.h"
#include "http/range.h"
#include "origin/asset_path.h"
#include "origin/manifest.h"
#include "origin/s3_errors.h"
#include "origin/visitor.h"
#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

/// What a presigned URL may have said otherwise ("response-content-type").
struct OverrideRow {
  std::string_view query;
  std::string_view field;
};
constexpr std::array kOverrides = {
    OverrideRow{"response-content-type", "content-type"},
    OverrideRow{"response-content-disposition", "content-disposition"},
    OverrideRow{"response-content-language", "content-language"},
    OverrideRow{"response-cache-control", "cache-control"},
};

http::Validators ValidatorsOf(const storage::Asset& asset, const std::string& tag, WallTime now) {
  http::Validators validators;
  validators.etag = http::ParseEntityTag(tag);
  validators.last_modified = S3ModifiedOf(asset);
  validators.date = now;
  return validators;
}

http::Fields ObjectFields(const storage::Asset& asset, const S3Request& request) {
  http::Fields fields;
  fields.Add("etag", S3EntityTagOf(asset));
  fields.Add("last-modified", http::FormatDate(S3ModifiedOf(asset)));
  fields.Add("accept-ranges", "bytes");
  for (const auto& [name, value] : asset.headers) fields.Set(name, value);
  fields.Set("content-type", asset.content_type);
  for (const auto& [name, value] : asset.notes) {
    if (name.starts_with(kMetaPrefix)) fields.Add(name, value);
  }
  for (const OverrideRow& row : kOverrides) {
    const std::optional<std::string_view> value = request.Value(row.query);
    if (value && http::IsFieldValue(*value)) fields.Set(row.field, *value);
  }
  return fields;
}

Status ReadMetadata(const http::Fields& fields, storage::Asset* asset) {
  size_t bytes = 0;
  for (const http::FieldLine& line : fields.lines()) {
    if (!line.name.starts_with(kMetaPrefix)) continue;
    bytes += line.name.size() - kMetaPrefix.size() + line.value.size();
    if (bytes > kS3MetadataBytes) {
      return S3Fail(
          "metadata_too_large",
          "x-amz-meta-*: at most " + std::to_string(kS3MetadataBytes) + " bytes together are kept");
    }
    SetNote(line.name, std::string(line.value), asset);
  }
  return {};
}

/// What a PUT asks for that would be promised and not kept.
Status RefuseUnkept(const http::Fields& fields) {
  for (const std::string_view name :
       {"x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-tagging", "x-amz-website-redirect-location", "x-amz-object-lock-mode",
        "x-amz-object-lock-legal-hold", "x-amz-write-offset-bytes"}) {
    if (fields.Has(name)) {
      return S3Fail("not_implemented", "this S3 endpoint does not keep " + std::string(name));
    }
  }
  const std::string_view storage_class = fields.Get("x-amz-storage-class").value_or("STANDARD");
  if (storage_class != "STANDARD") {
    return S3Fail("storage_class", "x-amz-storage-class: there is STANDARD alone");
  }
  std::string coding = http::LowerName(fields.Joined("content-encoding"));
  coding.erase(std::remove(coding.begin(), coding.end(), ' '), coding.end());
  for (std::string_view rest = coding; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    if (one.empty() || one == "aws-chunked" || one == "identity") continue;
    return S3Fail("invalid_argument",
                  "contents are stored as they are: send them without Content-Encoding \"" +
                      std::string(one.substr(0, 40)) + "\" (edges compress)");
  }
  return {};
}

}  // namespace

std::string S3EntityTagOf(const storage::Asset& asset) {
  const std::optional<std::string_view> known = NoteOf(asset, kEtagNote);
  if (known) return "\"" + std::string(*known) + "\"";
  std::string tag = EntityTagOf(asset.blob);
  tag.insert(tag.size() - 1, "-0");
  return tag;
}

WallTime S3ModifiedOf(const storage::Asset& asset) {
  const std::string_view put = NoteOf(asset, kPutNote).value_or("");
  int64_t millis = 0;
  std::from_chars(put.data(), put.data() + put.size(), millis);
  return std::chrono::floor<seconds>(std::max(asset.modified, FromUnixMillis(millis)));
}

std::string MultipartEntityTag(const std::vector<std::string>& md5s) {
  Digest digest(DigestKind::kMd5);
  for (const std::string& md5 : md5s) {
    const std::string bytes = HexDecode(md5).value_or("");
    digest.Update({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  }
  const std::string all = digest.Finish();
  return HexEncode({reinterpret_cast<const uint8_t*>(all.data()), all.size()}) + "-" +
         std::to_string(md5s.size());
}

std::optional<std::string_view> NoteOf(const storage::Asset& asset, std::string_view name) {
  for (const auto& [key, value] : asset.notes) {
    if (key == name) return value;
  }
  return std::nullopt;
}

void SetNote(std::string_view name, std::string value, storage::Asset* asset) {
  for (auto& [key, old] : asset->notes) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  asset->notes.emplace_back(name, std::move(value));
}

Status ReadS3Fields(const http::RequestHead& head, storage::Asset* asset) {
  if (Status kept = RefuseUnkept(head.fields); !kept) return kept;
  if (Status read = ReadAssetFields(head.fields, asset); !read) return read;
  return ReadMetadata(head.fields, asset);
}

Status CheckS3Key(std::string_view key) {
  if (key.ends_with('/')) {
    return S3Fail("invalid_argument",
                  "the key ends in /: folders exist by the files in them, and have no markers");
  }
  Status good = CheckAssetPath(key);
  if (!good) good.error().message = "the key cannot be a file of a site: " + good.error().message;
  return good;
}

Status CheckS3Write(const http::RequestHead& head, const std::optional<storage::Asset>& there) {
  http::Validators validators;
  validators.exists = there.has_value();
  const WallTime now = WallNow();
  std::string tag;
  if (there) {
    tag = S3EntityTagOf(*there);
    validators = ValidatorsOf(*there, tag, now);
  }
  if (http::EvaluatePreconditions(head.method, head.fields, validators, now) !=
      http::Precondition::kFailed) {
    return {};
  }
  return S3Fail("precondition_failed", there ? "the object that is there now has the ETag " + tag
                                             : std::string("there is no object at this key"));
}

Status CheckS3CopySource(const http::RequestHead& head, const storage::Asset& source) {
  http::Fields conditions;
  constexpr std::string_view kPrefix = "x-amz-copy-source-if-";
  for (const http::FieldLine& line : head.fields.lines()) {
    if (!line.name.starts_with(kPrefix)) continue;
    conditions.Add("if-" + std::string(line.name.substr(kPrefix.size())), line.value);
  }
  const WallTime now = WallNow();
  const std::string tag = S3EntityTagOf(source);
  const http::Precondition outcome =
      http::EvaluatePreconditions("GET", conditions, ValidatorsOf(source, tag, now), now);
  if (outcome == http::Precondition::kNone || outcome == http::Precondition::kHolds) return {};
  return S3Fail("precondition_failed", "the source of the copy has the ETag " + tag);
}

Result<Answer> ServeS3Object(const http::RequestHead& head, const S3Request& request,
                             const storage::Asset& asset, WallTime now) {
  const std::string tag = S3EntityTagOf(asset);
  const http::Validators validators = ValidatorsOf(asset, tag, now);
  Answer answer;
  answer.fields = ObjectFields(asset, request);
  switch (http::EvaluatePreconditions(head.method, head.fields, validators, now)) {
    case http::Precondition::kNotModified:
      answer.status = 304;
      return answer;
    case http::Precondition::kFailed:
      return S3Fail("precondition_failed", "the object has the ETag " + tag);
    case http::Precondition::kNone:
    case http::Precondition::kHolds:
      break;
  }
  const std::optional<std::string_view> range = head.fields.Get("range");
  if (range && http::IfRangeHolds(head.fields, validators, now)) {
    const http::RangeSelection selection = http::SelectRanges(*range, asset.bytes);
    if (selection.outcome == http::RangeOutcome::kUnsatisfiable) {
      return S3Fail("invalid_range", "the object has " + std::to_string(asset.bytes) +
                                         " bytes: none of them is in the range");
    }
    // Several ranges at once are the whole, as S3 has it.
    if (selection.outcome == http::RangeOutcome::kSatisfiable && selection.ranges.size() == 1) {
      const http::ByteRange& one = selection.ranges.front();
      answer.status = 206;
      answer.fields.Add("content-range", http::FormatContentRange({one, asset.bytes}));
      answer.body.push_back(BodyPiece::Blob(asset.blob, one.first, one.size()));
      return answer;
    }
  }
  answer.body.push_back(BodyPiece::Blob(asset.blob, 0, asset.bytes));
  return answer;
}

}  // namespace nearside::origin
