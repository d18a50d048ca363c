#include <nlohmann/json.hpp>

#include "http/conditional.h"
#include "http/field_list.h"
#include "origin/api.h"
#include "origin/asset_path.h"
#include "origin/audit.h"
#include "origin/content_digest.h"
#include "origin/event.h"
#include "origin/manifest.h"
#include "origin/rules_files.h"
#include "origin/visitor.h"

namespace nearside::origin {
namespace {

constexpr size_t kUploadPiece = 256 << 10;
constexpr size_t kAssetsDefault = 1000;
constexpr size_t kAssetsMost = 10'000;

/// A PUT that forgot its content must not empty the asset.
Status CheckContentSent(const ApiRequest& request) {
  if (request.body.present()) return {};
  return Fail(Fault::kClient, "bad_request",
              "expected content: send Content-Length (0 for an empty asset) or chunks");
}

/// What a PUT may not be, told before its content is read.
Status CheckPut(const ApiRequest& request) {
  const http::Fields& fields = request.head.fields;
  if (Status good = CheckContentCoding(fields); !good) return good;
  if (fields.Has("content-range")) {
    return Fail(Fault::kClient, "bad_request", "a PUT replaces the whole: send no Content-Range");
  }
  if (Status sent = CheckContentSent(request); !sent) return sent;
  Result<std::optional<milliseconds>> wait = QueryWait(request.head.query(), kLongestWait);
  return wait ? Status() : Status(unexpected(std::move(wait.error())));
}

nlohmann::ordered_json AssetJson(const storage::Asset& asset) {
  nlohmann::ordered_json json = {{"path", asset.path},
                                 {"sha256", storage::BlobName(asset.blob)},
                                 {"bytes", asset.bytes},
                                 {"content_type", asset.content_type},
                                 {"etag", EntityTagOf(asset, asset.blob, TagReader::kWriters)},
                                 {"modified", ToUnixMillis(asset.modified)},
                                 {"tags", asset.tags}};
  json["headers"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : asset.headers) json["headers"][name] = value;
  return json;
}

std::string Dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

ApiOutcome Api::GetAsset(const Route& route, const ApiRequest& request) {
  Result<storage::Site> site = node_.metadata->FindSite(route.site);
  if (!site) return ProblemAnswer(site.error());
  Result<std::optional<storage::Asset>> asset = node_.metadata->FindAsset(site->active, route.path);
  if (!asset) return ProblemAnswer(asset.error());
  if (!*asset) {
    return ProblemAnswer(Error{Fault::kClient, "no_such_asset",
                               "site \"" + route.site + "\" has no asset \"" + route.path + "\""});
  }
  Answer answer = ServeAsset(request.head, **asset, WallNow(), {}, TagReader::kWriters);
  answer.fields.Set("cache-control", "no-cache");
  answer.fields.Set("repr-digest", FormatReprDigest((*asset)->blob));
  if (request.head.method == "HEAD") return answer;
  if (Status opened = OpenBody(*node_.blobs, &answer); !opened) {
    return ProblemAnswer(opened.error());
  }
  return answer;
}

Result<storage::StoredBlob> Api::Receive(const ApiRequest& request,
                                         const storage::BlobExpectation& expected) {
  const uint64_t limit = node_.settings.limits.asset.bytes;
  const auto too_large = [&] {
    return Fail(Fault::kClient, "body_too_large",
                "the content is larger than limits.asset allows: " +
                    FormatSize(node_.settings.limits.asset));
  };
  if (request.body.announced_bytes().value_or(0) > limit) return too_large();
  auto writer = node_.blobs->Begin();
  if (!writer) return unexpected(std::move(writer.error()));
  std::vector<uint8_t> piece(kUploadPiece);
  while (true) {
    Result<size_t> n = request.body.Read(piece);
    if (!n) return unexpected(std::move(n.error()));
    if (*n == 0) break;
    if ((*writer)->bytes() + *n > limit) return too_large();
    if (Status kept = (*writer)->Append(std::span(piece).first(*n)); !kept) {
      return unexpected(std::move(kept.error()));
    }
  }
  Result<storage::StoredBlob> blob = (*writer)->Commit(expected);
  if (!blob) return blob;
  if (Status added = node_.metadata->AddBlob(*blob, *node_.blobs); !added) {
    return unexpected(std::move(added.error()));
  }
  ++node_.counters.stored_blobs;
  node_.counters.stored_bytes += blob->bytes;
  return blob;
}

Status Api::CheckConditions(std::string_view method, const http::Fields& fields,
                            const std::optional<storage::Asset>& there) {
  http::Validators validators;
  validators.exists = there.has_value();
  std::string tag;
  if (there) {
    tag = EntityTagOf(*there, there->blob, TagReader::kWriters);
    validators.etag = http::ParseEntityTag(tag);
    validators.last_modified = LastModifiedOf(*there);
  }
  const WallTime now = WallNow();
  if (http::EvaluatePreconditions(method, fields, validators, now) != http::Precondition::kFailed) {
    return {};
  }
  return Fail(Fault::kClient, "precondition_failed",
              there ? "the asset that is there now has the entity tag " + tag +
                          ": read it again and decide anew"
                    : std::string("there is no asset at this path"));
}

Status Api::CheckBeforeContent(const Route& to, const http::Fields& conditions) {
  Result<storage::Site> site = node_.metadata->FindSite(to.site);
  if (!site) return unexpected(std::move(site.error()));
  Result<std::optional<storage::Asset>> there = node_.metadata->FindAsset(site->active, to.path);
  if (!there) return unexpected(std::move(there.error()));
  return CheckConditions("PUT", conditions, *there);
}

storage::Announce Api::AnnouncePut(const ApiRequest& request, const std::string& site,
                                   const storage::Asset& asset) {
  return Signed(
      [](const storage::Change& c) { return AnnounceAsset(c, /*removed=*/false); },
      RecordOf(request, {.action = "asset_put",
                         .site = site,
                         .detail = "{\"path\":" + JsonString(asset.path) + ",\"sha256\":\"" +
                                   storage::BlobName(asset.blob) + "\"}"}));
}

ApiOutcome Api::AssetPut(const ApiRequest& request, const std::string& site,
                         const storage::Asset& asset, const storage::AssetChange& change) {
  storage::Asset stored = asset;
  stored.modified = change.modified;
  std::string members = Dump(AssetJson(stored));
  members = members.substr(1, members.size() - 2);
  return Done(request, {.event = "asset_put",
                        .site = site,
                        .status = change.replaced ? 200 : 201,
                        .position = change.position,
                        .since = WallNow(),
                        .members = std::move(members)});
}

ApiOutcome Api::PutAsset(const Route& route, const ApiRequest& request) {
  const auto fail = [&](const Error& error) {
    ++node_.counters.failed_uploads;
    return ProblemAnswer(error);
  };
  if (request.head.fields.Has("upload-complete")) {
    Result<UploadClaims> claims = ReadUploadClaims("PUT", request.head.fields);
    if (!claims) return fail(claims.error());
    // One that brings all, of a client that would not hear where to go on, is a PUT like others.
    const bool in_goes = claims->complete && (!*claims->complete || claims->informed);
    if (in_goes && *claims->complete) {
      if (Status sent = CheckContentSent(request); !sent) return fail(sent.error());
    }
    if (in_goes) return BeginUpload(route, request);
  }
  if (Status good = CheckPut(request); !good) return fail(good.error());
  storage::Asset asset;
  asset.path = route.path;
  if (Status good = ReadAssetFields(request.head.fields, &asset); !good) return fail(good.error());
  Result<std::optional<storage::BlobId>> digest = ReadContentDigest(request.head.fields);
  if (!digest) return fail(digest.error());
  if (Status good = CheckBeforeContent(route, request.head.fields); !good) {
    return fail(good.error());
  }
  Result<storage::StoredBlob> blob =
      Receive(request, {.id = *digest, .bytes = request.body.announced_bytes()});
  if (!blob) return fail(blob.error());
  asset.blob = blob->id;
  asset.bytes = blob->bytes;
  if (Status good = CheckRulesAsset(*node_.blobs, asset); !good) return fail(good.error());
  Result<storage::AssetChange> change = node_.metadata->PutAsset(
      route.site, asset,
      [&](const std::optional<storage::Asset>& now) {
        return CheckConditions("PUT", request.head.fields, now);
      },
      AnnouncePut(request, route.site, asset));
  if (!change) return fail(change.error());
  return AssetPut(request, route.site, asset, *change);
}

ApiOutcome Api::DeleteAsset(const Route& route, const ApiRequest& request) {
  if (auto wait = QueryWait(request.head.query(), kLongestWait); !wait) {
    return ProblemAnswer(wait.error());
  }
  Result<storage::AssetChange> change = node_.metadata->RemoveAsset(
      route.site, route.path,
      [&](const std::optional<storage::Asset>& now) {
        return CheckConditions("DELETE", request.head.fields, now);
      },
      Signed([](const storage::Change& c) { return AnnounceAsset(c, /*removed=*/true); },
             RecordOf(request, {.action = "asset_deleted",
                                .site = route.site,
                                .detail = "{\"path\":" + JsonString(route.path) + "}"})));
  if (!change) return ProblemAnswer(change.error());
  return Done(request, {.event = "asset_deleted",
                        .site = route.site,
                        .position = change->position,
                        .since = WallNow()});
}

ApiOutcome Api::ListAssets(const Route& route, const ApiRequest& request) {
  Result<size_t> limit = QueryLimit(request.head.query(), kAssetsDefault, kAssetsMost);
  if (!limit) return ProblemAnswer(limit.error());
  Result<storage::Site> site = node_.metadata->FindSite(route.site);
  if (!site) return ProblemAnswer(site.error());
  storage::AssetRange range;
  range.prefix = QueryValue(request.head.query(), "prefix").value_or("");
  range.after = QueryValue(request.head.query(), "after").value_or("");
  range.limit = *limit + 1;  // one more tells whether there is a next page
  Result<std::vector<storage::Asset>> assets = node_.metadata->ListAssets(site->active, range);
  if (!assets) return ProblemAnswer(assets.error());
  nlohmann::ordered_json json;
  json["site"] = route.site;
  json["release"] = std::to_string(site->active);
  json["assets"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < std::min(*limit, assets->size()); ++i) {
    json["assets"].push_back(AssetJson((*assets)[i]));
  }
  json["next"] = assets->size() > *limit ? nlohmann::ordered_json((*assets)[*limit - 1].path)
                                         : nlohmann::ordered_json();
  return JsonAnswer(200, Dump(json));
}

ApiOutcome Api::GetBlob(const Route& route, const ApiRequest& request) {
  Result<storage::BlobId> id = storage::ParseBlobName(route.name);
  if (!id) return ProblemAnswer(id.error());
  Result<std::optional<uint64_t>> bytes = node_.metadata->FindBlob(*id);
  if (!bytes) return ProblemAnswer(bytes.error());
  if (!*bytes) {
    return ProblemAnswer(
        Error{Fault::kClient, "no_such_blob", "no content with this SHA-256 is stored"});
  }
  storage::Asset asset;
  asset.path = route.name;
  asset.blob = *id;
  asset.bytes = **bytes;
  asset.content_type = "application/octet-stream";
  Answer answer = ServeAsset(request.head, asset, WallNow());
  answer.fields.Remove("last-modified");
  answer.fields.Set("cache-control", "private, max-age=31536000, immutable");
  if (request.head.method == "HEAD") return answer;
  if (Status opened = OpenBody(*node_.blobs, &answer); !opened) {
    return ProblemAnswer(opened.error());
  }
  return answer;
}

ApiOutcome Api::PutBlob(const Route& route, const ApiRequest& request) {
  const auto fail = [&](const Error& error) {
    ++node_.counters.failed_uploads;
    return ProblemAnswer(error);
  };
  Result<storage::BlobId> id = storage::ParseBlobName(route.name);
  if (!id) return fail(id.error());
  if (Status good = CheckPut(request); !good) return fail(good.error());
  Result<std::optional<storage::BlobId>> digest = ReadContentDigest(request.head.fields);
  if (!digest) return fail(digest.error());
  if (*digest && **digest != *id) {
    return fail(Error{Fault::kClient, "digest_mismatch",
                      "the digest in the fields is not the one in the path"});
  }
  Result<std::optional<uint64_t>> known = node_.metadata->FindBlob(*id);
  if (!known) return fail(known.error());
  Result<storage::StoredBlob> blob =
      Receive(request, {.id = *id, .bytes = request.body.announced_bytes()});
  if (!blob) return fail(blob.error());
  return JsonAnswer(*known ? 200 : 201, "{\"sha256\":\"" + storage::BlobName(blob->id) +
                                            "\",\"bytes\":" + std::to_string(blob->bytes) + "}");
}

}  // namespace nearside::origin
