#include "origin/manifest.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "http/media_type.h"
#include "http/settable_field.h"
#include "http/uri.h"
#include "origin/asset_path.h"
#include "origin/json.h"
#include "origin/s3_request.h"

namespace nearside::origin {
namespace {

/// Fields that have a member of their own.
constexpr std::array<std::string_view, 3> kOwnMembers = {"cache-tag", "content-type",
                                                         "surrogate-key"};

/// Fields of a PUT that are kept and sent with the asset.
constexpr std::array<std::string_view, 5> kKeptFields = {"cache-control", "cdn-cache-control",
                                                         "nearside-cache-control",
                                                         "content-disposition", "content-language"};

/// Of a host name as DNS has it; "_" for the names that people give inside.
constexpr std::string_view kHostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789.-_";

tl::unexpected<Error> BadManifest(std::string message) {
  return Fail(Fault::kClient, "bad_manifest", std::move(message));
}

Status CheckContentType(std::string_view type) {
  if (type.size() <= 256 && http::IsFieldValue(type) && type.find('/') != std::string_view::npos) {
    return {};
  }
  return BadManifest("\"" + std::string(type.substr(0, 80)) +
                     "\" is no content type: expected one like \"text/html; charset=utf-8\"");
}

Status CheckTag(std::string_view tag) {
  const bool printable = std::all_of(tag.begin(), tag.end(), [](char c) {
    return static_cast<uint8_t>(c) > 0x20 && c != 0x7f && c != ',';
  });
  if (!tag.empty() && tag.size() <= kTagBytes && printable) return {};
  return BadManifest("\"" + std::string(tag.substr(0, 80)) + "\" is no tag: expected 1 to " +
                     std::to_string(kTagBytes) + " characters without spaces and commas");
}

Result<storage::Asset> ParseAsset(const nlohmann::json& json, size_t index) {
  JsonObject object(json, "bad_manifest", "assets[" + std::to_string(index) + "]");
  storage::Asset asset;
  asset.path = object.Text("path", /*required=*/true);
  const std::string digest = object.Text("sha256", /*required=*/true);
  const std::optional<uint64_t> bytes = object.Count("bytes");
  asset.content_type = object.Text("content_type");
  asset.headers = object.TextPairs("headers", kHeadersOfAsset);
  asset.tags = object.Texts("tags", kTagsOfAsset);
  if (!bytes) object.Refuse("\"bytes\": expected the content's length");
  asset.bytes = bytes.value_or(0);
  if (Status good = CheckAssetPath(asset.path); !good) object.Refuse(good.error().message);
  Result<storage::BlobId> blob = storage::ParseBlobName(digest);
  if (blob) asset.blob = *blob;
  if (!blob) object.Refuse("\"sha256\": " + blob.error().message);
  if (asset.content_type.empty()) asset.content_type = http::MediaTypeOfPath(asset.path);
  if (Status good = CheckContentType(asset.content_type); !good)
    object.Refuse(good.error().message);
  for (auto& [name, value] : asset.headers) {
    name = http::LowerName(name);
    if (Status good = CheckAssetHeader(name, value); !good) object.Refuse(good.error().message);
  }
  for (const std::string& tag : asset.tags) {
    if (Status good = CheckTag(tag); !good) object.Refuse(good.error().message);
  }
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  return asset;
}

bool IsOwnHost(std::string_view host, const OwnHosts& own) {
  // A dot at the end is another way to write the same name.
  if (host.ends_with('.')) host.remove_suffix(1);
  return host == "localhost" || host == http::LowerName(own.node) ||
         IsS3Host(host, http::LowerName(own.s3_domain)) ||
         std::find(own.accounts.begin(), own.accounts.end(), host) != own.accounts.end();
}

Result<std::string> SiteRelative(const storage::Site& site, const std::string& url) {
  const auto bad = [&](std::string_view why) {
    return Fail(Fault::kClient, "bad_purge", "\"" + url.substr(0, 200) + "\": " + std::string(why));
  };
  if (url.size() > kPurgeUrlBytes) return bad("the URL is too long");
  std::string target = url;
  if (!url.starts_with('/')) {
    Result<http::Uri> uri = http::SplitUri(url);
    if (!uri) return bad("expected a path that begins with /, or an http(s) URL");
    const std::string host = http::LowerName(http::SplitAuthority(uri->authority)->host);
    if (std::find(site.hosts.begin(), site.hosts.end(), host) == site.hosts.end()) {
      return bad("\"" + host + "\" is no host of site \"" + site.name + "\"");
    }
    target = uri->path.empty() ? "/" : std::string(uri->path);
    if (uri->has_query) target += "?" + std::string(uri->query);
  }
  Result<std::string> normal = http::NormalizeTarget(target);
  if (!normal) return bad(normal.error().message);
  return normal;
}

}  // namespace

Status CheckAssetHeader(std::string_view name, std::string_view value) {
  if (!http::IsToken(name) || !http::IsFieldValue(value) || value.size() > 4096) {
    return BadManifest("\"" + std::string(name.substr(0, 80)) + "\" is no header field");
  }
  const bool own = std::find(kOwnMembers.begin(), kOwnMembers.end(), name) != kOwnMembers.end();
  if (own || !http::IsSettableField(name)) {
    return BadManifest("header \"" + std::string(name) + "\" cannot be set for an asset");
  }
  return {};
}

Result<std::vector<std::string>> ParseTags(std::string_view text) {
  std::vector<std::string> tags;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(" ,\t"), text.size()));
    if (text.empty()) break;
    const std::string_view tag = text.substr(0, text.find_first_of(" ,\t"));
    if (Status good = CheckTag(tag); !good) return unexpected(std::move(good.error()));
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.emplace_back(tag);
    text.remove_prefix(tag.size());
  }
  if (tags.size() > kTagsOfAsset) {
    return BadManifest("at most " + std::to_string(kTagsOfAsset) + " tags are kept with an asset");
  }
  return tags;
}

Status ReadAssetFields(const http::Fields& fields, storage::Asset* asset) {
  const std::string_view type = fields.Get("content-type").value_or("");
  // curl --data-binary says this of whatever it sends.
  const bool meant = !type.empty() && !type.starts_with("application/x-www-form-urlencoded");
  asset->content_type = meant ? type : http::MediaTypeOfPath(asset->path);
  if (Status good = CheckContentType(asset->content_type); !good) return good;
  for (std::string_view name : kKeptFields) {
    if (!fields.Has(name)) continue;
    asset->headers.emplace_back(name, fields.Joined(name));
    if (Status good = CheckAssetHeader(name, asset->headers.back().second); !good) return good;
  }
  Result<std::vector<std::string>> tags =
      ParseTags(fields.Joined("surrogate-key") + " " + fields.Joined("cache-tag"));
  if (!tags) return unexpected(std::move(tags.error()));
  asset->tags = std::move(*tags);
  return {};
}

Status CheckContentCoding(const http::Fields& fields) {
  const std::string coding = fields.Joined("content-encoding");
  if (coding.empty() || http::LowerName(coding) == "identity") return {};
  return Fail(Fault::kClient, "unsupported_coding",
              "contents are stored as they are: send them without Content-Encoding");
}

Result<std::vector<storage::Asset>> ParseManifest(std::string_view text) {
  Result<nlohmann::json> json = ParseJson(text);
  if (!json) return unexpected(std::move(json.error()));
  JsonObject object(*json, "bad_manifest", "the manifest");
  const nlohmann::json* entries = object.Array("assets", kManifestAssets);
  if (entries == nullptr) object.Refuse("\"assets\": expected a list");
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  std::vector<storage::Asset> assets;
  assets.reserve(entries->size());
  std::unordered_set<std::string> paths;
  for (size_t i = 0; i < entries->size(); ++i) {
    Result<storage::Asset> asset = ParseAsset((*entries)[i], i);
    if (!asset) return unexpected(std::move(asset.error()));
    if (!paths.insert(asset->path).second) {
      return BadManifest("\"" + asset->path + "\" is listed twice");
    }
    assets.push_back(std::move(*asset));
  }
  return assets;
}

Status CheckSiteName(std::string_view name) {
  const bool characters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (characters && !name.empty() && name.size() <= 63 && name.front() != '-') return {};
  return Fail(Fault::kClient, "bad_site",
              "a site's name has 1 to 63 characters of a-z, 0-9 and -, and does not begin with -");
}

Result<storage::SiteDraft> ParseSite(std::string_view text, std::string_view name,
                                     const OwnHosts& own) {
  Result<nlohmann::json> json = ParseJson(text);
  if (!json) return unexpected(std::move(json.error()));
  JsonObject object(*json, "bad_site", "the site");
  storage::SiteDraft draft;
  draft.name = object.Text("name", /*required=*/name.empty());
  if (draft.name.empty()) draft.name = name;
  if (!name.empty() && draft.name != name) object.Refuse("\"name\" is not that of the path");
  draft.hosts = object.Texts("hosts", kHostsOfSite);
  draft.settings = "{}";
  if (const nlohmann::json* quota = object.Object("quota")) {
    JsonObject limits(*quota, "bad_site", "\"quota\"");
    draft.quota = {.bytes = limits.Count("bytes").value_or(0),
                   .files = limits.Count("files").value_or(0)};
    if (Status good = limits.Finish(); !good) return unexpected(std::move(good.error()));
    if (draft.quota->bytes > kQuotaMost || draft.quota->files > kQuotaMost) {
      object.Refuse("\"quota\" has no number above " + std::to_string(kQuotaMost));
    }
  }
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  if (Status good = CheckSiteName(draft.name); !good) return unexpected(std::move(good.error()));
  for (std::string& host : draft.hosts) {
    host = http::LowerName(host);
    const std::optional<http::Authority> authority = http::SplitAuthority(host);
    const bool is_name = authority && !authority->port && authority->host == host &&
                         host.find_first_not_of("0123456789.") != std::string::npos &&
                         host.find_first_not_of(kHostCharacters) == std::string::npos;
    if (!is_name || host.size() > 253 || IsOwnHost(host, own)) {
      return Fail(
          Fault::kClient, "bad_site",
          "\"" + host.substr(0, 80) +
              "\" cannot be a site's host: expected a name like "
              "\"www.example.com\", without port, that is neither localhost nor this node's name "
              "nor in the domain of S3 nor that of the accounts' pages");
    }
  }
  std::sort(draft.hosts.begin(), draft.hosts.end());
  draft.hosts.erase(std::unique(draft.hosts.begin(), draft.hosts.end()), draft.hosts.end());
  return draft;
}

Result<PurgeRequest> ParsePurge(std::string_view text) {
  Result<nlohmann::json> json = ParseJson(text);
  if (!json) return unexpected(std::move(json.error()));
  JsonObject object(*json, "bad_purge", "the purge");
  PurgeRequest purge;
  purge.site = object.Text("site");
  purge.forget.urls = object.Texts("urls", kPurgeItems);
  purge.forget.prefixes = object.Texts("prefixes", kPurgeItems);
  purge.forget.tags = object.Texts("tags", kPurgeItems);
  purge.forget.all = object.Bool("all");
  purge.forget.soft = object.Bool("soft");
  const Forget& forget = purge.forget;
  if (forget.urls.empty() && forget.prefixes.empty() && forget.tags.empty() && !forget.all) {
    object.Refuse("says nothing to purge: expected \"urls\", \"prefixes\", \"tags\" or \"all\"");
  }
  for (const std::string& tag : forget.tags) {
    if (Status good = CheckTag(tag); !good) object.Refuse(good.error().message);
  }
  if (Status good = object.Finish(); !good) return unexpected(std::move(good.error()));
  return purge;
}

Status ResolvePurge(const storage::Site& site, Forget* forget) {
  for (std::string& url : forget->urls) {
    Result<std::string> relative = SiteRelative(site, url);
    if (!relative) return unexpected(std::move(relative.error()));
    url = std::move(*relative);
  }
  for (std::string& prefix : forget->prefixes) {
    Result<std::string> relative = SiteRelative(site, prefix);
    if (!relative) return unexpected(std::move(relative.error()));
    if (!relative->ends_with('/') || relative->find('?') != std::string::npos) {
      return Fail(Fault::kClient, "bad_purge",
                  "\"" + prefix.substr(0, 200) + "\": a prefix is a folder: it ends with /");
    }
    const auto slashes = static_cast<size_t>(std::count(relative->begin(), relative->end(), '/'));
    if (slashes > kPrefixSegments + 1) {
      return Fail(Fault::kClient, "bad_purge",
                  "\"" + prefix.substr(0, 200) + "\": a prefix has at most " +
                      std::to_string(kPrefixSegments) +
                      " segments: purge a folder above, or a tag");
    }
    prefix = std::move(*relative);
  }
  return {};
}

std::string HostOfPurge(const Forget& forget) {
  for (const auto* list : {&forget.urls, &forget.prefixes}) {
    for (const std::string& url : *list) {
      Result<http::Uri> uri = http::SplitUri(url);
      if (uri) return http::LowerName(http::SplitAuthority(uri->authority)->host);
    }
  }
  return "";
}

}  // namespace nearside::origin
