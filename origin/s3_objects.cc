#include "origin/event.h"
#include "origin/rules_files.h"
#include "origin/s3_errors.h"
#include "origin/s3_object.h"
#include "origin/s3_service.h"
#include "origin/s3_xml.h"

namespace nearside::origin {
namespace {

constexpr size_t kDeleteBodyBytes = 2 << 20;
constexpr size_t kDeletedAtOnce = 1000;

/// A PUT, which replaces the whole.
Status CheckWhole(const http::RequestHead& head, const RequestBody& body) {
  if (head.fields.Has("content-range")) {
    return S3Fail("invalid_request", "a PUT replaces the whole: send no Content-Range");
  }
  if (!body.present()) return S3Fail("missing_length", "You must provide Content-Length.");
  return {};
}

Answer CopyAnswer(std::string_view root, const std::string& etag, WallTime modified) {
  XmlWriter xml;
  xml.OpenS3(root);
  xml.Element("LastModified", FormatIsoTime(modified));
  xml.Element("ETag", etag);
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

/// What a copy takes from its source: everything, or the content alone.
Status ReadCopyFields(const http::RequestHead& head, const storage::Asset& source,
                      storage::Asset* copy) {
  const std::string_view directive = head.fields.Get("x-amz-metadata-directive").value_or("COPY");
  if (directive == "REPLACE") {
    if (Status read = ReadS3Fields(head, copy); !read) return read;
  } else if (directive == "COPY") {
    copy->content_type = source.content_type;
    copy->headers = source.headers;
    copy->tags = source.tags;
    copy->notes = source.notes;
  } else {
    return S3Fail("invalid_argument", "x-amz-metadata-directive: expected COPY or REPLACE");
  }
  copy->blob = source.blob;
  copy->bytes = source.bytes;
  if (const auto etag = NoteOf(source, kEtagNote)) SetNote(kEtagNote, std::string(*etag), copy);
  return {};
}

/// What an Object of a Delete says besides its key, as the fields of a DELETE. Error: kClient
/// not_implemented.
Result<http::RequestHead> ConditionOf(const XmlElement& object) {
  http::RequestHead condition;
  condition.method = "DELETE";
  for (const XmlElement& child : object.children) {
    const std::string& text = child.text;
    if (child.name == "ETag" && http::IsFieldValue(text)) {
      const bool bare = text != "*" && !text.starts_with('"') && !text.starts_with("W/");
      condition.fields.Add("if-match", bare ? "\"" + text + "\"" : text);
    } else if (child.name != "Key" && (child.name != "VersionId" || text != "null")) {
      return S3Fail("not_implemented",
                    "this S3 endpoint deletes by Key and ETag, not by " + child.name.substr(0, 80));
    }
  }
  return condition;
}

}  // namespace

Result<Answer> S3Service::GetObject(const Call& call) {
  Result<storage::Asset> asset = FindObject(call.request.bucket, call.request.key);
  if (!asset) return unexpected(std::move(asset.error()));
  return ServeS3Object(call.head, call.request, *asset, WallNow());
}

storage::Precondition S3Service::ConditionOfPut(const Call& call) {
  return [&call](const std::optional<storage::Asset>& there) {
    return CheckS3Write(call.head, there);
  };
}

storage::Announce S3Service::AnnouncePut(const Call& call, const std::string& key) {
  return Signed([](const storage::Change& c) { return AnnounceAsset(c, /*removed=*/false); },
                RecordOfKey(call, "asset_put", key));
}

Status S3Service::Put(const Call& call, storage::Asset* asset) {
  if (Status good = CheckRulesAsset(*node_.blobs, *asset); !good) return good;
  SetNote(kPutNote, std::to_string(ToUnixMillis(WallNow())), asset);
  Result<storage::AssetChange> change = node_.metadata->PutAsset(
      call.request.bucket, *asset, ConditionOfPut(call), AnnouncePut(call, asset->path));
  if (!change) return unexpected(std::move(change.error()));
  asset->modified = change->modified;
  Done(call, "s3_object_put", change->position);
  return {};
}

Result<Answer> S3Service::PutObject(const Call& call) {
  const auto fail = [&](Error& error) -> Result<Answer> {
    ++node_.counters.failed_uploads;
    return unexpected(std::move(error));
  };
  storage::Asset asset;
  asset.path = call.request.key;
  Status good = CheckS3Key(asset.path);
  if (good) good = CheckWhole(call.head, call.content.body);
  if (good) good = ReadS3Fields(call.head, &asset);
  if (!good) return fail(good.error());
  // Once before the content is read, for what is refused in any case; the transaction asks again.
  Result<storage::Site> site = node_.metadata->FindSite(call.request.bucket);
  if (!site) return fail(site.error());
  Result<std::optional<storage::Asset>> there = node_.metadata->FindAsset(site->active, asset.path);
  if (!there) return fail(there.error());
  if (good = CheckS3Write(call.head, *there); !good) return fail(good.error());
  Result<S3Content> content = ReceiveS3Content(node_, call.content);
  if (!content) return fail(content.error());
  asset.blob = content->blob.id;
  asset.bytes = content->blob.bytes;
  SetNote(kEtagNote, content->md5, &asset);
  good = node_.metadata->AddBlob(content->blob, *node_.blobs);
  if (good) good = Put(call, &asset);
  if (!good) return fail(good.error());
  Answer answer;
  answer.fields.Add("etag", S3EntityTagOf(asset));
  for (const auto& [name, value] : content->checksums) answer.fields.Add(name, value);
  return answer;
}

Result<storage::Asset> S3Service::FindCopySource(const Call& call) {
  Result<S3CopySource> source =
      ParseCopySource(call.head.fields.Get("x-amz-copy-source").value_or(""));
  if (!source) return unexpected(std::move(source.error()));
  if (Status allowed = Allow(call.caller, Right::kRead, source->bucket); !allowed) {
    return unexpected(std::move(allowed.error()));
  }
  Result<storage::Asset> asset = FindObject(source->bucket, source->key);
  if (!asset) return asset;
  if (Status holds = CheckS3CopySource(call.head, *asset); !holds) {
    return unexpected(std::move(holds.error()));
  }
  return asset;
}

/// Copies no bytes: the new path names the same content.
Result<Answer> S3Service::CopyObject(const Call& call) {
  if (Status good = CheckS3Key(call.request.key); !good) {
    return unexpected(std::move(good.error()));
  }
  Result<storage::Asset> source = FindCopySource(call);
  if (!source) return unexpected(std::move(source.error()));
  storage::Asset copy;
  copy.path = call.request.key;
  Status done = ReadCopyFields(call.head, *source, &copy);
  if (done) done = Put(call, &copy);
  if (!done) return unexpected(std::move(done.error()));
  return CopyAnswer("CopyObjectResult", S3EntityTagOf(copy), S3ModifiedOf(copy));
}

Status S3Service::RemoveOne(const Call& call, const std::string& key,
                            const http::RequestHead& condition) {
  if (!CheckS3Key(key)) return CheckS3Write(condition, std::nullopt);
  Result<storage::AssetChange> change = node_.metadata->RemoveAsset(
      call.request.bucket, key,
      [&](const std::optional<storage::Asset>& there) { return CheckS3Write(condition, there); },
      Signed([](const storage::Change& c) { return AnnounceAsset(c, /*removed=*/true); },
             RecordOfKey(call, "asset_deleted", key)));
  if (change) {
    Done(call, "s3_object_deleted", change->position);
    return {};
  }
  return change.error().reason == "no_such_asset" ? Status()
                                                  : Status(unexpected(std::move(change.error())));
}

Result<Answer> S3Service::DeleteObject(const Call& call) {
  if (Status removed = RemoveOne(call, call.request.key, call.head); !removed) {
    return unexpected(std::move(removed.error()));
  }
  Answer answer;
  answer.status = 204;
  return answer;
}

Result<Answer> S3Service::DeleteObjects(const Call& call) {
  Result<storage::Site> site = node_.metadata->FindSite(call.request.bucket);
  if (!site) return unexpected(std::move(site.error()));
  Result<std::string> text = ReceiveS3Text(call.content, kDeleteBodyBytes);
  if (!text) return unexpected(std::move(text.error()));
  Result<XmlElement> body = ParseXml(*text);
  if (!body) return unexpected(std::move(body.error()));
  if (body->name != "Delete" || body->children.size() > kDeletedAtOnce + 1) {
    return S3Fail("malformed_xml", "expected a Delete with at most 1000 Objects");
  }
  const bool quiet = body->ChildText("Quiet") == "true";
  XmlWriter xml;
  xml.OpenS3("DeleteResult");
  for (const XmlElement& object : body->children) {
    if (object.name != "Object") continue;
    const std::string key(object.ChildText("Key"));
    Result<http::RequestHead> condition = ConditionOf(object);
    const Status removed = condition ? RemoveOne(call, key, *condition)
                                     : Status(unexpected(std::move(condition.error())));
    if (removed && quiet) continue;
    xml.Open(removed ? "Deleted" : "Error");
    xml.Element("Key", key);
    if (!removed) {
      xml.Element("Code", S3CodeOf(removed.error()).code);
      xml.Element("Message", removed.error().message);
    }
    xml.Close();
  }
  xml.Close();
  return S3XmlAnswer(200, std::move(xml));
}

}  // namespace nearside::origin
