#pragma once

// From method, host, target and fields to what S3's client asks for. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/message.h"
#include "origin/caller.h"
#include "runtime/result.h"

namespace nearside::origin {

enum class S3Operation {
  kListBuckets,
  kHeadBucket,
  kCreateBucket,
  kDeleteBucket,
  kListObjects,
  kListObjectsV2,
  kBucketLocation,
  kBucketFact,  ///< what is the same for every bucket: versioning, ACL, and what is not configured
  kDeleteObjects,
  kListUploads,
  kGetObject,
  kHeadObject,
  kObjectAcl,
  kObjectTagging,
  kPutObject,
  kCopyObject,
  kDeleteObject,
  kCreateUpload,
  kUploadPart,
  kUploadPartCopy,
  kListParts,
  kCompleteUpload,
  kAbortUpload,
};

struct S3Request {
  S3Operation operation = S3Operation::kListBuckets;
  std::string bucket;  ///< the site's name, as asked for
  std::string key;     ///< decoded; not yet checked to be one that an asset may have
  std::string fact;    ///< of kBucketFact: the subresource
  std::vector<std::pair<std::string, std::string>> query;

  /// The first value of that name; nullopt when there is none.
  std::optional<std::string_view> Value(std::string_view name) const;
  bool Has(std::string_view name) const { return Value(name).has_value(); }
};

/// What the key pair's token must allow.
Right RightOf(S3Operation operation);
/// Whether its content takes long to come in, or to be put together.
bool IsS3Upload(const http::RequestHead& head);

/// Where the bucket stands: in front of `domain` ("demo.s3.example.org", with `domain`
/// "s3.example.org"), else it is the first segment of the path. "" for a domain: none.
struct S3Place {
  std::string bucket;
  std::string_view encoded_key;  ///< a view into the target
};
S3Place S3PlaceOf(const http::RequestHead& head, std::string_view domain);

/// Whether the host is the domain or below it.
bool IsS3Host(std::string_view host, std::string_view domain);

/// Of requests that change something every parameter must be one of the operation's: what we do not
/// know could mean another one. Errors: kClient invalid_uri, not_implemented (names what is not),
/// method_not_allowed.
Result<S3Request> ParseS3Request(const http::RequestHead& head, std::string_view domain);

/// The request with the x-amz-* of its query among its fields, as S3 has it: presigned URLs carry
/// them there. Those of the signature stay where they are. Errors: kClient invalid_uri,
/// invalid_argument (no value of a field, or another one than the field of the same name has).
Result<http::RequestHead> WithQueryFields(const http::RequestHead& head);

/// "bucket/key" or "/bucket/key", percent-encoded, from x-amz-copy-source.
struct S3CopySource {
  std::string bucket;
  std::string key;
};
/// Errors: kClient invalid_argument, not_implemented (a versionId).
Result<S3CopySource> ParseCopySource(std::string_view text);

}  // namespace nearside::origin
