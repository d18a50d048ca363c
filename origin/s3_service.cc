#include "origin/s3_service.h"

#include <charconv>

#include "origin/cors.h"
#include "origin/event.h"
#include "origin/s3_errors.h"
#include "origin/s3_object.h"
#include "origin/s3_signature.h"
#include "origin/visitor_service.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr size_t kRequestIdBytes = 8;
constexpr std::string_view kCorsMethods = "GET, HEAD, PUT, POST, DELETE";
constexpr std::string_view kCorsExposed =
    "ETag, Content-Range, Accept-Ranges, Last-Modified, x-amz-request-id, x-amz-meta-mtime";

bool IsChunked(S3Payload payload) {
  return payload == S3Payload::kSignedChunks || payload == S3Payload::kSignedChunksTrailer ||
         payload == S3Payload::kUnsignedTrailer;
}

Result<uint64_t> DecodedLength(const http::RequestHead& head) {
  const std::string_view text = head.fields.Get("x-amz-decoded-content-length").value_or("");
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return S3Fail("missing_length",
                  "expected x-amz-decoded-content-length: the content comes in signed chunks");
  }
  return length;
}

}  // namespace

std::string S3RandomId(size_t bytes) {
  std::vector<uint8_t> random(bytes);
  RandomBytes(random);
  return HexEncode(random);
}

S3Host S3Service::HostOf(const http::RequestHead& head) const {
  const S3Settings& settings = node_.settings.s3;
  if (!settings.enabled || !IsS3Host(head.host(), settings.domain)) return S3Host::kNone;
  return head.host().size() > settings.domain.size() ? S3Host::kBucket : S3Host::kDomain;
}

bool S3Service::Takes(const http::RequestHead& head) const {
  const S3Settings& settings = node_.settings.s3;
  if (!settings.enabled) return false;
  if (HostOf(head) != S3Host::kNone || IsS3Signed(head)) return true;
  if (IsPreflight(head) && !settings.cors_origins.empty()) return true;
  const bool local = AsksNode(node_, head) || head.host() == "localhost";
  // Without a signature "/" is a person who looks what is here.
  return local && head.path() != "/";
}

Answer S3Service::Handle(const http::RequestHead& head, std::string_view client,
                         RequestBody& body) {
  const S3Settings& settings = node_.settings.s3;
  const std::string id = S3RandomId(kRequestIdBytes);
  const CorsRules cors{settings.cors_origins, kCorsMethods, kCorsExposed};
  Result<Answer> answer = S3Fail("cors_refused", "this origin is not one of s3.cors_origins");
  if (IsPreflight(head)) {
    if (auto allowed = AnswerPreflight(head, cors)) answer = std::move(*allowed);
  } else {
    answer = HandleRead(head, client, body);
    if (answer && head.method != "HEAD") {
      if (Status opened = OpenBody(*node_.blobs, &*answer); !opened) {
        answer = unexpected(std::move(opened.error()));
      }
    }
  }
  if (!answer) {
    const Error& error = answer.error();
    const S3ErrorCode code = S3CodeOf(error);
    if (code.status == 403 || (code.status >= 500 && code.status != 503)) {
      Log(code.status == 403 ? Level::kWarning : Level::kError, "s3_refused",
          {{"client", std::string(client)},
           {"method", head.method},
           {"target", std::string(head.path().substr(0, 200))},
           {"code", std::string(code.code)},
           {"reason", error.reason},
           {"request", id}});
    }
    answer = S3ErrorAnswer(error, head.path(), id);
  }
  answer->fields.Set("x-amz-request-id", id);
  if (!IsPreflight(head)) AddCors(head, cors, &*answer);
  return *std::move(answer);
}

Result<Answer> S3Service::HandleRead(const http::RequestHead& head, std::string_view client,
                                     RequestBody& body) {
  Result<http::RequestHead> whole = WithQueryFields(head);
  if (!whole && !IsS3Signed(head)) whole = head;
  if (!whole) return unexpected(std::move(whole.error()));
  Result<S3Request> request = ParseS3Request(*whole, node_.settings.s3.domain);
  // Who has no signature is not told what there is and what not.
  if (!request && !IsS3Signed(head)) request = S3Request();
  if (!request) return unexpected(std::move(request.error()));
  return HandleSigned(head, *whole, *request, client, body);
}

Result<Answer> S3Service::HandleSigned(const http::RequestHead& head,
                                       const http::RequestHead& whole, const S3Request& request,
                                       std::string_view client, RequestBody& body) {
  Result<S3Authorization> authorization = ReadS3Authorization(head, WallNow());
  if (!authorization) return unexpected(std::move(authorization.error()));
  Caller caller;
  Result<S3ChunkSigner> signer = Authenticate(head, *authorization, client, &caller);
  if (!signer) return unexpected(std::move(signer.error()));
  if (Status allowed = Allow(caller, RightOf(request.operation), request.bucket); !allowed) {
    return unexpected(std::move(allowed.error()));
  }
  if (!IsChunked(authorization->payload)) {
    return Dispatch(
        {whole, request, caller, client, {whole, body, nullptr, authorization->content_sha}});
  }
  Result<uint64_t> length = DecodedLength(whole);
  if (!length) return unexpected(std::move(length.error()));
  S3ChunkedBody chunked(body, authorization->payload, *length, std::move(*signer));
  return Dispatch({whole, request, caller, client, {whole, chunked, &chunked, std::nullopt}});
}

Result<S3ChunkSigner> S3Service::Authenticate(const http::RequestHead& head,
                                              const S3Authorization& authorization,
                                              std::string_view client, Caller* caller) {
  Result<S3Credential> credential = node_.access.FindS3Credential(authorization.access_key_id);
  if (!credential) {
    // The same for every key: who has not proved to have the secret learns nothing of it.
    constexpr const char* kUnknownKey = "The access key id is not known here, or opens nothing.";
    return unexpected(
        Unproved(head, client, Error{Fault::kClient, "unknown_access_key", kUnknownKey}));
  }
  Result<S3ChunkSigner> signer = CheckS3Signature(head, authorization, credential->secret);
  if (!signer) return unexpected(Unproved(head, client, std::move(signer.error())));
  node_.access.NoteUse(credential->caller.token);
  *caller = std::move(credential->caller);
  return signer;
}

/// `error`, counted; or that the address is locked out.
Error S3Service::Unproved(const http::RequestHead& head, std::string_view client, Error error) {
  if (HostOf(head) == S3Host::kNone && !AsksNode(node_, head)) return error;
  if (node_.access.Failed(client, Access::Shown::kWrong) == milliseconds(0)) return error;
  return Error{Fault::kClient, "locked_out",
               "this address has shown too many wrong keys and tokens: wait a minute"};
}

Status S3Service::Allow(const Caller& caller, Right right, const std::string& site) const {
  // What it may see of the list of buckets is decided for each.
  if (site.empty() || caller.May(right, site)) return {};
  return S3Fail("access_denied",
                "Access Denied: the token of this access key does not open this "
                "for site \"" +
                    site.substr(0, 63) + "\"");
}

storage::AuditEntry S3Service::RecordOf(const Call& call, std::string_view action,
                                        std::string detail) {
  return origin::RecordOf(
      call.caller, call.client,
      {.action = action, .site = call.request.bucket, .detail = std::move(detail)});
}

storage::AuditEntry S3Service::RecordOfKey(const Call& call, std::string_view action,
                                           const std::string& key) {
  return RecordOf(call, action, "{\"path\":" + JsonString(key) + "}");
}

void S3Service::Done(const Call& call, std::string_view event, storage::LogPosition position) {
  Log(Level::kInfo, event,
      {{"site", call.request.bucket},
       {"client", std::string(call.client)},
       {"key_id", call.caller.token},
       {"position", PositionText(position)}});
  node_.Changed(call.request.bucket);
}

Result<storage::Asset> S3Service::FindObject(const std::string& site, const std::string& key) {
  Result<storage::Site> found = node_.metadata->FindSite(site);
  if (!found) return unexpected(std::move(found.error()));
  Result<std::optional<storage::Asset>> asset = std::nullopt;
  if (CheckS3Key(key)) asset = node_.metadata->FindAsset(found->active, key);
  if (!asset) return unexpected(std::move(asset.error()));
  if (*asset) return **std::move(asset);
  return S3Fail("no_such_asset", "The specified key does not exist.");
}

Result<Answer> S3Service::Dispatch(const Call& call) {
  switch (call.request.operation) {
    case S3Operation::kListBuckets:
      return ListBuckets(call);
    case S3Operation::kHeadBucket:
      return HeadBucket(call);
    case S3Operation::kCreateBucket:
      return CreateBucket(call);
    case S3Operation::kDeleteBucket:
      return DeleteBucket(call);
    case S3Operation::kListObjects:
    case S3Operation::kListObjectsV2:
      return ListObjects(call);
    case S3Operation::kBucketLocation:
    case S3Operation::kBucketFact:
    case S3Operation::kObjectAcl:
    case S3Operation::kObjectTagging:
      return BucketFact(call);
    case S3Operation::kDeleteObjects:
      return DeleteObjects(call);
    case S3Operation::kListUploads:
      return ListUploads(call);
    case S3Operation::kGetObject:
    case S3Operation::kHeadObject:
      return GetObject(call);
    case S3Operation::kPutObject:
      return PutObject(call);
    case S3Operation::kCopyObject:
      return CopyObject(call);
    case S3Operation::kDeleteObject:
      return DeleteObject(call);
    case S3Operation::kCreateUpload:
      return CreateUpload(call);
    case S3Operation::kUploadPart:
      return PutPart(call);
    case S3Operation::kUploadPartCopy:
      return CopyPart(call);
    case S3Operation::kListParts:
      return ListParts(call);
    case S3Operation::kCompleteUpload:
      return CompleteUpload(call);
    case S3Operation::kAbortUpload:
      return AbortUpload(call);
  }
  return S3Fail("not_implemented", "this S3 endpoint has no such operation");
}

}  // namespace nearside::origin
