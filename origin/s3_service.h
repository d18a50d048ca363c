#pragma once

// The S3-compatible side of the API's addresses: a bucket is a site, an object an asset of its
// active release. docs/origin.md describes it from outside.

#include <memory>
#include <optional>
#include <string>

#include "http/message.h"
#include "origin/answer.h"
#include "origin/audit.h"
#include "origin/caller.h"
#include "origin/node.h"
#include "origin/request_body.h"
#include "origin/s3_content.h"
#include "origin/s3_request.h"
#include "origin/s3_signature.h"

namespace nearside::origin {

/// What a request's host says of S3.
enum class S3Host {
  kNone,
  kDomain,  ///< the domain of [s3]: the path names the bucket
  kBucket,  ///< below it: all of the path is a key
};

/// Any thread; blocks on disk and on the request's body.
class S3Service {
 public:
  explicit S3Service(Node& node) : node_(node) {}

  S3Host HostOf(const http::RequestHead& head) const;
  /// Whether a request that is no visitor's, and not below /v1/, is S3's: it is signed, or its host
  /// is the domain of [s3], an address, or the node's name; or a browser's question before one.
  bool Takes(const http::RequestHead& head) const;
  /// Answers with S3's XML, errors too; the blobs of the answer are open. `client` is an address.
  Answer Handle(const http::RequestHead& head, std::string_view client, RequestBody& body);
  /// Removes uploads in parts that began too long ago.
  void Expire(WallTime now);

 private:
  /// A request whose signature was checked and that its signer may make.
  struct Call {
    const http::RequestHead& head;
    const S3Request& request;
    const Caller& caller;
    std::string_view client;
    S3Upload content;
  };

  // s3_service.cc
  Result<Answer> HandleRead(const http::RequestHead& head, std::string_view client,
                            RequestBody& body);
  /// `head` as it came, which is what was signed; `whole` with the fields of its query.
  Result<Answer> HandleSigned(const http::RequestHead& head, const http::RequestHead& whole,
                              const S3Request& request, std::string_view client, RequestBody& body);
  Result<Answer> Dispatch(const Call& call);
  /// Who signed, when the signature holds; a wrong one counts against `client` when the host is one
  /// of ours: an edge passes on what any visitor sends to a host that nobody has.
  Result<S3ChunkSigner> Authenticate(const http::RequestHead& head,
                                     const S3Authorization& authorization, std::string_view client,
                                     Caller* caller);
  Error Unproved(const http::RequestHead& head, std::string_view client, Error error);
  Status Allow(const Caller& caller, Right right, const std::string& site) const;
  /// What the audit keeps of a change.
  static storage::AuditEntry RecordOf(const Call& call, std::string_view action,
                                      std::string detail = "");
  static storage::AuditEntry RecordOfKey(const Call& call, std::string_view action,
                                         const std::string& key);
  /// The end of every change: it is logged, visitors and followers are told.
  void Done(const Call& call, std::string_view event, storage::LogPosition position);
  /// The asset at a key; kClient no_such_asset for those that cannot be there, too.
  Result<storage::Asset> FindObject(const std::string& site, const std::string& key);

  // s3_buckets.cc
  Result<Answer> ListBuckets(const Call& call);
  Result<Answer> HeadBucket(const Call& call);
  Result<Answer> CreateBucket(const Call& call);
  Result<Answer> DeleteBucket(const Call& call);
  Result<Answer> ListObjects(const Call& call);
  Result<Answer> BucketFact(const Call& call);

  // s3_objects.cc
  Result<Answer> GetObject(const Call& call);
  Result<Answer> PutObject(const Call& call);
  Result<Answer> CopyObject(const Call& call);
  Result<Answer> DeleteObject(const Call& call);
  Result<Answer> DeleteObjects(const Call& call);
  /// `condition` is If-Match and the like; removing what is not there succeeds.
  Status RemoveOne(const Call& call, const std::string& key, const http::RequestHead& condition);
  Result<storage::Asset> FindCopySource(const Call& call);
  /// Names the blob, puts the asset at its path, if the request's conditions hold.
  Status Put(const Call& call, storage::Asset* asset);
  /// Of a PUT of whatever kind.
  static storage::Precondition ConditionOfPut(const Call& call);
  static storage::Announce AnnouncePut(const Call& call, const std::string& key);

  // s3_multipart.cc
  Result<Answer> CreateUpload(const Call& call);
  Result<Answer> PutPart(const Call& call);
  Result<Answer> CopyPart(const Call& call);
  Result<Answer> ListParts(const Call& call);
  Result<Answer> ListUploads(const Call& call);
  Result<Answer> CompleteUpload(const Call& call);
  Result<Answer> AbortUpload(const Call& call);
  Result<Answer> CompletedBefore(const Call& call, Error otherwise);
  Status KeepPart(int number, const S3Content& content, const storage::MultipartUpload& to);
  Result<storage::MultipartUpload> UploadOf(const Call& call);
  Result<storage::StoredBlob> Join(const Call& call, const std::vector<storage::UploadPart>& parts);
  /// Puts the asset in place of its upload, whose parts go.
  Status PutJoined(const Call& call, storage::MultipartUpload* upload);
  void Forget(const std::string& upload);

  Node& node_;
};

/// Times in S3's XML, and a number of random hexadecimal digits for ids.
std::string S3RandomId(size_t bytes);

}  // namespace nearside::origin
