#include "origin/s3_request.h"

#include <algorithm>
#include <array>

#include "http/uri.h"
#include "origin/s3_errors.h"
#include "origin/s3_signature.h"

namespace nearside::origin {
namespace {

/// Subresources that every bucket answers in the same way.
constexpr std::array<std::string_view, 17> kFacts = {"acl",
                                                     "cors",
                                                     "policy",
                                                     "policyStatus",
                                                     "lifecycle",
                                                     "tagging",
                                                     "website",
                                                     "versioning",
                                                     "requestPayment",
                                                     "logging",
                                                     "notification",
                                                     "encryption",
                                                     "object-lock",
                                                     "replication",
                                                     "accelerate",
                                                     "publicAccessBlock",
                                                     "ownershipControls"};
/// Subresources that we have nothing for, whatever the method.
constexpr std::array<std::string_view, 15> kUnknown = {
    "analytics",    "inventory",     "metrics",    "intelligent-tiering",
    "versions",     "retention",     "legal-hold", "torrent",
    "restore",      "select",        "attributes", "session",
    "renameObject", "metadataTable", "append"};

tl::unexpected<Error> NotImplemented(std::string_view what) {
  return S3Fail("not_implemented", "this S3 endpoint has no " + std::string(what));
}

tl::unexpected<Error> MethodNotAllowed(std::string_view method) {
  return S3Fail("method_not_allowed",
                "the method " + std::string(method) + " is not allowed against this resource");
}

bool IsAmzName(std::string_view name) { return http::LowerName(name).starts_with("x-amz-"); }

/// Those of a signature, whose place is the query.
bool IsOfSignature(std::string_view lower_name) {
  constexpr std::array<std::string_view, 8> kNames = {
      "x-amz-algorithm",     "x-amz-credential", "x-amz-date",           "x-amz-expires",
      "x-amz-signedheaders", "x-amz-signature",  "x-amz-content-sha256", "x-amz-security-token"};
  return std::find(kNames.begin(), kNames.end(), lower_name) != kNames.end();
}

/// Whether a request that changes something may have this parameter in its query.
bool IsParameterOf(S3Operation operation, std::string_view name) {
  // The SDK's name of the operation, fields in the query, and the signature of version 2, which is
  // refused as such.
  if (name == "x-id" || name == "AWSAccessKeyId" || name == "Signature" || name == "Expires" ||
      IsAmzName(name)) {
    return true;
  }
  switch (operation) {
    case S3Operation::kDeleteObjects:
      return name == "delete";
    case S3Operation::kDeleteObject:
      return name == "versionId";
    case S3Operation::kCreateUpload:
      return name == "uploads";
    case S3Operation::kUploadPart:
    case S3Operation::kUploadPartCopy:
      return name == "partNumber" || name == "uploadId";
    case S3Operation::kCompleteUpload:
    case S3Operation::kAbortUpload:
      return name == "uploadId";
    default:
      return false;
  }
}

std::optional<S3Operation> ObjectWithUpload(const S3Request& request, std::string_view method,
                                            bool copies) {
  if (method == "GET") return S3Operation::kListParts;
  if (method == "POST") return S3Operation::kCompleteUpload;
  if (method == "DELETE") return S3Operation::kAbortUpload;
  if (method != "PUT" || !request.Has("partNumber")) return std::nullopt;
  return copies ? S3Operation::kUploadPartCopy : S3Operation::kUploadPart;
}

Result<S3Operation> ObjectOperation(const S3Request& request, const http::RequestHead& head) {
  const std::string_view method = head.method;
  const bool copies = head.fields.Has("x-amz-copy-source");
  if (request.Has("uploadId")) {
    const std::optional<S3Operation> found = ObjectWithUpload(request, method, copies);
    if (!found) return MethodNotAllowed(method);
    return *found;
  }
  if (request.Has("tagging")) {
    if (method == "GET") return S3Operation::kObjectTagging;
    return NotImplemented("tags of objects");
  }
  if (request.Has("acl")) {
    if (method == "GET") return S3Operation::kObjectAcl;
    return NotImplemented("access lists: what a token opens is set where the token is made");
  }
  if (request.Has("partNumber")) return NotImplemented("reading of single parts");
  if (method == "GET") return S3Operation::kGetObject;
  if (method == "HEAD") return S3Operation::kHeadObject;
  if (method == "DELETE") return S3Operation::kDeleteObject;
  if (method == "PUT") return copies ? S3Operation::kCopyObject : S3Operation::kPutObject;
  if (method == "POST" && request.Has("uploads")) return S3Operation::kCreateUpload;
  return MethodNotAllowed(method);
}

Result<S3Operation> BucketOperation(S3Request* request, std::string_view method) {
  for (const std::string_view fact : kFacts) {
    if (!request->Has(fact)) continue;
    if (method != "GET") {
      return NotImplemented("\"" + std::string(fact) + "\" that could be set for a bucket");
    }
    request->fact = fact;
    return S3Operation::kBucketFact;
  }
  if (method == "GET") {
    if (request->Has("location")) return S3Operation::kBucketLocation;
    if (request->Has("uploads")) return S3Operation::kListUploads;
    const bool second = request->Value("list-type").value_or("") == "2";
    return second ? S3Operation::kListObjectsV2 : S3Operation::kListObjects;
  }
  if (method == "HEAD") return S3Operation::kHeadBucket;
  if (method == "PUT") return S3Operation::kCreateBucket;
  if (method == "DELETE") return S3Operation::kDeleteBucket;
  if (method == "POST" && request->Has("delete")) return S3Operation::kDeleteObjects;
  if (method == "POST") return NotImplemented("uploads by HTML forms");
  return MethodNotAllowed(method);
}

}  // namespace

std::optional<std::string_view> S3Request::Value(std::string_view name) const {
  const auto found = std::find_if(query.begin(), query.end(),
                                  [&](const auto& pair) { return pair.first == name; });
  if (found == query.end()) return std::nullopt;
  return found->second;
}

Right RightOf(S3Operation operation) {
  switch (operation) {
    case S3Operation::kCreateBucket:
    case S3Operation::kDeleteBucket:
      return Right::kAdmin;
    case S3Operation::kDeleteObjects:
    case S3Operation::kPutObject:
    case S3Operation::kCopyObject:
    case S3Operation::kDeleteObject:
    case S3Operation::kCreateUpload:
    case S3Operation::kUploadPart:
    case S3Operation::kUploadPartCopy:
    case S3Operation::kCompleteUpload:
    case S3Operation::kAbortUpload:
    case S3Operation::kListUploads:
    case S3Operation::kListParts:
      return Right::kPublish;
    case S3Operation::kListBuckets:
    case S3Operation::kHeadBucket:
    case S3Operation::kListObjects:
    case S3Operation::kListObjectsV2:
    case S3Operation::kBucketLocation:
    case S3Operation::kBucketFact:
    case S3Operation::kGetObject:
    case S3Operation::kHeadObject:
    case S3Operation::kObjectAcl:
    case S3Operation::kObjectTagging:
      break;
  }
  return Right::kRead;
}

bool IsS3Upload(const http::RequestHead& head) {
  return head.method == "PUT" ||
         (head.method == "POST" && head.query().find("uploadId=") != std::string_view::npos);
}

bool IsS3Host(std::string_view host, std::string_view domain) {
  if (domain.empty() || !host.ends_with(domain)) return false;
  host.remove_suffix(domain.size());
  return host.empty() || (host.size() > 1 && host.ends_with('.'));
}

S3Place S3PlaceOf(const http::RequestHead& head, std::string_view domain) {
  S3Place place;
  std::string_view path = head.path();
  path.remove_prefix(std::min<size_t>(1, path.size()));
  const std::string_view host = head.host();
  if (IsS3Host(host, domain) && host.size() > domain.size()) {
    place.bucket = host.substr(0, host.size() - domain.size() - 1);
    place.encoded_key = path;
    return place;
  }
  const size_t slash = std::min(path.find('/'), path.size());
  place.bucket = http::PercentDecode(path.substr(0, slash)).value_or(std::string(path));
  place.encoded_key = path.substr(std::min(slash + 1, path.size()));
  return place;
}

Result<S3Request> ParseS3Request(const http::RequestHead& head, std::string_view domain) {
  S3Request request;
  const S3Place place = S3PlaceOf(head, domain);
  request.bucket = place.bucket;
  std::optional<std::string> key = http::PercentDecode(place.encoded_key);
  auto query = S3QueryPairs(head.query());
  if (!key || !query) {
    return S3Fail("invalid_uri", "the target has a % without two hexadecimal digits");
  }
  request.key = std::move(*key);
  request.query = std::move(*query);
  for (const std::string_view name : kUnknown) {
    if (request.Has(name)) return NotImplemented("\"" + std::string(name) + "\"");
  }
  if (request.Has("versionId") && request.Value("versionId") != "null") {
    return NotImplemented("versions of objects: releases of the site are its history");
  }
  if (request.bucket.empty()) {
    if (head.method != "GET") return MethodNotAllowed(head.method);
    return request;
  }
  Result<S3Operation> operation =
      request.key.empty() ? BucketOperation(&request, head.method) : ObjectOperation(request, head);
  if (!operation) return unexpected(std::move(operation.error()));
  request.operation = *operation;
  if (head.method == "GET" || head.method == "HEAD") return request;
  for (const auto& [name, value] : request.query) {
    if (IsParameterOf(request.operation, name)) continue;
    return NotImplemented("parameter \"" + name.substr(0, 80) + "\" of this operation");
  }
  return request;
}

Result<http::RequestHead> WithQueryFields(const http::RequestHead& head) {
  http::RequestHead whole = head;
  const auto query = S3QueryPairs(head.query());
  if (!query) return S3Fail("invalid_uri", "the query has a % without two hexadecimal digits");
  for (const auto& [parameter, value] : *query) {
    const std::string name = http::LowerName(parameter);
    if (!IsAmzName(name) || IsOfSignature(name)) continue;
    const bool other = whole.fields.Has(name) && whole.fields.Joined(name) != value;
    if (other || !http::IsToken(name) || !http::IsFieldValue(value)) {
      return S3Fail("invalid_argument", "\"" + name.substr(0, 80) +
                                            "\" in the query: expected the value of a field, and "
                                            "that of the field of this name if there is one");
    }
    if (!whole.fields.Has(name)) whole.fields.Add(name, value);
  }
  return whole;
}

Result<S3CopySource> ParseCopySource(std::string_view text) {
  const std::string_view path = text.substr(0, text.find('?'));
  if (path.size() != text.size() && text.substr(path.size()) != "?versionId=null") {
    return NotImplemented("versions of objects: releases of the site are its history");
  }
  std::optional<std::string> plain = http::PercentDecode(path);
  std::string_view rest = plain ? std::string_view(*plain) : std::string_view();
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == rest.size()) {
    return S3Fail("invalid_argument", "x-amz-copy-source: expected \"/BUCKET/KEY\"");
  }
  return S3CopySource{std::string(rest.substr(0, slash)), std::string(rest.substr(slash + 1))};
}

}  // namespace nearside::origin
