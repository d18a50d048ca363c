#include <algorithm>
#include <array>

#include "origin/event.h"
#include "origin/manifest.h"
#include "origin/s3_errors.h"
#include "origin/s3_list.h"
#include "origin/s3_service.h"
#include "origin/s3_xml.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kOwner = "nearside";

/// What is asked about a bucket and is not configured: the reason of the error that says so.
struct AbsentRow {
  std::string_view fact;
  std::string_view reason;
};
constexpr std::array kAbsent = {
    AbsentRow{"cors", "no_cors_configuration"},
    AbsentRow{"policy", "no_policy"},
    AbsentRow{"policyStatus", "no_policy"},
    AbsentRow{"lifecycle", "no_lifecycle"},
    AbsentRow{"tagging", "no_tags"},
    AbsentRow{"website", "no_website"},
    AbsentRow{"encryption", "no_encryption"},
    AbsentRow{"object-lock", "no_object_lock"},
    AbsentRow{"replication", "no_replication"},
    AbsentRow{"publicAccessBlock", "no_public_access_block"},
    AbsentRow{"ownershipControls", "no_ownership_controls"},
};

/// What is configured in none but one way: an element, empty or with one child.
struct FixedRow {
  std::string_view fact;
  std::string_view root;
  std::string_view child;
  std::string_view text;
};
constexpr std::array kFixed = {
    FixedRow{"versioning", "VersioningConfiguration", "", ""},
    FixedRow{"logging", "BucketLoggingStatus", "", ""},
    FixedRow{"notification", "NotificationConfiguration", "", ""},
    FixedRow{"accelerate", "AccelerateConfiguration", "", ""},
    FixedRow{"requestPayment", "RequestPaymentConfiguration", "Payer", "BucketOwner"},
};

void AddOwner(XmlWriter* xml) {
  xml->Open("Owner");
  xml->Element("ID", kOwner);
  xml->Element("DisplayName", kOwner);
  xml->Close();
}

/// Rights are the tokens' here: the one who asks may do what he may do.
Answer AclAnswer() {
  XmlWriter xml;
  xml.OpenS3("AccessControlPolicy");
  AddOwner(&xml);
  xml.Open("AccessControlList");
  xml.Open("Grant");
  xml.Open("Grantee",
           " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
           "xsi:type=\"CanonicalUser\"");
  xml.Element("ID", kOwner);
  xml.Element("DisplayName", kOwner);
  xml.Close();
  xml.Element("Permission", "FULL_CONTROL");
  xml.Close();
  xml.Close();
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

/// Objects have no tags. (aws asks for them before it copies an object in parts.)
Answer TaggingAnswer() {
  XmlWriter xml;
  xml.OpenS3("Tagging");
  xml.Open("TagSet");
  xml.Close();
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

}  // namespace

Result<Answer> S3Service::ListBuckets(const Call& call) {
  Result<std::vector<storage::Site>> sites = node_.metadata->Sites();
  if (!sites) return unexpected(std::move(sites.error()));
  XmlWriter xml;
  xml.OpenS3("ListAllMyBucketsResult");
  AddOwner(&xml);
  xml.Open("Buckets");
  for (const storage::Site& site : *sites) {
    if (!call.caller.May(Right::kRead, site.name)) continue;
    xml.Open("Bucket");
    xml.Element("Name", site.name);
    xml.Element("CreationDate", FormatIsoTime(site.created));
    xml.Close();
  }
  xml.Close();
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

Result<Answer> S3Service::HeadBucket(const Call& call) {
  Result<storage::Site> site = node_.metadata->FindSite(call.request.bucket);
  if (!site) return unexpected(std::move(site.error()));
  Answer answer;
  answer.fields.Add("x-amz-bucket-region", node_.settings.s3.region);
  return answer;
}

Result<Answer> S3Service::CreateBucket(const Call& call) {
  const std::string& name = call.request.bucket;
  if (Status good = CheckSiteName(name); !good) return unexpected(std::move(good.error()));
  if (name == "v1" || name == "healthz") {
    return Fail(Fault::kClient, "bad_site",
                "\"" + name + "\" cannot be a bucket: the API has this path");
  }
  // A token of one site makes no other, even of the same name.
  if (!call.caller.May(Right::kAdmin, kEverySite)) {
    return S3Fail("access_denied", "Access Denied: buckets are made with a token of every site");
  }
  storage::SiteDraft draft;
  draft.name = name;
  draft.settings = "{}";
  Result<storage::LogPosition> position = node_.metadata->CreateSite(
      draft, Signed([](const storage::Change& change) { return AnnounceSite(change, false); },
                    RecordOf(call, "site_created")));
  if (!position) return unexpected(std::move(position.error()));
  Done(call, "s3_bucket_created", *position);
  Answer answer;
  answer.fields.Add("location", "/" + name);
  return answer;
}

Result<Answer> S3Service::DeleteBucket(const Call& call) {
  Result<storage::LogPosition> position = node_.metadata->DeleteEmptySite(
      call.request.bucket,
      Signed([](const storage::Change& change) { return AnnounceSite(change, true); },
             RecordOf(call, "site_deleted")));
  if (!position) return unexpected(std::move(position.error()));
  Done(call, "s3_bucket_deleted", *position);
  // The site's tokens were revoked with it.
  if (Status read = node_.access.table().Refresh(); !read) {
    Log(Level::kError, "tokens_not_read", {{"error", read.error().ToString()}});
  }
  Answer answer;
  answer.status = 204;
  return answer;
}

Result<Answer> S3Service::ListObjects(const Call& call) {
  Result<S3ListQuery> query = ReadS3ListQuery(call.request);
  if (!query) return unexpected(std::move(query.error()));
  Result<storage::Site> site = node_.metadata->FindSite(call.request.bucket);
  if (!site) return unexpected(std::move(site.error()));
  Result<S3Listing> listing = ListS3(*query, [&](const storage::AssetRange& range) {
    return node_.metadata->ListAssets(site->active, range);
  });
  if (!listing) return unexpected(std::move(listing.error()));
  return S3ListAnswer(call.request, *query, *listing);
}

Result<Answer> S3Service::BucketFact(const Call& call) {
  Result<storage::Site> site = node_.metadata->FindSite(call.request.bucket);
  if (!site) return unexpected(std::move(site.error()));
  const S3Operation operation = call.request.operation;
  if (operation == S3Operation::kBucketLocation) {
    const std::string& region = node_.settings.s3.region;
    XmlWriter xml;
    xml.OpenS3("LocationConstraint");
    if (region != "us-east-1") xml.Text(region);  // that one is said by saying nothing
    xml.Close();
    return S3XmlAnswer(200, std::move(xml));
  }
  if (operation == S3Operation::kObjectAcl || operation == S3Operation::kObjectTagging) {
    Result<storage::Asset> asset = FindObject(call.request.bucket, call.request.key);
    if (!asset) return unexpected(std::move(asset.error()));
    return operation == S3Operation::kObjectAcl ? AclAnswer() : TaggingAnswer();
  }
  if (call.request.fact == "acl") return AclAnswer();
  for (const AbsentRow& row : kAbsent) {
    if (row.fact != call.request.fact) continue;
    return S3Fail(row.reason, "no \"" + call.request.fact + "\" is configured for a bucket here");
  }
  for (const FixedRow& row : kFixed) {
    if (row.fact != call.request.fact) continue;
    XmlWriter xml;
    xml.OpenS3(row.root);
    if (!row.child.empty()) xml.Element(row.child, row.text);
    xml.Close();
    return S3XmlAnswer(200, std::move(xml));
  }
  return S3Fail("not_implemented", "this S3 endpoint has no \"" + call.request.fact + "\"");
}

}  // namespace nearside::origin
