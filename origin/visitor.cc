#include "origin/visitor.h"

#include <algorithm>

#include "http/accept_encoding.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/field_list.h"
#include "http/hashed_name.h"
#include "http/media_type.h"
#include "http/range.h"
#include "http/uri.h"
#include "origin/asset_path.h"
#include "origin/compress_job.h"
#include "origin/manifest.h"
#include "origin/rules_files.h"
#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kMethods = "GET, HEAD, OPTIONS";
constexpr size_t kTagDigits = 32;        ///< 128 of the digest's bits
constexpr size_t kDescribedDigits = 16;  ///< of what describes the content

std::string_view LifetimeOf(const storage::Asset& asset) {
  if (http::HasHashedName(asset.path)) return lifetime::kHashed;
  return asset.content_type.starts_with("text/html") ? lifetime::kPage : lifetime::kOther;
}

/// The bytes that a request gets of an asset: its content's, or what encoding made of them.
struct Representation {
  storage::BlobId blob;
  uint64_t bytes = 0;
  http::Coding coding = http::Coding::kIdentity;
  bool negotiated = false;  ///< another request may get another one
  TagReader reader = TagReader::kCaches;
};

std::optional<http::Coding> CodingOfVariant(const storage::BlobVariant& variant) {
  for (const http::Coding coding : kPrecompressed) {
    if (variant.coding == http::CodingName(coding)) return coding;
  }
  return std::nullopt;
}

/// Ranges are of the identity: positions in one coding mean nothing in another.
Representation Select(const http::RequestHead& request, const storage::Asset& asset,
                      const std::vector<storage::BlobVariant>& variants) {
  Representation chosen{.blob = asset.blob, .bytes = asset.bytes};
  const http::CodingSet accepted =
      request.fields.Has("range") ? http::CodingSet() : http::AcceptedCodings(request.fields);
  for (const storage::BlobVariant& variant : variants) {
    const std::optional<http::Coding> coding = CodingOfVariant(variant);
    if (!coding || variant.bytes == 0) continue;
    chosen.negotiated = true;
    if (!accepted.Has(*coding) || variant.bytes >= chosen.bytes) continue;
    chosen.blob = variant.blob;
    chosen.bytes = variant.bytes;
    chosen.coding = *coding;
  }
  return chosen;
}

Representation IdentityOf(const storage::Asset& asset) {
  return {.blob = asset.blob, .bytes = asset.bytes};
}

/// What all answers about an asset carry, 304 included (RFC 9110 §15.4.5).
http::Fields CommonFields(const storage::Asset& asset, const Representation& chosen) {
  http::Fields fields;
  fields.Add("etag", EntityTagOf(asset, chosen.blob, chosen.reader));
  fields.Add("last-modified", http::FormatDate(LastModifiedOf(asset)));
  fields.Add("cache-control", LifetimeOf(asset));
  std::string tags;
  for (const std::string& tag : asset.tags) tags += (tags.empty() ? "" : " ") + tag;
  if (!tags.empty()) fields.Add("surrogate-key", tags);
  for (const auto& [name, value] : asset.headers) fields.Set(name, value);
  if (chosen.negotiated && !http::ListHas(fields, "vary", "accept-encoding")) {
    fields.Add("vary", "Accept-Encoding");
  }
  return fields;
}

Answer WholeAsset(const storage::Asset& asset, const Representation& chosen, int status) {
  Answer answer;
  answer.status = status;
  answer.fields = CommonFields(asset, chosen);
  answer.fields.Add("content-type", asset.content_type);
  if (chosen.coding != http::Coding::kIdentity) {
    answer.fields.Add("content-encoding", http::CodingName(chosen.coding));
  }
  answer.body.push_back(BodyPiece::Blob(chosen.blob, 0, chosen.bytes));
  return answer;
}

/// RFC 9110 §14.6.
void AddMultipart(const storage::Asset& asset, const std::vector<http::ByteRange>& ranges,
                  Answer* answer) {
  const std::string boundary = "nearside-" + storage::BlobName(asset.blob).substr(0, 24);
  for (const http::ByteRange& range : ranges) {
    answer->body.push_back(BodyPiece::Text(
        "\r\n--" + boundary + "\r\nContent-Type: " + asset.content_type +
        "\r\nContent-Range: " + http::FormatContentRange({range, asset.bytes}) + "\r\n\r\n"));
    answer->body.push_back(BodyPiece::Blob(asset.blob, range.first, range.size()));
  }
  answer->body.push_back(BodyPiece::Text("\r\n--" + boundary + "--\r\n"));
  answer->fields.Add("content-type", "multipart/byteranges; boundary=" + boundary);
}

Answer RangeOfAsset(const storage::Asset& asset, const Representation& identity,
                    const http::RangeSelection& selection) {
  Answer answer;
  answer.fields = CommonFields(asset, identity);
  if (selection.outcome == http::RangeOutcome::kUnsatisfiable) {
    answer.status = 416;
    answer.fields.Set("cache-control", "no-store");
    answer.fields.Add("content-range", http::FormatContentRange({std::nullopt, asset.bytes}));
    return answer;
  }
  answer.status = 206;
  if (selection.ranges.size() > 1) {
    AddMultipart(asset, selection.ranges, &answer);
    return answer;
  }
  const http::ByteRange& range = selection.ranges.front();
  answer.fields.Add("content-type", asset.content_type);
  answer.fields.Add("content-range", http::FormatContentRange({range, asset.bytes}));
  answer.body.push_back(BodyPiece::Blob(asset.blob, range.first, range.size()));
  return answer;
}

/// The request's query goes along, unless the location has one of its own.
Answer Redirect(const http::RequestHead& request, std::string location, int status = 301) {
  if (request.target.find('?') != std::string::npos && location.find('?') == std::string::npos) {
    const size_t fragment = std::min(location.find('#'), location.size());
    location.insert(fragment, "?" + std::string(request.query()));
  }
  Answer answer = TextAnswer(status, "Moved to " + location + "\n");
  answer.fields.Add("location", location);
  answer.fields.Add("cache-control", lifetime::kRedirect);
  return answer;
}

/// What `_headers` says of a path, where the asset itself (manifest or upload) does not say it.
void AddRuleFields(const http::HeaderRules& rules, std::string_view path, storage::Asset* asset) {
  for (const auto& [name, value] : rules.FieldsOf(path)) {
    if (name == "surrogate-key") {
      Result<std::vector<std::string>> tags = ParseTags(value);
      if (tags) asset->tags.insert(asset->tags.end(), tags->begin(), tags->end());
    } else if (name == "content-type") {
      const bool guessed = asset->content_type == http::MediaTypeOfPath(asset->path);
      if (guessed) asset->content_type = value;
    } else {
      const bool said =
          std::any_of(asset->headers.begin(), asset->headers.end(),
                      [&field = name](const auto& own) { return own.first == field; });
      if (!said) asset->headers.emplace_back(name, value);
    }
  }
}

/// How long an answer holds whose path may have a file of its own a moment later.
std::string_view MissingLifetime(const std::string& path) {
  return http::HasHashedName(path) ? lifetime::kMissingHashed : lifetime::kMissing;
}

/// A page that says why there is nothing: 404, 410.
Answer MissingPage(const storage::Asset& page, const std::string& path, int status) {
  Answer answer = WholeAsset(page, IdentityOf(page), status);
  answer.fields.Set("cache-control", MissingLifetime(path));
  answer.fields.Remove("etag");
  answer.fields.Remove("last-modified");
  return answer;
}

/// A visitor's request for a path of the site: percent-encoding undone, no slash at its beginning.
struct Visit {
  const http::RequestHead& request;
  SiteContent& content;
  const std::string path;
  const WallTime now;

  std::string rule_path() const { return "/" + path; }
};

/// 404, with the site's own page when it has one.
Result<Answer> Missing(const Visit& visit) {
  Result<std::optional<storage::Asset>> page = visit.content.Find("404.html");
  if (!page) return unexpected(std::move(page.error()));
  if (*page) {
    AddRuleFields(visit.content.rules().headers, visit.rule_path(), &**page);
    return MissingPage(**page, visit.path, 404);
  }
  Answer answer = TextAnswer(404, "Nothing is here.\n");
  answer.fields.Add("cache-control", MissingLifetime(visit.path));
  return answer;
}

/// An asset with all its fields. Whether it may be encoded is said by these.
Result<Answer> ServeFound(const Visit& visit, const storage::Asset& asset) {
  if (!IsPrecompressible(asset)) return ServeAsset(visit.request, asset, visit.now);
  Result<std::vector<storage::BlobVariant>> variants = visit.content.Variants(asset.blob);
  if (!variants) return unexpected(std::move(variants.error()));
  return ServeAsset(visit.request, asset, visit.now, *variants);
}

/// What a rule of `_redirects` makes of the request.
Result<Answer> ApplyRule(const Visit& visit, const http::RedirectTarget& rule) {
  if (!rule.location.empty()) return Redirect(visit.request, rule.location, rule.status);
  const std::string name = http::AssetOfPage(rule.page);
  if (http::IsRulesFile(name)) return Missing(visit);
  Result<std::optional<storage::Asset>> page = visit.content.Find(name);
  if (!page) return unexpected(std::move(page.error()));
  if (!*page) return Missing(visit);
  AddRuleFields(visit.content.rules().headers, visit.rule_path(), &**page);
  (*page)->tags.push_back(RewriteTagOf(name));
  if (rule.status != 200) return MissingPage(**page, visit.path, rule.status);
  Result<Answer> served = ServeFound(visit, **page);
  if (!served) return served;
  Answer answer = std::move(*served);
  // A page in the place of a script that is about to be published must not stay there.
  if (answer.status < 400 && http::HasHashedName(visit.path)) {
    answer.fields.Set("cache-control", lifetime::kMissingHashed);
  }
  return answer;
}

Result<Answer> ServeFile(const Visit& visit, storage::Asset asset) {
  AddRuleFields(visit.content.rules().headers, visit.rule_path(), &asset);
  return ServeFound(visit, asset);
}

/// Rules with "!" stand above files, the others below them.
Result<Answer> ServePath(const Visit& visit) {
  const std::string& path = visit.path;
  const http::RedirectRules& rules = visit.content.rules().redirects;
  if (const auto forced = rules.FindForced(visit.rule_path())) return ApplyRule(visit, *forced);
  if (http::IsRulesFile(path)) return Missing(visit);
  const bool folder = path.empty() || path.back() == '/';
  const std::string name = folder ? path + "index.html" : path;
  Result<std::optional<storage::Asset>> asset = visit.content.Find(name);
  if (!asset) return unexpected(std::move(asset.error()));
  if (*asset) return ServeFile(visit, **std::move(asset));
  if (!folder) {
    Result<std::optional<storage::Asset>> index = visit.content.Find(path + "/index.html");
    if (!index) return unexpected(std::move(index.error()));
    // Relative to the host, never "//…", which would be another host: a path begins with no slash.
    if (*index) return Redirect(visit.request, AssetUrl(path) + "/");
  }
  if (http::HasHashedName(name)) {
    Result<std::optional<storage::Asset>> earlier = visit.content.FindEarlier(name);
    if (!earlier) return unexpected(std::move(earlier.error()));
    if (*earlier) return ServeFile(visit, **std::move(earlier));
  }
  if (const auto rule = rules.Find(visit.rule_path())) return ApplyRule(visit, *rule);
  return Missing(visit);
}

}  // namespace

std::string EntityTagOf(const storage::BlobId& id) {
  return "\"" + storage::BlobName(id).substr(0, kTagDigits) + "\"";
}

std::string EntityTagOf(const storage::Asset& asset, const storage::BlobId& content,
                        TagReader reader) {
  std::string described;
  if (asset.content_type != http::MediaTypeOfPath(asset.path)) described = asset.content_type;
  for (const auto& [name, value] : asset.headers) {
    described += "\n" + name;
    if (reader == TagReader::kWriters || name == "content-language") described += ": " + value;
  }
  if (reader == TagReader::kWriters) {
    for (const std::string& word : asset.tags) described += "\ntag " + word;
    for (const auto& [name, value] : asset.notes) described += "\nnote " + name + ": " + value;
  }
  std::string tag = EntityTagOf(content);
  if (described.empty()) return tag;
  tag.insert(tag.size() - 1, "-" + HexEncode(Sha256Of(described)).substr(0, kDescribedDigits));
  return tag;
}

WallTime LastModifiedOf(const storage::Asset& asset) {
  return std::chrono::floor<seconds>(asset.modified);
}

Answer ServeAsset(const http::RequestHead& request, const storage::Asset& asset, WallTime now,
                  const std::vector<storage::BlobVariant>& variants, TagReader reader) {
  Representation chosen = Select(request, asset, variants);
  chosen.reader = reader;
  const std::string tag = EntityTagOf(asset, chosen.blob, reader);
  http::Validators validators;
  validators.etag = http::ParseEntityTag(tag);
  validators.last_modified = LastModifiedOf(asset);
  validators.date = now;
  switch (http::EvaluatePreconditions(request.method, request.fields, validators, now)) {
    case http::Precondition::kNotModified: {
      Answer answer;
      answer.status = 304;
      answer.fields = CommonFields(asset, chosen);
      // For edges that have this content by other means, and so no 200 to take these from
      // (RFC 9110 §15.4.5).
      answer.fields.Add("content-type", asset.content_type);
      if (chosen.coding == http::Coding::kIdentity) answer.fields.Add("accept-ranges", "bytes");
      return answer;
    }
    case http::Precondition::kFailed: {
      Answer answer = TextAnswer(412, "The asset is not the one that the request names.\n");
      answer.fields.Add("cache-control", "no-store");
      answer.fields.Add("etag", tag);
      return answer;
    }
    case http::Precondition::kNone:
    case http::Precondition::kHolds:
      break;
  }
  const std::optional<std::string_view> range = request.fields.Get("range");
  if (request.method == "GET" && range && http::IfRangeHolds(request.fields, validators, now)) {
    const http::RangeSelection selection = http::SelectRanges(*range, asset.bytes);
    if (selection.outcome != http::RangeOutcome::kIgnored) {
      return RangeOfAsset(asset, chosen, selection);
    }
  }
  Answer answer = WholeAsset(asset, chosen, 200);
  if (chosen.coding == http::Coding::kIdentity) answer.fields.Add("accept-ranges", "bytes");
  return answer;
}

Result<Answer> ServeVisitor(const http::RequestHead& request, SiteContent& content, WallTime now) {
  if (request.method == "OPTIONS") {
    Answer answer;
    answer.status = 204;
    answer.fields.Add("allow", kMethods);
    return answer;
  }
  if (request.method != "GET" && request.method != "HEAD") {
    Answer answer = TextAnswer(405, "Only GET, HEAD and OPTIONS are served here.\n");
    answer.fields.Add("allow", kMethods);
    return answer;
  }
  if (request.path().size() > 3 * kAssetPathBytes) {
    return TextAnswer(414, "The path is longer than any that is served here.\n");
  }
  Result<std::string> normal = http::NormalizeTarget(request.path());
  if (!normal || !normal->starts_with('/')) {
    return TextAnswer(400, (normal ? "a path was expected" : normal.error().message) + "\n");
  }
  // What cannot be a name of an asset (an encoded slash, "//", bytes that are not UTF-8) is not
  // there.
  const std::string_view encoded = std::string_view(*normal).substr(1);
  const bool folder = encoded.ends_with('/');
  const std::string_view file = encoded.substr(0, encoded.size() - (folder ? 1 : 0));
  Result<std::string> path = file.empty() && !folder ? std::string() : DecodeAssetPath(file);
  if (!path) return Missing({request, content, "", now});
  const std::string url = path->empty() ? "/" : AssetUrl(*path) + (folder ? "/" : "");
  if (url != *normal) return Redirect(request, url);
  return ServePath({request, content, *path + (folder ? "/" : ""), now});
}

}  // namespace nearside::origin
