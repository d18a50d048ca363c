#include <algorithm>
#include <charconv>

#include "http/range.h"
#include "origin/rules_files.h"
#include "origin/s3_errors.h"
#include "origin/s3_list.h"
#include "origin/s3_object.h"
#include "origin/s3_service.h"
#include "origin/s3_signature.h"
#include "origin/s3_xml.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr int kMostParts = 10'000;
constexpr size_t kListedParts = 1000;
constexpr size_t kListedUploads = 1000;
constexpr size_t kUploadIdBytes = 24;
constexpr size_t kCompleteBodyBytes = 4 << 20;
constexpr size_t kJoinBytes = 256 << 10;
constexpr size_t kExpiredAtOnce = 100;

Result<int> PartNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 1 &&
      number <= kMostParts) {
    return number;
  }
  return S3Fail("invalid_argument", "a part's number is from 1 to 10000");
}

struct NamedPart {
  int number = 0;
  std::string md5;
};

/// The parts that a client wants to become the object. Errors: kClient malformed_xml,
/// invalid_part_order, invalid_argument.
Result<std::vector<NamedPart>> ReadComplete(std::string_view text) {
  Result<XmlElement> body = ParseXml(text);
  if (!body) return unexpected(std::move(body.error()));
  if (body->name != "CompleteMultipartUpload") {
    return S3Fail("malformed_xml", "expected a CompleteMultipartUpload");
  }
  std::vector<NamedPart> parts;
  for (const XmlElement& part : body->children) {
    if (part.name != "Part") continue;
    Result<int> number = PartNumber(part.ChildText("PartNumber"));
    if (!number) return unexpected(std::move(number.error()));
    std::string md5(part.ChildText("ETag"));
    md5.erase(std::remove(md5.begin(), md5.end(), '"'), md5.end());
    if (!parts.empty() && parts.back().number >= *number) {
      return S3Fail("invalid_part_order", "the parts are not in the order of their numbers");
    }
    parts.push_back({*number, std::move(md5)});
  }
  if (parts.empty()) return S3Fail("malformed_xml", "expected one Part at least");
  return parts;
}

/// Those that were named, as they are kept. Error: kClient invalid_part.
Result<std::vector<storage::UploadPart>> ChooseParts(const std::vector<NamedPart>& named,
                                                     const std::vector<storage::UploadPart>& kept) {
  std::vector<storage::UploadPart> chosen;
  auto at = kept.begin();
  for (const NamedPart& part : named) {
    at = std::find_if(at, kept.end(), [&](const auto& one) { return one.number >= part.number; });
    if (at == kept.end() || at->number != part.number || at->md5 != part.md5) {
      return S3Fail("invalid_part", "part " + std::to_string(part.number) +
                                        " has not come, or its ETag is another");
    }
    chosen.push_back(*at);
  }
  return chosen;
}

/// x-amz-copy-source-range: "bytes=0-9", both ends given.
Result<http::ByteRange> CopyRange(const http::RequestHead& head, const storage::Asset& source) {
  const auto text = head.fields.Get("x-amz-copy-source-range");
  if (!text) return http::ByteRange{0, source.bytes - (source.bytes > 0 ? 1 : 0)};
  const http::RangeSelection selection = http::SelectRanges(*text, source.bytes);
  if (selection.outcome == http::RangeOutcome::kSatisfiable && selection.ranges.size() == 1) {
    return selection.ranges.front();
  }
  return S3Fail("invalid_argument",
                "x-amz-copy-source-range: expected \"bytes=FIRST-LAST\" within the source");
}

/// The content of a blob, or a piece of it, as if it came from a client.
class BlobBody final : public RequestBody {
 public:
  BlobBody(std::shared_ptr<const storage::BlobReader> reader, uint64_t first, uint64_t bytes)
      : reader_(std::move(reader)), first_(first), bytes_(bytes) {}
  Result<size_t> Read(std::span<uint8_t> out) override {
    const uint64_t wanted = std::min<uint64_t>(out.size(), bytes_ - done_);
    if (wanted == 0) return size_t{0};
    Result<size_t> n = reader_->ReadAt(first_ + done_, out.first(static_cast<size_t>(wanted)));
    if (n && *n == 0) return Fail(Fault::kSelf, "blob_truncated", "a blob ended early");
    if (n) done_ += *n;
    return n;
  }
  std::optional<uint64_t> announced_bytes() const override { return bytes_; }
  bool present() const override { return true; }

 private:
  const std::shared_ptr<const storage::BlobReader> reader_;
  const uint64_t first_;
  const uint64_t bytes_;
  uint64_t done_ = 0;
};

void AddPart(const storage::UploadPart& part, XmlWriter* xml) {
  xml->Open("Part");
  xml->Element("PartNumber", static_cast<uint64_t>(part.number));
  xml->Element("LastModified", FormatIsoTime(part.modified));
  xml->Element("ETag", "\"" + part.md5 + "\"");
  xml->Element("Size", part.bytes);
  xml->Close();
}

Answer CompleteAnswer(const S3Request& request, const storage::Asset& asset) {
  XmlWriter xml;
  xml.OpenS3("CompleteMultipartUploadResult");
  xml.Element("Location", "/" + request.bucket + "/" + S3Encode(request.key, "/"));
  xml.Element("Bucket", request.bucket);
  xml.Element("Key", request.key);
  xml.Element("ETag", S3EntityTagOf(asset));
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

}  // namespace

Result<storage::MultipartUpload> S3Service::UploadOf(const Call& call) {
  return node_.metadata->FindUpload(call.request.bucket, call.request.key,
                                    std::string(call.request.Value("uploadId").value_or("")));
}

/// Takes an upload and the contents of its parts away.
void S3Service::Forget(const std::string& upload) {
  Result<std::vector<storage::BlobId>> blobs = node_.metadata->RemoveUpload(upload);
  if (!blobs) {
    // Tried again when it expires.
    Log(Level::kWarning, "upload_not_removed", {{"error", blobs.error().ToString()}});
    return;
  }
  for (const storage::BlobId& blob : *blobs) (void)node_.blobs->Remove(blob);
}

void S3Service::Expire(WallTime now) {
  const auto uploads =
      node_.metadata->UploadsBefore(now - node_.settings.s3.upload_expiry, kExpiredAtOnce);
  if (!uploads) return;
  for (const storage::MultipartUpload& upload : *uploads) Forget(upload.id);
  if (!uploads->empty()) {
    Log(Level::kInfo, "s3_uploads_expired", {{"count", uploads->size()}});
  }
}

Result<Answer> S3Service::CreateUpload(const Call& call) {
  storage::MultipartUpload upload;
  upload.id = S3RandomId(kUploadIdBytes);
  upload.site = call.request.bucket;
  upload.asset.path = call.request.key;
  Status made = CheckS3Key(call.request.key);
  if (made) made = ReadS3Fields(call.head, &upload.asset);
  if (made) made = node_.metadata->CreateUpload(upload);
  if (!made) return unexpected(std::move(made.error()));
  XmlWriter xml;
  xml.OpenS3("InitiateMultipartUploadResult");
  xml.Element("Bucket", call.request.bucket);
  xml.Element("Key", call.request.key);
  xml.Element("UploadId", upload.id);
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

Status S3Service::KeepPart(int number, const S3Content& content,
                           const storage::MultipartUpload& to) {
  storage::UploadPart part;
  part.number = number;
  part.blob = content.blob.id;
  part.bytes = content.blob.bytes - kPartSaltBytes;
  part.md5 = content.md5;
  Result<std::optional<storage::BlobId>> replaced =
      node_.metadata->PutPart(to.id, part, *node_.blobs);
  if (!replaced) {
    (void)node_.blobs->Remove(part.blob);  // aborted meanwhile
    return unexpected(std::move(replaced.error()));
  }
  if (*replaced) (void)node_.blobs->Remove(**replaced);
  return {};
}

Result<Answer> S3Service::PutPart(const Call& call) {
  Result<int> number = PartNumber(call.request.Value("partNumber").value_or(""));
  if (!number) return unexpected(std::move(number.error()));
  if (!call.content.body.present()) {
    return S3Fail("missing_length", "You must provide Content-Length.");
  }
  Result<storage::MultipartUpload> upload = UploadOf(call);
  if (!upload) return unexpected(std::move(upload.error()));
  Result<S3Content> content = ReceiveS3Part(node_, call.content);
  Status kept = content ? KeepPart(*number, *content, *upload)
                        : Status(unexpected(std::move(content.error())));
  if (!kept) {
    ++node_.counters.failed_uploads;
    return unexpected(std::move(kept.error()));
  }
  Answer answer;
  answer.fields.Add("etag", "\"" + content->md5 + "\"");
  for (const auto& [name, value] : content->checksums) answer.fields.Add(name, value);
  return answer;
}

Result<Answer> S3Service::CopyPart(const Call& call) {
  Result<int> number = PartNumber(call.request.Value("partNumber").value_or(""));
  if (!number) return unexpected(std::move(number.error()));
  Result<storage::MultipartUpload> upload = UploadOf(call);
  if (!upload) return unexpected(std::move(upload.error()));
  Result<storage::Asset> source = FindCopySource(call);
  if (!source) return unexpected(std::move(source.error()));
  Result<http::ByteRange> range = CopyRange(call.head, *source);
  if (!range) return unexpected(std::move(range.error()));
  auto reader = node_.blobs->Read(source->blob);
  if (!reader) return unexpected(std::move(reader.error()));
  BlobBody body(*reader, range->first, source->bytes == 0 ? 0 : range->size());
  const http::RequestHead no_claims;  // the request's are about its own, empty content
  Result<S3Content> content = ReceiveS3Part(node_, {no_claims, body, nullptr, std::nullopt});
  if (!content) return unexpected(std::move(content.error()));
  if (Status kept = KeepPart(*number, *content, *upload); !kept) {
    return unexpected(std::move(kept.error()));
  }
  XmlWriter xml;
  xml.OpenS3("CopyPartResult");
  xml.Element("LastModified", FormatIsoTime(WallNow()));
  xml.Element("ETag", "\"" + content->md5 + "\"");
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

Result<Answer> S3Service::ListParts(const Call& call) {
  Result<storage::MultipartUpload> upload = UploadOf(call);
  if (!upload) return unexpected(std::move(upload.error()));
  Result<size_t> after = S3Number(call.request, "part-number-marker", 0, kMostParts);
  if (!after) return unexpected(std::move(after.error()));
  Result<size_t> limit = S3Number(call.request, "max-parts", kListedParts, kListedParts);
  if (!limit) return unexpected(std::move(limit.error()));
  Result<std::vector<storage::UploadPart>> parts =
      node_.metadata->Parts(upload->id, static_cast<int>(*after), *limit + 1);
  if (!parts) return unexpected(std::move(parts.error()));
  const bool truncated = parts->size() > *limit;
  if (truncated) parts->resize(*limit);
  XmlWriter xml;
  xml.OpenS3("ListPartsResult");
  xml.Element("Bucket", call.request.bucket);
  xml.Element("Key", call.request.key);
  xml.Element("UploadId", upload->id);
  xml.Element("PartNumberMarker", *after);
  if (truncated && !parts->empty()) {
    xml.Element("NextPartNumberMarker", static_cast<uint64_t>(parts->back().number));
  }
  xml.Element("MaxParts", *limit);
  xml.Flag("IsTruncated", truncated);
  xml.Element("StorageClass", "STANDARD");
  for (const storage::UploadPart& part : *parts) AddPart(part, &xml);
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

Result<Answer> S3Service::ListUploads(const Call& call) {
  Result<storage::Site> site = node_.metadata->FindSite(call.request.bucket);
  if (!site) return unexpected(std::move(site.error()));
  Result<size_t> limit = S3Number(call.request, "max-uploads", kListedUploads, kListedUploads);
  if (!limit) return unexpected(std::move(limit.error()));
  storage::UploadRange range;
  range.prefix = call.request.Value("prefix").value_or("");
  range.after_path = call.request.Value("key-marker").value_or("");
  range.after_id = call.request.Value("upload-id-marker").value_or("");
  range.limit = *limit + 1;
  Result<std::vector<storage::MultipartUpload>> uploads =
      node_.metadata->ListUploads(site->name, range);
  if (!uploads) return unexpected(std::move(uploads.error()));
  const bool truncated = uploads->size() > *limit;
  if (truncated) uploads->resize(*limit);
  const bool url = call.request.Value("encoding-type").value_or("") == "url";
  const auto text = [&](std::string_view key) {
    return url ? S3Encode(key, "/") : std::string(key);
  };
  XmlWriter xml;
  xml.OpenS3("ListMultipartUploadsResult");
  xml.Element("Bucket", site->name);
  xml.Element("KeyMarker", text(range.after_path));
  xml.Element("UploadIdMarker", range.after_id);
  if (truncated && !uploads->empty()) {
    xml.Element("NextKeyMarker", text(uploads->back().asset.path));
    xml.Element("NextUploadIdMarker", uploads->back().id);
  }
  xml.Element("Prefix", text(range.prefix));
  if (url) xml.Element("EncodingType", "url");
  xml.Element("MaxUploads", *limit);
  xml.Flag("IsTruncated", truncated);
  for (const storage::MultipartUpload& upload : *uploads) {
    xml.Open("Upload");
    xml.Element("Key", text(upload.asset.path));
    xml.Element("UploadId", upload.id);
    xml.Element("Initiated", FormatIsoTime(upload.begun));
    xml.Element("StorageClass", "STANDARD");
    xml.Close();
  }
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

/// The parts one behind the other as one blob, in constant memory.
Result<storage::StoredBlob> S3Service::Join(const Call& call,
                                            const std::vector<storage::UploadPart>& parts) {
  http::Fields about_object;
  for (const http::FieldLine& line : call.head.fields.lines()) {
    if (line.name != "content-md5") about_object.Add(line.name, line.value);
  }
  Result<S3Claims> claims = S3Claims::Read(about_object);
  if (!claims) return unexpected(std::move(claims.error()));
  auto writer = node_.blobs->Begin();
  if (!writer) return unexpected(std::move(writer.error()));
  std::vector<uint8_t> piece(kJoinBytes);
  for (const storage::UploadPart& part : parts) {
    auto reader = node_.blobs->Read(part.blob);
    if (!reader) return unexpected(std::move(reader.error()));
    BlobBody body(*reader, kPartSaltBytes, part.bytes);
    while (true) {
      Result<size_t> n = body.Read(piece);
      if (!n) return unexpected(std::move(n.error()));
      if (*n == 0) break;
      const auto bytes = std::span<const uint8_t>(piece).first(*n);
      claims->Update(bytes);
      if (Status kept = (*writer)->Append(bytes); !kept) {
        return unexpected(std::move(kept.error()));
      }
    }
  }
  if (Status holds = claims->Check(nullptr); !holds) return unexpected(std::move(holds.error()));
  return (*writer)->Commit({});
}

Status S3Service::PutJoined(const Call& call, storage::MultipartUpload* upload) {
  if (Status good = CheckRulesAsset(*node_.blobs, upload->asset); !good) return good;
  SetNote(kPutNote, std::to_string(ToUnixMillis(WallNow())), &upload->asset);
  Result<storage::UploadCompletion> done = node_.metadata->CompleteUpload(
      *upload, ConditionOfPut(call), AnnouncePut(call, upload->asset.path));
  if (!done) return unexpected(std::move(done.error()));
  for (const storage::BlobId& blob : done->parts) (void)node_.blobs->Remove(blob);
  upload->asset.modified = done->change.modified;
  Done(call, "s3_object_put", done->change.position);
  return {};
}

/// A client that has lost the answer to its completion asks again, and is told the same.
Result<Answer> S3Service::CompletedBefore(const Call& call, Error otherwise) {
  Result<storage::Asset> asset = FindObject(call.request.bucket, call.request.key);
  const std::string_view id = call.request.Value("uploadId").value_or("");
  if (!asset || id.empty() || NoteOf(*asset, kUploadNote) != id) {
    return unexpected(std::move(otherwise));
  }
  return CompleteAnswer(call.request, *asset);
}

Result<Answer> S3Service::CompleteUpload(const Call& call) {
  http::RequestHead about_list;  // the MD5 alone: checksums are the object's
  if (const auto md5 = call.head.fields.Get("content-md5")) {
    about_list.fields.Add("content-md5", *md5);
  }
  Result<std::string> text = ReceiveS3Text(
      {about_list, call.content.body, nullptr, call.content.content_sha}, kCompleteBodyBytes);
  if (!text) return unexpected(std::move(text.error()));
  Result<std::vector<NamedPart>> named = ReadComplete(*text);
  if (!named) return unexpected(std::move(named.error()));
  Result<storage::MultipartUpload> upload = UploadOf(call);
  if (!upload) return CompletedBefore(call, std::move(upload.error()));
  Result<std::vector<storage::UploadPart>> kept = node_.metadata->Parts(upload->id, 0, kMostParts);
  if (!kept) return unexpected(std::move(kept.error()));
  Result<std::vector<storage::UploadPart>> parts = ChooseParts(*named, *kept);
  if (!parts) return CompletedBefore(call, std::move(parts.error()));
  storage::Asset& asset = upload->asset;
  std::vector<std::string> md5s;
  for (const storage::UploadPart& part : *parts) {
    asset.bytes += part.bytes;
    md5s.push_back(part.md5);
  }
  if (asset.bytes > node_.settings.limits.asset.bytes) {
    return S3Fail("body_too_large", "the parts together are larger than limits.asset allows");
  }
  Result<storage::StoredBlob> blob = Join(call, *parts);
  if (!blob) return CompletedBefore(call, std::move(blob.error()));
  asset.blob = blob->id;
  SetNote(kEtagNote, MultipartEntityTag(md5s), &asset);
  SetNote(kUploadNote, upload->id, &asset);
  Status done = node_.metadata->AddBlob(*blob, *node_.blobs);
  if (done) done = PutJoined(call, &*upload);
  if (!done && done.error().reason == "no_such_upload") {
    return CompletedBefore(call, std::move(done.error()));
  }
  if (!done) return unexpected(std::move(done.error()));
  return CompleteAnswer(call.request, asset);
}

Result<Answer> S3Service::AbortUpload(const Call& call) {
  Result<storage::MultipartUpload> upload = UploadOf(call);
  if (!upload) return unexpected(std::move(upload.error()));
  Forget(upload->id);
  Answer answer;
  answer.status = 204;
  return answer;
}

}  // namespace nearside::origin
