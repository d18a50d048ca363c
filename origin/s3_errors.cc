#include "origin/s3_errors.h"

#include <algorithm>
#include <array>

#include "origin/s3_xml.h"

namespace nearside::origin {
namespace {

struct CodeRow {
  std::string_view reason;
  std::string_view code;
  int status;
};

constexpr std::array kCodes = {
    CodeRow{"access_denied", "AccessDenied", 403},
    CodeRow{"request_expired", "AccessDenied", 403},
    CodeRow{"headers_not_signed", "AccessDenied", 403},
    CodeRow{"unknown_access_key", "InvalidAccessKeyId", 403},
    CodeRow{"signature_mismatch", "SignatureDoesNotMatch", 403},
    CodeRow{"time_skewed", "RequestTimeTooSkewed", 403},
    CodeRow{"bad_authorization", "AuthorizationHeaderMalformed", 400},
    CodeRow{"bad_query_authorization", "AuthorizationQueryParametersError", 400},
    CodeRow{"signature_version", "InvalidRequest", 400},
    CodeRow{"no_such_site", "NoSuchBucket", 404},
    CodeRow{"no_such_asset", "NoSuchKey", 404},
    CodeRow{"no_such_upload", "NoSuchUpload", 404},
    CodeRow{"no_cors_configuration", "NoSuchCORSConfiguration", 404},
    CodeRow{"no_policy", "NoSuchBucketPolicy", 404},
    CodeRow{"no_lifecycle", "NoSuchLifecycleConfiguration", 404},
    CodeRow{"no_tags", "NoSuchTagSet", 404},
    CodeRow{"no_website", "NoSuchWebsiteConfiguration", 404},
    CodeRow{"no_encryption", "ServerSideEncryptionConfigurationNotFoundError", 404},
    CodeRow{"no_object_lock", "ObjectLockConfigurationNotFoundError", 404},
    CodeRow{"no_replication", "ReplicationConfigurationNotFoundError", 404},
    CodeRow{"no_public_access_block", "NoSuchPublicAccessBlockConfiguration", 404},
    CodeRow{"no_ownership_controls", "OwnershipControlsNotFoundError", 404},
    CodeRow{"not_implemented", "NotImplemented", 501},
    CodeRow{"method_not_allowed", "MethodNotAllowed", 405},
    CodeRow{"precondition_failed", "PreconditionFailed", 412},
    CodeRow{"invalid_range", "InvalidRange", 416},
    CodeRow{"bad_path", "InvalidArgument", 400},
    CodeRow{"invalid_argument", "InvalidArgument", 400},
    CodeRow{"bad_manifest", "InvalidArgument", 400},
    CodeRow{"path_too_long", "KeyTooLongError", 400},
    CodeRow{"invalid_uri", "InvalidURI", 400},
    CodeRow{"malformed_xml", "MalformedXML", 400},
    CodeRow{"invalid_digest", "InvalidDigest", 400},
    CodeRow{"bad_md5", "BadDigest", 400},
    CodeRow{"bad_checksum", "BadDigest", 400},
    CodeRow{"digest_mismatch", "XAmzContentSHA256Mismatch", 400},
    CodeRow{"length_mismatch", "IncompleteBody", 400},
    CodeRow{"body_cut_off", "IncompleteBody", 400},
    CodeRow{"bad_body", "IncompleteBody", 400},
    CodeRow{"body_timeout", "RequestTimeout", 400},
    CodeRow{"too_slow", "RequestTimeout", 400},
    CodeRow{"body_too_large", "EntityTooLarge", 400},
    CodeRow{"quota_exceeded", "QuotaExceeded", 403},  // as Ceph answers; clients do not try again
    CodeRow{"missing_length", "MissingContentLength", 411},
    CodeRow{"invalid_part", "InvalidPart", 400},
    CodeRow{"invalid_part_order", "InvalidPartOrder", 400},
    CodeRow{"metadata_too_large", "MetadataTooLarge", 400},
    CodeRow{"storage_class", "InvalidStorageClass", 400},
    CodeRow{"bad_rules", "InvalidArgument", 400},
    CodeRow{"bad_site", "InvalidBucketName", 400},
    CodeRow{"site_exists", "BucketAlreadyOwnedByYou", 409},
    CodeRow{"site_not_empty", "BucketNotEmpty", 409},
    CodeRow{"database_busy", "SlowDown", 503},
    CodeRow{"blob_collected", "SlowDown", 503},
    CodeRow{"blob_lost", "SlowDown", 503},
    CodeRow{"busy", "SlowDown", 503},
    CodeRow{"locked_out", "SlowDown", 503},
    CodeRow{"cors_refused", "AccessForbidden", 403},
    CodeRow{"ENOSPC", "InsufficientCapacity", 507},
    CodeRow{"EDQUOT", "InsufficientCapacity", 507},
    CodeRow{"EFBIG", "InsufficientCapacity", 507},
};

}  // namespace

S3ErrorCode S3CodeOf(const Error& error) {
  const auto found = std::find_if(kCodes.begin(), kCodes.end(),
                                  [&](const CodeRow& row) { return row.reason == error.reason; });
  if (found != kCodes.end()) return {found->code, found->status};
  return error.fault == Fault::kClient ? S3ErrorCode{"InvalidRequest", 400}
                                       : S3ErrorCode{"InternalError", 500};
}

Answer S3ErrorAnswer(const Error& error, std::string_view resource, std::string_view request_id) {
  const S3ErrorCode code = S3CodeOf(error);
  XmlWriter xml;
  xml.Open("Error");
  xml.Element("Code", code.code);
  xml.Element("Message", error.message);
  xml.Element("Resource", resource);
  xml.Element("RequestId", request_id);
  xml.Close();
  Answer answer = S3XmlAnswer(code.status, std::move(xml));
  answer.reason = error.reason;
  if (code.status == 503) answer.fields.Add("retry-after", "1");
  return answer;
}

tl::unexpected<Error> S3Fail(std::string_view reason, std::string message) {
  return Fail(Fault::kClient, reason, std::move(message));
}

}  // namespace nearside::origin
